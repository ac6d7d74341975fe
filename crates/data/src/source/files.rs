//! Image files, one a sample, read when they are asked for.

use super::{Dataset, out_of_range, store, twins};
use crate::decode::decode_at_least;
use crate::{Error, Image, Limits};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Image files with labels: from a folder per class ([`FileDataset::folder`]) or from a manifest.
#[derive(Clone, Debug)]
pub struct FileDataset {
    pub(super) files: Vec<PathBuf>,
    pub(super) labels: Vec<u32>,
    pub(super) classes: Vec<String>,
    pub(super) limits: Limits,
}

impl FileDataset {
    /// The paths of the images, in sample order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
    fn file(&self, i: usize) -> Result<&Path, Error> {
        self.files.get(i).map(PathBuf::as_path).ok_or_else(|| out_of_range(i, self.files.len()))
    }
}

impl Dataset for FileDataset {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn id(&self, i: usize) -> String {
        self.files.get(i).map_or_else(|| format!("[{i}]"), |f| f.display().to_string())
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        self.image_at_least(i, &|whole| whole)
    }
    fn image_at_least(&self, i: usize, enough: &dyn Fn([usize; 2]) -> [usize; 2]) -> Result<Image<'_>, Error> {
        let file = self.file(i)?;
        let bytes = store::read_all(file, &self.limits)?;
        decode_at_least(&bytes, &self.limits, enough).map_err(|r| Error::at(file, r))
    }
    fn twins(&self) -> Option<Vec<Vec<usize>>> {
        // Each look into an object store would be a request.
        let here = |i: usize| Some(self.files[i].as_path()).filter(|f| !store::is_url(f));
        let size = |i: usize| std::fs::metadata(here(i)?).ok().map(|m| m.len());
        let file = |i: usize| store::File::open(here(i)?).ok();
        let ends = |i: usize| file(i).and_then(|f| f.ends(0, f.size()).ok());
        let whole = |i: usize| {
            if size(i).is_some_and(twins::is_ends) {
                return Some(0);
            }
            store::read_all(here(i)?, &self.limits).ok().map(|bytes| twins::digest(&[&bytes]))
        };
        // Where some are here and some are not, those that are here are compared.
        let any = (0..self.files.len()).any(|i| here(i).is_some());
        any.then(|| twins::groups(self.files.len(), twins::AT_ONCE, &[&size, &ends, &whole]))
    }
    fn is_remote(&self) -> bool {
        self.files.iter().any(|f| store::is_url(f))
    }
    fn stored_bytes(&self) -> Option<u64> {
        // A file that is missing is an error of whoever reads it.
        (!self.is_remote()).then(|| self.files.iter().filter_map(|f| Some(std::fs::metadata(f).ok()?.len())).sum())
    }
    fn encoded(&self, i: usize) -> Result<Option<Cow<'_, [u8]>>, Error> {
        store::read_all(self.file(i)?, &self.limits).map(|bytes| Some(bytes.into()))
    }
}
