//! Chains, groups, repeats and branches.

use super::error::Fault;
use super::lex::{Sign, Span, Token};
use super::words::{self, Layer, Options};
use gabor_tensor::Rule;

/// A part of a description and its place.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub what: What,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Layer(Layer),
    /// A group in brackets.
    Group(Vec<Item>),
    /// The group's input is added to its output.
    Residual(Vec<Item>),
    /// Results are joined along the channels.
    Branches(Vec<Vec<Item>>),
    Repeat(Box<Item>, usize),
}

/// Deepest nesting of groups.
const MOST_DEPTH: usize = 16;
/// Most repeats of one group.
const MOST_REPEATS: usize = 1000;

/// Reads a whole description.
pub(super) fn parse(tokens: &[Token]) -> Result<Vec<Item>, Fault> {
    let mut p = Parser { tokens, at: 0 };
    let items = p.chain(0)?;
    match p.peek() {
        None if items.is_empty() => {
            let rule =
                Rule::new("the description is empty").right("INPUT 3x32x32 -> CONV3-16 -> RELU -> POOL -> FC-10");
            Err(Fault::at(Span::default(), rule))
        }
        None => Ok(items),
        Some(t) if t.sign == Sign::Bar => Err(Fault::at(
            t.span,
            Rule::new("`|` separates branches, and there is no bracket around it").right("[ conv1-16 | conv3-16 ]"),
        )),
        Some(t) => Err(Fault::at(t.span, Rule::new("this bracket closes nothing").right("one `[` for each `]`"))),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }
    fn next_is(&mut self, sign: &Sign) -> Option<Span> {
        let token = self.peek().filter(|t| t.sign == *sign)?;
        self.at += 1;
        Some(token.span)
    }

    /// Items up to a closing bracket, a bar or the end.
    fn chain(&mut self, depth: usize) -> Result<Vec<Item>, Fault> {
        let mut items = Vec::new();
        while let Some(token) = self.peek() {
            match &token.sign {
                Sign::Close | Sign::Bar => break,
                Sign::Arrow => {
                    self.at += 1;
                    if self.peek().is_none_or(|t| !matches!(t.sign, Sign::Word(_) | Sign::Open)) {
                        return Err(Fault::at(token.span, Rule::new("no layer follows this arrow").right("a layer")));
                    }
                }
                Sign::Comma => self.at += 1,
                Sign::Open => {
                    let item = self.group(depth)?;
                    items.push(self.postfix(item)?);
                }
                Sign::Word(word) => {
                    self.at += 1;
                    let item = if matches!(word.as_str(), "res" | "residual") {
                        self.residual(token.span, depth)?
                    } else {
                        self.layer(word, token.span)?
                    };
                    items.push(self.postfix(item)?);
                }
                Sign::Star | Sign::Question | Sign::Slash => {
                    return Err(Fault::at(
                        token.span,
                        Rule::new("this stands after no layer or group")
                            .right("as in POOL?, [CONV -> RELU]*2, conv3-64/2"),
                    ));
                }
            }
        }
        Ok(items)
    }
    /// `[…]`, with branches if there are bars.
    fn group(&mut self, depth: usize) -> Result<Item, Fault> {
        let open = self.next_is(&Sign::Open).unwrap_or_default();
        if depth >= MOST_DEPTH {
            return Err(Fault::at(open, Rule::new(format!("groups nested more than {MOST_DEPTH} deep"))));
        }
        let mut parts = vec![self.chain(depth + 1)?];
        while self.next_is(&Sign::Bar).is_some() {
            parts.push(self.chain(depth + 1)?);
        }
        let Some(close) = self.next_is(&Sign::Close) else {
            return Err(Fault::at(open, Rule::new("this bracket is never closed").right("a `]` after the group")));
        };
        let span = open.to(close);
        let what = if parts.len() > 1 { What::Branches(parts) } else { What::Group(parts.pop().unwrap_or_default()) };
        if matches!(&what, What::Group(items) if items.is_empty()) {
            return Err(Fault::at(span, Rule::new("an empty group").right("layers inside the brackets")));
        }
        Ok(Item { what, span })
    }
    fn residual(&mut self, span: Span, depth: usize) -> Result<Item, Fault> {
        if self.peek().is_none_or(|t| t.sign != Sign::Open) {
            return Err(Fault::at(
                span,
                Rule::new("a residual block wants a group").right("res[conv3-64 -> conv3-64]"),
            ));
        }
        let group = self.group(depth)?;
        let span = span.to(group.span);
        Ok(match group.what {
            What::Group(items) => Item { what: What::Residual(items), span },
            // Branches inside a block need no second pair of brackets.
            _ => Item { what: What::Residual(vec![group]), span },
        })
    }
    /// A word, and the words after it that say more of it.
    fn layer(&mut self, word: &str, span: Span) -> Result<Item, Fault> {
        let (mut layer, mut span) = (words::layer(word).map_err(|r| Fault::at(span, r))?, span);
        if let Layer::Input(extents @ None) = &mut layer
            && let Some(Token { sign: Sign::Word(w), span: s }) = self.peek()
            && w.starts_with(|c: char| c.is_ascii_digit())
        {
            *extents = Some(words::extents(w).map_err(|r| Fault::at(*s, r))?);
            self.at += 1;
            span = span.to(*s);
        }
        loop {
            let (options, place) = match self.peek() {
                Some(Token { sign: Sign::Slash, span: s }) => {
                    let word = match self.tokens.get(self.at + 1) {
                        Some(Token { sign: Sign::Word(w), span: e }) if e.start == s.start + 1 => Some((w, *e)),
                        _ => None,
                    };
                    let stride = word.and_then(|(w, e)| Some((Options::read(&format!("s{w}"))?, s.to(e))));
                    self.at += 2;
                    stride.ok_or_else(|| Fault::at(*s, Rule::new("no stride follows `/`").right("a number: /2")))?
                }
                Some(Token { sign: Sign::Word(w), span: s }) => match Options::read(w) {
                    Some(options) => {
                        self.at += 1;
                        (options, *s)
                    }
                    None => break,
                },
                _ => break,
            };
            let options = options.map_err(|r| Fault::at(place, r))?;
            layer.take(&options).map_err(|r| Fault::at(place, r))?;
            span = span.to(place);
        }
        Ok(Item { what: What::Layer(layer), span })
    }
    /// `?` and `*3` after an item.
    fn postfix(&mut self, mut item: Item) -> Result<Item, Fault> {
        loop {
            if let Some(span) = self.next_is(&Sign::Question) {
                match &mut item.what {
                    What::Layer(Layer::Pool { optional, .. }) => *optional = true,
                    _ => {
                        return Err(Fault::at(
                            span,
                            Rule::new("only a pooling may be left open with `?`").right("POOL?"),
                        ));
                    }
                }
                item.span = item.span.to(span);
            } else if let Some(span) = self.next_is(&Sign::Star) {
                let fault = |s, text: String| {
                    Err(Fault::at(s, Rule::new(text).right(format!("a whole number from 0 to {MOST_REPEATS}: *2"))))
                };
                let Some(Token { sign: Sign::Word(word), span: s }) = self.peek() else {
                    return fault(span, "no number follows `*`".into());
                };
                let Some(times) = word.parse().ok().filter(|&t: &usize| t <= MOST_REPEATS) else {
                    let why = if word.len() == 1 && word.chars().all(char::is_alphabetic) {
                        format!("`{}` is a placeholder of the lectures", word.to_uppercase())
                    } else {
                        format!("`{}` is no number of repeats", words::shown(word))
                    };
                    return fault(*s, why);
                };
                self.at += 1;
                let span = item.span.to(*s);
                item = Item { what: What::Repeat(Box::new(item), times), span };
            } else {
                return Ok(item);
            }
        }
    }
}
