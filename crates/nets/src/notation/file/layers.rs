//! `[[layer]]` tables: kinds and settings in PyTorch's words, with PyTorch's defaults.

use super::super::error::Fault;
use super::super::lex::Span;
use super::super::options::{MOST_OPTION, Options, Pad};
use super::super::tree::{Definitions, Item, Join, MOST_DEPTH, MOST_REPEATS, What};
use super::super::words::{ConvKind, EPS, Layer, MOST_FILTERS, MOST_KERNEL, MOST_UNITS, PoolKind, shown};
use super::table::{Place, Table};
use crate::{Activation, LrnOptions, NormOptions};
use gabor_tensor::{PadMode, Rule};

/// Kinds, for suggestions; each may end in `1d`, `2d` or `3d`, and is read with or without `_`.
const KINDS: &[&str] = &[
    "conv",
    "depthwise_conv",
    "conv_transpose",
    "locally_connected",
    "linear",
    "max_pool",
    "avg_pool",
    "lp_pool",
    "global_avg_pool",
    "global_max_pool",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "batch_norm",
    "group_norm",
    "layer_norm",
    "local_response_norm",
    "dropout",
    "flatten",
    "maxout",
    "place_bias",
    "embedding",
    "channel_norm",
    "channel_shuffle",
    "stochastic_depth",
    "layer_scale",
    "softmax",
    "group",
    "residual",
    "concat",
    "add",
    "multiply",
];
/// Keys of every layer.
const COMMON: [&str; 3] = ["kind", "name", "repeat"];
/// What PyTorch asks for and we infer.
const INFERRED: &[&str] =
    &["in_channels", "in_features", "num_features", "normalized_shape", "num_channels", "num_embeddings"];

/// Keys of all layers together: one that is misspelt is told before one that is missing.
const KEYS: &[&str] = &[
    "kind",
    "name",
    "repeat",
    "net",
    "layer",
    "branch",
    "out_channels",
    "filters",
    "out_features",
    "units",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "padding_mode",
    "output_padding",
    "ceil_mode",
    "count_include_pad",
    "norm_type",
    "output_size",
    "eps",
    "momentum",
    "num_groups",
    "size",
    "alpha",
    "beta",
    "k",
    "p",
    "pieces",
    "negative_slope",
    "embedding_dim",
    "value",
];

/// The layers under the key `layer`.
pub(super) fn list(table: &mut Table<'_>, names: &Definitions, depth: usize) -> Result<Vec<Item>, Fault> {
    let Some((value, at)) = table.take("layer") else { return Ok(Vec::new()) };
    let wrong = || Fault::at(at, Rule::new("`layer` is no list of tables").right("[[layer]]"));
    if depth >= MOST_DEPTH {
        return Err(Fault::at(at, Rule::new(format!("layers nested more than {MOST_DEPTH} deep"))));
    }
    let all = value.elements().ok_or_else(wrong)?;
    all.into_iter()
        .map(|(entry, at)| {
            let table = entry.table().ok_or_else(|| Fault::at(at, Rule::new("no table").right("[[layer]]")))?;
            one(table, names, depth)
        })
        .collect()
}

fn one(mut t: Table<'_>, names: &Definitions, depth: usize) -> Result<Item, Fault> {
    let whole = t.span;
    t.known(KEYS, INFERRED)?;
    let kind = t.text("kind")?;
    let name = t.text("name")?;
    if let Some((name, at)) = &name {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(Fault::at(*at, Rule::new("no name of a layer").right("letters, digits, `_`, `-` and `.`")));
        }
    }
    let repeat = t.whole("repeat", 0, MOST_REPEATS)?;
    let Some((kind, at)) = kind else {
        // The notation may stand in the list.
        if !t.has("net") && !t.has("layer") {
            return Err(Fault::at(whole, Rule::new("a layer without `kind`").right("kind = \"conv\", or net = \"…\"")));
        }
        let what = What::Group(inner(&mut t, names, depth)?);
        t.finish(&["kind", "name", "repeat", "net", "layer"])?;
        return Ok(finished(what, whole, name, repeat));
    };
    let plain: String = kind.to_lowercase().chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect();
    let plain = ["1d", "2d", "3d"].iter().find_map(|d| plain.strip_suffix(d)).unwrap_or(&plain);
    let mut keys = COMMON.to_vec();
    let what = match plain {
        "group" | "sequential" => {
            keys.extend(["net", "layer"]);
            What::Group(inner(&mut t, names, depth)?)
        }
        "residual" | "res" => {
            keys.extend(["net", "layer"]);
            What::Residual(inner(&mut t, names, depth)?)
        }
        "concat" | "cat" | "inception" => branches(Join::Concat, &mut t, &mut keys, names, depth)?,
        "add" | "sum" => branches(Join::Add, &mut t, &mut keys, names, depth)?,
        "multiply" | "mul" | "scale" => branches(Join::Multiply, &mut t, &mut keys, names, depth)?,
        _ => What::Layer(layer(plain, (&kind, at), &mut t, &mut keys)?),
    };
    t.finish(&keys)?;
    Ok(finished(what, at, name, repeat))
}

