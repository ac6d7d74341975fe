//! The lectures' sentences: `96 11x11 filters at stride 4, pad 0`, `MAX POOL1: 3x3 filters at stride 2`,
//! `[55x55x96] CONV1: …`, `FC6: 4096 neurons`.

use super::error::Fault;
use super::lex::{Sign, Span, Token};
use super::options::{Options, Pad};
use super::tree::{Item, MOST_REPEATS, Parser, What};
use super::words::{self, ConvKind, Layer, MOST_FILTERS, MOST_KERNEL, MOST_UNITS};
use crate::{LrnOptions, zoo::MOST_EXTENT};
use gabor_tensor::Rule;

/// Words between the parts of a sentence.
const FILLERS: &[&str] = &["with", "at", "and", "applied", "a", "of", "using"];

/// Joins words that name one layer: `max pool`, `soft max`, `batch normalization`, `fully connected`.
pub(super) fn join(tokens: Vec<Token>) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        if let (Some(Token { sign: Sign::Word(first), span }), Sign::Word(second)) = (out.last_mut(), &token.sign)
            && let Some(joined) = joined(first, second)
        {
            *first = joined;
            *span = span.to(token.span);
            continue;
        }
        out.push(token);
    }
    out
}

fn joined(first: &str, second: &str) -> Option<String> {
    let pool = second.strip_prefix("pooling").or(second.strip_prefix("pool"));
    Some(match (first, second) {
        ("max" | "average" | "avg" | "l2", _) if pool.is_some() => format!("{first}pool{}", pool.unwrap_or_default()),
        ("soft", "max") => "softmax".into(),
        ("fully", "connected") => "fc".into(),
        ("batch", "norm" | "normalization" | "normalisation") => "bn".into(),
        _ => return None,
    })
}

fn is_filter(word: Option<&str>) -> bool {
    matches!(word, Some("filter" | "filters" | "kernel" | "kernels"))
}
fn is_number(word: &str) -> bool {
    word.bytes().all(|b| b.is_ascii_digit())
}
fn is_size(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) && word.bytes().all(|b| b.is_ascii_digit() || b == b'x')
}

