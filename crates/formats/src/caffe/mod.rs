//! Caffe: a network as a `.prototxt` text and its numbers as a `.caffemodel`.
//!
//! [`import`] reads both; the text alone gives the graph without weights. Parameters are called `LAYER.weight`,
//! `LAYER.bias`, `LAYER.running_mean` and `LAYER.running_var`. A BatchNorm and the Scale behind it become one operation.
//!
//! The text is read for the phase TEST, in the forms of all years; losses, accuracies and data layers fall away. Refused
//! by name are layers that give whole numbers or run elsewhere (ArgMax, Python), recurrent ones, Embed, Im2col, SPP,
//! Filter, BatchReindex, Parameter, stochastic pooling and its mask, and the layers of detectors in forks.
//!
//! [`export`] writes both, in the form of today.

mod build;
mod export;
mod net;
mod norms;
mod plain;
mod proto;
mod text;
mod weighted;

use crate::{Error, Imported, Metadata, Refusal, Result};
use build::{Builder, Cx, Item};
pub use export::{Exported, export};
use gabor_graph::ValueId;
use gabor_tensor::{DType, Dim, Rule, Shape};
use net::{Layer, Net};

use text::Msg;

/// A type of layer, the message that holds its settings, and how it is built: its tops from its bottoms.
type Row = (&'static str, &'static str, fn(&mut Cx<'_, '_>) -> Result<Vec<ValueId>>);

/// Layers that give data.
const DATA: &[&str] = &["Input", "Data", "ImageData", "MemoryData", "HDF5Data", "WindowData", "DummyData"];
/// Layers that only training and testing need.
const DROPPED: &[&str] = &[
    "SoftmaxWithLoss",
    "EuclideanLoss",
    "HingeLoss",
    "SigmoidCrossEntropyLoss",
    "MultinomialLogisticLoss",
    "InfogainLoss",
    "ContrastiveLoss",
    "Accuracy",
    "HDF5Output",
];

fn row(kind: &str) -> Option<Row> {
    let tables = [weighted::ROWS, norms::ROWS, plain::ROWS];
    tables.iter().flat_map(|t| t.iter()).find(|r| r.0 == kind).copied()
}

/// The network of a `.prototxt` text, with the numbers of a `.caffemodel` where there is one. Without it the weights are
/// empty: enough for a summary, not for a prediction.
///
/// The first extent of an input is the batch size. Outputs are the values that no layer reads, under their names.
///
/// # Errors
/// A text that is no such file, with line and column; all layers whose types are not known; a setting that is not known,
/// or extents that do not fit, with the layer; numbers that are missing, too many or of other extents.
pub fn import(prototxt: &[u8], caffemodel: Option<&[u8]>) -> Result<Imported> {
    let text = std::str::from_utf8(prototxt).map_err(|e| {
        Error::new("prototxt", Rule::new(format!("byte {} is not UTF-8: it is no .prototxt text", e.valid_up_to())))
    })?;
    let root = text::parse(text)?;
    let net = net::read(&root)?;
    let refusals: Vec<Refusal> = net.layers.iter().filter_map(refuse).collect();
    if !refusals.is_empty() {
        return Err(Error::refused("prototxt", "imported", refusals));
    }
    let mut b = Builder::new(&net.name, caffemodel.map(proto::read).transpose()?);
    let mut metadata = Metadata::default();
    for (name, shape) in &net.inputs {
        input(&mut b, name, shape).map_err(|e| Error::new(format!("input `{name}`"), e.rule().clone()))?;
    }
    for i in 0..net.layers.len() {
        layer(&mut b, &net, i, &mut metadata).map_err(|e| inside(&net.layers[i], e))?;
    }
    for name in std::mem::take(&mut b.open) {
        let Some(Item::Value(v)) = b.items.get(&name) else { continue };
        // An input that nothing reads is no output.
        if b.g.producer(*v).is_some() {
            b.g.output(name, *v);
        }
    }
    if b.g.outputs().is_empty() {
        return Err(Error::new(
            "prototxt",
            Rule::new("a network without outputs").right("layers that compute something"),
        ));
    }
    Ok(Imported {
        graph: b.g,
        weights: b.weights,
        metadata,
        format: "Caffe".into(),
        producer: "Caffe".into(),
        notes: b.notes,
    })
}

/// Why a layer cannot be built at all.
fn refuse(layer: &Layer<'_>) -> Option<Refusal> {
    let kind = layer.kind.as_str();
    if DATA.contains(&kind) || DROPPED.contains(&kind) || kind == "Silence" || row(kind).is_some() {
        return None;
    }
    let why = match kind {
        "ArgMax" => "places of maxima are whole numbers, which no layer here gives",
        "LSTM" | "RNN" | "Recurrent" => "recurrent layers are not known",
        "Python" => "code in another file is not run",
        "Embed" | "Parameter" | "BatchReindex" | "Filter" | "Im2col" | "SPP" => "this layer is not known",
        "PriorBox" | "DetectionOutput" | "Normalize" | "ROIPooling" | "Proposal" | "PSROIPooling" => {
            "layers of detectors in forks of Caffe are not known"
        }
        _ => "this type is not known",
    };
    let node = format!("line {}: {}", layer.msg.at.line, layer.name);
    Some(Refusal { node, operation: layer.kind.clone(), reason: why.into() })
}

