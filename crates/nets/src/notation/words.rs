//! The words of the notation.

use super::options::{MOST_OPTION, Options};
use crate::zoo::MOST_EXTENT;
use crate::{Activation, LrnOptions, NormOptions};
use gabor_tensor::Rule;

/// Largest number of filters or units.
pub(super) const MOST_FILTERS: usize = 1 << 14;
/// Largest number of outputs of a fully connected layer.
pub(super) const MOST_UNITS: usize = 1 << 20;
/// Added to the variance by group and layer normalisation.
pub(super) const EPS: f64 = 1e-5;
/// Largest extent of a kernel.
pub(super) const MOST_KERNEL: usize = 255;

/// Which convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ConvKind {
    Plain,
    Depthwise,
    Transposed,
    /// Without sharing of weights.
    Local,
}

/// Which pooling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PoolKind {
    Max,
    Average,
    /// The norm of that order.
    Norm(f64),
}

/// A layer as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Layer {
    Input(Option<Vec<usize>>),
    /// A text of so many words out of so many.
    Text {
        length: Option<usize>,
        vocabulary: usize,
    },
    /// A vector of that many numbers for each word.
    Embedding(usize),
    Conv {
        kind: ConvKind,
        kernel: Vec<usize>,
        filters: Option<usize>,
        options: Options,
    },
    Pool {
        kind: PoolKind,
        kernel: Vec<usize>,
        options: Options,
        optional: bool,
    },
    GlobalAverage,
    GlobalMax,
    AdaptiveAverage(Vec<usize>),
    AdaptiveMax(Vec<usize>),
    Dense {
        units: Option<usize>,
        bias: bool,
    },
    Lrn(LrnOptions),
    BatchNorm(NormOptions),
    GroupNorm {
        groups: usize,
        eps: f64,
    },
    /// Over a whole sample: layer normalisation.
    SampleNorm {
        eps: f64,
    },
    Activation(Activation),
    Maxout(usize),
    Dropout(f64),
    Flatten,
    /// Layer normalisation over the channels of every place.
    ChannelNorm {
        eps: f64,
    },
    /// Channel shuffle between that many groups.
    Shuffle(usize),
    /// Stochastic depth of a residual branch.
    DropPath(f64),
    /// A trainable factor per channel, of that value at first.
    ChannelScale(f64),
    /// A trainable number for every place.
    PlaceBias,
    /// The end; with a number, or after an activation, the lectures' classifier: a fully connected layer before it.
    Softmax(Option<usize>),
    /// What comes out here, as a listing says in the lectures' order: width, height, depth.
    Claim(Vec<usize>),
}

impl Layer {
    pub fn name(&self) -> &'static str {
        match self {
            Layer::Input(_) | Layer::Text { .. } => "INPUT",
            Layer::Embedding(_) => "an embedding",
            Layer::Shuffle(_) => "a shuffle",
            Layer::DropPath(_) => "stochastic depth",
            Layer::ChannelScale(_) => "a scale",
            Layer::Conv { .. } => "a convolution",
            Layer::Pool { .. } => "a pooling",
            Layer::GlobalAverage | Layer::GlobalMax | Layer::AdaptiveAverage(_) | Layer::AdaptiveMax(_) => {
                "pooling to a fixed size"
            }
            Layer::Dense { .. } => "FC",
            Layer::Lrn(_)
            | Layer::BatchNorm(_)
            | Layer::GroupNorm { .. }
            | Layer::SampleNorm { .. }
            | Layer::ChannelNorm { .. } => "a normalisation",
            Layer::Activation(_) | Layer::Maxout(_) => "an activation",
            Layer::Dropout(_) => "dropout",
            Layer::Flatten => "flatten",
            Layer::PlaceBias => "a bias of places",
            Layer::Softmax(_) => "soft-max",
            Layer::Claim(_) => "a shape",
        }
    }
}

