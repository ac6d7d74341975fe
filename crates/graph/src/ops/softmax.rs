//! Softmax.

use super::{want_axis, want_type};
use crate::{Cost, Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Reduction, Rule};

operation! {
    /// `y_i = e^{x_i} / Σ_j e^{x_j}` along an axis, computed after subtracting the largest element.
    pub struct Softmax("softmax", ["x"]) {
        /// The axis.
        axis: usize,
    }
}

impl Operation for Softmax {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        want_axis(self.axis, &inputs[0].shape)?;
        Ok(inputs.to_vec())
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let y = cx.outputs[0];
        let g = &mut *cx.graph;
        let p = g.mul(dy, y)?;
        let s = g.reduce(Reduction::Sum, p, &[self.axis])?;
        let d = g.sub(dy, s)?;
        Ok(GradientOf::Inputs(vec![Some(g.mul(d, y)?)]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 5 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(Softmax { axis: 1 }).f32("nx5"),
            Problem::new(Softmax { axis: 1 }).f32("nx3x4"),
            Problem::new(Softmax { axis: 2 }).f32("nx3x20"),
        ]
    }
}

impl Graph {
    /// Softmax along an axis.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn softmax(&mut self, x: ValueId, axis: usize) -> Result<ValueId> {
        self.add_one(Softmax { axis }, &[x])
    }
}
