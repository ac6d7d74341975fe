//! Image files inside larger ones: by file, offset and length.

use super::store::{Pool, is_url};
use super::{Blocks, Dataset, out_of_range, twins};
use crate::decode::decode_at_least;
use crate::{Error, Image, Limits};
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

/// Bytes of a block: what is read in a row before another place is looked up.
const BLOCK: u64 = 8 << 20;

/// Where a sample's image lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Index of the file.
    pub file: u32,
    /// Bytes of the image.
    pub length: u32,
    /// Bytes before it.
    pub offset: u64,
}

/// Names in one string.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    text: String,
    ends: Vec<u64>,
}

impl Names {
    pub fn push(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len() as u64);
    }
    pub fn get(&self, i: usize) -> Option<&str> {
        let end = *self.ends.get(i)? as usize;
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        self.text.get(start..end)
    }
}

/// Images that lie in larger files, such as members of tar shards; read one at a time, by place.
pub(super) struct PackedDataset {
    pool: Arc<Pool>,
    places: Vec<Place>,
    names: Names,
    labels: Vec<u32>,
    classes: Vec<String>,
    limits: Limits,
    /// The block of every sample.
    blocks: Vec<u32>,
    bytes: u64,
}

impl PackedDataset {
    /// Samples in the order of files and offsets.
    pub fn new(
        files: Vec<PathBuf>,
        places: Vec<Place>,
        names: Names,
        labels: Vec<u32>,
        classes: Vec<String>,
        limits: Limits,
    ) -> Self {
        // A block is a run of samples of one file within so many bytes, or one that is larger alone.
        let (mut blocks, mut block, mut bytes) = (Vec::with_capacity(places.len()), 0u32, 0u64);
        let mut start: Option<Place> = None;
        for p in &places {
            let fits = |s: &Place| s.file == p.file && p.offset + u64::from(p.length) <= s.offset.saturating_add(BLOCK);
            if !start.as_ref().is_some_and(fits) {
                block += u32::from(start.is_some());
                start = Some(*p);
            }
            blocks.push(block);
            bytes += u64::from(p.length);
        }
        PackedDataset { pool: Arc::new(Pool::new(files)), places, names, labels, classes, limits, blocks, bytes }
    }
    fn read(&self, i: usize) -> Result<Vec<u8>, Error> {
        let p = self.places.get(i).ok_or_else(|| out_of_range(i, self.places.len()))?;
        let length = u64::from(p.length);
        self.limits.check_file(length).map_err(|r| Error::new(self.id(i), r))?;
        self.pool.read(p.file, p.offset, length).map_err(|e| Error::new(self.id(i), e.rule().clone()))
    }
}

impl Dataset for PackedDataset {
    fn labels(&self) -> &[u32] {
        &self.labels
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
    fn id(&self, i: usize) -> String {
        match (self.places.get(i), self.names.get(i)) {
            (Some(p), Some(name)) => format!("{}: {name}", self.pool.path(p.file).display()),
            _ => format!("[{i}]"),
        }
    }
    fn image(&self, i: usize) -> Result<Image<'_>, Error> {
        self.image_at_least(i, &|whole| whole)
    }
    fn image_at_least(&self, i: usize, enough: &dyn Fn([usize; 2]) -> [usize; 2]) -> Result<Image<'_>, Error> {
        decode_at_least(&self.read(i)?, &self.limits, enough).map_err(|r: Rule| Error::new(self.id(i), r))
    }
    fn encoded(&self, i: usize) -> Result<Option<Cow<'_, [u8]>>, Error> {
        self.read(i).map(|bytes| Some(bytes.into()))
    }
    fn twins(&self) -> Option<Vec<Vec<usize>>> {
        let here = |i: usize| Some(self.places[i]).filter(|p| !is_url(self.pool.path(p.file)));
        let size = |i: usize| here(i).map(|p| p.length.into());
        let ends = |i: usize| here(i).and_then(|p| self.pool.ends(p.file, p.offset, p.length.into()).ok());
        let whole = |i: usize| {
            if size(i).is_some_and(twins::is_ends) {
                return Some(0);
            }
            self.read(i).ok().map(|bytes| twins::digest(&[&bytes]))
        };
        // Where some are here and some are not, those that are here are compared.
        let any = (0..self.places.len()).any(|i| here(i).is_some());
        any.then(|| twins::groups(self.places.len(), twins::AT_ONCE, &[&size, &ends, &whole]))
    }
    fn is_remote(&self) -> bool {
        self.places.iter().any(|p| is_url(self.pool.path(p.file)))
    }
    fn stored_bytes(&self) -> Option<u64> {
        (!self.is_remote()).then_some(self.bytes)
    }
    fn blocks(&self) -> Option<Blocks> {
        let count = self.blocks.last().map_or(0, |b| b + 1);
        Some(Blocks { of: self.blocks.clone(), count, bytes: self.bytes })
    }
}
