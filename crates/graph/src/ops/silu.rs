//! Sigmoid linear unit.

use super::activation::same_shape;
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::Rule;

operation! {
    /// Sigmoid linear unit, also called swish: `y = x · sigmoid(x)` (Elfwing et al. 2018; EfficientNet uses it).
    ///
    /// Shapes: x and y are equal.
    pub struct Silu("silu", ["x"]) {}
}

impl Operation for Silu {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_shape(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        let x = inputs[0];
        Some(g.sigmoid(x).and_then(|s| g.mul(x, s)).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(Silu {}).f32("nx3x5")]
    }
}

impl Graph {
    /// x · sigmoid(x).
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn silu(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(Silu {}, &[x])
    }
}
