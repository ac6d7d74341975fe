//! The words of the notation.

use crate::Activation;
use crate::zoo::MOST_EXTENT;
use gabor_tensor::Rule;

/// Largest number of filters or units.
const MOST_FILTERS: usize = 1 << 14;
/// Largest number of outputs of a fully connected layer.
const MOST_UNITS: usize = 1 << 20;
/// Largest extent of a kernel.
const MOST_KERNEL: usize = 255;
/// Largest stride, padding, dilation.
const MOST_OPTION: usize = 1 << 10;

/// Which convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConvKind {
    Plain,
    Depthwise,
    Transposed,
}

/// Which pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PoolKind {
    Max,
    Average,
    L2,
}

/// A layer as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layer {
    Input(Option<Vec<usize>>),
    Conv { kind: ConvKind, kernel: Vec<usize>, filters: Option<usize>, options: Options },
    Pool { kind: PoolKind, kernel: Vec<usize>, options: Options, optional: bool },
    GlobalAverage,
    GlobalMax,
    AdaptiveAverage(Vec<usize>),
    Dense(Option<usize>),
    Lrn(usize),
    BatchNorm,
    GroupNorm(usize),
    Activation(Activation),
    Maxout(usize),
    Dropout(f64),
    Flatten,
    Softmax,
}

/// Padding as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pad {
    Number(usize),
    Same,
}

/// What may stand after a convolution or pooling.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub stride: Option<usize>,
    pub pad: Option<Pad>,
    pub groups: Option<usize>,
    pub dilation: Option<usize>,
    pub no_bias: bool,
    pub ceil: bool,
}

impl Options {
    /// Reads `s2p1`, `same`, `nobias` and the like; `None` if the word is no option.
    pub fn read(word: &str) -> Option<Result<Options, Rule>> {
        let mut o = Options::default();
        match word {
            "same" => o.pad = Some(Pad::Same),
            "valid" => o.pad = Some(Pad::Number(0)),
            "nobias" => o.no_bias = true,
            "ceil" => o.ceil = true,
            _ => {
                let mut rest = word;
                let mut parts = Vec::new();
                while !rest.is_empty() {
                    let letter = rest.chars().next().filter(|c| "spgd".contains(*c))?;
                    let digits: String = rest[1..].chars().take_while(char::is_ascii_digit).collect();
                    if digits.is_empty() {
                        return None;
                    }
                    rest = &rest[1 + digits.len()..];
                    parts.push((letter, digits));
                }
                for (letter, digits) in &parts {
                    if let Err(rule) = o.put(*letter, digits) {
                        return Some(Err(rule));
                    }
                }
            }
        }
        Some(Ok(o))
    }
    fn put(&mut self, letter: char, digits: &str) -> Result<(), Rule> {
        let most = if letter == 'g' { MOST_FILTERS } else { MOST_OPTION };
        let least = usize::from(letter != 'p');
        let v = number(digits, most)?;
        if v < least {
            return Err(Rule::new(format!("`{letter}{digits}`")).right("at least 1"));
        }
        match letter {
            's' => self.stride = Some(v),
            'p' => self.pad = Some(Pad::Number(v)),
            'g' => self.groups = Some(v),
            _ => self.dilation = Some(v),
        }
        Ok(())
    }
    /// The first thing said, by name.
    fn said(&self) -> &'static str {
        match self {
            Options { stride: Some(_), .. } => "a stride",
            Options { pad: Some(_), .. } => "a padding",
            Options { groups: Some(_), .. } => "groups",
            Options { dilation: Some(_), .. } => "a dilation",
            Options { no_bias: true, .. } => "a bias",
            _ => "ceil mode",
        }
    }
}

