//! Logarithm of softmax.

use super::{want_axis, want_type};
use crate::{Cost, Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Reduction, Rule, Unary};

operation! {
    /// `y_i = x_i - ln Σ_j e^{x_j}` along an axis: the logarithm of softmax without its rounding, from which
    /// cross-entropy is built.
    pub struct LogSoftmax("log_softmax", ["x"]) {
        /// The axis.
        axis: usize,
    }
}

impl Operation for LogSoftmax {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        want_axis(self.axis, &inputs[0].shape)?;
        Ok(inputs.to_vec())
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let y = cx.outputs[0];
        let g = &mut *cx.graph;
        let p = g.unary(Unary::Exp, y)?;
        let s = g.reduce(Reduction::Sum, dy, &[self.axis])?;
        let d = g.mul(p, s)?;
        Ok(GradientOf::Inputs(vec![Some(g.sub(dy, d)?)]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 5 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(LogSoftmax { axis: 1 }).f32("nx5"),
            Problem::new(LogSoftmax { axis: 1 }).f32("nx3x4"),
            Problem::new(LogSoftmax { axis: 2 }).f32("nx3x20"),
        ]
    }
}

impl Graph {
    /// Logarithm of softmax along an axis.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn log_softmax(&mut self, x: ValueId, axis: usize) -> Result<ValueId> {
        self.add_one(LogSoftmax { axis }, &[x])
    }
}
