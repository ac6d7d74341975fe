//! Cross-entropy of distributions.

use super::cross_entropy::{of_distribution, smooth, want_smoothing};
use super::loss::same_pair;
use crate::{Cost, Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule};

operation! {
    /// Cross-entropy with softmax against a distribution (mixed or distilled labels): the mean over the batch (and
    /// positions) of `-Σ_j q[j] · ln softmax(x)[j]`, `q = (1 - ε)·t + ε/c` with label smoothing ε.
    ///
    /// Shapes: x (logits) and t (probabilities, summing to 1 along axis 1) `[n, c, …]`, the loss is `[]`.
    pub struct CrossEntropySoft("cross_entropy_soft", ["x", "t"]) {
        /// ε, how much of the target is spread over all classes.
        label_smoothing: f64,
    }
}

impl Operation for CrossEntropySoft {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_smoothing(self.label_smoothing)?;
        if !matches!(inputs[0].shape.0.get(1), Some(Dim::Fixed(1..))) {
            return Err(Rule::new(format!("logits {}", inputs[0].shape)).right("[n, c, …]"));
        }
        same_pair(["x", "t"], inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        let classes = g.shape(inputs[0]).0[1].at(0);
        let q = smooth(g, inputs[1], self.label_smoothing, classes);
        Some(q.and_then(|q| of_distribution(g, inputs[0], q)).map(|y| vec![y]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 7 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |label_smoothing, s: &str| {
            Problem::new(CrossEntropySoft { label_smoothing }).f32(s).input(s, DType::F32, Fill::Positive)
        };
        vec![p(0.0, "nx5"), p(0.1, "nx4x3")]
    }
}

impl Graph {
    /// Cross-entropy of logits and target probabilities `[n, c, …]`, the mean over the batch and positions.
    ///
    /// # Errors
    /// Shapes that differ, or a label smoothing outside 0..1.
    pub fn cross_entropy_soft(&mut self, x: ValueId, t: ValueId, label_smoothing: f64) -> Result<ValueId> {
        self.add_one(CrossEntropySoft { label_smoothing }, &[x, t])
    }
}
