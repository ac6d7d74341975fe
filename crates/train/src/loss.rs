//! Losses, as nodes of a graph.
//!
//! [`Loss`] names the losses of classification: scores `[n, classes]` against labels (i32) `[n]`. The functions below it
//! take any prediction and target of equal shapes `[n, …]`. All give one number per sample, `[n]`; training minimises
//! their mean.

use crate::error::suggest;
use crate::{Error, Result};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{Rule, Unary};

/// A loss of classification.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loss {
    /// −Σ t·ln softmax(x) with t = (1 − s)·one-hot + s / classes: cross-entropy with label smoothing s
    /// (Szegedy et al. 2016), PyTorch's `CrossEntropyLoss`.
    CrossEntropy {
        /// s, in [0, 1).
        smoothing: f64,
    },
    /// Σⱼ≠ᵧ max(0, 1 − xᵧ + xⱼ) / classes: PyTorch's `MultiMarginLoss`.
    Hinge,
    /// Mean over the classes of max(0, 1 − t·x), t = 1 for the label and −1 for the others.
    BinaryHinge,
    /// Mean over the classes of ln(1 + e^(−t·x)): PyTorch's `BCEWithLogitsLoss` on one-hot targets.
    Logistic,
    /// Mean over the classes of |x − one-hot|.
    L1,
    /// Mean over the classes of (x − one-hot)².
    L2,
}

impl Loss {
    /// Names that [`by_name`](Loss::by_name) knows.
    pub const NAMES: &[&str] = &["cross_entropy", "hinge", "binary_hinge", "logistic", "l1", "l2"];

    /// The loss of that name; smoothing applies to `cross_entropy` alone.
    ///
    /// # Errors
    /// An unknown name, a smoothing outside [0, 1), or one given to another loss.
    pub fn by_name(name: &str, smoothing: f64) -> Result<Self, Rule> {
        if !(0.0..1.0).contains(&smoothing) {
            return Err(Rule::new(format!("a label smoothing of {smoothing}")).right("a number in [0, 1)"));
        }
        let loss = match name {
            "cross_entropy" => return Ok(Loss::CrossEntropy { smoothing }),
            "hinge" => Loss::Hinge,
            "binary_hinge" => Loss::BinaryHinge,
            "logistic" => Loss::Logistic,
            "l1" => Loss::L1,
            "l2" => Loss::L2,
            _ => {
                let right = suggest(name, Self::NAMES.iter().copied());
                return Err(Rule::new(format!("no loss is called `{name}`")).right(right));
            }
        };
        if smoothing > 0.0 {
            return Err(
                Rule::new(format!("`{name}` with a label smoothing of {smoothing}")).right("cross_entropy, or 0")
            );
        }
        Ok(loss)
    }
    /// The loss without what is only for training: no label smoothing.
    pub fn plain(self) -> Self {
        match self {
            Loss::CrossEntropy { .. } => Loss::CrossEntropy { smoothing: 0.0 },
            other => other,
        }
    }
    /// Adds the nodes: one number per sample, `[n]`.
    ///
    /// # Errors
    /// Scores that are not `[n, classes]`.
    pub fn per_sample(self, g: &mut Graph, scores: ValueId, labels: ValueId) -> Result<ValueId> {
        let classes = match g.shape(scores).dims() {
            [_, c] => c.fixed(),
            _ => None,
        };
        let Some(classes) = classes else {
            let rule = Rule::new(format!("scores of shape {}", g.shape(scores))).right("[n, classes]");
            return Err(Error::new("loss", rule));
        };
        let target = g.one_hot(labels, classes)?;
        match self {
            Loss::CrossEntropy { smoothing } => {
                let log = g.log_softmax(scores, 1)?;
                let at_label = g.mul(log, target)?;
                let mut sum = g.sum(at_label, &[1])?;
                if smoothing > 0.0 {
                    let all = g.mean(log, &[1])?;
                    let all = g.scale(all, smoothing)?;
                    sum = g.scale(sum, 1.0 - smoothing)?;
                    sum = g.add(sum, all)?;
                }
                Ok(g.unary(Unary::Neg, sum)?)
            }
            Loss::Hinge => {
                let chosen = g.mul(scores, target)?;
                let chosen = g.reduce(gabor_tensor::Reduction::Sum, chosen, &[1])?;
                let above = g.sub(scores, chosen)?;
                let above = g.shift(above, 1.0)?;
                let violated = g.unary(Unary::Relu, above)?;
                let others = g.unary(Unary::Neg, target)?;
                let others = g.shift(others, 1.0)?;
                let kept = g.mul(violated, others)?;
                Ok(g.mean(kept, &[1])?)
            }
            Loss::BinaryHinge => {
                let signs = signs(g, target)?;
                hinge(g, scores, signs)
            }
            Loss::Logistic => {
                let signs = signs(g, target)?;
                logistic(g, scores, signs)
            }
            Loss::L1 => l1(g, scores, target),
            Loss::L2 => l2(g, scores, target),
        }
    }
}

/// One-hot vectors as −1 and 1.
fn signs(g: &mut Graph, target: ValueId) -> Result<ValueId> {
    let twice = g.scale(target, 2.0)?;
    Ok(g.shift(twice, -1.0)?)
}

/// Mean over all axes but the first.
fn per_sample_mean(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let axes: Vec<usize> = (1..g.shape(x).rank()).collect();
    Ok(if axes.is_empty() { x } else { g.mean(x, &axes)? })
}

/// |x − t|, mean per sample.
///
/// # Errors
/// Shapes that do not broadcast.
pub fn l1(g: &mut Graph, x: ValueId, t: ValueId) -> Result<ValueId> {
    let d = g.sub(x, t)?;
    let d = g.unary(Unary::Abs, d)?;
    per_sample_mean(g, d)
}

/// (x − t)², mean per sample.
///
/// # Errors
/// Shapes that do not broadcast.
pub fn l2(g: &mut Graph, x: ValueId, t: ValueId) -> Result<ValueId> {
    let d = g.sub(x, t)?;
    let d = g.unary(Unary::Square, d)?;
    per_sample_mean(g, d)
}

/// max(0, 1 − t·x) for targets −1 and 1, mean per sample.
///
/// # Errors
/// Shapes that do not broadcast.
pub fn hinge(g: &mut Graph, x: ValueId, t: ValueId) -> Result<ValueId> {
    let m = g.mul(x, t)?;
    let m = g.unary(Unary::Neg, m)?;
    let m = g.shift(m, 1.0)?;
    let m = g.unary(Unary::Relu, m)?;
    per_sample_mean(g, m)
}

/// ln(1 + e^(−t·x)) for targets −1 and 1, mean per sample; never overflows.
///
/// # Errors
/// Shapes that do not broadcast.
pub fn logistic(g: &mut Graph, x: ValueId, t: ValueId) -> Result<ValueId> {
    let m = g.mul(x, t)?;
    let m = g.unary(Unary::Neg, m)?;
    let linear = g.unary(Unary::Relu, m)?;
    let size = g.unary(Unary::Abs, m)?;
    let size = g.unary(Unary::Neg, size)?;
    let e = g.unary(Unary::Exp, size)?;
    let l = g.unary(Unary::Log1p, e)?;
    let sum = g.add(linear, l)?;
    per_sample_mean(g, sum)
}
