//! One error for the whole façade: a place, a broken rule, and details line by line.

use gabor_tensor::Rule;
use std::fmt;
use std::path::Path;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: where, the rule with its numbers, what was given, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    place: String,
    rule: Box<Rule>,
    details: Vec<String>,
}

impl Error {
    /// A rule broken at a place.
    #[cold]
    pub fn new(place: impl Into<String>, rule: Rule) -> Self {
        Error { place: place.into(), rule: Box::new(rule), details: Vec::new() }
    }
    /// A refusal of the operating system at a path.
    #[cold]
    pub fn io(path: &Path, doing: &str, e: &std::io::Error) -> Self {
        Error::new(path.display().to_string(), Rule::new(format!("cannot {doing}: {e}")))
    }
    /// The same error, somewhere inside of `place`.
    #[cold]
    pub fn inside(mut self, place: impl fmt::Display) -> Self {
        self.place = if self.place.is_empty() { place.to_string() } else { format!("{place}: {}", self.place) };
        self
    }
    /// Where it went wrong.
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
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        write!(f, "{}", self.rule)?;
        self.details.iter().try_for_each(|d| write!(f, "\n  {d}"))
    }
}

impl std::error::Error for Error {}

impl From<Rule> for Error {
    fn from(rule: Rule) -> Self {
        Error::new("", rule)
    }
}

impl From<gabor_graph::Error> for Error {
    fn from(e: gabor_graph::Error) -> Self {
        gabor_train::Error::from(e).into()
    }
}

impl From<gabor_compile::Error> for Error {
    fn from(e: gabor_compile::Error) -> Self {
        gabor_train::Error::from(e).into()
    }
}

impl From<gabor_data::Error> for Error {
    fn from(e: gabor_data::Error) -> Self {
        Error::new(e.place(), e.rule().clone())
    }
}

impl From<gabor_train::Error> for Error {
    fn from(e: gabor_train::Error) -> Self {
        Error::new(e.place(), e.rule().clone())
    }
}

impl From<gabor_formats::Error> for Error {
    fn from(e: gabor_formats::Error) -> Self {
        let details = e.refusals().iter().map(|r| format!("{} ({}): {}", r.node, r.operation, r.reason)).collect();
        Error { details, ..Error::new(e.place(), e.rule().clone()) }
    }
}

impl From<gabor_nets::Mismatch> for Error {
    fn from(e: gabor_nets::Mismatch) -> Self {
        let right = match &e.head {
            Some(h) => format!("a network of {} classes; `gabor train` makes a new head instead", h.file),
            None => format!("weights of {}", e.network),
        };
        let details = if e.head.is_some() { Vec::new() } else { e.lines() };
        Error { details, ..Error::new(&e.network, Rule::new(e.summary()).right(right)) }
    }
}
