//! The error of this crate: a place and a broken rule.

use gabor_tensor::Rule;
use std::fmt;
use std::path::Path;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in preparing or running a training: where, the rule with its numbers, what was given, what would
/// be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    place: String,
    rule: Box<Rule>,
}

impl Error {
    /// A broken rule at a place: a key of the configuration, a file, a step of a run.
    #[cold]
    pub fn new(place: impl Into<String>, rule: Rule) -> Self {
        Error { place: place.into(), rule: Box::new(rule) }
    }
    /// A refusal of the operating system at a path.
    #[cold]
    pub(crate) fn io(path: &Path, doing: &str, e: &std::io::Error) -> Self {
        Error::new(path.display().to_string(), Rule::new(format!("cannot {doing}: {e}")))
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
        write!(f, "{}: {}", self.place, self.rule)
    }
}

impl std::error::Error for Error {}

impl From<gabor_graph::Error> for Error {
    fn from(e: gabor_graph::Error) -> Self {
        gabor_compile::Error::from(e).into()
    }
}

impl From<gabor_compile::Error> for Error {
    fn from(e: gabor_compile::Error) -> Self {
        let (text, rule) = (e.to_string(), e.rule());
        let place = text.strip_suffix(&format!(": {rule}")).unwrap_or("graph");
        Error::new(place, rule.clone())
    }
}

impl From<gabor_data::Error> for Error {
    fn from(e: gabor_data::Error) -> Self {
        Error::new(e.place(), e.rule().clone())
    }
}

/// ` (did you mean …?)` for the nearest of the known names, or the list of them where none is near.
pub(crate) fn suggest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let near = (known.iter().map(|k| (strsim::jaro_winkler(given, k), *k)))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match near {
        Some((_, name)) => format!("`{name}`; all: {}", known.join(", ")),
        None => format!("one of {}", known.join(", ")),
    }
}
