//! Words and signs of a description.

use super::error::Fault;
use super::words;
use gabor_tensor::Rule;

/// A place in the text, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
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
    /// Letters, digits, `-`, `.` and `_`, in lower case.
    Word(String),
    Arrow,
    /// `=>`, after which listings say what comes out.
    Result,
    Comma,
    /// `[` and `(`; true for the round one.
    Open(bool),
    Close,
    Star,
    Question,
    Bar,
    Slash,
    Colon,
    Equals,
}

/// A token and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub sign: Sign,
    pub span: Span,
}

/// Splits a text into tokens; spaces and comments (`#` to the end of the line) only separate. Places are counted from
/// `base`, the number of characters that stand before this text in its file.
pub(super) fn lex(text: &str, base: usize) -> Result<Vec<Token>, Fault> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens: Vec<Token> = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let next = chars.get(at + 1).copied();
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
            '→' | '–' | '—' => (Sign::Arrow, 1),
            // A stroke between layers, as in (CONV-RELU)*2-POOL.
            '-' if next.is_none_or(|n| !n.is_ascii_digit()) => (Sign::Arrow, 1),
            '=' if next == Some('>') => (Sign::Result, 2),
            '⇒' => (Sign::Result, 1),
            '=' => (Sign::Equals, 1),
            ',' | ';' => (Sign::Comma, 1),
            '[' => (Sign::Open(false), 1),
            '(' => (Sign::Open(true), 1),
            ']' | ')' => (Sign::Close, 1),
            '*' => (Sign::Star, 1),
            // A raised star, as formulas are set: ]^*2 and ]^{*}2.
            '^' if next == Some('*') => (Sign::Star, 2),
            '^' if chars[at..].starts_with(&['^', '{', '*', '}']) => (Sign::Star, 4),
            '?' => (Sign::Question, 1),
            '|' => (Sign::Bar, 1),
            '/' => (Sign::Slash, 1),
            ':' => (Sign::Colon, 1),
            c if is_word(c) => {
                let len = (at..).take_while(|&i| chars.get(i).is_some_and(|&c| is_word(c)) && !arrow(i)).count();
                // A stroke at the end of a word leads to the next layer.
                let strokes = chars[at..at + len].iter().rev().take_while(|&&c| c == '-').count();
                let len = if strokes < len { len - strokes } else { len };
                let after_star = matches!(tokens.last(), Some(Token { sign: Sign::Star, .. }));
                word(&chars[at..at + len], base + at, after_star, &mut tokens);
                at += len;
                continue;
            }
            _ => {
                let shown = if c.is_control() { format!("{c:?}") } else { format!("`{c}`") };
                return Err(Fault::at(
                    Span { start: base + at, len: 1 },
                    Rule::new(format!("{shown} means nothing here")).right("words, ->, [ ], *, ?, | and /"),
                ));
            }
        };
        tokens.push(Token { sign, span: Span { start: base + at, len } });
        at += len;
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '×')
}

/// Most layers that strokes may join to one word.
const MOST_JOINED: usize = 64;

/// Adds a word, or the words that strokes join: `conv3-64-relu` are two, `soft-max` is one.
fn word(chars: &[char], start: usize, after_star: bool, tokens: &mut Vec<Token>) {
    // A sign for multiplication stands for the letter x in sizes.
    let text: String = chars.iter().map(|&c| if c == '×' { 'x' } else { c.to_ascii_lowercase() }).collect();
    let mut cuts = vec![0];
    cuts.extend(
        text.match_indices('-')
            .map(|(i, _)| i + 1)
            .filter(|&i| i > 1 && text[i..].starts_with(|c: char| c.is_ascii_alphabetic())),
    );
    cuts.push(text.len() + 1);
    let whole = Token { sign: Sign::Word(text.clone()), span: Span { start, len: chars.len() } };
    if cuts.len() == 2 || cuts.len() > MOST_JOINED {
        tokens.push(whole);
        return;
    }
    let known = |w: &str, first: bool| {
        let repeats = first && after_star && (w.len() == 1 || w.bytes().all(|b| b.is_ascii_digit()));
        repeats || w == "res" || words::layer(w).is_ok()
    };
    let (mut made, mut from) = (Vec::new(), 0);
    while from + 1 < cuts.len() {
        let part = |to: usize| &text[cuts[from]..cuts[to] - 1];
        let Some(to) = (from + 1..cuts.len()).rev().find(|&to| known(part(to), from == 0)) else {
            // Some part is no layer: the mistake is shown as it is written.
            tokens.push(whole);
            return;
        };
        let span = Span { start: start + cuts[from], len: cuts[to] - 1 - cuts[from] };
        made.push(Token { sign: Sign::Word(part(to).to_string()), span });
        from = to;
    }
    tokens.extend(made);
}
