//! Batch normalisation in training takes in what follows it, and its gradient the mask of the rectifier.

use super::fuse_relu::rectifier;
use super::{number, producer};
use crate::fused::{Activation, FusedBatchNorm, FusedBatchNormGrad};
use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::ops::{BatchNorm, BatchNormGrad, BinaryMap};
use gabor_graph::{Graph, Node, NodeId, Source, ValueId};
use gabor_tensor::Binary;
use std::sync::Arc;

/// `relu(batch_norm(x) + v)`, or part of it, or with relu6, becomes one operation.
pub struct FuseBatchNorm;

/// What normalises in a node, with nothing after the other summand.
fn normalisation(node: &Node) -> Option<FusedBatchNorm> {
    if let Some(b) = node.op::<BatchNorm>() {
        return Some(FusedBatchNorm { eps: b.eps, momentum: b.momentum, add: false, activation: Activation::None });
    }
    node.op::<FusedBatchNorm>().filter(|f| f.activation == Activation::None).cloned()
}

impl Rule for FuseBatchNorm {
    fn name(&self) -> &'static str {
        "fuse batch norm"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        // The normalised value, which nothing else reads, and its maker.
        let maker = |v: ValueId| {
            let (at, maker) = producer(g, v).filter(|(_, p)| p.outputs[0] == v && cx.used_once(v))?;
            Some((at, maker, normalisation(maker)?))
        };
        let (maker, operation, summand) = if let Some((v, activation)) = rectifier(cx, node) {
            let (_, maker, f) = maker(v)?;
            (maker, FusedBatchNorm { activation, ..f }, None)
        } else {
            if node.op::<BinaryMap>()?.f != Binary::Add || g.ty(node.inputs[0]) != g.ty(node.inputs[1]) {
                return None;
            }
            let (a, b) = (node.inputs[0], node.inputs[1]);
            // Of two normalisations the later one takes the sum, so that it need not wait for its own summand.
            let (_, summand, maker, f) = [(a, b), (b, a)]
                .into_iter()
                .filter_map(|(v, summand)| maker(v).map(|(at, maker, f)| (at, summand, maker, f)))
                .filter(|&(at, summand, _, ref f)| !f.add && is_before(cx, summand, at))
                .max_by_key(|c| c.0)?;
            (maker, FusedBatchNorm { add: true, ..f }, Some(summand))
        };
        let inputs = maker.inputs.iter().copied().chain(summand).map(Operand::Old).collect();
        let outputs: Vec<ValueId> = node.outputs.iter().chain(&maker.outputs[1..]).copied().collect();
        (cx.supports)(&operation).then(|| Patch::swap(&outputs, Arc::new(operation), inputs))
    }
}

/// The gradient of a rectified normalisation becomes one operation. Without another summand it needs x alone, so that the
/// rectifier's output need not be kept for it.
pub struct FuseBatchNormGrad;

impl Rule for FuseBatchNormGrad {
    fn name(&self) -> &'static str {
        "fuse batch norm gradient"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        node.op::<BatchNormGrad>()?;
        let masked = node.inputs[0];
        let (gate_id, dy, y, activation) = gate(g, masked)?;
        let (_, forward) = producer(g, y)?;
        let f = forward.op::<FusedBatchNorm>().filter(|f| f.activation == activation && forward.outputs[0] == y)?;
        if g.ty(dy) != g.ty(y) || !node.inputs[1..].iter().all(|&v| is_before(cx, v, gate_id)) {
            return None;
        }
        let own = node.inputs[1..] == [&forward.inputs[..2], &forward.outputs[1..3]].concat();
        // Behind a sum the mask is the same for both summands.
        let add = f.add;
        let alone = own && cx.used_once(masked);
        if !add && !alone {
            return None;
        }
        let operation = FusedBatchNormGrad { add, activation };
        let mask = if add { y } else { forward.inputs[2] };
        let inputs = [&[dy], &node.inputs[1..], &[mask]].concat().into_iter().map(Operand::Old).collect();
        let outputs: Vec<ValueId> = node.outputs.iter().copied().chain(add.then_some(masked)).collect();
        (cx.supports)(&operation).then(|| Patch::swap(&outputs, Arc::new(operation), inputs))
    }
}

/// The gate that a gradient passes: its node, the gradient before it, and the output of which rectifier opens it.
fn gate(g: &Graph, masked: ValueId) -> Option<(NodeId, ValueId, ValueId, Activation)> {
    let by = |v: ValueId, f: Binary| {
        let (id, node) = producer(g, v)?;
        (node.op::<BinaryMap>()?.f == f).then(|| (id, node.inputs[0], node.inputs[1]))
    };
    let (id, dy, y) = by(masked, Binary::Gate)?;
    // Behind relu6: where the output is positive, and then where it is below 6.
    if let Some((_, limit, y)) = by(y, Binary::Greater)
        && number(g, limit) == Some(f64::from(Activation::Relu6.limit()))
    {
        let (_, dy, positive) = by(dy, Binary::Gate)?;
        return (positive == y).then_some((id, dy, y, Activation::Relu6));
    }
    Some((id, dy, y, Activation::Relu))
}

/// Whether a value is there before a node.
fn is_before(cx: &RuleContext<'_>, v: ValueId, node: NodeId) -> bool {
    !matches!(cx.graph.value(v).source, Source::Node(maker, _) if maker >= node)
}
