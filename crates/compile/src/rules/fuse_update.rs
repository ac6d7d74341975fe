//! The update of a large weight follows its gradient element by element.

use super::producer;
use crate::fused::{FusedMap, FusedProductMap, MapProgram, Step};
use crate::{Operand, Patch, Rule, RuleContext};
use gabor_graph::NodeId;
use gabor_graph::ops::MatMul;
use std::sync::Arc;

/// An element-wise program on a product of a short sum that nothing else reads takes the product in: the gradient of a
/// fully connected layer's weights is as large as they are, and made of far less.
pub struct FuseUpdate;

/// Elements from which on the product's way through memory counts.
const LARGE: usize = 1 << 16;
/// Longest sum: the product is computed in small blocks, which costs more than in large ones.
pub(super) const LONGEST: usize = 64;

impl Rule for FuseUpdate {
    fn name(&self) -> &'static str {
        "fuse update"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        let map = node.op::<FusedMap>()?;
        let at = node.inputs.iter().position(|&v| {
            let product = producer(g, v).and_then(|(_, p)| Some((p, p.op::<MatMul>()?)));
            product.is_some_and(|(p, m)| {
                let shape = g.shape(v).at(cx.n);
                let sum = g.shape(p.inputs[0]).at(cx.n)[usize::from(!m.transpose_a)];
                !m.transpose_b
                    && shape.len() == 2
                    && shape.iter().product::<usize>() >= LARGE
                    && sum <= LONGEST
                    // An output must not be able to take the place of the right matrix.
                    && sum != shape[0]
                    && cx.used_once(v)
                    && g.ty(v) == g.ty(node.outputs[0])
            })
        })?;
        let (_, product) = producer(g, node.inputs[at])?;
        // The product comes first; what stood before it moves back by one.
        let moved = |i: usize| if i == at { 0 } else { i + usize::from(i < at) };
        let step = |s: &Step| if let Step::Input(i) = *s { Step::Input(moved(i)) } else { *s };
        let program =
            MapProgram { steps: map.program.steps.iter().map(step).collect(), outputs: map.program.outputs.clone() };
        let operation = FusedProductMap { transpose_a: product.op::<MatMul>()?.transpose_a, program };
        if !(cx.supports)(&operation) {
            return None;
        }
        let others = node.inputs.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, v)| v);
        let inputs = product.inputs.iter().chain(others).map(|&v| Operand::Old(v)).collect();
        Some(Patch::swap(&node.outputs, Arc::new(operation), inputs))
    }
}
