//! The norm of a product without the product.

use super::fuse_update::LONGEST;
use super::{patch_by_building, producer};
use crate::{Patch, Rule, RuleContext};
use gabor_graph::NodeId;
use gabor_graph::ops::{MatMul, SumOfSquares};

/// `Σ (a·b)²` of a short sum over k is `Σ (aᵀa) ∘ (bbᵀ)`, two products of k × k elements. The gradient of a fully
/// connected layer's weights then need not be there when its norm is asked for.
pub struct SquaresOfProduct;

/// Elements of the product from which on it is worth while.
const LARGE: usize = 1 << 16;

impl Rule for SquaresOfProduct {
    fn name(&self) -> &'static str {
        "squares of a product"
    }
    fn apply(&self, cx: &RuleContext<'_>, id: NodeId) -> Option<Patch> {
        let (g, node) = (cx.graph, cx.graph.node(id));
        node.op::<SumOfSquares>()?;
        let (_, product) = producer(g, node.inputs[0])?;
        let &MatMul { transpose_a, transpose_b } = product.op::<MatMul>()?;
        let a = g.shape(product.inputs[0]).at(cx.n);
        let is_matrix = a.len() == 2 && g.shape(product.inputs[1]).rank() == 2;
        let large = g.shape(node.inputs[0]).len_at(cx.n) >= LARGE;
        if !is_matrix || !large || a[usize::from(!transpose_a)] > LONGEST {
            return None;
        }
        patch_by_building(cx, &product.inputs, &node.outputs, |g, inputs| {
            let (a, b) = (inputs[0], inputs[1]);
            // Rows of a and columns of b are what is summed over.
            let left = g.matmul(a, a, !transpose_a, transpose_a)?;
            let right = g.matmul(b, b, transpose_b, !transpose_b)?;
            let both = g.mul(left, right)?;
            let sum = g.sum_all(both)?;
            // Rounding may leave a sum that is all but zero below it.
            let zero = g.number(0.0);
            Ok(vec![g.maximum(sum, zero)?])
        })
        .ok()
    }
}
