//! A rectifier is applied while the result is written.

use super::{number, producer};
use crate::fused::{Activation, FusedConv, FusedMatMul};
use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::ops::{BinaryMap, UnaryMap};
use gabor_graph::{Node, NodeId, Operation, ValueId};
use gabor_tensor::{Binary, Unary};
use std::sync::Arc;

/// A rectifier after a convolution or matrix product with bias becomes part of it: `max(x, 0)`, or
/// `min(max(x, 0), 6)`.
pub struct FuseRelu;

/// What the node rectifies, and how.
pub(super) fn rectifier(cx: &RuleContext<'_>, node: &Node) -> Option<(ValueId, Activation)> {
    if let Some(map) = node.op::<UnaryMap>() {
        return (map.f == Unary::Relu).then_some((node.inputs[0], Activation::Relu));
    }
    // The operand of `f(v, bound)` in either order.
    let bounded = |node: &Node, f: Binary, bound: f64| {
        let (a, b) = (node.inputs[0], *node.inputs.get(1)?);
        if node.op::<BinaryMap>()?.f != f {
            return None;
        }
        let is_bound = |v| number(cx.graph, v) == Some(bound);
        if is_bound(b) { Some(a) } else { is_bound(a).then_some(b) }
    };
    let v = bounded(node, Binary::Min, 6.0)?;
    let (_, inner) = producer(cx.graph, v)?;
    Some((bounded(inner, Binary::Max, 0.0)?, Activation::Relu6)).filter(|_| cx.used_once(v))
}

impl Rule for FuseRelu {
    fn name(&self) -> &'static str {
        "fuse relu"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        let (v, activation) = rectifier(cx, node)?;
        let (_, p) = producer(g, v)?;
        if !cx.used_once(v) || g.ty(v) != g.ty(node.outputs[0]) {
            return None;
        }
        let operation: Arc<dyn Operation> = if let Some(conv) = p.op::<FusedConv>() {
            (conv.activation == Activation::None).then(|| Arc::new(FusedConv { activation, ..conv.clone() }))?
        } else {
            let m = p.op::<FusedMatMul>()?;
            (m.activation == Activation::None).then(|| Arc::new(FusedMatMul { activation, ..m.clone() }))?
        };
        let inputs = p.inputs.iter().map(|&i| Operand::Old(i)).collect();
        Some(Patch::swap(&node.outputs, operation, inputs))
    }
}
