//! Clipping to an interval.

use super::activation::same_shape;
use crate::{Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule};

operation! {
    /// Clips to an interval: `y = min(max(x, min), max)`. `min = 0`, `max = 6` is ReLU6 (MobileNet).
    ///
    /// Shapes: x and y are equal. The derivative is 1 strictly inside and 0 at the ends, as of PyTorch's relu6 and
    /// hardtanh (its clamp has 1 at the ends).
    pub struct Clip("clip", ["x"]) {
        /// Lower end.
        min: f64,
        /// Upper end.
        max: f64,
    }
}

impl Operation for Clip {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        if self.min.is_nan() || self.max.is_nan() || self.min > self.max {
            return Err(Rule::new(format!("an interval from {} to {}", self.min, self.max)).right("min ≤ max"));
        }
        same_shape(inputs)
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        // The output is strictly inside exactly where the input is, so the input need not be kept.
        let y = cx.outputs[0];
        let g = &mut *cx.graph;
        let above = match self.min {
            0.0 => y,
            min => {
                let min = g.number(min);
                g.greater(y, min)?
            }
        };
        let max = g.number(self.max);
        let below = g.greater(max, y)?;
        let d = g.gate(dy, above)?;
        Ok(GradientOf::Inputs(vec![Some(g.gate(d, below)?)]))
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        let (min, max) = (g.number(self.min), g.number(self.max));
        Some(g.maximum(inputs[0], min).and_then(|y| g.minimum(y, max)).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |min, max| Problem::new(Clip { min, max }).input("nx5x8", DType::F32, Fill::Distinct);
        vec![p(0.0, 6.0), p(-1.0, 1.0)]
    }
}

impl Graph {
    /// min(max(x, min), max).
    ///
    /// # Errors
    /// A value that is not of 32-bit floats, or an empty interval.
    pub fn clip(&mut self, x: ValueId, min: f64, max: f64) -> Result<ValueId> {
        self.add_one(Clip { min, max }, &[x])
    }
    /// min(max(x, 0), 6), a [`Clip`].
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn relu6(&mut self, x: ValueId) -> Result<ValueId> {
        self.clip(x, 0.0, 6.0)
    }
}
