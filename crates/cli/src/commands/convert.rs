//! `gabor convert`: from one file to another.

use crate::arguments::{Extents, Format, extents, network};
use crate::failure::{Failure, Result};
use crate::output;
use clap::Args;
use gabor::Model;
use gabor::formats::safetensors;
use gabor::nets::Mode;
use gabor::report::count;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Largest weight file that is read: 64 GiB.
const LARGEST_FILE: u64 = 64 << 30;

/// Convert models and weights
///
/// model.onnx → weights.safetensors takes the weights out. weights.safetensors → model.onnx puts weights under the names
/// of torchvision and timm into a network, which --net names. model.onnx → model.onnx writes a model again, as opset 17.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor convert model.onnx weights.safetensors
  gabor convert resnet18.safetensors resnet18.onnx --net resnet18 --preprocessing imagenet --classes imagenet.txt
  gabor convert other.onnx ours.onnx

JSON: `file`, `tensors`, `elements`.")]
pub struct Arguments {
    /// The file to read: .onnx or .safetensors
    src: PathBuf,
    /// The file to write: .onnx or .safetensors
    dst: PathBuf,
    /// The network that weights belong to: a name, a description, or a .toml file
    #[arg(long, value_name = "NET")]
    net: Option<String>,
    /// Extents of the network's input
    #[arg(long, value_name = "CxHxW", value_parser = extents, requires = "net")]
    input: Option<Extents>,
    /// Names of the classes, one a line
    #[arg(long, value_name = "FILE", requires = "net")]
    classes: Option<PathBuf>,
    /// How a picture becomes the input: `imagenet` or a JSON file
    #[arg(long, value_name = "HOW", requires = "net")]
    preprocessing: Option<String>,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let kind = |p: &Path| p.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).unwrap_or_default();
    let (from, to) = (kind(&a.src), kind(&a.dst));
    if a.net.is_some() && from != "safetensors" {
        return Err(Failure::Usage("--net: only weights (.safetensors) need a network".into()));
    }
    let weights = match (from.as_str(), to.as_str()) {
        ("onnx", "safetensors") => {
            let model = Model::open(&a.src)?;
            let metadata = [("format".to_string(), "pt".to_string())].into();
            gabor::write_aside(&a.dst, &safetensors::write(model.weights(), &metadata))?;
            model.weights().clone()
        }
        ("onnx", "onnx") => {
            let model = Model::open(&a.src)?;
            model.save(&a.dst)?;
            model.weights().clone()
        }
        ("safetensors", "onnx") => {
            let model = with_network(a)?;
            model.save(&a.dst)?;
            model.weights().clone()
        }
        _ => {
            let text = format!(
                "{} → {}: no such conversion; right would be: .onnx → .safetensors, .safetensors → .onnx (with --net) or .onnx → .onnx",
                a.src.display(),
                a.dst.display()
            );
            return Err(Failure::Usage(text));
        }
    };
    let (tensors, elements) = (weights.len(), weights.elements());
    if a.format.json {
        return output::json(&json!({ "file": a.dst.display().to_string(), "tensors": tensors, "elements": elements }));
    }
    output::text(&format!("{}: {tensors} tensors, {} numbers\n", a.dst.display(), count(elements as u64)))
}

/// Weights in the network that the user names.
fn with_network(a: &Arguments) -> Result<Model> {
    let Some(net) = &a.net else {
        let text = format!(
            "{}: weights alone are no model; right would be: --net NET, such as --net resnet18",
            a.src.display()
        );
        return Err(Failure::Usage(text));
    };
    let names = match &a.classes {
        Some(path) => {
            let bytes = gabor::read_limited(path, 64 << 20)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect()
        }
        None => Vec::new(),
    };
    let bytes = gabor::read_limited(&a.src, LARGEST_FILE)?;
    let place = |e: gabor::Error| e.inside(a.src.display());
    let (weights, _) = safetensors::read(&bytes).map_err(|e| place(e.into()))?;
    let count = if names.is_empty() { None } else { Some(names.len()) };
    let network = network(net, a.input.as_ref(), count)?;
    let graph = network.graph(Mode::Infer)?;
    let wanted: Vec<String> = graph.parameters().map(|(v, _)| graph.value(v).name.clone()).collect();
    let (used, left): (Vec<_>, Vec<_>) = weights.0.into_iter().partition(|(name, _)| wanted.contains(name));
    // A counter of batches is no part of prediction; anything else that is left over is a mistake.
    let left: Vec<String> = left.into_iter().map(|l| l.0).filter(|n| !n.ends_with(".num_batches_tracked")).collect();
    if !left.is_empty() {
        let text = format!(
            "{}: {} has no parameters {}; right would be: weights of this network",
            a.src.display(),
            network.name(),
            left.join(", ")
        );
        return Err(Failure::Failed(text));
    }
    let mut model = Model::new(graph, used.into_iter().collect()).map_err(place)?.with_classes(names);
    if let Some(how) = &a.preprocessing {
        model = model.with_preprocessing(super::predict::preprocessing(how)?);
    }
    Ok(model)
}
