//! Matrix product.

use super::want_type;
use crate::{Cost, Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule, Shape};

operation! {
    /// Matrix product `y = op(a) · op(b)`, optionally of a batch of matrices.
    ///
    /// Shapes: a `[m, k]` (or `[k, m]` if transposed), b `[k, p]` (or `[p, k]`), y `[m, p]`; with three dimensions the
    /// first is a batch that a, b and y share. A fully connected layer is `x · Wᵀ` with W `[out, in]`, as in PyTorch.
    pub struct MatMul("matmul", ["a", "b"]) {
        /// Use the transpose of `a`.
        transpose_a: bool,
        /// Use the transpose of `b`.
        transpose_b: bool,
    }
}

impl MatMul {
    /// `(batch, m, k, p)` of inputs that fit.
    ///
    /// # Errors
    /// Ranks or inner extents that do not fit.
    pub fn sizes(&self, a: &Shape, b: &Shape) -> Result<(Option<Dim>, Dim, Dim, Dim), Rule> {
        let r = a.rank();
        if (r != 2 && r != 3) || b.rank() != r {
            return Err(
                Rule::new(format!("a matrix product of {a} and {b}")).right("two matrices, or two batches of matrices")
            );
        }
        let dims = |s: &Shape, t: bool| {
            let (x, y) = (s.0[r - 2], s.0[r - 1]);
            if t { (y, x) } else { (x, y) }
        };
        let ((m, k), (k2, p)) = (dims(a, self.transpose_a), dims(b, self.transpose_b));
        if k != k2 {
            return Err(Rule::new(format!("a matrix product of {a} and {b} sums over {k} and {k2} elements"))
                .right("equal inner extents"));
        }
        if r == 3 && a.0[0] != b.0[0] {
            return Err(Rule::new(format!("batches of {} and {} matrices", a.0[0], b.0[0])));
        }
        Ok(((r == 3).then(|| a.0[0]), m, k, p))
    }
}

impl Operation for MatMul {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("a", &inputs[0], DType::F32)?;
        want_type("b", &inputs[1], DType::F32)?;
        let (batch, m, _, p) = self.sizes(&inputs[0].shape, &inputs[1].shape)?;
        Ok(vec![ValueType::f32(Shape(batch.into_iter().chain([m, p]).collect()))])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let (a, b, ta, tb) = (cx.inputs[0], cx.inputs[1], self.transpose_a, self.transpose_b);
        let g = &mut *cx.graph;
        let da = match (cx.wanted[0], ta) {
            (false, _) => None,
            (true, false) => Some(g.matmul(dy, b, false, !tb)?),
            (true, true) => Some(g.matmul(b, dy, tb, true)?),
        };
        let db = match (cx.wanted[1], tb) {
            (false, _) => None,
            (true, false) => Some(g.matmul(a, dy, !ta, false)?),
            (true, true) => Some(g.matmul(dy, a, true, ta)?),
        };
        Ok(GradientOf::Inputs(vec![da, db]))
    }
    fn cost(&self, inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        let k = self.sizes(&inputs[0].shape, &inputs[1].shape).map_or(0, |s| s.2.at(n));
        Cost { flops: 2 * (k * outputs[0].shape.len_at(n)) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let op = |ta, tb| Problem::new(MatMul { transpose_a: ta, transpose_b: tb });
        vec![
            op(false, false).f32("nx5").f32("5x4"),
            op(true, false).f32("5xn").f32("5x4"),
            op(false, true).f32("nx5").f32("4x5"),
            op(true, true).f32("5xn").f32("4x5"),
            op(false, true).f32("3x17x33").f32("3x20x33"),
            op(true, false).f32("nx2x3").f32("nx2x4"),
        ]
    }
}

impl Graph {
    /// `op(a) · op(b)`.
    ///
    /// # Errors
    /// Extents that do not fit.
    pub fn matmul(&mut self, a: ValueId, b: ValueId, transpose_a: bool, transpose_b: bool) -> Result<ValueId> {
        self.add_one(MatMul { transpose_a, transpose_b }, &[a, b])
    }
}
