//! Where images come from: MNIST's IDX files, CIFAR's binary files, tar shards, Parquet files, a
//! manifest, a folder per class, the embedded digits.
//!
//! [`open`] looks at a directory and says what it is. Every source is a [`Dataset`]: labels and names known up front,
//! images on demand.

mod cifar;
mod digits;
mod files;
mod folder;
mod idx;
mod index_file;
mod labels;
mod manifest;
mod memory;
mod mixed;
mod packed;
#[cfg(feature = "parquet")]
mod parquet;
mod read;
mod shards;
mod split;
mod store;
mod tar;
mod together;
mod twins;
mod written;

pub use digits::digits;
pub use files::FileDataset;
pub use memory::MemoryDataset;
pub use mixed::Mixed;
pub use split::{Part, Splits, Subset, stratified, stratified_groups};
pub use written::{Changes, Newcomers, WrittenSplit};

use crate::{Error, Image, Limits};
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::path::Path;

/// Without the feature, files are recognised and refused.
#[cfg(not(feature = "parquet"))]
mod parquet {
    use super::{Error, OpenOptions, Path, Rule, Splits, read::Entry};

    pub(super) fn open(path: &Path, _: &[Entry], _: &OpenOptions) -> Result<Splits, Error> {
        let rule = Rule::new("this build reads no Parquet files");
        Err(Error::at(path, rule.right("a build with the feature parquet, which is on unless it was taken out")))
    }
    pub(super) fn open_files(path: &Path, options: &OpenOptions) -> Result<Splits, Error> {
        open(path, &[], options)
    }
}

/// One labelled image.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    /// The pixels.
    pub image: Image<'a>,
    /// Index into [`Dataset::classes`].
    pub label: u32,
    /// File path, or file name and index within the file.
    pub id: String,
}

/// A set of labelled images, indexed 0..len.
pub trait Dataset: Send + Sync {
    /// The label of every sample, each below the number of classes; its length is the length of the data set.
    fn labels(&self) -> &[u32];
    /// The names of the classes.
    fn classes(&self) -> &[String];
    /// What sample `i` is called: its path, or its file and the index within; for any `i` without panic.
    fn id(&self, i: usize) -> String;
    /// The pixels of sample `i`; an error if it cannot be decoded or `i` is out of range.
    fn image(&self, i: usize) -> Result<Image<'_>, Error>;
    /// The pixels of sample `i` where not all are needed: `enough` is given the extents [h, w] and says which are. Larger
    /// JPEGs are decoded at a fraction of their size (see [`crate::decode::decode_at_least`]).
    fn image_at_least(&self, i: usize, enough: &dyn Fn([usize; 2]) -> [usize; 2]) -> Result<Image<'_>, Error> {
        let _ = enough;
        self.image(i)
    }
    /// The image file of sample `i` as it is stored, undecoded; `None` where samples are no image files. So a loader can
    /// decode to the size that it needs, and a conversion can copy without loss. An error if it cannot be read.
    fn encoded(&self, i: usize) -> Result<Option<Cow<'_, [u8]>>, Error> {
        if i < self.len() { Ok(None) } else { Err(out_of_range(i, self.len())) }
    }
    /// `[c, h, w]` if all images are known to share it without decoding them.
    fn shape(&self) -> Option<[usize; 3]> {
        None
    }
    /// The blocks in which samples lie, each best read as a whole and in one go, such as a stretch of a tar file; `None`
    /// where every sample is reached alike. A random order then goes through blocks, a few of them at a time.
    fn blocks(&self) -> Option<Blocks> {
        None
    }
    /// Groups of samples that are the same picture, as far as that is seen without reading all of them: files of one size with
    /// the same ends, pixels that are in memory. Parts that are drawn on opening keep a group together. `None` where too much
    /// would have to be read for it, or over a network.
    fn twins(&self) -> Option<Vec<Vec<usize>>> {
        Some(Vec::new())
    }
    /// Groups of samples that are known to look alike; parts that are drawn keep them together, too. Nothing is read for it.
    fn alike(&self) -> Vec<Vec<usize>> {
        Vec::new()
    }
    /// Whether samples lie in an object store or on a web server, so that each look at one is a request.
    fn is_remote(&self) -> bool {
        false
    }
    /// Bytes on this machine that must be read to see every sample; `None` where that is not known, or where they are
    /// elsewhere.
    fn stored_bytes(&self) -> Option<u64> {
        None
    }
    /// Number of samples.
    fn len(&self) -> usize {
        self.labels().len()
    }
    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.labels().is_empty()
    }
    /// Sample `i`: image, label and name.
    fn sample(&self, i: usize) -> Result<Sample<'_>, Error> {
        let label = *self.labels().get(i).ok_or_else(|| out_of_range(i, self.len()))?;
        Ok(Sample { image: self.image(i)?, label, id: self.id(i) })
    }
    /// Samples per class.
    fn histogram(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes().len()];
        for &l in self.labels() {
            if let Some(c) = counts.get_mut(l as usize) {
                *c += 1;
            }
        }
        counts
    }
}

/// Where the samples of a data set lie; see [`Dataset::blocks`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// The block of every sample, 0..count; some may have no samples.
    pub of: Vec<u32>,
    /// Number of blocks.
    pub count: u32,
    /// Bytes of all samples together.
    pub bytes: u64,
}