fn inside(layer: &Layer<'_>, e: Error) -> Error {
    if e.place().starts_with("line ") {
        return e;
    }
    Error::new(format!("{}: {}", layer.place(), e.place()), e.rule().clone())
}

/// An input of the graph; the first of its extents is the batch.
fn input(b: &mut Builder, name: &str, shape: &[usize]) -> Result<()> {
    if shape.len() < 2 || shape.contains(&0) || shape.len() > 8 {
        let rule = Rule::new(format!("extents {shape:?}")).right("two to eight of them, each at least 1");
        return Err(Error::new(name, rule));
    }
    let v = b.g.input(name, Shape::batch(&shape[1..]), DType::F32)?;
    b.define(name, Item::Value(v));
    Ok(())
}

/// Builds one layer.
fn layer(b: &mut Builder, net: &Net<'_>, i: usize, metadata: &mut Metadata) -> Result<()> {
    let layer = &net.layers[i];
    layer.msg.ignore(&[
        "name",
        "type",
        "bottom",
        "top",
        "phase",
        "loss_weight",
        "param",
        "blobs_lr",
        "weight_decay",
        "blob_share_mode",
        "propagate_down",
        "include",
        "exclude",
        "transform_param",
        "loss_param",
    ]);
    let kind = layer.kind.as_str();
    if DATA.contains(&kind) {
        return data(b, layer, metadata);
    }
    if DROPPED.contains(&kind) {
        // What goes into a loss stays open: it is the network's output.
        layer.tops.iter().for_each(|t| b.define(t, Item::Label));
        return Ok(());
    }
    let empty = Msg::default();
    let row = row(kind);
    let settings = row.map_or("", |r| r.1);
    let p = layer.msg.message(settings)?.unwrap_or(&empty);
    let mut items = Vec::new();
    for name in &layer.bottoms {
        let item = b.items.get(name).cloned().ok_or_else(|| {
            let rule = Rule::new(format!("no earlier layer gives `{name}`"));
            layer.error(rule.right("the name of a top that stands before it"))
        })?;
        items.push(item);
        b.open.retain(|n| n != name);
    }
    let Some((_, _, build)) = row else { return Ok(()) };
    let scale_follows = kind == "BatchNorm" && scale_follows(net, i);
    let mut cx = Cx::new(b, layer, p);
    cx.scale_follows = scale_follows;
    for (item, name) in items.into_iter().zip(&layer.bottoms) {
        match item {
            Item::Value(v) => cx.x.push(v),
            Item::Normalised { x, mean, var, eps } => {
                cx.x.push(x);
                cx.normalised = Some((x, mean, var, eps));
            }
            Item::Label => {
                let rule = Rule::new(format!("`{name}` is a label or comes from a loss, which fall away here"));
                return Err(layer.error(rule.right("the deploy form of the network")));
            }
        }
    }
    cx.g().scope(layer.name.clone());
    let tops = build(&mut cx)?;
    cx.all_arrays_read()?;
    p.all_read(&format!("{settings} of a {kind}"))?;
    let normalised = cx.normalised.take();
    // Settings of other types do nothing in Caffe; anything else is a mistake.
    layer.msg.fields.iter().filter(|f| f.name.ends_with("_param")).for_each(|f| f.used.set(true));
    layer.msg.all_read("a layer")?;
    if tops.len() != layer.tops.len() {
        let rule = Rule::new(format!("{} tops", layer.tops.len())).right(tops.len().to_string());
        return Err(layer.error(rule));
    }
    let last_softmax = kind == "Softmax" && layer.tops.first().is_some_and(|t| !read_later(net, i, t));
    for (name, v) in layer.tops.iter().zip(tops) {
        let item = match normalised {
            Some((x, mean, var, eps)) => Item::Normalised { x, mean, var, eps },
            None => Item::Value(if last_softmax { classes(b, v)? } else { v }),
        };
        b.define(name, item);
    }
    Ok(())
}

/// A last softmax over `[n, classes, 1, 1]` gives `[n, classes]`: the classifier that it ends is then seen as one.
fn classes(b: &mut Builder, v: ValueId) -> Result<ValueId> {
    let shape = b.g.shape(v).clone();
    let one = shape.rank() > 2 && shape.0[2..].iter().all(|d| *d == Dim::Fixed(1));
    let x = b.g.producer(v).map(|n| n.inputs[0]);
    let Some(x) = x.filter(|_| one) else { return Ok(v) };
    let flat = b.g.flatten(x)?;
    Ok(b.g.softmax(flat, 1)?)
}

