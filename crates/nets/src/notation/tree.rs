//! Chains, groups, repeats and branches.

use super::error::Fault;
use super::lex::{Sign, Span, Token};
use super::options::Options;
use super::words::{self, Layer};
use gabor_tensor::Rule;
use std::collections::BTreeMap;

/// A part of a description and its place.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub what: What,
    pub span: Span,
    /// The name that the text gives it; a group's name is the prefix of the names inside.
    pub name: Option<String>,
}

impl Item {
    pub fn new(what: What, span: Span) -> Self {
        Item { what, span, name: None }
    }
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Layer(Layer),
    /// A group in brackets.
    Group(Vec<Item>),
    /// The group's input is added to its output.
    Residual(Vec<Item>),
    Branches(Join, Vec<Vec<Item>>),
    Repeat(Box<Item>, usize),
}

/// How the results of branches become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// One after the other along the channels.
    Concat,
    Add,
    Multiply,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) enum Definition {
    /// A number of repeats.
    Number(usize),
    /// A part of a network.
    Block(Vec<Token>),
}

/// Names in lower case, and what they stand for.
pub(super) type Definitions = BTreeMap<String, Definition>;

/// Deepest nesting of groups and blocks.
pub(super) const MOST_DEPTH: usize = 16;
/// Most repeats of one group.
pub(super) const MOST_REPEATS: usize = 1000;
/// Most items that are read, those of named blocks counted wherever they are used.
const MOST_ITEMS: usize = 20_000;

/// Reads a whole description, whose names have the meanings of `definitions` and of its own `where`.
pub(super) fn parse(tokens: Vec<Token>, mut definitions: Definitions) -> Result<Vec<Item>, Fault> {
    let mut tokens = super::phrase::join(tokens);
    let at_where = tokens.iter().position(|t| matches!(&t.sign, Sign::Word(w) if w == "where"));
    if let Some(at) = at_where {
        let tail = tokens.split_off(at);
        super::define::read(&tail, &mut definitions)?;
    }
    let mut p = Parser { tokens: &tokens, at: 0, definitions: &definitions, left: MOST_ITEMS };
    let items = p.chain(0)?;
    match p.peek() {
        None if items.is_empty() => {
            let rule =
                Rule::new("the description is empty").right("INPUT 3x32x32 -> CONV3-16 -> RELU -> POOL -> FC-10");
            Err(Fault::at(tokens.first().map_or(Span::default(), |t| t.span), rule))
        }
        None => Ok(items),
        Some(t) if t.sign == Sign::Bar => Err(Fault::at(
            t.span,
            Rule::new("`|` separates branches, and there is no bracket around it").right("[ conv1-16 | conv3-16 ]"),
        )),
        Some(t) => Err(Fault::at(t.span, Rule::new("this bracket closes nothing").right("one `[` for each `]`"))),
    }
}

pub(super) struct Parser<'a> {
    pub tokens: &'a [Token],
    pub at: usize,
    pub definitions: &'a Definitions,
    /// Items that may still be read.
    left: usize,
}

