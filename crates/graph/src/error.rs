//! The crate's error: a broken [`Rule`] and the place where it broke.

use gabor_tensor::Rule;
use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in building or changing a graph: where, the rule with its numbers, what was given, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    place: String,
    rule: Box<Rule>,
    origins: Vec<String>,
}

impl Error {
    /// A rule broken at a place (a node's name).
    #[cold]
    pub fn new(place: impl Into<String>, rule: Rule) -> Self {
        Error { place: place.into(), rule: Box::new(rule), origins: Vec::new() }
    }
    /// Adds where an input comes from, as in `x [64, 7, 10, 10] comes from pool1`.
    #[cold]
    pub fn origin(mut self, text: impl Into<String>) -> Self {
        self.origins.push(text.into());
        self
    }
    /// The node's name.
    pub fn place(&self) -> &str {
        &self.place
    }
    /// The broken rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule.rule)?;
        let given = std::iter::once(&self.rule.given).chain(&self.origins).filter(|s| !s.is_empty());
        for part in given {
            write!(f, "; {part}")?;
        }
        if !self.rule.right.is_empty() {
            write!(f, "; right would be: {}", self.rule.right)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