/// Whether a later layer reads this name.
fn read_later(net: &Net<'_>, i: usize, name: &str) -> bool {
    net.layers[i + 1..].iter().any(|l| l.bottoms.iter().any(|b| b == name))
}

/// Whether the next layer is a Scale over the channels that alone reads this BatchNorm.
fn scale_follows(net: &Net<'_>, i: usize) -> bool {
    let (Some(top), Some(next)) = (net.layers[i].tops.first(), net.layers.get(i + 1)) else { return false };
    let channels = next.msg.message("scale_param").is_ok_and(|p| {
        p.is_none_or(|p| p.int("axis", 1).is_ok_and(|a| a == 1) && p.int("num_axes", 1).is_ok_and(|n| n == 1))
    });
    let in_place = next.tops.first() == Some(top);
    next.kind == "Scale"
        && next.bottoms.len() == 1
        && next.bottoms[0] == *top
        && channels
        && (in_place || !read_later(net, i + 1, top))
}

/// Inputs of a layer that gives data: extents where the text has them; labels are left out.
fn data(b: &mut Builder, layer: &Layer<'_>, metadata: &mut Metadata) -> Result<()> {
    let p = |name: &str| layer.msg.message(name);
    let mut shapes: Vec<Vec<usize>> = Vec::new();
    for name in ["input_param", "dummy_data_param"] {
        if let Some(p) = p(name)? {
            for shape in p.messages("shape")? {
                shapes.push(shape.sizes("dim")?);
            }
        }
    }
    if let Some(transform) = p("transform_param")? {
        let crop = transform.size("crop_size")?.filter(|&c| c > 0);
        let channels = if transform.flag("force_gray", false)? { 1 } else { 3 };
        shapes.extend(crop.filter(|_| shapes.is_empty()).map(|c| vec![1, channels, c, c]));
        let means = transform.floats("mean_value")?;
        let (scale, file) = (transform.float("scale", 1.0)?, transform.text("mean_file")?);
        if let Some(c) = crop
            && file.is_none()
            && metadata.preprocessing.is_none()
        {
            metadata.preprocessing = preprocessing(c, channels, &means, scale);
            b.notes.push(format!(
                "{}: pictures are resized to {} and cut to {c}; the text says the cut alone",
                layer.place(),
                (c * 8).div_ceil(7)
            ));
        }
        let mut note = |key: &str, text: String| drop(metadata.other.insert(format!("caffe.{key}"), text));
        if !means.is_empty() {
            note("mean_value", serde_json::Value::from(means).to_string());
        }
        if let Some(file) = file {
            note("mean_file", file.to_string());
        }
        note("scale", scale.to_string());
        note("channels", if channels == 3 { "bgr" } else { "grey" }.into());
    }
    if let Some(m) = p("memory_data_param")? {
        let all = [m.size("channels")?, m.size("height")?, m.size("width")?];
        if let [Some(c), Some(h), Some(w)] = all {
            shapes = vec![vec![1, c, h, w]];
        }
    }
    let is_input = layer.kind == "Input";
    for (i, top) in layer.tops.iter().enumerate() {
        // One set of extents stands for all inputs of an Input layer; of other layers the second top is the label.
        let shape = shapes.get(i).or(if is_input { shapes.first().filter(|_| shapes.len() == 1) } else { None });
        match shape {
            Some(shape) if is_input || i == 0 => input(b, top, shape).map_err(|e| layer.error(e.rule().clone()))?,
            _ if !is_input && i > 0 => b.define(top, Item::Label),
            _ => {
                let rule = Rule::new(format!("the extents of `{top}` are not in the text"));
                return Err(layer.error(rule.right("the deploy form of the network, or a crop_size")));
            }
        }
    }
    Ok(())
}

/// Caffe's arithmetic on a picture: `(byte - mean) · scale` per channel, blue first.
fn preprocessing(crop: usize, channels: usize, means: &[f64], scale: f64) -> Option<String> {
    let mean = match means.len() {
        0 => vec![0.0; channels],
        1 => vec![means[0]; channels],
        n if n == channels => means.to_vec(),
        _ => return None,
    };
    if scale <= 0.0 || crop > 1 << 13 {
        return None;
    }
    let json = serde_json::json!({
        "color": if channels == 3 { "bgr" } else { "grey" },
        "resize": { "short_side": { "to": (crop * 8).div_ceil(7) } },
        "filter": "bilinear",
        "crop": [crop, crop],
        "divisor": 1.0,
        "mean": mean,
        "std": vec![1.0 / scale; channels],
    });
    Some(json.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_type_stands_once() {
        let rows = || [weighted::ROWS, norms::ROWS, plain::ROWS].into_iter().flatten().map(|r| r.0);
        let all: HashSet<&str> = rows().chain(DATA.iter().copied()).chain(DROPPED.iter().copied()).collect();
        assert_eq!(all.len(), rows().count() + DATA.len() + DROPPED.len());
    }
}
