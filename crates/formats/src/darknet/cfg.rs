//! The text of a `.cfg` file: sections of `key=value` lines.

use crate::{Error, Result};
use gabor_tensor::Rule;
use std::cell::Cell;
use std::str::FromStr;

/// Most layers that a file may have. Published networks have at most some hundreds.
const MAX_SECTIONS: usize = 20_000;
/// Every number of a file is below this, so that sums and products of a few of them fit.
pub(super) const MAX_NUMBER: usize = 1 << 24;

/// One `key=value` line.
struct Entry<'a> {
    line: usize,
    key: &'a str,
    value: &'a str,
    used: Cell<bool>,
}

/// `[type]` and the lines below it.
pub(super) struct Section<'a> {
    line: usize,
    /// The name between the brackets.
    pub(super) kind: &'a str,
    entries: Vec<Entry<'a>>,
}

/// The sections of a file, in order.
///
/// As Darknet reads it: spaces count nowhere, `#` and `;` begin comments, and of a key that stands twice the first counts.
pub(super) fn parse(text: &str) -> Result<Vec<Section<'_>>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    for (i, raw) in text.lines().enumerate() {
        let line = i + 1;
        let raw = raw.strip_prefix('\u{feff}').filter(|_| i == 0).unwrap_or(raw);
        let content = raw.split(['#', ';']).next().unwrap_or("").trim();
        let wrong = |rule: Rule| Error::new(format!("line {line}"), rule.given(shown(content)));
        if content.is_empty() {
            continue;
        }
        if let Some(rest) = content.strip_prefix('[') {
            let kind = rest.strip_suffix(']').map(str::trim).filter(|k| !k.is_empty());
            let kind = kind.ok_or_else(|| wrong(Rule::new("a section that does not end").right("[convolutional]")))?;
            if sections.len() == MAX_SECTIONS {
                return Err(Error::new(
                    format!("line {line}"),
                    Rule::new(format!("more than {MAX_SECTIONS} sections")),
                ));
            }
            sections.push(Section { line, kind, entries: Vec::new() });
            continue;
        }
        let (key, value) = content
            .split_once('=')
            .map(|(k, v)| (k.trim(), v.trim()))
            .filter(|(k, v)| !k.is_empty() && !v.is_empty())
            .ok_or_else(|| wrong(Rule::new("a line that is neither a section nor a setting").right("key=value")))?;
        let section = sections.last_mut().ok_or_else(|| wrong(Rule::new("a setting before the first section")))?;
        section.entries.push(Entry { line, key, value, used: Cell::new(false) });
    }
    Ok(sections)
}

/// At most 60 characters of a line, for messages.
fn shown(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("`{short}…`") } else { format!("`{short}`") }
}

impl<'a> Section<'a> {
    /// Where it stands, for messages.
    pub(super) fn place(&self) -> String {
        format!("line {}: [{}]", self.line, self.kind)
    }
    /// An error in the section as a whole.
    pub(super) fn error(&self, rule: Rule) -> Error {
        Error::new(self.place(), rule)
    }
    /// An error in the line of a key.
    pub(super) fn error_at(&self, key: &str, rule: Rule) -> Error {
        let line = self.entries.iter().find(|e| e.key == key).map_or(self.line, |e| e.line);
        Error::new(format!("line {line}: [{}] {key}", self.kind), rule)
    }
    /// The text of a key.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        // A key that stands twice is used as a whole: the first line counts, as in Darknet.
        let mut found = None;
        for e in self.entries.iter().filter(|e| e.key == key) {
            e.used.set(true);
            found = found.or(Some(e.value));
        }
        found
    }
    fn number<T: FromStr>(&self, key: &str, default: T, what: &str) -> Result<T> {
        let Some(text) = self.text(key) else { return Ok(default) };
        text.parse().map_err(|_| self.error_at(key, Rule::new("no number").given(shown(text)).right(what)))
    }
    /// A number of things: 0 to 2²⁴.
    pub(super) fn size(&self, key: &str, default: usize) -> Result<usize> {
        let v: i64 = self.number(key, default as i64, "a whole number")?;
        let fits = usize::try_from(v).ok().filter(|v| *v < MAX_NUMBER);
        fits.ok_or_else(|| {
            self.error_at(key, Rule::new(format!("it is {v}")).right(format!("0 to {}", MAX_NUMBER - 1)))
        })
    }
    /// As [`size`](Section::size), and not 0.
    pub(super) fn positive(&self, key: &str, default: usize) -> Result<usize> {
        match self.size(key, default)? {
            0 => Err(self.error_at(key, Rule::new("it is 0").right("at least 1"))),
            v => Ok(v),
        }
    }
    /// 0 or 1.
    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        Ok(self.number(key, 0i64, "0 or 1")? != 0)
    }
    /// A finite number.
    pub(super) fn float(&self, key: &str, default: f64) -> Result<f64> {
        let v: f64 = self.number(key, default, "a number")?;
        if v.is_finite() { Ok(v) } else { Err(self.error_at(key, Rule::new(format!("it is {v}")))) }
    }
    /// Numbers of earlier layers: `-1, 61`, counted back from layer `index` or from the first.
    pub(super) fn layers(&self, key: &str, index: usize) -> Result<Vec<usize>> {
        let text = self.text(key).ok_or_else(|| self.error(Rule::new(format!("`{key}` is missing"))))?;
        let one = |t: &str| {
            let t = t.trim();
            let v: i64 = t.parse().map_err(|_| self.error_at(key, Rule::new("no number").given(shown(t))))?;
            let at = if v < 0 { (index as i64).checked_add(v) } else { Some(v) };
            at.and_then(|v| usize::try_from(v).ok()).filter(|&v| v < index).ok_or_else(|| {
                let right = if index == 0 { "no layer stands before it".into() } else { format!("0 to {}", index - 1) };
                let rule = Rule::new(format!("layer {v}, seen from layer {index}, is no earlier layer"));
                self.error_at(key, rule.right(right))
            })
        };
        text.split(',').filter(|t| !t.trim().is_empty()).map(one).collect()
    }
    /// Marks keys that say nothing about inference.
    pub(super) fn ignore(&self, keys: &[&str]) {
        self.entries.iter().filter(|e| keys.contains(&e.key)).for_each(|e| e.used.set(true));
    }
    /// An error for the first key that is set and changes what is computed in a way that is not known here.
    pub(super) fn refuse(&self, keys: &[(&str, &str)]) -> Result<()> {
        for (key, why) in keys {
            if self.text(key).is_some_and(|v| !matches!(v, "0" | "none")) {
                return Err(self.error_at(key, Rule::new(*why)));
            }
        }
        Ok(())
    }
    /// Keys that nobody has read, with their lines.
    pub(super) fn unread(&self) -> impl Iterator<Item = (usize, &'a str)> + '_ {
        self.entries.iter().filter(|e| !e.used.get()).map(|e| (e.line, e.key))
    }
}
