//! Huber loss.

use super::{activation::want_positive, loss::same_pair};
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, Unary};

operation! {
    /// Huber loss: the mean over all elements of `d²/2` where |d| < delta, else `delta · (|d| - delta/2)`, d = y - t
    /// (Huber 1964). Divided by delta it is the smooth L1 loss of Fast R-CNN.
    ///
    /// Shapes: y and t are equal, the loss is `[]`.
    pub struct HuberLoss("huber_loss", ["y", "t"]) {
        /// Where the parabola becomes a line.
        delta: f64,
    }
}

impl HuberLoss {
    /// With c = min(|d|, delta): c²/2 + delta·(|d| - c).
    fn in_simple_operations(&self, g: &mut Graph, y: ValueId, t: ValueId) -> Result<ValueId> {
        let d = g.sub(y, t)?;
        let size = g.unary(Unary::Abs, d)?;
        let delta = g.number(self.delta);
        let near = g.minimum(size, delta)?;
        let square = g.unary(Unary::Square, near)?;
        let half = g.scale(square, 0.5)?;
        let far = g.sub(size, near)?;
        let line = g.scale(far, self.delta)?;
        let loss = g.add(half, line)?;
        g.mean_all(loss)
    }
}

impl Operation for HuberLoss {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_positive("delta", self.delta)?;
        same_pair(["y", "t"], inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0], inputs[1]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |delta, s: &str| Problem::new(HuberLoss { delta }).f32(s).f32(s);
        vec![p(1.0, "nx5"), p(0.5, "nx3x4")]
    }
}

impl Graph {
    /// Huber loss, the mean over all elements.
    ///
    /// # Errors
    /// Shapes that differ, or a delta that is not positive.
    pub fn huber_loss(&mut self, y: ValueId, t: ValueId, delta: f64) -> Result<ValueId> {
        self.add_one(HuberLoss { delta }, &[y, t])
    }
    /// Smooth L1 loss: Huber loss divided by its delta, which is called beta here (PyTorch's default: 1).
    ///
    /// # Errors
    /// Shapes that differ, or a beta that is not positive.
    pub fn smooth_l1_loss(&mut self, y: ValueId, t: ValueId, beta: f64) -> Result<ValueId> {
        let loss = self.huber_loss(y, t, beta)?;
        self.scale(loss, 1.0 / beta)
    }
}