/// Words that begin a layer, for suggestions.
pub(super) const KNOWN: &[&str] = &[
    "input",
    "conv",
    "dwconv",
    "deconv",
    "localconv",
    "pool",
    "maxpool",
    "avgpool",
    "l2pool",
    "gap",
    "gmp",
    "adaptiveavgpool",
    "adaptivemaxpool",
    "fc",
    "lrn",
    "bn",
    "gn",
    "ln",
    "channelnorm",
    "shuffle",
    "droppath",
    "layerscale",
    "embed",
    "maxout",
    "dropout",
    "flatten",
    "placebias",
    "soft-max",
    "res",
    "add",
    "mul",
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
        "localconv" | "local" | "locallyconnected" => conv(ConvKind::Local),
        "deconv" | "tconv" | "convtranspose" => conv(ConvKind::Transposed),
        "pool" | "maxpool" | "mp" => pool(PoolKind::Max),
        "avgpool" | "averagepool" => pool(PoolKind::Average),
        "l2pool" => pool(PoolKind::Norm(2.0)),
        "gap" | "globalavgpool" | "globalaveragepool" => plain(Layer::GlobalAverage),
        "gmp" | "globalmaxpool" => plain(Layer::GlobalMax),
        "adaptiveavgpool" => Ok(Layer::AdaptiveAverage(sizes(rest, MOST_OPTION)?)),
        "adaptivemaxpool" => Ok(Layer::AdaptiveMax(sizes(rest, MOST_OPTION)?)),
        "fc" | "linear" | "dense" if rest.is_empty() => Ok(Layer::Dense { units: None, bias: true }),
        "fc" | "linear" | "dense" => Ok(Layer::Dense { units: Some(positive(rest, MOST_UNITS)?), bias: true }),
        "lrn" | "norm" => Ok(Layer::Lrn(LrnOptions { size: one(MOST_OPTION, Some(5))?, ..LrnOptions::default() })),
        "bn" | "batchnorm" => plain(Layer::BatchNorm(NormOptions::default())),
        "gn" | "groupnorm" => Ok(Layer::GroupNorm { groups: one(MOST_FILTERS, None)?, eps: EPS }),
        "ln" | "layernorm" => plain(Layer::SampleNorm { eps: EPS }),
        "channelnorm" => plain(Layer::ChannelNorm { eps: 1e-6 }),
        "shuffle" | "channelshuffle" => Ok(Layer::Shuffle(one(MOST_FILTERS, None)?)),
        "embed" | "embedding" => Ok(Layer::Embedding(one(MOST_FILTERS, None)?)),
        "droppath" => match dropout(rest)? {
            Layer::Dropout(p) => Ok(Layer::DropPath(p)),
            other => Ok(other),
        },
        "layerscale" => match if rest.is_empty() { Ok(1e-6) } else { rest.parse::<f64>() } {
            Ok(v) if v.is_finite() => Ok(Layer::ChannelScale(v)),
            _ => Err(Rule::new(format!("a scale of `{}`", shown(rest))).right("layerscale0.000001")),
        },
        "maxout" => Ok(Layer::Maxout(one(MOST_FILTERS, Some(2))?)),
        "dropout" => dropout(rest),
        "flatten" => plain(Layer::Flatten),
        "placebias" => plain(Layer::PlaceBias),
        "softmax" if rest.is_empty() => Ok(Layer::Softmax(None)),
        "softmax" => Ok(Layer::Softmax(Some(positive(rest, MOST_UNITS)?))),
        "bm" => Err(Rule::new("`bm` is not a layer").right("bn")),
        "stride" | "pad" | "padding" | "dilation" | "groups" if !rest.is_empty() => {
            Err(Rule::new(format!("`{}` is not a layer", shown(word))).right(format!("{}{}", &head[..1], shown(rest))))
        }
        _ => {
            let names = KNOWN.iter().chain(Activation::NAMES).copied();
            let right = crate::nearest::suggestion(&head, names, "CONV3-64, POOL, FC-10, RELU, bn, dropout0.5, …");
            Err(Rule::new(format!("`{}` is not a layer", shown(word))).right(right))
        }
    }
}

/// The rule about an unknown word, with a name that the text itself gives if it is near.
pub(super) fn or_name<'a>(word: &str, names: impl Iterator<Item = &'a str>, rule: Rule) -> Rule {
    match crate::nearest::nearest(word, names, 1).first() {
        Some(name) => rule.right(*name),
        None => rule,
    }
}

/// A word that is echoed: at most 40 characters of it.
pub(crate) fn shown(word: &str) -> String {
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

pub(super) fn number(text: &str, most: usize) -> Result<usize, Rule> {
    let wrong =
        || Rule::new(format!("`{}` is not a number", shown(text))).right(format!("a whole number up to {most}"));
    if text.is_empty() {
        return Err(Rule::new("a number is missing").right(format!("a whole number up to {most}")));
    }
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    match text.parse() {
        Ok(v) if v <= most => Ok(v),
        _ => Err(Rule::new(format!("{} is too large", shown(text))).right(format!("at most {most}"))),
    }
}

pub(super) fn positive(text: &str, most: usize) -> Result<usize, Rule> {
    match number(text, most)? {
        0 => Err(Rule::new("0 is too small").right("at least 1")),
        v => Ok(v),
    }
}

/// `3`, `3x5`.
pub(super) fn sizes(text: &str, most: usize) -> Result<Vec<usize>, Rule> {
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
                // PyTorch's Conv2d and MaxPool2d: how many dimensions there are, the input says.
                None if rest[at..] == *"d" || rest[at..].starts_with("d-") => {
                    let rule = Rule::new(format!("`{}` is PyTorch's way to say it", shown(&rest[..=at])));
                    Err(rule.right("conv3-16 (kernel 3, 16 filters), maxpool2; a .toml file takes PyTorch's words"))
                }
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
