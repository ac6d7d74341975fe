//! The loss of samples that are mixed of two.

use super::LABELS;
use crate::{Loss, Result};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Dim, Shape};

/// Name of the input of the partners' labels, i32 `[n]`. Only where [`StepOptions::mixed`](super::StepOptions::mixed) is on.
pub const PARTNERS: &str = "labels.partners";
/// Name of the input of shape `[]` that says which part of a sample is its own, λ. Only where
/// [`StepOptions::mixed`](super::StepOptions::mixed) is on.
pub const OWN_SHARE: &str = "labels.share";

/// What scores are judged by.
pub(super) struct Labels {
    own: ValueId,
    /// The partners' labels, and λ.
    mixed: Option<(ValueId, ValueId)>,
}

impl Labels {
    pub fn declare(g: &mut Graph, mixed: bool) -> Result<Self> {
        let batch = || Shape(vec![Dim::Batch(1)]);
        let own = g.input(LABELS, batch(), DType::I32)?;
        let mixed = match mixed {
            true => Some((g.input(PARTNERS, batch(), DType::I32)?, g.input(OWN_SHARE, Shape::scalar(), DType::F32)?)),
            false => None,
        };
        Ok(Labels { own, mixed })
    }
    /// The mean loss of a batch. Mixed, it is λ · loss of the own labels + (1 − λ) · loss of the partners' labels: for
    /// cross-entropy that is the loss of the mixed one-hot targets, since it is linear in them, and any other loss on labels
    /// can be said like that, too. λ is an input, so one graph serves every batch, mixup and CutMix alike.
    pub fn mean_loss(&self, g: &mut Graph, loss: Loss, scores: ValueId) -> Result<ValueId> {
        let per_sample = loss.per_sample(g, scores, self.own)?;
        let own = g.mean_all(per_sample)?;
        let Some((partners, share)) = self.mixed else { return Ok(own) };
        let per_sample = loss.per_sample(g, scores, partners)?;
        let other = g.mean_all(per_sample)?;
        let more = g.sub(own, other)?;
        let more = g.mul(more, share)?;
        Ok(g.add(other, more)?)
    }
}
