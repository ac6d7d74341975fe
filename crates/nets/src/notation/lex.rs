//! Words and signs of a description.

use super::error::Fault;
use gabor_tensor::Rule;

/// A place in the text, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub len: usize,
}

impl Span {
    /// From the start of one place to the end of another.
    pub fn to(self, end: Span) -> Span {
        Span { start: self.start, len: (end.start + end.len).saturating_sub(self.start) }
    }
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Letters, digits, `-`, `.` and `_`.
    Word(String),
    Arrow,
    Comma,
    Open,
    Close,
    Star,
    Question,
    Bar,
    Slash,
}

/// A token and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub sign: Sign,
    pub span: Span,
}

/// Splits a text into tokens; spaces and comments (`#` to the end of the line) only separate.
pub(super) fn lex(text: &str) -> Result<Vec<Token>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let arrow = |i: usize| chars.get(i) == Some(&'-') && chars.get(i + 1) == Some(&'>');
        let (sign, len) = match c {
            '#' => {
                at += chars[at..].iter().take_while(|&&c| c != '\n').count();
                continue;
            }
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            _ if arrow(at) => (Sign::Arrow, 2),
            '→' => (Sign::Arrow, 1),
            ',' | ';' => (Sign::Comma, 1),
            '[' | '(' => (Sign::Open, 1),
            ']' | ')' => (Sign::Close, 1),
            '*' => (Sign::Star, 1),
            '?' => (Sign::Question, 1),
            '|' => (Sign::Bar, 1),
            '/' => (Sign::Slash, 1),
            c if is_word(c) => {
                let len = (at..).take_while(|&i| chars.get(i).is_some_and(|&c| is_word(c)) && !arrow(i)).count();
                // A sign for multiplication stands for the letter x in sizes.
                let word: String = chars[at..at + len].iter().map(|&c| if c == '×' { 'x' } else { c }).collect();
                (Sign::Word(word.to_lowercase()), len)
            }
            _ => {
                let shown = if c.is_control() { format!("{c:?}") } else { format!("`{c}`") };
                return Err(Fault::at(
                    Span { start: at, len: 1 },
                    Rule::new(format!("{shown} means nothing here")).right("words, ->, [ ], *, ?, | and /"),
                ));
            }
        };
        tokens.push(Token { sign, span: Span { start: at, len } });
        at += len;
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '×')
}