impl Parser<'_> {
    /// Where the next word that is no filler stands.
    fn after_fillers(&self) -> usize {
        let mut i = self.at;
        while matches!(self.sign_at(i), Some(Sign::Comma)) || self.word_at(i).is_some_and(|w| FILLERS.contains(&w)) {
            i += 1;
        }
        i
    }
    fn span_at(&self, i: usize) -> Span {
        self.tokens.get(i).map_or(Span::default(), |t| t.span)
    }

    /// `[55x55x96]` or `[4096]`: what a layer gives, in the order of the text.
    pub fn claim(&mut self) -> Result<Option<(Vec<usize>, Span)>, Fault> {
        let (Some(Sign::Open(false)), Some(word), Some(Sign::Close)) =
            (self.sign_at(self.at), self.word_at(self.at + 1).filter(|w| is_size(w)), self.sign_at(self.at + 2))
        else {
            return Ok(None);
        };
        let span = self.span_at(self.at).to(self.span_at(self.at + 2));
        let all = word.split('x').map(|t| words::positive(t, MOST_UNITS)).collect::<Result<Vec<_>, _>>();
        let all = all.map_err(|r| Fault::at(span, r))?;
        if all.len() > 4 {
            return Err(Fault::at(span, Rule::new(format!("a shape of {} numbers", all.len())).right("[55x55x96]")));
        }
        self.at += 3;
        Ok(Some((all, span)))
    }
    /// Passes over a remark in round brackets: plain words, none of them a layer's.
    pub fn remark(&mut self) {
        if self.sign_at(self.at) != Some(&Sign::Open(true)) {
            return;
        }
        let mut i = self.at + 1;
        while self.word_at(i).is_some_and(|w| words::layer(w).is_err() && !self.definitions.contains_key(w)) {
            i += 1;
        }
        if self.sign_at(i) == Some(&Sign::Close) {
            self.at = i + 1;
        }
    }
    /// After INPUT: `64 words of 20000`, or `words of 20000` where the data say how many.
    pub fn input_text(&mut self) -> Result<Option<(Layer, Span)>, Fault> {
        let number = self.word_at(self.at).filter(|w| is_number(w));
        let i = self.at + usize::from(number.is_some());
        if !matches!(self.word_at(i), Some("words" | "tokens")) {
            return Ok(None);
        }
        let span = self.span_at(self.at).to(self.span_at(i + 2));
        let at = |r| Fault::at(span, r);
        let (Some("of"), Some(vocabulary)) = (self.word_at(i + 1), self.word_at(i + 2)) else {
            let rule = Rule::new("a text out of how many words?");
            return Err(at(rule.right("INPUT 64 words of 20000")));
        };
        let length = number.map(|n| words::positive(n, MOST_EXTENT)).transpose().map_err(at)?;
        let vocabulary = words::positive(vocabulary, MOST_UNITS).map_err(at)?;
        self.at = i + 3;
        Ok(Some((Layer::Text { length, vocabulary }, span)))
    }
    /// After INPUT: `3x32x32`, or `(224×224 RGB image)`.
    pub fn input_extents(&mut self) -> Result<Option<(Vec<usize>, Span)>, Fault> {
        if matches!(self.word_at(self.at + 1), Some("words" | "tokens")) {
            return Ok(None);
        }
        if let Some(w) = self.word_at(self.at).filter(|w| w.starts_with(|c: char| c.is_ascii_digit())) {
            let span = self.span_at(self.at);
            self.at += 1;
            return Ok(Some((words::extents(w).map_err(|r| Fault::at(span, r))?, span)));
        }
        let open = self.at;
        if self.sign_at(open) != Some(&Sign::Open(true)) {
            return Ok(None);
        }
        let mut i = open + 1;
        let mut size = String::new();
        while let Some(w) = self.word_at(i).filter(|w| is_size(w) || *w == "x") {
            size += w;
            i += 1;
        }
        let channels = match self.word_at(i) {
            Some("rgb" | "colour" | "color") => 3,
            Some("grey" | "gray" | "greyscale" | "grayscale") => 1,
            _ => return Ok(None),
        };
        i += 1 + usize::from(self.word_at(i + 1) == Some("image"));
        if self.sign_at(i) != Some(&Sign::Close) {
            return Ok(None);
        }
        let span = self.span_at(open).to(self.span_at(i));
        self.at = i + 1;
        let spatial = words::extents(&size).map_err(|r| Fault::at(span, r))?;
        Ok(Some(([&[channels], &spatial[..]].concat(), span)))
    }
    /// `96 11x11 filters at stride 4, pad 0`: in words nothing is padded unless said.
    pub fn filters(&mut self, word: &str, span: Span) -> Result<Option<Item>, Fault> {
        if !is_number(word) {
            return Ok(None);
        }
        if matches!(self.word_at(self.at), Some("neurons" | "units" | "outputs")) {
            let units = words::positive(word, MOST_UNITS).map_err(|r| Fault::at(span, r))?;
            let span = span.to(self.span_at(self.at));
            self.at += 1;
            return Ok(Some(Item::new(What::Layer(Layer::Dense { units: Some(units), bias: true }), span)));
        }
        let Some(size) = self.word_at(self.at).filter(|s| is_size(s) && is_filter(self.word_at(self.at + 1))) else {
            return Ok(None);
        };
        let at = |r| Fault::at(span, r);
        let filters = Some(words::positive(word, MOST_FILTERS).map_err(at)?);
        let kernel = words::sizes(size, MOST_KERNEL).map_err(at)?;
        let mut layer = Layer::Conv { kind: ConvKind::Plain, kernel, filters, options: Options::default() };
        let mut span = span.to(self.span_at(self.at + 1));
        self.at += 2;
        self.options(&mut layer, &mut span)?;
        if let Layer::Conv { options, .. } = &mut layer {
            options.pad.get_or_insert(Pad::Numbers(vec![0]));
        }
        Ok(Some(Item::new(What::Layer(layer), span)))
    }
    /// `with 2x2 filters` after a pooling.
    pub fn window(&mut self, layer: &mut Layer) -> Result<Option<Span>, Fault> {
        let Layer::Pool { kernel, .. } = layer else { return Ok(None) };
        let i = self.after_fillers();
        let Some(size) = self.word_at(i).filter(|w| is_size(w) && is_filter(self.word_at(i + 1))) else {
            return Ok(None);
        };
        let span = self.span_at(i).to(self.span_at(i + 1));
        *kernel = words::sizes(size, MOST_KERNEL).map_err(|r| Fault::at(span, r))?;
        self.at = i + 2;
        Ok(Some(span))
    }
    /// `s2`, `stride 2`, `stride=2`, `pad 1`, `padding same`, `dilation 2`, `groups 2`.
    pub fn option_in_words(&mut self) -> Result<Option<(Options, Span)>, Fault> {
        let i = self.after_fillers();
        let Some(word) = self.word_at(i) else { return Ok(None) };
        let start = self.span_at(i);
        let letter = match word {
            "stride" | "strides" => "s",
            "pad" | "padding" => "p",
            "dilation" => "d",
            "groups" => "g",
            _ => {
                let Some(options) = Options::read(word) else { return Ok(None) };
                self.at = i + 1;
                return Ok(Some((options.map_err(|r| Fault::at(start, r))?, start)));
            }
        };
        let j = i + 1 + usize::from(self.sign_at(i + 1) == Some(&Sign::Equals) || self.word_at(i + 1) == Some("of"));
        let fault = |span| Fault::at(span, Rule::new(format!("no number follows `{word}`")).right(format!("{word} 1")));
        let value = self.word_at(j).ok_or_else(|| fault(start))?;
        let span = start.to(self.span_at(j));
        let text =
            if letter == "p" && matches!(value, "same" | "valid") { value.into() } else { format!("{letter}{value}") };
        let options = Options::read(&text).ok_or_else(|| fault(span))?;
        self.at = j + 1;
        Ok(Some((options.map_err(|r| Fault::at(span, r))?, span)))
    }

    /// What stands after `LABEL:`. Where a layer follows, the label is its name; else the label is the layer.
    pub fn labelled(&mut self, label: &str, span: Span, depth: usize) -> Result<Option<Item>, Fault> {
        let letters = label.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        match letters {
            "memory" | "params" | "parameters" => {
                self.numbers();
                return Ok(None);
            }
            "input" => return self.labelled_input(span).map(Some),
            _ => {}
        }
        let remark = |w: &str| matches!(w, "memory" | "params" | "parameters");
        let follows = match self.sign_at(self.at) {
            Some(Sign::Word(w)) => self.sign_at(self.at + 1) != Some(&Sign::Colon) && !remark(w),
            Some(Sign::Open(round)) => *round || !self.word_at(self.at + 1).is_some_and(is_size),
            _ => false,
        };
        if !follows {
            let mut item = self.layer(label, span)?;
            if let Some((extents, place)) = self.claim()? {
                if let What::Layer(Layer::Dense { units: units @ None, .. }) = &mut item.what {
                    *units = Some(extents.iter().fold(1usize, |a, &b| a.saturating_mul(b)).min(MOST_UNITS));
                }
                let claim = Item::new(What::Layer(Layer::Claim(extents)), place);
                let span = item.span.to(place);
                item = Item::new(What::Group(vec![item, claim]), span);
            }
            self.remark();
            return Ok(Some(item));
        }
        let mut item = self.body(letters, span, depth)?;
        item.span = span.to(item.span);
        self.remark();
        let Some((first, last)) = label.split_once("..") else {
            // A kind alone (`CONV:`) names nothing.
            if words::layer(label).is_err() || label.ends_with(|c: char| c.is_ascii_digit()) {
                item.name = Some(label.replace('-', "_"));
            }
            return Ok(Some(item));
        };
        let stem = first.trim_end_matches(|c: char| c.is_ascii_digit());
        let range = (first[stem.len()..].parse::<usize>(), last.parse::<usize>());
        let (Ok(from), Ok(to)) = range else {
            return Err(Fault::at(span, Rule::new(format!("`{label}` is no range")).right("CONV2..12:")));
        };
        if from > to || to - from >= MOST_REPEATS {
            let rule = Rule::new(format!("`{label}` is a range of no length, or of more than {MOST_REPEATS}"));
            return Err(Fault::at(span, rule.right("CONV2..12:")));
        }
        let all = (from..=to).map(|i| Item { name: Some(format!("{stem}{i}")), ..item.clone() }).collect();
        Ok(Some(Item::new(What::Group(all), item.span)))
    }
    /// The layer that a label names, whose kind the label may say.
    fn body(&mut self, kind: &str, span: Span, depth: usize) -> Result<Item, Fault> {
        let start = self.span_at(self.at);
        let pool = matches!(words::layer(kind), Ok(Layer::Pool { .. }));
        if pool && self.word_at(self.at).is_some_and(is_size) && is_filter(self.word_at(self.at + 1)) {
            let mut layer = words::layer(kind).map_err(|r| Fault::at(span, r))?;
            let mut span = start;
            self.options(&mut layer, &mut span)?;
            return Ok(Item::new(What::Layer(layer), span));
        }
        if matches!(self.word_at(self.at), Some("normalization" | "normalisation")) {
            let end = self.at + usize::from(self.word_at(self.at + 1) == Some("layer"));
            let span = start.to(self.span_at(end));
            self.at = end + 1;
            return Ok(Item::new(What::Layer(Layer::Lrn(LrnOptions::default())), span));
        }
        if let Some(Sign::Open(_)) = self.sign_at(self.at) {
            let group = self.group(depth)?;
            return self.postfix(group);
        }
        let item = self.item(depth)?;
        item.ok_or_else(|| Fault::at(span, Rule::new("this label names no layer").right("CONV1: 96 11x11 filters")))
    }
    /// `INPUT: [224x224x3]`, `Input: 227x227x3 images`, `Input volume: 32x32x3`: the lectures' order, depth last.
    fn labelled_input(&mut self, span: Span) -> Result<Item, Fault> {
        if let Some((mut extents, place)) = self.claim()? {
            extents.reverse();
            return Ok(Item::new(What::Layer(Layer::Input(Some(extents))), span.to(place)));
        }
        let images = matches!(self.word_at(self.at + 1), Some("images" | "image" | "volume"));
        let found = self.input_extents()?;
        let place = found.as_ref().map_or(span, |f| f.1);
        let mut extents = found.map(|f| f.0);
        if images {
            self.at += 1;
            extents.iter_mut().for_each(|e| e.reverse());
        }
        if extents.iter().flatten().any(|&e| e > MOST_EXTENT) {
            return Err(Fault::at(place, Rule::new("the input is too large").right(format!("at most {MOST_EXTENT}"))));
        }
        Ok(Item::new(What::Layer(Layer::Input(extents)), span.to(place)))
    }
    /// Passes over what follows `memory:` and `params:`, as in `(3*3*3)*64 = 1,728`.
    fn numbers(&mut self) {
        let numeric = |i: usize| match self.sign_at(i) {
            Some(Sign::Word(w)) => w.starts_with(|c: char| c.is_ascii_digit()),
            Some(Sign::Star | Sign::Equals | Sign::Comma | Sign::Open(true) | Sign::Close) => true,
            _ => false,
        };
        let mut open = 0usize;
        let mut i = self.at;
        while numeric(i) {
            match self.sign_at(i) {
                Some(Sign::Open(_)) => open += 1,
                Some(Sign::Close) if open == 0 => break,
                Some(Sign::Close) => open -= 1,
                _ => {}
            }
            i += 1;
        }
        self.at = i;
    }
}