/// The error of an index beyond the end.
pub(crate) fn out_of_range(i: usize, len: usize) -> Error {
    Error::new(
        "data set",
        Rule::new(format!("sample {i} of a data set of {len}")).right(format!("an index below {len}")),
    )
}

/// Height and width of CIFAR's images.
pub(crate) const CIFAR_SIDE: usize = cifar::SIDE;
pub(crate) use index_file::Builder as IndexBuilder;
pub(crate) use tar::Found as IndexedSample;

/// How [`open`] reads a directory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenOptions {
    /// Bounds checked before unpacking.
    pub limits: Limits,
    /// The part of every class that becomes the test set where the directory has only one part (default 0.2; 0 leaves it
    /// whole).
    pub test_fraction: f64,
    /// Seed of that split (default 0): its own, so that a directory is split alike under every seed of training.
    pub seed: u64,
}

impl Default for OpenOptions {
    fn default() -> Self {
        OpenOptions { limits: Limits::default(), test_fraction: 0.2, seed: 0 }
    }
}

/// What a directory may hold beside class folders, for messages.
const SOURCES: &str = "IDX files (train-images…), CIFAR binary files (data_batch….bin), tar shards, Parquet files, a manifest (train.csv, labels.csv)";
/// Endings of shards.
const TAR: &str = ".tar";
const PARQUET: &str = ".parquet";

/// Opens a data set, recognised by what lies in the directory:
///
/// - IDX (MNIST and its like): `*train-images*`, `*train-labels*`, `*t10k-images*`, `*t10k-labels*` (or `*test-…*`);
///   an optional `classes.txt` holds one name a line;
/// - CIFAR-10 binary: `data_batch*.bin`, `test_batch*.bin`, names from `batches.meta.txt` where present; CIFAR-100:
///   `train.bin`, `test.bin`, names from `fine_label_names.txt`;
/// - tar shards (WebDataset): `*.tar` with images and labels side by side, `KEY.jpg` and `KEY.cls`, `.json` or `.txt`, or
///   with a folder per class inside; parts by folders `train/`, `val/`, `test/` or by such a word in the names; or the path
///   of one shard, or of some as `x-{000000..000009}.tar`. Names of numbered classes from `classes.txt`;
/// - Parquet files with a column of images (`image.bytes`, or bytes) and one of labels, as the Hugging Face hub has them;
///   parts as for tar shards, class names from the hub's description inside;
/// - a manifest: `train.csv`, `val.csv`, `test.csv`, or one of `manifest`, `labels`, `metadata`, `data`, `index` with
///   the ending `csv` or `tsv`; or the path of such a file under any name. Columns `path`, `label` and, where wanted,
///   `split`, in this order or named by a header; paths are relative to the manifest's folder; labels are names or
///   numbers, of `classes.txt` where present;
/// - a folder per class, inside `train/`, `val/` and `test/`, or split by [`OpenOptions`] where they are absent;
/// - `digits.csv`, the embedded digits as a file.
///
/// A URL `file:///…` means the path in it. With the feature `object-store` the path may be a URL of another kind: `s3://`, `gs://`, `az://`, `abfs://`, `http://`, `https://`.
/// A web server that lists nothing serves a shard or a manifest by its own URL, or shards by the index beside them.
///
/// Where only a training part is there, a test part is held out of it by [`OpenOptions`]. Tables, IDX and CIFAR files may
/// be gzip-compressed. Errors name the file, the byte offset or line where it applies, the rule, what was given and
/// what would be right.
pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Splits, Error> {
    let path = &*store::local(path.as_ref())?;
    // A pattern of shards is no file, but ends like one.
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let shard = [TAR, PARQUET].iter().any(|e| shards::is_shard(&name, e));
    let table = store::is_url(path) && manifest::is_table(path);
    if store::is_file(path) || table || (shard && !path.is_dir()) {
        return open_file(path, options);
    }
    let entries = read::list(path)?;
    if idx::is(&entries) {
        idx::open(path, &entries, options)
    } else if cifar::is(&entries) {
        cifar::open(path, &entries, options)
    } else if digits::is(&entries) {
        digits::open(path, &entries, options)
    } else if shards::are_there(&entries, TAR)? {
        tar::open(path, &entries, options)
    } else if shards::are_there(&entries, PARQUET)? {
        parquet::open(path, &entries, options)
    } else if manifest::is(&entries) {
        manifest::open(path, &entries, options)
    } else {
        folder::open(path, &entries, options)
    }
}

/// Opens a data set by the path of one file.
fn open_file(path: &Path, options: &OpenOptions) -> Result<Splits, Error> {
    if manifest::is_table(path) {
        return manifest::open_file(path, options);
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if shards::is_shard(&name, TAR) {
        return tar::open_files(path, options);
    }
    if shards::is_shard(&name, PARQUET) {
        return parquet::open_files(path, options);
    }
    Err(Error::at(
        path,
        Rule::new("a data set is a directory")
            .given("a file")
            .right("the directory that holds it, a manifest (.csv, .tsv) or a shard (.tar, .parquet)"),
    ))
}
