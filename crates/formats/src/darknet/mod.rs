//! Darknet: a network as a `.cfg` text and its numbers as a `.weights` file.
//!
//! [`import`] reads both (the text alone gives the graph without weights), [`export`] writes both. Parameters are called
//! `conv1.weight`, `bn1.weight`, … by the number of the convolution, `fc1.…` for connected and `local1.…` for locally
//! connected layers; other nodes carry the number that Darknet prints for their layer.
//!
//! Facts follow Darknet's C source: at inference it divides by `√var + 10⁻⁶`, pads a maximum by `size - 1` in all, half
//! of it before, and takes `logistic` for the activation that a section does not name.

mod activations;
mod cfg;
mod export;
mod layers;
mod plain;
mod weighted;
mod weights;

pub use export::{Exported, export};

use crate::{Error, Imported, Result};
use gabor_tensor::{DType, Rule, Shape};
use layers::{Builder, Output};

/// The network of a `.cfg` text, with the numbers of a `.weights` file where there is one. Without it the weights are
/// empty: enough for a summary, not for a prediction.
///
/// Detection heads (`[yolo]`, `[region]`, `[detection]`) become outputs as they are, without decoding boxes, and a note
/// says so. Where the last layer is none of them, its output is called `output`, `[n, classes]` if it has no extents.
///
/// # Errors
/// A line that is no setting, with its number; a layer, activation or key that is not known or would change what is
/// computed; a reference to a layer that is not earlier; extents that do not fit; numbers that are too few or too many.
pub fn import(cfg: &[u8], weights: Option<&[u8]>) -> Result<Imported> {
    let text = std::str::from_utf8(cfg).map_err(|e| {
        Error::new("cfg", Rule::new(format!("byte {} is not UTF-8: it is no .cfg text", e.valid_up_to())))
    })?;
    let sections = cfg::parse(text)?;
    let Some((net, layers)) = sections.split_first().filter(|(net, _)| matches!(net.kind, "net" | "network")) else {
        let rule = Rule::new("the first section is not [net]").right("a .cfg file of Darknet");
        return Err(Error::new("cfg", rule));
    };
    let numbers = weights.map(weights::open).transpose()?;
    let mut b = Builder::new(numbers);
    let mut x = input(&mut b, net)?;
    for s in layers {
        x = b.layer(s, x)?;
        b.outputs.push(x);
    }
    if let Some(numbers) = &b.numbers {
        numbers.end()?;
        b.metadata.other.insert("darknet.seen".into(), numbers.seen.to_string());
    }
    match layers.last().map(|s| s.kind) {
        None => return Err(net.error(Rule::new("no layer follows").right("at least one"))),
        Some("yolo" | "region" | "detection" | "iseg") => {}
        Some(_) => {
            let value = if (x.h, x.w) == (1, 1) { b.flat(x)? } else { x.value };
            b.g.output("output", value);
        }
    }
    let heads = layers.iter().any(|s| matches!(s.kind, "yolo" | "region" | "detection" | "iseg"));
    if !heads && let &[_, c, h, w] = b.g.shape(b.g.inputs().next().unwrap_or(x.value)).at(1).as_slice() {
        b.metadata.preprocessing = preprocessing(c, h, w);
    }
    Ok(Imported {
        graph: b.g,
        weights: b.weights,
        metadata: b.metadata,
        format: "Darknet".into(),
        producer: "Darknet".into(),
        notes: b.notes,
    })
}

/// `[net]`: the input, and keys of training that are of no use here.
fn input(b: &mut Builder<'_>, net: &cfg::Section<'_>) -> Result<Output> {
    let [h, w, c] = [net.size("height", 0)?, net.size("width", 0)?, net.size("channels", 0)?];
    let flat = net.size("inputs", 0)?;
    let [c, h, w] = match [c, h, w] {
        [c, h, w] if c > 0 && h > 0 && w > 0 => [c, h, w],
        [0, 0, 0] if flat > 0 => [flat, 1, 1],
        _ => {
            let rule = Rule::new(format!("height {h}, width {w}, channels {c}"));
            return Err(net.error(rule.right("all of them at least 1, or `inputs`")));
        }
    };
    let value = b.g.input("input", Shape::batch(&[c, h, w]), DType::F32)?;
    Ok(Output { value, c, h, w })
}

/// How Darknet's classifier prepares a picture: the short side to the network's, the centre, values in [0, 1].
fn preprocessing(c: usize, h: usize, w: usize) -> Option<String> {
    let color = match c {
        1 => "grey",
        3 => "rgb",
        _ => return None,
    };
    if !(1..=1 << 14).contains(&h.max(w)) {
        return None;
    }
    let json = serde_json::json!({
        "color": color,
        "resize": { "short_side": { "to": h.max(w) } },
        "filter": "bilinear",
        "crop": [h, w],
        "divisor": 255.0,
        "mean": vec![0.0; c],
        "std": vec![1.0; c],
    });
    Some(json.to_string())
}
