//! What can go wrong: where, what, and what would be right.

use std::fmt;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A name that names nothing on any hub.
    Name,
    /// A file that is not in the cache, while offline.
    Offline,
    /// No such repository, or none that this token may see.
    NoRepository,
    /// No such branch, tag or commit.
    NoRevision,
    /// No such file in the repository.
    NoFile,
    /// A repository whose terms were not accepted, or a token that does not suffice.
    Denied,
    /// No connection, a server that is too slow, an answer that makes no sense.
    Network,
    /// Bytes that are not those that were promised.
    Damaged,
    /// A file or directory of the cache.
    Cache,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind it is of.
    pub kind: Kind,
    /// The name, address or path.
    pub place: String,
    /// What is wrong.
    pub rule: String,
    /// What would be right; empty if nothing can be said.
    pub right: String,
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: Kind, place: impl Into<String>, rule: impl Into<String>) -> Self {
        Error { kind, place: place.into(), rule: rule.into(), right: String::new() }
    }
    pub(crate) fn right(mut self, right: impl Into<String>) -> Self {
        self.right = right.into();
        self
    }
    pub(crate) fn io(path: &std::path::Path, doing: &str, e: &std::io::Error) -> Self {
        Error::new(Kind::Cache, path.display().to_string(), format!("cannot {doing}: {e}"))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)?;
        if self.right.is_empty() { Ok(()) } else { write!(f, "; right would be: {}", self.right) }
    }
}

impl std::error::Error for Error {}