fn finished(what: What, span: Span, name: Option<(String, Span)>, repeat: Option<(usize, Span)>) -> Item {
    let item = Item { what, span, name: name.map(|n| n.0) };
    match repeat {
        Some((times, _)) => Item::new(What::Repeat(Box::new(item), times), span),
        None => item,
    }
}

/// What a group holds: `net` or `layer`.
fn inner(t: &mut Table<'_>, names: &Definitions, depth: usize) -> Result<Vec<Item>, Fault> {
    if t.has("net") && t.has("layer") {
        return Err(Fault::at(t.key("net"), Rule::new("`net` and `layer` together").right("one of them")));
    }
    let span = t.span;
    let items = if t.has("net") { super::chain(t, "net", names)? } else { list(t, names, depth + 1)? };
    if items.is_empty() {
        return Err(Fault::at(span, Rule::new("a group without layers").right("net = \"…\" or [[layer.layer]]")));
    }
    Ok(items)
}

fn branches(
    join: Join,
    t: &mut Table<'_>,
    keys: &mut Vec<&'static str>,
    names: &Definitions,
    depth: usize,
) -> Result<What, Fault> {
    keys.push("branch");
    let right = "branch = [\"conv1-8\", \"conv3-16\"], or [[layer.branch]] tables";
    let span = t.span;
    let Some((value, at)) = t.take("branch") else {
        return Err(Fault::at(span, Rule::new("no branches").right(right)));
    };
    let all = value.elements().filter(|all| all.len() > 1);
    let all = all.ok_or_else(|| Fault::at(at, Rule::new("no list of two branches or more").right(right)))?;
    let branch = |(value, at): (Place<'_>, Span)| match (value.text(), value.table()) {
        // An empty text passes the input on.
        (Some(text), _) if text.trim().is_empty() => Ok(Vec::new()),
        (Some(text), _) => super::items(text, &value, at, names),
        (_, Some(mut t)) => {
            let items = if t.has("net") || t.has("layer") { inner(&mut t, names, depth)? } else { Vec::new() };
            t.finish(&["net", "layer"])?;
            Ok(items)
        }
        _ => Err(Fault::at(at, Rule::new("no branch").right(right))),
    };
    Ok(What::Branches(join, all.into_iter().map(branch).collect::<Result<_, _>>()?))
}

