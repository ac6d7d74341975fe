//! The crate's error: a broken [`Rule`], its place in the file, and all nodes that were refused.

use gabor_tensor::Rule;
use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A node that cannot be read or written, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The node's name, or its first output's where it has none.
    pub node: String,
    /// The operation, as the file or the registry names it.
    pub operation: String,
    /// Why it is refused.
    pub reason: String,
}

/// What is wrong with a file, or with what should become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    place: String,
    rule: Box<Rule>,
    refusals: Vec<Refusal>,
}

impl Error {
    /// A rule broken at a place of the file.
    #[cold]
    pub fn new(place: impl Into<String>, rule: Rule) -> Self {
        Error { place: place.into(), rule: Box::new(rule), refusals: Vec::new() }
    }
    /// Nodes that cannot be `done` ("imported", "exported"), all at once.
    #[cold]
    pub(crate) fn refused(place: &str, done: &str, refusals: Vec<Refusal>) -> Self {
        let nodes = if refusals.len() == 1 { "1 node".into() } else { format!("{} nodes", refusals.len()) };
        Error { refusals, ..Error::new(place, Rule::new(format!("{nodes} cannot be {done}"))) }
    }
    /// Where in the file: a tensor, a node, the header.
    pub fn place(&self) -> &str {
        &self.place
    }
    /// The broken rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
    /// Every node that was refused, if nodes were.
    pub fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)?;
        for r in &self.refusals {
            write!(f, "\n  {} ({}): {}", r.node, r.operation, r.reason)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// A rule that the graph found broken while a file's network was built.
impl From<gabor_graph::Error> for Error {
    fn from(e: gabor_graph::Error) -> Self {
        Error::new(e.place(), e.rule().clone())
    }
}

/// Adds the place to a broken rule.
pub(crate) trait At<T> {
    fn at(self, place: &str) -> Result<T>;
}

impl<T> At<T> for std::result::Result<T, Rule> {
    fn at(self, place: &str) -> Result<T> {
        self.map_err(|rule| Error::new(place, rule))
    }
}

/// The number of elements of a shape, if it and its bytes fit an address.
pub(crate) fn element_count(shape: &[usize], size: usize) -> Result<usize, Rule> {
    // Extents of zero must not hide others that overflow.
    let all = shape.iter().filter(|&&d| d > 0).try_fold(size, |a, &d| a.checked_mul(d));
    match all {
        Some(bytes) if bytes <= isize::MAX as usize => Ok(shape.iter().product()),
        _ => Err(Rule::new(format!("a tensor of shape {shape:?} has more bytes than memory can address"))),
    }
}
