//! Samples that cannot be read and are left out (`bad=skip`): each is told of once, and they are counted.

use super::Run;
use crate::{Event, Result};
use gabor_data::Loader;

/// Samples that are told of one by one.
const TOLD: usize = 1000;

impl Run<'_> {
    /// Warns of samples with their places and reasons, of each place once.
    pub(super) fn report_bad(&mut self, bad: &[(u32, gabor_data::Error)]) -> Result<()> {
        for (_, error) in bad {
            if self.bad.len() > TOLD || !self.bad.insert(error.place().to_string()) {
                continue;
            }
            let text = match self.bad.len() > TOLD {
                false => format!("left out: {error}"),
                true => format!("more than {TOLD} samples are left out; further ones are counted only"),
            };
            self.emit(&Event::Warning { text })?;
        }
        Ok(())
    }
    /// Says at the end of an epoch how many samples of a part have been left out, if any.
    pub(super) fn count_bad(&mut self, part: &str, loader: &Loader) -> Result<()> {
        let bad = loader.bad();
        self.report_bad(&bad)?;
        if bad.is_empty() {
            return Ok(());
        }
        let text =
            format!("{} of {} {part} samples could not be read and are left out", bad.len(), loader.dataset().len());
        self.emit(&Event::Note { text })
    }
}
