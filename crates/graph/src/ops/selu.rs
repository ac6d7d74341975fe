//! Self-normalising linear unit.

use super::activation::same_shape;
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule};

operation! {
    /// Scaled exponential linear unit: `y = λ·x` where x > 0, else `λ·α·(eˣ - 1)`, λ = 1.0507…, α = 1.6733…: the
    /// constants under which mean 0 and variance 1 are a fixed point (Klambauer et al. 2017).
    ///
    /// Shapes: x and y are equal.
    pub struct Selu("selu", ["x"]) {}
}

/// α of the paper.
const ALPHA: f64 = 1.673_263_242_354_377_2;
/// λ of the paper.
const LAMBDA: f64 = 1.050_700_987_355_480_5;

impl Operation for Selu {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_shape(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(Selu {}).input("nx3x5", DType::F32, Fill::Distinct)]
    }
}

fn in_simple_operations(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let elu = g.elu(x, ALPHA)?;
    g.scale(elu, LAMBDA)
}

impl Graph {
    /// Scaled exponential linear unit.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn selu(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(Selu {}, &[x])
    }
}
