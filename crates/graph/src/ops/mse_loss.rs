//! L2 loss.

use super::loss::same_pair;
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, Unary};

operation! {
    /// L2 loss: the mean of `(y - t)²` over all elements (lecture `004_…`, which in places puts 1/2 before it).
    ///
    /// Shapes: y and t are equal, the loss is `[]`.
    pub struct MseLoss("mse_loss", ["y", "t"]) {}
}

impl Operation for MseLoss {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_pair(["y", "t"], inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        let d = g.sub(inputs[0], inputs[1]);
        Some(d.and_then(|d| g.unary(Unary::Square, d)).and_then(|a| g.mean_all(a)).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        ["nx5", "nx3x4", "n"].iter().map(|s| Problem::new(MseLoss {}).f32(s).f32(s)).collect()
    }
}

impl Graph {
    /// The mean of (y − t)² over all elements.
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn mse_loss(&mut self, y: ValueId, t: ValueId) -> Result<ValueId> {
        self.add_one(MseLoss {}, &[y, t])
    }
}
