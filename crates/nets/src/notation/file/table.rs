//! Tables of a file whose keys are taken one by one, each value with its place; what is left over is a mistake.

use super::super::error::Fault;
use super::super::lex::Span;
use super::super::words::shown;
use gabor_tensor::Rule;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// A text, and the places of its characters.
pub(super) struct Text<'a> {
    pub text: &'a str,
    /// Characters before each byte; empty where they are the same.
    characters: Vec<u32>,
}

impl<'a> Text<'a> {
    pub fn new(text: &'a str) -> Self {
        let mut characters = Vec::new();
        if !text.is_ascii() {
            for (n, c) in text.chars().enumerate() {
                characters.resize(characters.len() + c.len_utf8(), n as u32);
            }
            characters.push(text.chars().count() as u32);
        }
        Text { text, characters }
    }
    fn character(&self, byte: usize) -> usize {
        self.characters.get(byte).map_or(byte, |&c| c as usize)
    }
    /// The place of a range of bytes.
    pub fn span(&self, bytes: Range<usize>) -> Span {
        let start = self.character(bytes.start);
        Span { start, len: self.character(bytes.end).saturating_sub(start) }
    }
}

/// A value and where it stands.
pub(super) struct Place<'a> {
    text: &'a Text<'a>,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Place<'a> {
    pub fn text(&self) -> Option<&'a str> {
        match self.value.get_ref() {
            DeValue::String(s) => Some(s),
            _ => None,
        }
    }
    pub fn whole(&self) -> Option<usize> {
        match self.value.get_ref() {
            DeValue::Integer(i) => usize::from_str_radix(i.as_str(), i.radix()).ok(),
            _ => None,
        }
    }
    fn number(&self) -> Option<f64> {
        match self.value.get_ref() {
            DeValue::Float(f) => f.as_str().parse().ok(),
            DeValue::Integer(i) => i.as_str().parse().ok(),
            _ => None,
        }
    }
    fn truth(&self) -> Option<bool> {
        match self.value.get_ref() {
            DeValue::Boolean(b) => Some(*b),
            _ => None,
        }
    }
    pub fn table(&self) -> Option<Table<'a>> {
        match self.value.get_ref() {
            DeValue::Table(t) => Some(Table::new(self.text, t, self.text.span(self.value.span()))),
            _ => None,
        }
    }
    /// The elements of a list.
    pub fn elements(&self) -> Option<Vec<(Place<'a>, Span)>> {
        match self.value.get_ref() {
            DeValue::Array(all) => {
                Some(all.iter().map(|v| (Place { text: self.text, value: v }, self.text.span(v.span()))).collect())
            }
            _ => None,
        }
    }
    /// A whole number, or a list of them.
    pub fn list(&self, least: usize, most: usize) -> Result<Vec<usize>, Rule> {
        let right = || format!("whole numbers from {least} to {most}: 3 or [3, 5]");
        let all: Option<Vec<usize>> = match self.elements() {
            Some(all) => all.iter().map(|(v, _)| v.whole()).collect(),
            None => self.whole().map(|n| vec![n]),
        };
        if let DeValue::Integer(i) = self.value.get_ref()
            && all.is_none()
        {
            return Err(Rule::new(format!("{} is out of bounds", shown(i.as_str()))).right(right()));
        }
        let all = all.ok_or_else(|| Rule::new("neither a whole number nor a list of them").right(right()))?;
        match all.iter().find(|&&n| n < least || n > most) {
            Some(n) => Err(Rule::new(format!("{n} is out of bounds")).right(right())),
            None => Ok(all),
        }
    }
    /// Characters before the text inside the quotes, if it stands there as it is.
    pub fn inside(&self, text: &str) -> Option<usize> {
        let range = self.value.span();
        let raw = self.text.text.get(range.clone())?;
        let at = raw.find(text).filter(|_| !text.is_empty())?;
        Some(self.text.character(range.start + at))
    }
}

/// A table whose keys are taken.
pub(super) struct Table<'a> {
    text: &'a Text<'a>,
    table: &'a DeTable<'a>,
    /// Where it stands.
    pub span: Span,
    taken: Vec<String>,
}

