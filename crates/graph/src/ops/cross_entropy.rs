//! Cross-entropy of class indices.

use super::want_type;
use crate::{Cost, Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape, Unary};

operation! {
    /// Cross-entropy with softmax: the mean over the batch (and positions) of `-Σ_j q[j] · ln softmax(x)[j]`, where q is
    /// 1 at the class, or with label smoothing ε: `1 - ε + ε/c` at the class, `ε/c` elsewhere (Szegedy et al. 2016;
    /// PyTorch's meaning).
    ///
    /// Shapes: x (logits) `[n, c]` or `[n, c, spatial…]`, t (class indices, i32) `[n]` or `[n, spatial…]`, the loss is
    /// `[]`. An index outside 0..c has no class of its own; check labels before.
    pub struct CrossEntropy("cross_entropy", ["x", "t"]) {
        /// ε, how much of the target is spread over all classes.
        label_smoothing: f64,
    }
}

/// An error unless 0 ≤ ε ≤ 1.
pub(super) fn want_smoothing(e: f64) -> Result<(), Rule> {
    if (0.0..=1.0).contains(&e) {
        return Ok(());
    }
    Err(Rule::new(format!("label smoothing of {e}")).right("0 to 1"))
}

/// (1 - ε)·q + ε/c.
pub(super) fn smooth(g: &mut Graph, q: ValueId, e: f64, classes: usize) -> Result<ValueId> {
    if e == 0.0 {
        return Ok(q);
    }
    let own = g.scale(q, 1.0 - e)?;
    g.shift(own, e / classes as f64)
}

/// The mean of -Σ_j q[j]·ln softmax(x)[j] over all but the class axis 1.
pub(super) fn of_distribution(g: &mut Graph, x: ValueId, q: ValueId) -> Result<ValueId> {
    let log_p = g.log_softmax(x, 1)?;
    let terms = g.mul(q, log_p)?;
    let sums = g.reduce(Reduction::Sum, terms, &[1])?;
    let mean = g.mean_all(sums)?;
    g.unary(Unary::Neg, mean)
}

impl CrossEntropy {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId, t: ValueId) -> Result<ValueId> {
        let classes = g.shape(x).0[1].at(0);
        let rank = g.shape(x).rank();
        let mut q = g.one_hot(t, classes)?;
        if rank > 2 {
            let perm: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
            q = g.transpose(q, &perm)?;
        }
        let q = smooth(g, q, self.label_smoothing, classes)?;
        of_distribution(g, x, q)
    }
}

impl Operation for CrossEntropy {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_smoothing(self.label_smoothing)?;
        want_type("x", &inputs[0], DType::F32)?;
        want_type("t", &inputs[1], DType::I32)?;
        let (x, t) = (&inputs[0].shape, &inputs[1].shape);
        let mut labels = x.clone();
        let classes = (x.rank() >= 2).then(|| labels.0.remove(1));
        if !matches!(classes, Some(Dim::Fixed(1..))) || labels != *t {
            return Err(Rule::new(format!("logits {x} and labels {t}"))
                .right("[n, c] and [n], or [n, c, spatial…] and [n, spatial…]"));
        }
        Ok(vec![ValueType::f32(Shape::scalar())])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0], inputs[1]).map(|y| vec![y]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 7 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |label_smoothing, x: &str, t: &str| {
            Problem::new(CrossEntropy { label_smoothing }).f32(x).input(t, DType::I32, Fill::Labels(5))
        };
        vec![p(0.0, "nx5", "n"), p(0.1, "nx5", "n"), p(0.0, "nx5x2x3", "nx2x3"), p(0.2, "nx5x3", "nx3")]
    }
}

impl Graph {
    /// Cross-entropy of logits `[n, c, …]` and class indices `[n, …]`, the mean over the batch and positions.
    ///
    /// # Errors
    /// Shapes that do not fit, or a label smoothing outside 0..1.
    pub fn cross_entropy(&mut self, x: ValueId, t: ValueId, label_smoothing: f64) -> Result<ValueId> {
        self.add_one(CrossEntropy { label_smoothing }, &[x, t])
    }
}
