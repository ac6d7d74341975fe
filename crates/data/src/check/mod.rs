//! Whether a data set is fit to learn from: damaged files, copies between the parts, classes that are missing or rare,
//! pictures that are odd.
//!
//! [`check`] opens every sample once, by several threads, and keeps about 400 bytes of each. The report is plain data and
//! the same for any number of threads. Begin reading at [`CheckReport`]; `collect` looks at samples, `likeness` and
//! `duplicates` find copies, `judge` says what is wrong.

mod collect;
mod duplicates;
mod header;
mod judge;
mod likeness;

pub use header::{Header, Stored};

pub(crate) use duplicates::Sets;

use crate::{Dataset, Error, Limits, Splits};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How closely samples are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Depth {
    /// Labels only; no file is opened.
    Labels,
    /// Headers of image files: extents, colour mode, orientation. Finds files that are no images or end early in a way
    /// that shows without decoding.
    Headers,
    /// Every picture is decoded and compared with the others.
    Full,
}

/// Which near duplicates [`check`] looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Near {
    /// Perceptual hashes that differ in at most 8 of 63 bits. Grey pictures of at most 32 × 32 pixels are not compared:
    /// written digits and letters are alike by nature.
    #[default]
    Auto,
    /// Hashes of all pictures that differ in at most so many bits, 0 to 15.
    Bits(u32),
    /// None; the same pixels only.
    Off,
}

impl Near {
    /// The bits that may differ.
    fn bits(self) -> Option<u32> {
        match self {
            Near::Auto => Some(8),
            Near::Bits(bits) => Some(bits),
            Near::Off => None,
        }
    }
    /// Whether a picture is compared with others, beyond its pixels.
    fn compares(self, image: &crate::Image<'_>) -> bool {
        let writing = image.channels() == 1 && image.height().max(image.width()) <= WRITING;
        self != Near::Off && !(self == Near::Auto && writing)
    }
}

/// Longest side of grey pictures that are taken for writing.
pub(crate) const WRITING: usize = 32;

/// How [`check`] works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckOptions {
    /// How closely samples are looked at (default [`Depth::Full`]).
    pub depth: Depth,
    /// Threads; 0 (the default) for all cores. No influence on the report.
    pub threads: usize,
    /// Which near duplicates are looked for (default [`Near::Auto`]).
    pub near: Near,
    /// Rows and columns of the network's input, to find pictures that are much smaller (default unknown).
    pub input: Option<[usize; 2]>,
    /// Open at most this many samples, evenly spaced (default all).
    pub samples: Option<usize>,
    /// Bounds checked before decoding.
    pub limits: Limits,
}

impl Default for CheckOptions {
    fn default() -> Self {
        CheckOptions {
            depth: Depth::Full,
            threads: 0,
            near: Near::Auto,
            input: None,
            samples: None,
            limits: Limits::default(),
        }
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Training fails, or learns what it should not.
    Error,
    /// Results may be wrong or poor.
    Warning,
    /// Worth knowing.
    Note,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Files that cannot be read or decoded.
    Unreadable,
    /// Labels beyond the classes.
    LabelOutOfRange,
    /// A class without samples in a part.
    ClassMissing,
    /// The same pixels in two parts.
    SameAcross,
    /// Near duplicates in two parts.
    NearAcross,
    /// The same pixels under two labels.
    SameConflict,
    /// Near duplicates under two labels.
    NearConflict,
    /// The same pixels twice in one part.
    Same,
    /// Near duplicates in one part.
    Near,
    /// Classes with very few training samples.
    FewSamples,
    /// Classes of very different sizes.
    Imbalance,
    /// Pictures of a single colour.
    Constant,
    /// Pictures much smaller than the network's input.
    Small,
    /// Pictures much longer in one direction.
    Elongated,
    /// File endings of another format than the contents.
    WrongEnding,
    /// Pictures that lie turned in the file.
    Orientation,
    /// Pictures stored as four inks.
    Cmyk,
    /// Pictures with more than 8 bits a channel.
    Deep,
    /// Pictures with transparency.
    Transparent,
    /// Grey pictures among coloured ones, or the other way round.
    GreyMixed,
    /// Pictures that were not compared for near duplicates.
    NotCompared,
    /// Animations, of which the first frame counts.
    Animated,
    /// What the reader of the data set passed over or decided.
    Source,
}

/// A sample of a part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// `train`, `validation` or `test`.
    pub part: String,
    /// Index in the part.
    pub index: usize,
    /// What the data set calls it: its path, or its file and index.
    pub id: String,
    /// The name of its class.
    pub class: String,
}