impl<'a> Table<'a> {
    pub fn new(text: &'a Text<'a>, table: &'a DeTable<'a>, span: Span) -> Self {
        Table { text, table, span, taken: Vec::new() }
    }
    fn entry(&self, key: &str) -> Option<(Span, &'a Spanned<DeValue<'a>>)> {
        let found = self.table.iter().find(|(k, _)| k.get_ref() == key)?;
        Some((self.text.span(found.0.span()), found.1))
    }
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }
    pub fn keys(&self) -> Vec<String> {
        self.table.keys().map(|k| k.get_ref().to_string()).collect()
    }
    /// Where a key stands; the table's place if it does not.
    pub fn key(&self, key: &str) -> Span {
        self.entry(key).map_or(self.span, |e| e.0)
    }
    pub fn take(&mut self, key: &str) -> Option<(Place<'a>, Span)> {
        let (_, value) = self.entry(key)?;
        self.taken.push(key.to_string());
        Some((Place { text: self.text, value }, self.text.span(value.span())))
    }
    fn wrong(&self, key: &str, at: Span, right: &str) -> Fault {
        Fault::at(at, Rule::new(format!("a value that `{key}` cannot have")).right(right))
    }
    pub fn text(&mut self, key: &str) -> Result<Option<(String, Span)>, Fault> {
        let Some((value, at)) = self.take(key) else { return Ok(None) };
        let text = value.text().ok_or_else(|| self.wrong(key, at, "a text in quotes"))?;
        if text.len() > 200 {
            return Err(self.wrong(key, at, "at most 200 bytes"));
        }
        Ok(Some((text.to_string(), at)))
    }
    pub fn whole(&mut self, key: &str, least: usize, most: usize) -> Result<Option<(usize, Span)>, Fault> {
        let Some((value, at)) = self.take(key) else { return Ok(None) };
        let right = format!("a whole number from {least} to {most}");
        let n = value.whole().filter(|n| (least..=most).contains(n)).ok_or_else(|| self.wrong(key, at, &right))?;
        Ok(Some((n, at)))
    }
    pub fn number(&mut self, key: &str, default: f64) -> Result<f64, Fault> {
        let Some((value, at)) = self.take(key) else { return Ok(default) };
        value.number().filter(|v| !v.is_nan()).ok_or_else(|| self.wrong(key, at, "a number"))
    }
    pub fn truth(&mut self, key: &str, default: bool) -> Result<bool, Fault> {
        let Some((value, at)) = self.take(key) else { return Ok(default) };
        value.truth().ok_or_else(|| self.wrong(key, at, "true or false"))
    }
    /// A whole number or a list of at most 3.
    pub fn list(&mut self, key: &str, least: usize, most: usize) -> Result<Option<Vec<usize>>, Fault> {
        let Some((value, at)) = self.take(key) else { return Ok(None) };
        let all = value.list(least, most).map_err(|r| Fault::at(at, r))?;
        if all.is_empty() || all.len() > 3 {
            return Err(self.wrong(key, at, "a number, or one for each dimension: 3 or [3, 5]"));
        }
        Ok(Some(all))
    }
    pub fn table(&mut self, key: &str) -> Result<Option<Table<'a>>, Fault> {
        let Some((value, at)) = self.take(key) else { return Ok(None) };
        value.table().map(Some).ok_or_else(|| self.wrong(key, at, &format!("a table: [{key}]")))
    }
    /// Refuses the first key that is none of `keys`; `inferred` are those that follow from what is there.
    pub fn known(&self, keys: &[&str], inferred: &[&str]) -> Result<(), Fault> {
        let unknown = self.table.keys().find(|k| !keys.contains(&k.get_ref().as_ref()));
        unknown.map_or(Ok(()), |key| Err(self.refused(key, keys, inferred)))
    }
    /// Refuses the first key that nobody took; `keys` are those that could stand here.
    pub fn finish(self, keys: &[&str]) -> Result<(), Fault> {
        let left = self.table.keys().find(|k| !self.taken.iter().any(|t| t == k.get_ref()));
        left.map_or(Ok(()), |key| Err(self.refused(key, keys, &[])))
    }
    fn refused(&self, key: &Spanned<DeString<'_>>, keys: &[&str], inferred: &[&str]) -> Fault {
        let at = self.text.span(key.span());
        let name = key.get_ref().as_ref();
        if inferred.contains(&name) {
            let rule = Rule::new(format!("`{name}` follows from the layer before"));
            return Fault::at(at, rule.right("no such key"));
        }
        if name == "type" && keys.contains(&"kind") {
            return Fault::at(at, Rule::new("there is no key `type` here").right("kind = \"conv\""));
        }
        let all = format!("one of {}", keys.join(", "));
        let right = crate::nearest::suggestion(name, keys.iter().copied(), &all);
        Fault::at(at, Rule::new(format!("there is no key `{}` here", shown(name))).right(right))
    }
}
