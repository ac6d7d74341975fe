//! Hinge loss of two classes.

use super::loss::same_pair;
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::Rule;

operation! {
    /// Hinge loss: the mean of `max(0, 1 - t·y)` over all elements, for scores y and labels t of ±1 (lecture `004_…`).
    ///
    /// Shapes: y and t (floats) are equal, the loss is `[]`.
    pub struct HingeLoss("hinge_loss", ["y", "t"]) {}
}

fn in_simple_operations(g: &mut Graph, y: ValueId, t: ValueId) -> Result<ValueId> {
    let agreement = g.mul(t, y)?;
    let one = g.number(1.0);
    let margin = g.sub(one, agreement)?;
    let loss = g.relu(margin)?;
    g.mean_all(loss)
}

impl Operation for HingeLoss {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_pair(["y", "t"], inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(in_simple_operations(g, inputs[0], inputs[1]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        ["n", "nx5"].iter().map(|s| Problem::new(HingeLoss {}).f32(s).f32(s)).collect()
    }
}

impl Graph {
    /// The mean of max(0, 1 − t·y) for labels t of ±1.
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn hinge_loss(&mut self, y: ValueId, t: ValueId) -> Result<ValueId> {
        self.add_one(HingeLoss {}, &[y, t])
    }
}