/// The first of two keys that is there, both meaning the same.
fn either(
    t: &mut Table<'_>,
    keys: &mut Vec<&'static str>,
    names: [&'static str; 2],
    most: usize,
) -> Result<Option<usize>, Fault> {
    keys.extend(names);
    let (first, second) = (t.whole(names[0], 1, most)?, t.whole(names[1], 1, most)?);
    match (first, second) {
        (Some(_), Some((_, at))) => {
            let rule = Rule::new(format!("`{}` and `{}` are the same", names[0], names[1]));
            Err(Fault::at(at, rule.right("one of them")))
        }
        (a, b) => Ok(a.or(b).map(|v| v.0)),
    }
}

fn needed<T>(value: Option<T>, t: &Table<'_>, key: &str) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::at(t.span, Rule::new(format!("the layer needs `{key}`")).right(format!("{key} = …"))))
}

fn layer(
    plain: &str,
    (kind, at): (&str, Span),
    t: &mut Table<'_>,
    keys: &mut Vec<&'static str>,
) -> Result<Layer, Fault> {
    Ok(match plain {
        "conv" => conv(ConvKind::Plain, t, keys)?,
        "depthwiseconv" => conv(ConvKind::Depthwise, t, keys)?,
        "convtranspose" => conv(ConvKind::Transposed, t, keys)?,
        "locallyconnected" => conv(ConvKind::Local, t, keys)?,
        "linear" | "fc" | "dense" => {
            let units = either(t, keys, ["out_features", "units"], MOST_UNITS)?;
            keys.push("bias");
            Layer::Dense { units, bias: t.truth("bias", true)? }
        }
        "maxpool" => pool(PoolKind::Max, t, keys)?,
        "avgpool" => pool(PoolKind::Average, t, keys)?,
        "lppool" => {
            keys.push("norm_type");
            let place = t.key("norm_type");
            let order = t.number("norm_type", 2.0)?;
            if order < 1.0 {
                return Err(Fault::at(place, Rule::new(format!("a norm of order {order}")).right("at least 1")));
            }
            pool(PoolKind::Norm(order), t, keys)?
        }
        "globalavgpool" => Layer::GlobalAverage,
        "globalmaxpool" => Layer::GlobalMax,
        "adaptiveavgpool" | "adaptivemaxpool" => {
            keys.push("output_size");
            let size = t.list("output_size", 1, MOST_OPTION)?;
            let size = needed(size, t, "output_size")?;
            if plain == "adaptiveavgpool" { Layer::AdaptiveAverage(size) } else { Layer::AdaptiveMax(size) }
        }
        "batchnorm" => {
            keys.extend(["eps", "momentum"]);
            let d = NormOptions::default();
            Layer::BatchNorm(NormOptions { eps: t.number("eps", d.eps)?, momentum: t.number("momentum", d.momentum)? })
        }
        "groupnorm" => {
            keys.extend(["num_groups", "eps"]);
            let groups = t.whole("num_groups", 1, MOST_FILTERS)?;
            Layer::GroupNorm { groups: needed(groups, t, "num_groups")?.0, eps: t.number("eps", EPS)? }
        }
        "layernorm" => {
            keys.push("eps");
            Layer::SampleNorm { eps: t.number("eps", EPS)? }
        }
        "localresponsenorm" | "lrn" => {
            keys.extend(["size", "alpha", "beta", "k"]);
            // PyTorch's defaults, which differ from AlexNet's.
            let size = t.whole("size", 1, MOST_OPTION)?;
            Layer::Lrn(LrnOptions {
                size: needed(size, t, "size")?.0,
                alpha: t.number("alpha", 1e-4)?,
                beta: t.number("beta", 0.75)?,
                k: t.number("k", 1.0)?,
            })
        }
        "dropout" => {
            keys.push("p");
            let place = t.key("p");
            let p = t.number("p", 0.5)?;
            if !(0.0..1.0).contains(&p) {
                return Err(Fault::at(place, Rule::new(format!("dropout with probability {p}")).right("0 ≤ p < 1")));
            }
            Layer::Dropout(p)
        }
        "flatten" => Layer::Flatten,
        "maxout" => {
            keys.push("pieces");
            Layer::Maxout(t.whole("pieces", 1, MOST_FILTERS)?.map_or(2, |v| v.0))
        }
        "placebias" => Layer::PlaceBias,
        "embedding" => {
            keys.push("embedding_dim");
            let size = t.whole("embedding_dim", 1, MOST_FILTERS)?;
            Layer::Embedding(needed(size, t, "embedding_dim")?.0)
        }
        "channelnorm" => {
            keys.push("eps");
            Layer::ChannelNorm { eps: t.number("eps", 1e-6)? }
        }
        "channelshuffle" => {
            keys.push("groups");
            let groups = t.whole("groups", 1, MOST_FILTERS)?;
            Layer::Shuffle(needed(groups, t, "groups")?.0)
        }
        "stochasticdepth" => {
            keys.push("p");
            let place = t.key("p");
            let p = t.number("p", 0.1)?;
            if !(0.0..1.0).contains(&p) {
                return Err(Fault::at(place, Rule::new(format!("a probability of {p}")).right("0 ≤ p < 1")));
            }
            Layer::DropPath(p)
        }
        "layerscale" => {
            keys.push("value");
            Layer::ChannelScale(t.number("value", 1e-6)?)
        }
        "softmax" => Layer::Softmax(None),
        "leakyrelu" => {
            keys.push("negative_slope");
            Layer::Activation(Activation::LeakyRelu(t.number("negative_slope", 0.01)?))
        }
        "elu" => {
            keys.push("alpha");
            Layer::Activation(Activation::Elu(t.number("alpha", 1.0)?))
        }
        _ => Layer::Activation(Activation::from_name(kind).map_err(|_| {
            let names = KINDS.iter().chain(Activation::NAMES).copied();
            let right =
                crate::nearest::suggestion(&kind.to_lowercase(), names, &format!("one of {}", KINDS.join(", ")));
            Fault::at(at, Rule::new(format!("`{}` is no kind of layer", shown(kind))).right(right))
        })?),
    })
}

fn conv(kind: ConvKind, t: &mut Table<'_>, keys: &mut Vec<&'static str>) -> Result<Layer, Fault> {
    keys.push("kernel_size");
    let filters = either(t, keys, ["out_channels", "filters"], MOST_FILTERS)?;
    if kind == ConvKind::Depthwise && filters.is_some() {
        let rule = Rule::new("a depthwise convolution has a filter for each channel");
        return Err(Fault::at(t.span, rule.right("no out_channels")));
    }
    if kind != ConvKind::Depthwise && filters.is_none() {
        needed(filters, t, "out_channels")?;
    }
    let kernel = t.list("kernel_size", 1, MOST_KERNEL)?;
    let kernel = needed(kernel, t, "kernel_size")?;
    let mut options = window(t, keys)?;
    keys.extend(["bias", "padding_mode"]);
    options.no_bias = !t.truth("bias", true)?;
    if kind != ConvKind::Depthwise {
        keys.push("groups");
        options.groups = t.whole("groups", 1, MOST_FILTERS)?.map(|g| g.0);
    }
    if kind == ConvKind::Transposed {
        keys.push("output_padding");
        options.output_padding = t.list("output_padding", 0, MOST_OPTION)?.unwrap_or_default();
    }
    if let Some((mode, at)) = t.text("padding_mode")? {
        let mode = match mode.as_str() {
            "zeros" | "constant" => PadMode::Constant,
            "reflect" => PadMode::Reflect,
            "replicate" => PadMode::Replicate,
            "circular" => PadMode::Circular,
            _ => {
                let rule = Rule::new(format!("`{}` is no padding mode", shown(&mode)));
                return Err(Fault::at(at, rule.right("zeros, reflect, replicate or circular")));
            }
        };
        options.pad_mode = Some(mode);
    }
    Ok(Layer::Conv { kind, kernel, filters, options })
}

fn pool(kind: PoolKind, t: &mut Table<'_>, keys: &mut Vec<&'static str>) -> Result<Layer, Fault> {
    keys.extend(["kernel_size", "ceil_mode"]);
    let kernel = t.list("kernel_size", 1, MOST_KERNEL)?;
    let kernel = needed(kernel, t, "kernel_size")?;
    let mut options = window(t, keys)?;
    options.ceil = t.truth("ceil_mode", false)?;
    if kind == PoolKind::Average {
        keys.push("count_include_pad");
        options.count_exclude_pad = !t.truth("count_include_pad", true)?;
    }
    Ok(Layer::Pool { kind, kernel, options, optional: false })
}

/// Stride, padding and dilation; no padding unless said, as in PyTorch.
fn window(t: &mut Table<'_>, keys: &mut Vec<&'static str>) -> Result<Options, Fault> {
    keys.extend(["stride", "padding", "dilation"]);
    let mut options = Options {
        stride: t.list("stride", 1, MOST_OPTION)?.unwrap_or_default(),
        dilation: t.list("dilation", 1, MOST_OPTION)?.unwrap_or_default(),
        ..Options::default()
    };
    let Some((value, at)) = t.take("padding") else {
        options.pad = Some(Pad::Numbers(vec![0]));
        return Ok(options);
    };
    options.pad = Some(match value.text() {
        Some("same") => Pad::Same,
        Some("valid") => Pad::Numbers(vec![0]),
        Some(_) => return Err(Fault::at(at, Rule::new("no padding").right("a number, \"same\" or \"valid\""))),
        None => {
            let all = value.list(0, MOST_OPTION).map_err(|r| Fault::at(at, r))?;
            if all.is_empty() || all.len() > 3 {
                return Err(Fault::at(at, Rule::new("no padding").right("a number, or one for each dimension")));
            }
            Pad::Numbers(all)
        }
    });
    Ok(options)
}
