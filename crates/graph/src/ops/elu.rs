//! Exponential linear unit.

use super::activation::{same_shape, want_finite};
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule};

operation! {
    /// Exponential linear unit: `y = x` where x > 0, else `alpha · (eˣ - 1)` (Clevert et al. 2016).
    ///
    /// Shapes: x and y are equal. PyTorch's default alpha is 1.
    pub struct Elu("elu", ["x"]) {
        /// Minus the limit for very negative numbers.
        alpha: f64,
    }
}

impl Operation for Elu {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_finite("alpha", self.alpha)?;
        same_shape(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |alpha| Problem::new(Elu { alpha }).input("nx3x5", DType::F32, Fill::Distinct);
        vec![p(1.0), p(0.5)]
    }
}

impl Elu {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let positive = g.relu(x)?;
        let e = g.negative_exp_m1(x)?;
        let scaled = g.scale(e, self.alpha)?;
        g.add(positive, scaled)
    }
}

impl Graph {
    /// x where x > 0, else alpha · (eˣ − 1).
    ///
    /// # Errors
    /// A value that is not of 32-bit floats, or an alpha that is not finite.
    pub fn elu(&mut self, x: ValueId, alpha: f64) -> Result<ValueId> {
        self.add_one(Elu { alpha }, &[x])
    }
}
