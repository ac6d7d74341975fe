//! The shortcut of a residual block is added while the result is written.

use super::producer;
use crate::fused::{Activation, FusedConv};
use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::NodeId;
use gabor_graph::ops::BinaryMap;
use gabor_tensor::Binary;
use std::sync::Arc;

/// `conv(x, w) + bias + v` with a `v` of the result's extents becomes one operation.
pub struct FuseAdd;

impl Rule for FuseAdd {
    fn name(&self) -> &'static str {
        "fuse add"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        if node.op::<BinaryMap>()?.f != Binary::Add {
            return None;
        }
        let (a, b) = (node.inputs[0], node.inputs[1]);
        if g.ty(a) != g.ty(b) {
            return None;
        }
        // Of two convolutions the later one takes the sum, so that it need not wait for its own summand.
        let (_, summand, maker, conv) = [(a, b), (b, a)]
            .into_iter()
            .filter(|&(v, _)| cx.used_once(v))
            .filter_map(|(v, summand)| {
                let (at, maker) = producer(g, v)?;
                let conv = maker.op::<FusedConv>().filter(|c| !c.add && c.activation == Activation::None)?;
                Some((at, summand, maker, conv))
            })
            .max_by_key(|c| c.0)?;
        let operation = FusedConv { add: true, ..conv.clone() };
        let inputs = maker.inputs.iter().chain([&summand]).map(|&v| Operand::Old(v)).collect();
        (cx.supports)(&operation).then(|| Patch::swap(&node.outputs, Arc::new(operation), inputs))
    }
}
