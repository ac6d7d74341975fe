//! Sum of squares.

use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule, Shape, Unary};

operation! {
    /// Sum of the squares of all elements: the square of the Frobenius norm, as gradients are measured by.
    ///
    /// Shapes: x is any, the sum is `[]`.
    pub struct SumOfSquares("sum_of_squares", ["x"]) {}
}

/// Parts that are added up side by side, and elements from which on they pay.
const PARTS: usize = 32;
const LARGE: usize = 1 << 16;

impl SumOfSquares {
    /// A large tensor is multiplied with itself, which reads it once and writes nothing of its size.
    fn parts(g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let len: usize = g.shape(x).known().map_or(0, |s| s.iter().product());
        if len < LARGE || !len.is_multiple_of(PARTS) {
            let square = g.unary(Unary::Square, x)?;
            return g.sum_all(square);
        }
        let parts = g.reshape(x, &Shape::fixed(&[PARTS, 1, len / PARTS]))?;
        let sums = g.matmul(parts, parts, false, true)?;
        g.sum_all(sums)
    }
}

impl Operation for SumOfSquares {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        match inputs[0].dtype {
            DType::F32 => Ok(vec![ValueType::f32(Shape::scalar())]),
            other => Err(Rule::new(format!("squares of {other}")).right("f32")),
        }
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(Self::parts(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        ["nx5", "3x4", ""].iter().map(|s| Problem::new(SumOfSquares {}).f32(s)).collect()
    }
}

impl Graph {
    /// Σ x² over all elements.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn sum_of_squares(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(SumOfSquares {}, &[x])
    }
}
