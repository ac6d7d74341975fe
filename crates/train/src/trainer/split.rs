//! The split of a run, in its directory.

use crate::{Error, Result, Setup};
use gabor_data::{Limits, WrittenSplit};
use gabor_tensor::Rule;
use std::path::Path;

/// Writes which sample is in which part. A run that goes on must have the samples in the parts that it began with;
/// [`Setup::prepare`] makes it so.
pub(super) fn keep(directory: &Path, setup: &Setup, resume: bool) -> Result<()> {
    let now = WrittenSplit::of(&setup.splits, &setup.config.data);
    let file = directory.join(WrittenSplit::FILE);
    if resume && file.is_file() {
        let changes = WrittenSplit::read(&file, &Limits::default())?.changes(&now);
        if changes.none() {
            return Ok(());
        }
        let rule = Rule::new("the parts hold other samples than when the run began").given(changes.text());
        let right = "the same data, and a setup of `Setup::prepare` with the run's directory";
        return Err(Error::new(file.display().to_string(), rule.right(right)));
    }
    crate::checkpoint::replace(&file, now.to_text().as_bytes())
}
