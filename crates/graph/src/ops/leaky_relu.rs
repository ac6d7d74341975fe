//! Leaky rectifier.

use super::activation::{same_shape, want_finite};
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule};

operation! {
    /// Leaky rectifier: `y = x` where x > 0, else `slope · x` (Maas et al. 2013). The derivative at 0 is the slope.
    ///
    /// Shapes: x and y are equal. PyTorch's default slope is 0.01; darknet's is 0.1.
    pub struct LeakyRelu("leaky_relu", ["x"]) {
        /// Slope for negative numbers.
        slope: f64,
    }
}

impl Operation for LeakyRelu {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_finite("slope", self.slope)?;
        same_shape(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |slope| Problem::new(LeakyRelu { slope }).input("nx3x5", DType::F32, Fill::Distinct);
        vec![p(0.01), p(1.5)]
    }
}

impl LeakyRelu {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let positive = g.relu(x)?;
        let negative = g.negative_part(x)?;
        let scaled = g.scale(negative, self.slope)?;
        g.add(positive, scaled)
    }
}

impl Graph {
    /// x where x > 0, else slope · x.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats, or a slope that is not finite.
    pub fn leaky_relu(&mut self, x: ValueId, slope: f64) -> Result<ValueId> {
        self.add_one(LeakyRelu { slope }, &[x])
    }
}
