//! A mistake and its place in the text.

use super::lex::Span;
use gabor_graph::Error;
use gabor_tensor::Rule;
use std::fmt;

/// A rule broken at a place, before the text is at hand.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub span: Span,
    pub rule: Rule,
}

impl Fault {
    pub fn at(span: Span, rule: Rule) -> Self {
        Fault { span, rule }
    }
}

/// A mistake in a description: what, where, and what would fit. Shown with the place underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotationError {
    rule: Box<Rule>,
    line: usize,
    column: usize,
    excerpt: String,
    marks: String,
}

/// Most characters of a line that are shown before and after the place.
const AROUND: usize = 50;

impl NotationError {
    pub(super) fn new(text: &str, fault: Fault) -> Self {
        let (mut start, mut line, mut rest) = (fault.span.start, 1, "");
        for l in text.split('\n') {
            rest = l;
            let len = l.chars().count() + 1;
            if start < len {
                break;
            }
            // The place lies after the text's end if the text is empty or ends early.
            start -= len;
            line += 1;
        }
        let chars: Vec<char> = rest.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let start = start.min(chars.len());
        // A long line is shown around the place, the cuts marked.
        let from = if start > AROUND + 1 { start - AROUND } else { 0 };
        let to = if chars.len() > start + AROUND + 1 { start + AROUND } else { chars.len() };
        let marks = fault.span.len.max(1).min((to - start).max(1));
        let (before, after) = (if from > 0 { "…" } else { "" }, if to < chars.len() { "…" } else { "" });
        let shown: String = chars[from..to].iter().collect();
        NotationError {
            rule: Box::new(fault.rule),
            line,
            column: start + 1,
            excerpt: format!("{before}{shown}{after}"),
            marks: " ".repeat(start - from + before.chars().count()) + &"^".repeat(marks),
        }
    }
    /// The broken rule and what would fit.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }
    /// Line of the place, from 1.
    pub fn line(&self) -> usize {
        self.line
    }
    /// Column of the place, in characters from 1.
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for NotationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotationError { rule, line, column, excerpt, marks } = self;
        write!(f, "line {line}, column {column}: {}\n  {excerpt}\n  {marks}", rule.rule)?;
        if !rule.right.is_empty() {
            write!(f, "\n  right would be: {}", rule.right)?;
        }
        Ok(())
    }
}

impl std::error::Error for NotationError {}

impl NotationError {
    /// The mistake as an error of a file (or of another place that has lines).
    pub fn inside(self, place: &str) -> Error {
        let NotationError { rule, line, column, excerpt, marks } = self;
        let right = if rule.right.is_empty() { String::new() } else { format!("\n  right would be: {}", rule.right) };
        // What would be right has a line of its own below the marks.
        let text = format!("{}\n  {excerpt}\n  {marks}{right}", rule.rule);
        Error::new(format!("{place}, line {line}, column {column}"), Rule { rule: text, right: String::new(), ..*rule })
    }
}

impl From<NotationError> for Error {
    fn from(e: NotationError) -> Self {
        e.inside("description")
    }
}
