//! A rectifier is applied while the result is written.

use super::producer;
use crate::fused::{FusedConv, FusedMatMul};
use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::NodeId;
use gabor_graph::ops::UnaryMap;
use gabor_tensor::Unary;
use std::sync::Arc;

/// A rectifier after a convolution or matrix product with bias becomes part of it.
pub struct FuseRelu;

impl Rule for FuseRelu {
    fn name(&self) -> &'static str {
        "fuse relu"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        let v = *node.inputs.first()?;
        if node.op::<UnaryMap>()?.f != Unary::Relu || !cx.used_once(v) {
            return None;
        }
        let (_, p) = producer(g, v)?;
        let inputs = p.inputs.iter().map(|&i| Operand::Old(i)).collect();
        if let Some(conv) = p.op::<FusedConv>().filter(|c| !c.relu) {
            return Some(Patch::swap(&node.outputs, Arc::new(FusedConv { relu: true, ..conv.clone() }), inputs));
        }
        let m = p.op::<FusedMatMul>().filter(|m| !m.relu)?;
        Some(Patch::swap(&node.outputs, Arc::new(FusedMatMul { relu: true, ..m.clone() }), inputs))
    }
}
