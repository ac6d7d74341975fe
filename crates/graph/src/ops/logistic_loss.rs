//! Logistic loss of two classes.

use super::loss::same_pair;
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule};

operation! {
    /// Logistic loss, or binary cross-entropy with logits: the mean over all elements of
    /// `ln(1 + eʸ) - t·y = -t·ln σ(y) - (1 - t)·ln(1 - σ(y))`, for labels or probabilities t in 0..1. With labels s of
    /// ±1 it is the lectures' `ln(1 + e^{-s·y})`, t = (s + 1)/2.
    ///
    /// Shapes: y and t (floats) are equal, the loss is `[]`.
    pub struct LogisticLoss("logistic_loss", ["y", "t"]) {}
}

fn in_simple_operations(g: &mut Graph, y: ValueId, t: ValueId) -> Result<ValueId> {
    let all = g.softplus(y)?;
    let right = g.mul(t, y)?;
    let loss = g.sub(all, right)?;
    g.mean_all(loss)
}

impl Operation for LogisticLoss {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_pair(["y", "t"], inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(in_simple_operations(g, inputs[0], inputs[1]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |s: &&str| Problem::new(LogisticLoss {}).f32(s).input(s, DType::F32, Fill::Positive);
        ["n", "nx5"].iter().map(p).collect()
    }
}

impl Graph {
    /// Binary cross-entropy with logits y and targets t in 0..1, the mean over all elements.
    ///
    /// # Errors
    /// Shapes that differ.
    pub fn logistic_loss(&mut self, y: ValueId, t: ValueId) -> Result<ValueId> {
        self.add_one(LogisticLoss {}, &[y, t])
    }
}
