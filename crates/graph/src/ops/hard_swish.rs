//! Piecewise quadratic swish.

use super::activation::same_shape;
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule};

operation! {
    /// Hard swish: `y = x · min(max(x/6 + 1/2, 0), 1)` (MobileNet v3, Howard et al. 2019).
    ///
    /// Shapes: x and y are equal.
    pub struct HardSwish("hard_swish", ["x"]) {}
}

impl Operation for HardSwish {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_shape(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        let x = inputs[0];
        Some(g.hard_sigmoid(x).and_then(|s| g.mul(x, s)).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(HardSwish {}).input("nx5x8", DType::F32, Fill::Distinct)]
    }
}

impl Graph {
    /// x · hard_sigmoid(x).
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn hard_swish(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(HardSwish {}, &[x])
    }
}
