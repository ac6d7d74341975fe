//! Batch normalisation with fixed statistics becomes part of the convolution before it.

use super::{patch_by_building, producer};
use crate::{Patch, Rule, RuleContext};
use gabor_graph::NodeId;
use gabor_graph::ops::{BatchNormInference, Conv};
use gabor_tensor::{Shape, Unary};

/// `bn(conv(x, w))` with running statistics becomes `conv(x, w·s) + (β - mean·s)` with `s = γ / √(var + eps)`. The new
/// weights depend on parameters alone, so a backend computes them once, not in every run.
pub struct FoldBatchNorm;

impl Rule for FoldBatchNorm {
    fn name(&self) -> &'static str {
        "fold batch norm"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        let bn = node.op::<BatchNormInference>()?;
        let v = node.inputs[0];
        let (_, p) = producer(g, v)?;
        let conv = p.op::<Conv>()?;
        if !cx.used_once(v) {
            return None;
        }
        let inputs = [&p.inputs[..], &node.inputs[1..]].concat();
        patch_by_building(cx, &inputs, &node.outputs, |s, i| {
            let [x, w, gamma, beta, mean, var] = [i[0], i[1], i[2], i[3], i[4], i[5]];
            let var = s.shift(var, bn.eps)?;
            let std = s.unary(Unary::Sqrt, var)?;
            let factor = s.div(gamma, std)?;
            let rank = s.shape(w).rank();
            let mut per_filter = vec![1; rank];
            per_filter[0] = conv.geometry.co;
            let wide = s.reshape(factor, &Shape::fixed(&per_filter))?;
            let w = s.mul(w, wide)?;
            let y = s.add_one(conv.clone(), &[x, w])?;
            let moved = s.mul(mean, factor)?;
            let bias = s.sub(beta, moved)?;
            let shape = s.shape(y).clone();
            let bias = s.per_channel(bias, &shape)?;
            Ok(vec![s.add(y, bias)?])
        })
        .ok()
    }
}
