//! The shape of every error message: where, rule with numbers, given, right.

use std::fmt;

/// A broken rule, stated by the code that knows the rule; the graph, reader or command adds the place.
///
/// ```
/// use gabor_tensor::Rule;
/// let r = Rule::new("7 input channels, weight [16, 3, 3, 3] with 1 group wants 3").right("3 input channels");
/// assert_eq!(r.to_string(), "7 input channels, weight [16, 3, 3, 3] with 1 group wants 3; right would be: 3 input channels");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The rule with the numbers that break it.
    pub rule: String,
    /// What was given and where it comes from; empty if the rule already says so.
    pub given: String,
    /// What would be right; empty if the rule already says so.
    pub right: String,
}

impl Rule {
    /// A broken rule, in words and numbers.
    pub fn new(rule: impl Into<String>) -> Self {
        Rule { rule: rule.into(), given: String::new(), right: String::new() }
    }
    /// Adds what was given.
    pub fn given(mut self, given: impl Into<String>) -> Self {
        self.given = given.into();
        self
    }
    /// Adds what would be right.
    pub fn right(mut self, right: impl Into<String>) -> Self {
        self.right = right.into();
        self
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rule)?;
        if !self.given.is_empty() {
            write!(f, "; given: {}", self.given)?;
        }
        if !self.right.is_empty() {
            write!(f, "; right would be: {}", self.right)?;
        }
        Ok(())
    }
}

impl std::error::Error for Rule {}