impl<'a> Parser<'a> {
    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }
    pub fn word_at(&self, i: usize) -> Option<&'a str> {
        match self.tokens.get(i) {
            Some(Token { sign: Sign::Word(w), .. }) => Some(w),
            _ => None,
        }
    }
    pub fn sign_at(&self, i: usize) -> Option<&'a Sign> {
        self.tokens.get(i).map(|t| &t.sign)
    }
    pub fn next_is(&mut self, sign: &Sign) -> Option<Span> {
        let token = self.peek().filter(|t| t.sign == *sign)?;
        self.at += 1;
        Some(token.span)
    }

    /// Items up to a closing bracket, a bar or the end.
    fn chain(&mut self, depth: usize) -> Result<Vec<Item>, Fault> {
        let mut items: Vec<Item> = Vec::new();
        // What the next layer gives, as the text says before it.
        let mut claim: Option<(Vec<usize>, Span)> = None;
        while let Some(token) = self.peek() {
            match &token.sign {
                Sign::Close | Sign::Bar => break,
                Sign::Arrow => {
                    self.at += 1;
                    if self.peek().is_none_or(|t| !matches!(t.sign, Sign::Word(_) | Sign::Open(_))) {
                        return Err(Fault::at(token.span, Rule::new("no layer follows this arrow").right("a layer")));
                    }
                }
                Sign::Comma => self.at += 1,
                Sign::Result => {
                    self.at += 1;
                    let Some((extents, span)) = self.claim()? else {
                        let rule = Rule::new("no shape follows `=>`").right("what comes out: => [55x55x96], or ->");
                        return Err(Fault::at(token.span, rule));
                    };
                    items.push(Item::new(What::Layer(Layer::Claim(extents)), span));
                    self.remark();
                }
                Sign::Open(_) => match self.claim()? {
                    Some(found) if claim.is_none() => claim = Some(found),
                    Some((_, span)) => return Err(no_layer(span)),
                    None => {
                        let item = self.group(depth)?;
                        items.push(self.postfix(item)?);
                    }
                },
                Sign::Word(_) => {
                    let Some(mut item) = self.item(depth)? else { continue };
                    let claimed = claim.take();
                    if let (What::Layer(Layer::Input(extents @ None)), Some((size, _))) = (&mut item.what, &claimed) {
                        *extents = Some(size.iter().rev().copied().collect());
                        items.push(item);
                        continue;
                    }
                    items.push(item);
                    items.extend(claimed.map(|(size, span)| Item::new(What::Layer(Layer::Claim(size)), span)));
                }
                _ => {
                    return Err(Fault::at(
                        token.span,
                        Rule::new("this stands after no layer or group")
                            .right("as in POOL?, [CONV -> RELU]*2, conv3-64/2"),
                    ));
                }
            }
        }
        match claim {
            Some((_, span)) => Err(no_layer(span)),
            None => Ok(items),
        }
    }
    /// What begins with a word, with all that belongs to it; `None` for a remark.
    pub fn item(&mut self, depth: usize) -> Result<Option<Item>, Fault> {
        let Some(Token { sign: Sign::Word(word), span }) = self.peek() else { return Ok(None) };
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Fault::at(*span, Rule::new(format!("more than {MOST_ITEMS} layers with all named blocks")))
        })?;
        self.at += 1;
        if self.next_is(&Sign::Colon).is_some() {
            return self.labelled(word, *span, depth);
        }
        let opens = matches!(self.sign_at(self.at), Some(Sign::Open(_)));
        let item = match word.as_str() {
            "res" | "residual" => self.residual(*span, depth)?,
            "add" | "sum" if opens => self.joined(Join::Add, *span, depth)?,
            "mul" | "scale" if opens => self.joined(Join::Multiply, *span, depth)?,
            "concat" if opens => self.joined(Join::Concat, *span, depth)?,
            "add" | "sum" | "mul" | "scale" | "concat" => {
                let rule =
                    Rule::new(format!("`{word}` wants branches")).right(format!("{word}[ conv3-16 | conv1-16 ]"));
                return Err(Fault::at(*span, rule));
            }
            _ => match self.definitions.get(word) {
                Some(Definition::Block(tokens)) => self.block(tokens, *span, depth)?,
                Some(Definition::Number(_)) => {
                    let rule = Rule::new(format!("`{word}` is a number, and a layer is wanted"));
                    return Err(Fault::at(*span, rule.right(format!("[…]*{}", word.to_uppercase()))));
                }
                None => match self.filters(word, *span)? {
                    Some(item) => item,
                    None => self.layer(word, *span)?,
                },
            },
        };
        Ok(Some(self.postfix(item)?))
    }
    /// A named block, as if it were written here in brackets.
    fn block(&mut self, tokens: &'a [Token], span: Span, depth: usize) -> Result<Item, Fault> {
        if depth >= MOST_DEPTH {
            let rule = Rule::new(format!("blocks nested more than {MOST_DEPTH} deep"));
            return Err(Fault::at(span, rule.right("blocks that do not use themselves")));
        }
        let mut inner = Parser { tokens, at: 0, definitions: self.definitions, left: self.left };
        let items = inner.chain(depth + 1)?;
        self.left = inner.left;
        match inner.peek() {
            Some(t) => Err(Fault::at(t.span, Rule::new("this ends the block too early").right("one `[` for each `]`"))),
            None => Ok(Item::new(What::Group(items), span)),
        }
    }
    /// `[…]`, with branches if there are bars.
    pub fn group(&mut self, depth: usize) -> Result<Item, Fault> {
        let open = self.peek().map_or(Span::default(), |t| t.span);
        self.at += 1;
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
        let what = if parts.len() > 1 {
            What::Branches(Join::Concat, parts)
        } else {
            What::Group(parts.pop().unwrap_or_default())
        };
        if matches!(&what, What::Group(items) if items.is_empty()) {
            return Err(Fault::at(span, Rule::new("an empty group").right("layers inside the brackets")));
        }
        Ok(Item::new(what, span))
    }
    fn residual(&mut self, span: Span, depth: usize) -> Result<Item, Fault> {
        if self.peek().is_none_or(|t| !matches!(t.sign, Sign::Open(_))) {
            return Err(Fault::at(
                span,
                Rule::new("a residual block wants a group").right("res[conv3-64 -> conv3-64]"),
            ));
        }
        let group = self.group(depth)?;
        let span = span.to(group.span);
        Ok(match group.what {
            What::Group(items) => Item::new(What::Residual(items), span),
            // Branches inside a block need no second pair of brackets.
            _ => Item::new(What::Residual(vec![group]), span),
        })
    }
    /// Branches after `add`, `mul` or `concat`.
    fn joined(&mut self, join: Join, span: Span, depth: usize) -> Result<Item, Fault> {
        let group = self.group(depth)?;
        let span = span.to(group.span);
        match group.what {
            What::Branches(_, parts) => Ok(Item::new(What::Branches(join, parts), span)),
            _ => Err(Fault::at(span, Rule::new("one branch alone").right("branches with `|` between them"))),
        }
    }
    /// A word, and the words after it that say more of it.
    pub fn layer(&mut self, word: &str, span: Span) -> Result<Item, Fault> {
        let names = self.definitions.keys().map(String::as_str);
        let mut layer = words::layer(word).map_err(|r| Fault::at(span, words::or_name(word, names, r)))?;
        let mut span = span;
        if let Layer::Input(extents @ None) = &mut layer
            && let Some((size, place)) = self.input_extents()?
        {
            (*extents, span) = (Some(size), span.to(place));
        } else if matches!(layer, Layer::Input(None))
            && let Some((text, place)) = self.input_text()?
        {
            (layer, span) = (text, span.to(place));
        }
        self.options(&mut layer, &mut span)?;
        Ok(Item::new(What::Layer(layer), span))
    }
    /// The options that stand after a layer.
    pub fn options(&mut self, layer: &mut Layer, span: &mut Span) -> Result<(), Fault> {
        loop {
            if let Some(place) = self.window(layer)? {
                *span = span.to(place);
                continue;
            }
            let Some((options, place)) = self.option()? else { return Ok(()) };
            layer.take(&options).map_err(|r| Fault::at(place, r))?;
            *span = span.to(place);
        }
    }
    fn option(&mut self) -> Result<Option<(Options, Span)>, Fault> {
        if let Some(Token { sign: Sign::Slash, span: s }) = self.peek() {
            let word = match self.tokens.get(self.at + 1) {
                Some(Token { sign: Sign::Word(w), span: e }) if e.start == s.start + 1 => Some((w, *e)),
                _ => None,
            };
            let stride = word.and_then(|(w, e)| Some((Options::read(&format!("s{w}"))?, s.to(e))));
            self.at += 2;
            let (options, place) =
                stride.ok_or_else(|| Fault::at(*s, Rule::new("no stride follows `/`").right("a number: /2")))?;
            return Ok(Some((options.map_err(|r| Fault::at(place, r))?, place)));
        }
        self.option_in_words()
    }
    /// `?` and `*3` after an item.
    pub fn postfix(&mut self, mut item: Item) -> Result<Item, Fault> {
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
                let right = format!("a whole number from 0 to {MOST_REPEATS}: *2");
                let fault = |s, text: String, right: String| Err(Fault::at(s, Rule::new(text).right(right)));
                let Some(Token { sign: Sign::Word(word), span: s }) = self.peek() else {
                    return fault(span, "no number follows `*`".into(), right);
                };
                let defined = match self.definitions.get(word) {
                    Some(Definition::Number(n)) => Some(*n),
                    _ => None,
                };
                let Some(times) = defined.or(word.parse().ok()).filter(|&t: &usize| t <= MOST_REPEATS) else {
                    if word.len() == 1 && word.chars().all(char::is_alphabetic) {
                        let letter = word.to_uppercase();
                        let text = format!("`{letter}` is a placeholder of the lectures");
                        return fault(*s, text, format!("{right}, or `where {letter}=2` at the end"));
                    }
                    return fault(*s, format!("`{}` is no number of repeats", words::shown(word)), right);
                };
                self.at += 1;
                let span = item.span.to(*s);
                item = Item::new(What::Repeat(Box::new(item), times), span);
            } else {
                return Ok(item);
            }
        }
    }
}

fn no_layer(span: Span) -> Fault {
    Fault::at(span, Rule::new("a shape stands alone").right("the layer that gives it: [55x55x96] CONV1: …"))
}
