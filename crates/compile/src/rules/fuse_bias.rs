//! A bias is added while the result is written.

use super::producer;
use crate::fused::{Activation, FusedConv, FusedMatMul};
use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::NodeId;
use gabor_graph::ops::{BinaryMap, Conv, MatMul};
use gabor_tensor::{Binary, Dim};
use std::sync::Arc;

/// `conv(x, w) + b` with one number per filter, and `a·b + bias` with one number per column, become one operation.
pub struct FuseBias;

impl Rule for FuseBias {
    fn name(&self) -> &'static str {
        "fuse bias"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        if node.op::<BinaryMap>()?.f != Binary::Add {
            return None;
        }
        let y = node.outputs[0];
        for (v, bias) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
            if !cx.used_once(v) || g.ty(v) != g.ty(y) {
                continue;
            }
            let Some((_, p)) = producer(g, v) else { continue };
            if p.inputs.len() < 2 {
                continue;
            }
            let inputs = p.inputs.iter().chain([&bias]).map(|&i| Operand::Old(i)).collect();
            if let Some(conv) = p.op::<Conv>() {
                let b = g.shape(bias);
                let spatial = conv.geometry.window.rank();
                let per_filter = b.rank() == spatial + 1
                    && b.0[0] == Dim::Fixed(conv.geometry.co)
                    && b.0[1..].iter().all(|&d| d == Dim::Fixed(1));
                let geometry = conv.geometry.clone();
                let op = FusedConv { geometry, add: false, activation: Activation::None };
                if per_filter && (cx.supports)(&op) {
                    return Some(Patch::swap(&[y], Arc::new(op), inputs));
                }
            }
            if let Some(m) = p.op::<MatMul>()
                && g.shape(bias).rank() == 1
                && g.shape(bias).0[0] == g.shape(y).0[g.shape(y).rank() - 1]
                && g.shape(y).rank() == 2
            {
                let (transpose_a, transpose_b) = (m.transpose_a, m.transpose_b);
                let op = FusedMatMul { transpose_a, transpose_b, activation: Activation::None };
                if !(cx.supports)(&op) {
                    continue;
                }
                return Some(Patch::swap(&[y], Arc::new(op), inputs));
            }
        }
        None
    }
}
