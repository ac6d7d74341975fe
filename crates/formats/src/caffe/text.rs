//! Protocol buffers' text format: `name: value` and `name { … }`, with lines and columns.
//!
//! Nothing is known here of the schema: a field keeps its words, and who asks for a number parses it. Texts borrow from
//! the file where no escape stands in them.

use crate::{Error, Result};
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::cell::Cell;

/// Most messages inside each other. Caffe's schema needs five.
const MAX_DEPTH: usize = 32;
/// Most fields of a file: bounds what a file of a few bytes a field costs.
const MAX_FIELDS: usize = 4_000_000;

/// A message: its fields in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Msg<'a> {
    pub(super) fields: Vec<Field<'a>>,
    pub(super) at: Position,
}

/// One field, with the place of its name.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) value: Value<'a>,
    pub(super) at: Position,
    /// Whether somebody has read it.
    pub(super) used: Cell<bool>,
}

/// Line and column, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: u32,
    pub(super) column: u32,
}

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Message(Msg<'a>),
    /// In quotes.
    Text(Cow<'a, str>),
    /// A number, `true`, or a name of an enum, as it stands.
    Word(Cow<'a, str>),
}

impl Position {
    /// An error here.
    pub(super) fn error(self, rule: Rule) -> Error {
        Error::new(format!("line {}, column {}", self.line, self.column), rule)
    }
}

/// The fields of a whole file.
///
/// # Errors
/// A text that is no such file, with line and column.
pub(super) fn parse(text: &str) -> Result<Msg<'_>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut p = Parser { rest: text, at: Position { line: 1, column: 1 }, fields: 0 };
    let message = p.message(None, 0)?;
    Ok(message)
}

struct Parser<'a> {
    rest: &'a str,
    at: Position,
    fields: usize,
}

impl<'a> Parser<'a> {
    fn error<T>(&self, rule: Rule) -> Result<T> {
        Err(self.at.error(rule))
    }
    fn bump(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        for c in taken.chars() {
            if c == '\n' {
                self.at = Position { line: self.at.line.saturating_add(1), column: 1 };
            } else {
                self.at.column = self.at.column.saturating_add(1);
            }
        }
        self.rest = rest;
        taken
    }
    /// Passes over blanks and comments.
    fn skip(&mut self) {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.bump(blank);
            if !self.rest.starts_with('#') {
                return;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.bump(end);
        }
    }
    fn eat(&mut self, c: char) -> bool {
        let found = self.rest.starts_with(c);
        if found {
            self.bump(c.len_utf8());
        }
        found
    }
    /// What stands here, for messages.
    fn found(&self) -> String {
        match self.rest.chars().next() {
            None => "the end of the file".into(),
            Some(_) => {
                let word: String = self.rest.chars().take_while(|c| !c.is_whitespace()).take(30).collect();
                format!("`{word}`")
            }
        }
    }

