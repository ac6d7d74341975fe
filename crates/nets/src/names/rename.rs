//! Other libraries' names of the zoo's networks.
//!
//! A rule takes all names of a file, because some names follow from others (the number of blocks in a stage), and gives the
//! network's name for those that it knows. A new family of names is a row and a function.

use std::collections::{BTreeSet, HashMap};

/// A way of reading names.
pub(super) struct Rule {
    /// Whose names: `timm's`.
    pub(super) origin: &'static str,
    /// What that library adds to variances, where it may differ from the network's.
    pub(super) eps: Option<f64>,
    /// The network's names for the file's.
    pub(super) rename: for<'a> fn(&[&'a str]) -> HashMap<&'a str, String>,
}

/// timm's batch normalisation, unless a model says otherwise.
const TIMM_EPS: Option<f64> = Some(1e-5);

pub(super) const RULES: &[Rule] = &[
    Rule { origin: "timm's (VGG)", eps: None, rename: |n| each(n, vgg) },
    Rule { origin: "timm's (ConvNeXt)", eps: None, rename: |n| each(n, convnext) },
    Rule { origin: "the paper's (ConvNeXt)", eps: None, rename: |n| each(n, convnext_of_paper) },
    Rule { origin: "timm's (MobileNet v2)", eps: TIMM_EPS, rename: |n| inverted(n, &MOBILENET_V2) },
    Rule { origin: "timm's (MobileNet v3)", eps: TIMM_EPS, rename: |n| inverted(n, &MOBILENET_V3) },
    Rule { origin: "timm's (EfficientNet)", eps: TIMM_EPS, rename: |n| inverted(n, &EFFICIENTNET) },
    Rule { origin: "torchvision's before 2018 (DenseNet)", eps: None, rename: |n| each(n, densenet) },
];

/// The names that a function of one name knows.
fn each<'a>(names: &[&'a str], f: impl Fn(&str) -> Option<String>) -> HashMap<&'a str, String> {
    names.iter().filter_map(|&n| Some((n, f(n)?))).collect()
}

/// A name whose beginning is one of the left column.
fn begins(name: &str, table: &[(&str, &str)]) -> Option<String> {
    table.iter().find_map(|(from, to)| name.strip_prefix(from).map(|rest| format!("{to}{rest}")))
}

fn vgg(name: &str) -> Option<String> {
    begins(
        name,
        &[("pre_logits.fc1.", "classifier.0."), ("pre_logits.fc2.", "classifier.3."), ("head.fc.", "classifier.6.")],
    )
}

/// `norm.1`, which Python's names no longer may hold, to `norm1`.
fn densenet(name: &str) -> Option<String> {
    let parts = [("norm.1.", "norm1."), ("norm.2.", "norm2."), ("conv.1.", "conv1."), ("conv.2.", "conv2.")];
    let (from, to) = parts.iter().find(|(from, _)| name.contains("denselayer") && name.contains(from))?;
    Some(name.replacen(from, to, 1))
}

/// A number and what follows its dot.
fn number(text: &str) -> Option<(usize, &str)> {
    let (digits, rest) = text.split_once('.')?;
    Some((digits.parse().ok().filter(|&n: &usize| n < 1 << 16)?, rest))
}

const CONVNEXT_ENDS: &[(&str, &str)] = &[
    ("stem.0.", "features.0.0."),
    ("stem.1.", "features.0.1."),
    ("head.norm.", "classifier.0."),
    ("head.fc.", "classifier.2."),
];

/// Stage `i` is `features.2i+1`, the downsampling before it `features.2i`.
fn convnext(name: &str) -> Option<String> {
    if let Some(end) = begins(name, CONVNEXT_ENDS) {
        return Some(end);
    }
    let (stage, rest) = number(name.strip_prefix("stages.")?)?;
    if let Some(rest) = rest.strip_prefix("downsample.") {
        return Some(format!("features.{}.{rest}", 2 * stage));
    }
    let (block, rest) = number(rest.strip_prefix("blocks.")?)?;
    let layer = if rest == "gamma" {
        "layer_scale".to_string()
    } else {
        let table =
            [("conv_dw.", "block.0."), ("norm.", "block.2."), ("mlp.fc1.", "block.3."), ("mlp.fc2.", "block.5.")];
        begins(rest, &table)?
    };
    Some(format!("features.{}.{block}.{layer}", 2 * stage + 1))
}

/// The names of the authors' own code.
fn convnext_of_paper(name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("downsample_layers.") {
        let (stage, rest) = number(rest)?;
        return Some(format!("features.{}.{rest}", 2 * stage));
    }
    if let Some(end) = begins(name, &[("norm.", "classifier.0."), ("head.", "classifier.2.")]) {
        return Some(end);
    }
    let (stage, rest) = number(name.strip_prefix("stages.")?)?;
    let (block, rest) = number(rest)?;
    let layer = if rest == "gamma" {
        "layer_scale".to_string()
    } else {
        let table =
            [("dwconv.", "block.0."), ("norm.", "block.2."), ("pwconv1.", "block.3."), ("pwconv2.", "block.5.")];
        begins(rest, &table)?
    };
    Some(format!("features.{}.{block}.{layer}", 2 * stage + 1))
}

