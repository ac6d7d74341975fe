//! Gaussian error linear unit.

use super::activation::same_shape;
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, Unary};

operation! {
    /// Gaussian error linear unit: `y = x · Φ(x) = x/2 · (1 + erf(x/√2))`, exact, not the tanh approximation
    /// (Hendrycks and Gimpel 2016; PyTorch's default).
    ///
    /// Shapes: x and y are equal.
    pub struct Gelu("gelu", ["x"]) {}
}

impl Operation for Gelu {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_shape(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(Gelu {}).f32("nx3x5")]
    }
}

fn in_simple_operations(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let scaled = g.scale(x, std::f64::consts::FRAC_1_SQRT_2)?;
    let erf = g.unary(Unary::Erf, scaled)?;
    let twice = g.shift(erf, 1.0)?;
    let phi = g.scale(twice, 0.5)?;
    g.mul(x, phi)
}

impl Graph {
    /// x · Φ(x) with the normal distribution function Φ.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn gelu(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(Gelu {}, &[x])
    }
}