impl Layer {
    /// Adds options that stand after the layer.
    pub fn take(&mut self, more: &Options) -> Result<(), Rule> {
        let name = self.name();
        let refuse = |what: &str| Err(Rule::new(format!("{name} has no {}", what.trim_start_matches("a "))));
        let mine = match self {
            Layer::Conv { options, kind, .. } => {
                if more.ceil {
                    return refuse("ceil mode");
                }
                if *kind == ConvKind::Depthwise && more.groups.is_some() {
                    return refuse("other groups than its channels");
                }
                options
            }
            Layer::Pool { options, .. } => {
                if more.groups.is_some() {
                    return refuse("groups");
                }
                if more.no_bias {
                    return refuse("bias");
                }
                options
            }
            _ => {
                return refuse(more.said()).map_err(|r: Rule| {
                    r.right("s, p, g, d, same, valid, nobias and ceil after a convolution or pooling")
                });
            }
        };
        let twice = (mine.stride.is_some() && more.stride.is_some())
            || (mine.pad.is_some() && more.pad.is_some())
            || (mine.groups.is_some() && more.groups.is_some())
            || (mine.dilation.is_some() && more.dilation.is_some());
        if twice {
            return Err(Rule::new(format!("{name} has {} twice", more.said())).right("each option once"));
        }
        mine.stride = mine.stride.or(more.stride);
        mine.pad = mine.pad.or(more.pad);
        mine.groups = mine.groups.or(more.groups);
        mine.dilation = mine.dilation.or(more.dilation);
        mine.no_bias |= more.no_bias;
        mine.ceil |= more.ceil;
        Ok(())
    }
    fn name(&self) -> &'static str {
        match self {
            Layer::Input(_) => "INPUT",
            Layer::Conv { .. } => "a convolution",
            Layer::Pool { .. } => "a pooling",
            Layer::GlobalAverage | Layer::GlobalMax | Layer::AdaptiveAverage(_) => "pooling to a fixed size",
            Layer::Dense(_) => "FC",
            Layer::Lrn(_) | Layer::BatchNorm | Layer::GroupNorm(_) => "a normalisation",
            Layer::Activation(_) | Layer::Maxout(_) => "an activation",
            Layer::Dropout(_) => "dropout",
            Layer::Flatten => "flatten",
            Layer::Softmax => "soft-max",
        }
    }
}

/// Words that begin a layer, for suggestions.
const KNOWN: &[&str] = &[
    "input",
    "conv",
    "dwconv",
    "deconv",
    "pool",
    "maxpool",
    "avgpool",
    "l2pool",
    "gap",
    "gmp",
    "adaptiveavgpool",
    "fc",
    "lrn",
    "bn",
    "gn",
    "maxout",
    "dropout",
    "flatten",
    "soft-max",
    "res",
];

/// Reads a word as a layer.
pub(super) fn layer(word: &str) -> Result<Layer, Rule> {
    if let Ok(a) = Activation::from_name(word) {
        return Ok(Layer::Activation(a));
    }
    let (head, rest) = split(word);
    let conv = |kind| {
        let (kernel, filters, options) = conv_numbers(rest)?;
        if kind == ConvKind::Depthwise && filters.is_some() {
            return Err(Rule::new("a depthwise convolution has a filter for each channel").right("dwconv3"));
        }
        let mut layer = Layer::Conv { kind, kernel, filters, options: Options::default() };
        layer.take(&options)?;
        Ok(layer)
    };
    let pool = |kind| {
        let (kernel, options) = pool_numbers(rest)?;
        let mut layer = Layer::Pool { kind, kernel, options: Options::default(), optional: false };
        layer.take(&options)?;
        Ok(layer)
    };
    let plain = |layer: Layer| {
        if rest.is_empty() { Ok(layer) } else { Err(Rule::new(format!("`{}` takes no number", shown(&head)))) }
    };
    let one = |most: usize, default: Option<usize>| match (rest, default) {
        ("", Some(d)) => Ok(d),
        ("", None) => Err(Rule::new(format!("`{}` wants a number", shown(&head)))),
        (t, _) => positive(t, most),
    };
    match head.as_str() {
        "input" if rest.is_empty() => Ok(Layer::Input(None)),
        "input" => Ok(Layer::Input(Some(extents(rest)?))),
        "conv" | "convolution" => conv(ConvKind::Plain),
        "dwconv" | "depthwise" => conv(ConvKind::Depthwise),
        "deconv" | "tconv" | "convtranspose" => conv(ConvKind::Transposed),
        "pool" | "maxpool" | "mp" => pool(PoolKind::Max),
        "avgpool" | "averagepool" => pool(PoolKind::Average),
        "l2pool" => pool(PoolKind::L2),
        "gap" | "globalavgpool" | "globalaveragepool" => plain(Layer::GlobalAverage),
        "gmp" | "globalmaxpool" => plain(Layer::GlobalMax),
        "adaptiveavgpool" => Ok(Layer::AdaptiveAverage(sizes(rest, MOST_OPTION)?)),
        "fc" | "linear" | "dense" if rest.is_empty() => Ok(Layer::Dense(None)),
        "fc" | "linear" | "dense" => Ok(Layer::Dense(Some(positive(rest, MOST_UNITS)?))),
        "lrn" | "norm" => Ok(Layer::Lrn(one(MOST_OPTION, Some(5))?)),
        "bn" | "batchnorm" => plain(Layer::BatchNorm),
        "gn" | "groupnorm" => Ok(Layer::GroupNorm(one(MOST_FILTERS, None)?)),
        "maxout" => Ok(Layer::Maxout(one(MOST_FILTERS, Some(2))?)),
        "dropout" => dropout(rest),
        "flatten" => plain(Layer::Flatten),
        "softmax" => plain(Layer::Softmax),
        _ => {
            let names = KNOWN.iter().chain(Activation::NAMES).copied();
            let right = crate::nearest::suggestion(&head, names, "CONV3-64, POOL, FC-10, RELU, bn, dropout0.5, …");
            Err(Rule::new(format!("`{}` is not a layer", shown(word))).right(right))
        }
    }
}

