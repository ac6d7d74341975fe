//! Piecewise linear sigmoid.

use super::activation::same_shape;
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule};

operation! {
    /// Piecewise linear sigmoid: `y = min(max(x/6 + 1/2, 0), 1)` (PyTorch's and MobileNet v3's; ONNX's default slope
    /// is 0.2 instead).
    ///
    /// Shapes: x and y are equal.
    pub struct HardSigmoid("hard_sigmoid", ["x"]) {}
}

impl Operation for HardSigmoid {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_shape(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(HardSigmoid {}).input("nx5x8", DType::F32, Fill::Distinct)]
    }
}

fn in_simple_operations(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let scaled = g.scale(x, 1.0 / 6.0)?;
    let shifted = g.shift(scaled, 0.5)?;
    g.clip(shifted, 0.0, 1.0)
}

impl Graph {
    /// min(max(x/6 + 1/2, 0), 1).
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn hard_sigmoid(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(HardSigmoid {}, &[x])
    }
}
