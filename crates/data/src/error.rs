//! The error of this crate: a place and a broken rule.

use gabor_tensor::Rule;
use std::fmt;
use std::path::Path;

/// What went wrong and where: file (and byte offset where it applies), rule with numbers, given, right.
///
/// ```
/// use gabor_data::{Limits, decode_file};
/// let e = decode_file("no/such/file.png".as_ref(), &Limits::default()).unwrap_err();
/// assert!(e.to_string().starts_with("no/such/file.png: cannot be read"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    place: String,
    rule: Rule,
}

impl Error {
    /// A broken rule at a place: a file, a sample, a field.
    pub fn new(place: impl Into<String>, rule: Rule) -> Self {
        Error { place: place.into(), rule }
    }
    /// A broken rule in a file.
    pub fn at(path: &Path, rule: Rule) -> Self {
        Error::new(path.display().to_string(), rule)
    }
    /// A broken rule at a byte offset (from the start of the unpacked contents) of a file.
    pub fn at_byte(path: &Path, offset: u64, rule: Rule) -> Self {
        Error::new(format!("{} at byte {offset}", path.display()), rule)
    }
    /// A refusal of the operating system.
    pub(crate) fn io(path: &Path, e: &std::io::Error) -> Self {
        Error::at(path, Rule::new("cannot be read").given(e.to_string()).right("a readable path"))
    }
    /// Where: the file and the byte offset, the sample or the field.
    pub fn place(&self) -> &str {
        &self.place
    }
    /// The rule, what was given and what would be right.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)
    }
}

impl std::error::Error for Error {}
