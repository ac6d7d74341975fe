//! Number of elements along axes.

use super::want_axis;
use crate::{Cost, Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, Shape};

operation! {
    /// The number of elements along some axes, as one float `[]`: known when the batch size is, and a constant then.
    pub struct Size("size", ["x"]) {
        /// The axes.
        axes: Vec<usize>,
    }
}

impl Operation for Size {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        self.axes.iter().try_for_each(|&a| want_axis(a, &inputs[0].shape))?;
        Ok(vec![ValueType::f32(Shape::scalar())])
    }
    fn gradient(&self, _cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        Ok(GradientOf::Stop)
    }
    fn cost(&self, _inputs: &[ValueType], _outputs: &[ValueType], _n: usize) -> Cost {
        Cost::default()
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(Size { axes: vec![0, 2] }).f32("nx3x5")]
    }
}

impl Graph {
    /// The number of elements along axes.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn size(&mut self, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        self.add_one(Size { axes: axes.to_vec() }, &[x])
    }
}