    /// Fields up to the closing character, or to the end of the file.
    fn message(&mut self, close: Option<char>, depth: usize) -> Result<Msg<'a>> {
        let mut message = Msg { fields: Vec::new(), at: self.at };
        if depth > MAX_DEPTH {
            return self.error(Rule::new(format!("more than {MAX_DEPTH} messages inside each other")));
        }
        loop {
            self.skip();
            if let Some(c) = close {
                if self.eat(c) {
                    return Ok(message);
                }
                if self.rest.is_empty() {
                    let rule =
                        Rule::new(format!("the file ends inside a message, which began on line {}", message.at.line));
                    return self.error(rule.right(format!("`{c}`")));
                }
            } else if self.rest.is_empty() {
                return Ok(message);
            }
            self.field(&mut message, depth)?;
        }
    }

    fn field(&mut self, message: &mut Msg<'a>, depth: usize) -> Result<()> {
        let at = self.at;
        let name = self.word();
        if name.is_empty() || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            self.at = at;
            let rule =
                Rule::new("no name of a field").given(if name.is_empty() { self.found() } else { format!("`{name}`") });
            return self.error(rule.right("name: value, or name { … }"));
        }
        self.skip();
        let colon = self.eat(':');
        self.skip();
        if self.eat('[') {
            loop {
                self.skip();
                if self.eat(']') {
                    break;
                }
                self.value(message, name, at, true, depth)?;
                self.skip();
                if !self.eat(',') && !self.rest.starts_with(']') {
                    let rule = Rule::new("a list that does not go on").given(self.found());
                    return self.error(rule.right("`,` or `]`"));
                }
            }
        } else {
            self.value(message, name, at, colon, depth)?;
        }
        self.skip();
        if !self.eat(',') {
            self.eat(';');
        }
        Ok(())
    }

    fn value(&mut self, message: &mut Msg<'a>, name: &'a str, at: Position, colon: bool, depth: usize) -> Result<()> {
        self.fields += 1;
        if self.fields > MAX_FIELDS {
            return self.error(Rule::new(format!("more than {MAX_FIELDS} fields")));
        }
        let value = if self.eat('{') {
            Value::Message(self.message(Some('}'), depth + 1)?)
        } else if self.eat('<') {
            Value::Message(self.message(Some('>'), depth + 1)?)
        } else if !colon {
            let rule = Rule::new(format!("`{name}` has no value")).given(self.found());
            return self.error(rule.right(format!("{name}: value, or {name} {{ … }}")));
        } else if self.rest.starts_with(['"', '\'']) {
            Value::Text(self.texts()?)
        } else {
            let minus = self.eat('-');
            self.skip();
            let word = self.word();
            if word.is_empty() {
                let rule = Rule::new(format!("`{name}` has no value")).given(self.found());
                return self.error(rule.right("a number, a word or a text in quotes"));
            }
            Value::Word(if minus { format!("-{word}").into() } else { word.into() })
        };
        message.fields.push(Field { name, value, at, used: Cell::new(false) });
        Ok(())
    }

    /// Letters, digits and what stands in numbers and names.
    fn word(&mut self) -> &'a str {
        let mut end = 0;
        for (i, c) in self.rest.char_indices() {
            // A sign belongs to a number after its exponent's letter alone.
            let sign = matches!(c, '+' | '-') && self.rest[..i].ends_with(['e', 'E']);
            if !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '/') || sign) {
                break;
            }
            end = i + c.len_utf8();
        }
        self.bump(end)
    }

    /// One text, or several that stand behind each other and are one.
    fn texts(&mut self) -> Result<Cow<'a, str>> {
        let mut all = self.text()?;
        loop {
            self.skip();
            if !self.rest.starts_with(['"', '\'']) {
                return Ok(all);
            }
            let more = self.text()?;
            all.to_mut().push_str(&more);
        }
    }
    fn text(&mut self) -> Result<Cow<'a, str>> {
        let start = self.at;
        let quote = if self.eat('"') { '"' } else { self.bump(1).chars().next().unwrap_or('"') };
        let mut escaped: Vec<u8> = Vec::new();
        let mut plain = true;
        let body = self.rest;
        let mut chars = body.char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '\n' => break,
                c if c == quote => {
                    self.bump(i + 1);
                    if plain {
                        return Ok(Cow::Borrowed(&body[..i]));
                    }
                    let text =
                        String::from_utf8(escaped).map_err(|_| start.error(Rule::new("a text that is not UTF-8")))?;
                    return Ok(Cow::Owned(text));
                }
                '\\' => {
                    if plain {
                        escaped.extend_from_slice(&body.as_bytes()[..i]);
                        plain = false;
                    }
                    let Some((_, c)) = chars.next() else { break };
                    match c {
                        'n' => escaped.push(b'\n'),
                        't' => escaped.push(b'\t'),
                        'r' => escaped.push(b'\r'),
                        '\\' | '\'' | '"' | '?' => escaped.push(c as u8),
                        _ => {
                            let rule = Rule::new(format!("an escape `\\{c}` in a text"));
                            return Err(start.error(rule.right("\\n, \\t, \\r, \\\\, \\\" or \\'")));
                        }
                    }
                }
                _ if plain => {}
                c => escaped.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        Err(start.error(Rule::new("a text that does not end on its line").right(quote.to_string())))
    }
}