/// An instance of a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The samples that it is about; several for duplicates; none for what concerns a class or a part.
    pub samples: Vec<Place>,
    /// What is the matter with them.
    pub text: String,
}

/// One kind of trouble, with all its instances.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub kind: FindingKind,
    /// What it is, in a sentence with numbers.
    pub text: String,
    /// What would be right, or what to do.
    pub right: String,
    /// Every instance, in the order of parts and samples.
    pub examples: Vec<Example>,
}

/// Numbers of a part of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PartReport {
    /// `train`, `validation` or `test`.
    pub name: String,
    /// Samples.
    pub samples: usize,
    /// Samples of every class.
    pub per_class: Vec<usize>,
    /// Samples that cannot be read.
    pub unreadable: usize,
    /// Bytes of image files; 0 where samples are none.
    pub bytes: u64,
    /// Least, middle and largest number of columns, upright; `None` where nothing was opened.
    pub width: Option<[u32; 3]>,
    /// The same of rows.
    pub height: Option<[u32; 3]>,
    /// Samples of every file format.
    pub formats: BTreeMap<String, usize>,
    /// Samples of every colour mode.
    pub modes: BTreeMap<String, usize>,
}

/// What [`check`] found. Serialises to JSON as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckReport {
    /// What the data set is: `folders`, `IDX`, …
    pub kind: String,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// How closely samples were looked at.
    pub depth: Depth,
    /// The parts that there are.
    pub parts: Vec<PartReport>,
    /// What is wrong, errors first.
    pub findings: Vec<Finding>,
    /// Groups of pictures that are the same or look alike, whatever their parts; for a split that keeps them together.
    pub groups: Vec<Vec<Place>>,
}

impl CheckReport {
    /// Number of findings of a severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|f| f.severity == severity).count()
    }
    /// The samples that cannot be used: unreadable, or with a label beyond the classes.
    pub fn bad(&self) -> impl Iterator<Item = &Place> {
        let bad = |f: &&Finding| matches!(f.kind, FindingKind::Unreadable | FindingKind::LabelOutOfRange);
        self.findings.iter().filter(bad).flat_map(|f| &f.examples).flat_map(|e| &e.samples)
    }
}

/// Looks at every sample of a data set and says what is wrong with it; `progress` hears of (samples done, samples in all)
/// now and then.
///
/// ```
/// use gabor_data::{CheckOptions, Severity, check, digits};
/// let report = check(&digits(), &CheckOptions::default(), &mut |_, _| {}).unwrap();
/// assert_eq!(report.count(Severity::Error), 0);
/// ```
///
/// # Errors
/// None of a sample: those are findings. Only data without any part, or of more than 2³² samples.
pub fn check(
    splits: &Splits,
    options: &CheckOptions,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CheckReport, Error> {
    let parts = parts(splits);
    let facts = collect::collect(&parts, options, progress)?;
    Ok(judge::judge(splits, &parts, facts, options))
}

/// Groups of samples that [`check`] finds the same or alike, by its own measure, each of two and more; by so many threads,
/// each of which holds one decoded picture at a time.
///
/// # Errors
/// As [`check`]; samples that cannot be read are like no others.
pub(crate) fn alike(set: &Arc<dyn Dataset>, threads: usize, limits: Limits) -> Result<Vec<Vec<usize>>, Error> {
    let options = CheckOptions { threads, limits, ..Default::default() };
    let facts = collect::collect(&[("all", set.clone())], &options, &mut |_, _| {})?;
    let likes: Vec<_> = facts.into_iter().map(|f| f.likeness).collect();
    let found = duplicates::find(&likes, &vec![0; likes.len()], options.near.bits());
    Ok(judge::groups(&found).into_iter().map(|g| g.into_iter().map(|i| i as usize).collect()).collect())
}

/// The parts that there are, by name.
fn parts(splits: &Splits) -> Vec<(&'static str, Arc<dyn Dataset>)> {
    let all = [("train", &splits.train), ("validation", &splits.validation), ("test", &splits.test)];
    all.into_iter().filter_map(|(name, set)| Some((name, set.clone()?))).collect()
}