/// How torchvision names a network of inverted residuals, which timm names alike in all of them.
struct Style {
    /// Whether blocks are counted through all stages (`features.7`), or in each (`features.3.1`).
    through: bool,
    /// Where a block's layers lie: `conv` or `block`.
    block: &'static str,
    /// Whether the last convolution of a block and its normalisation are `k` and `k + 1`, instead of `k.0` and `k.1`.
    flat_last: bool,
    /// The last convolution and, if there is one, its normalisation: the block's number follows `features.` or is none.
    head: Option<&'static str>,
    /// The last layer.
    classifier: &'static str,
}

const MOBILENET_V2: Style =
    Style { through: true, block: "conv", flat_last: true, head: None, classifier: "classifier.1." };
const MOBILENET_V3: Style =
    Style { through: true, block: "block", flat_last: false, head: Some("classifier.0."), classifier: "classifier.3." };
const EFFICIENTNET: Style =
    Style { through: false, block: "block", flat_last: false, head: None, classifier: "classifier.1." };

fn inverted<'a>(names: &[&'a str], style: &Style) -> HashMap<&'a str, String> {
    // Blocks in their order, and the layers that each has.
    let mut blocks: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut layers: HashMap<(usize, usize), BTreeSet<&str>> = HashMap::new();
    for (at, layer, _) in names.iter().filter_map(|n| in_block(n)) {
        blocks.insert(at);
        layers.entry(at).or_default().insert(layer);
    }
    if blocks.is_empty() {
        return HashMap::new();
    }
    let order: HashMap<(usize, usize), usize> = blocks.iter().enumerate().map(|(i, &at)| (at, i)).collect();
    let stages = blocks.iter().map(|b| b.0).max().unwrap_or(0) + 1;
    // The stem is 0; the last convolution follows the blocks or the stages.
    let after = 1 + if style.through { blocks.len() } else { stages };
    each(names, |name| {
        if let Some(rest) = name.strip_prefix("conv_stem.") {
            return Some(format!("features.0.0.{rest}"));
        }
        if let Some(rest) = name.strip_prefix("bn1.") {
            return Some(format!("features.0.1.{rest}"));
        }
        if let Some(rest) = name.strip_prefix("conv_head.") {
            return Some(style.head.map_or_else(|| format!("features.{after}.0.{rest}"), |h| format!("{h}{rest}")));
        }
        if let Some(rest) = name.strip_prefix("bn2.") {
            return Some(format!("features.{after}.1.{rest}"));
        }
        if let Some(rest) = name.strip_prefix("classifier.") {
            return Some(format!("{}{rest}", style.classifier));
        }
        let (at, layer, kind) = in_block(name)?;
        let place = if style.through { format!("{}", 1 + order[&at]) } else { format!("{}.{}", at.0 + 1, at.1) };
        let within = within_block(&layers[&at], layer, style)?;
        Some(format!("features.{place}.{within}.{kind}"))
    })
}

/// `blocks.STAGE.BLOCK.LAYER.KIND`.
fn in_block(name: &str) -> Option<((usize, usize), &str, &str)> {
    let (stage, rest) = number(name.strip_prefix("blocks.")?)?;
    let (block, rest) = number(rest)?;
    let (layer, kind) = rest.rsplit_once('.')?;
    Some(((stage, block), layer, kind))
}

/// A layer's place in its block.
fn within_block(layers: &BTreeSet<&str>, layer: &str, style: &Style) -> Option<String> {
    let (expands, squeezes) = (layers.contains("conv_pwl"), layers.iter().any(|l| l.starts_with("se.")));
    // A stage of one convolution.
    if layers.contains("conv") {
        return match layer {
            "conv" => Some("0".into()),
            "bn1" => Some("1".into()),
            _ => None,
        };
    }
    let depthwise = usize::from(expands);
    let squeeze = depthwise + 1;
    let last = squeeze + usize::from(squeezes);
    let unit = |k: usize, part: usize| {
        if k == last && style.flat_last { format!("{}", k + part) } else { format!("{k}.{part}") }
    };
    let place = match (layer, expands) {
        ("conv_pw", true) => unit(0, 0),
        ("bn1", true) => unit(0, 1),
        ("conv_dw", _) => unit(depthwise, 0),
        ("bn2", true) | ("bn1", false) => unit(depthwise, 1),
        ("se.conv_reduce", _) => format!("{squeeze}.fc1"),
        ("se.conv_expand", _) => format!("{squeeze}.fc2"),
        ("conv_pwl", true) | ("conv_pw", false) => unit(last, 0),
        ("bn3", true) | ("bn2", false) => unit(last, 1),
        _ => return None,
    };
    Some(format!("{}.{place}", style.block))
}