/// A word that is echoed: at most 40 characters of it.
pub(super) fn shown(word: &str) -> String {
    if word.chars().count() <= 40 { word.to_string() } else { word.chars().take(39).collect::<String>() + "…" }
}

/// The letters of a word without `-` and `_`, and what follows from the first digit (or the `-` before it) on.
fn split(word: &str) -> (String, &str) {
    // The 2 of l2pool belongs to its name.
    if let Some(rest) = word.strip_prefix("l2pool").or(word.strip_prefix("l2-pool")) {
        return ("l2pool".into(), rest.strip_prefix('-').unwrap_or(rest));
    }
    let digit = word.find(|c: char| c.is_ascii_digit()).unwrap_or(word.len());
    let (head, rest) = word.split_at(digit);
    let name: String = head.chars().filter(|c| !matches!(c, '-' | '_')).collect();
    // `conv-64` names filters, `fc-10` units: the first keeps its sign.
    let rest = if head.ends_with('-') && name == "conv" { &word[digit - 1..] } else { rest };
    (name, rest)
}

fn number(text: &str, most: usize) -> Result<usize, Rule> {
    let wrong =
        || Rule::new(format!("`{}` is not a number", shown(text))).right(format!("a whole number up to {most}"));
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    match text.parse() {
        Ok(v) if v <= most => Ok(v),
        _ => Err(Rule::new(format!("{} is too large", shown(text))).right(format!("at most {most}"))),
    }
}

fn positive(text: &str, most: usize) -> Result<usize, Rule> {
    match number(text, most)? {
        0 => Err(Rule::new("0 is too small").right("at least 1")),
        v => Ok(v),
    }
}

/// `3`, `3x5`.
fn sizes(text: &str, most: usize) -> Result<Vec<usize>, Rule> {
    let all = text.split('x').map(|t| positive(t, most)).collect::<Result<Vec<_>, _>>()?;
    if all.len() > 3 {
        return Err(Rule::new(format!("{} numbers", all.len())).right("one for each dimension, at most 3"));
    }
    Ok(all)
}

/// `3x32x32`: channels, then spatial extents.
pub(super) fn extents(text: &str) -> Result<Vec<usize>, Rule> {
    let right = "channels, height and width: 3x32x32";
    let all = text.split('x').map(|t| positive(t, MOST_EXTENT)).collect::<Result<Vec<_>, _>>();
    let all = all.map_err(|r| Rule::new(r.rule).right(format!("{right}, each from 1 to {MOST_EXTENT}")))?;
    if all.len() > 4 {
        return Err(Rule::new(format!("an input of {} extents", all.len())).right(right));
    }
    Ok(all)
}

/// `3-64`, `3x5-64s2`, `-64`, and nothing.
fn conv_numbers(rest: &str) -> Result<(Vec<usize>, Option<usize>, Options), Rule> {
    let (main, options) = tail(rest)?;
    let (kernel, filters) = match main.split_once('-') {
        Some((k, f)) => (k, Some(positive(f, MOST_FILTERS)?)),
        None => (main, None),
    };
    let kernel = if kernel.is_empty() { vec![3] } else { sizes(kernel, MOST_KERNEL)? };
    Ok((kernel, filters, options))
}

fn pool_numbers(rest: &str) -> Result<(Vec<usize>, Options), Rule> {
    let (main, options) = tail(rest)?;
    Ok((if main.is_empty() { vec![2] } else { sizes(main, MOST_KERNEL)? }, options))
}

/// Splits off options that are joined to a word: `3-64s2p1`.
fn tail(rest: &str) -> Result<(&str, Options), Rule> {
    match rest.find(['s', 'p', 'g', 'd']) {
        None => Ok((rest, Options::default())),
        Some(at) => {
            match Options::read(&rest[at..]) {
                Some(options) => Ok((&rest[..at], options?)),
                None => Err(Rule::new(format!("`{}` is no option", shown(&rest[at..])))
                    .right("s2, p1, g2, d2, as in conv3-64s2p1")),
            }
        }
    }
}

fn dropout(rest: &str) -> Result<Layer, Rule> {
    let p = if rest.is_empty() { Some(0.5) } else { rest.parse::<f64>().ok() };
    match p {
        Some(p) if (0.0..1.0).contains(&p) => Ok(Layer::Dropout(p)),
        _ => Err(Rule::new(format!("dropout with probability `{}`", shown(rest))).right("0 ≤ p < 1: dropout0.5")),
    }
}
