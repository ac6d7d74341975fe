//! `gabor run`: a model on raw tensors.

use crate::arguments::{Compute, Format, holds_no_weights, pair};
use crate::failure::{Failure, Result};
use crate::output;
use clap::Args;
use gabor::formats::{Array, ElementType, npy, onnx};
use gabor::tensor::{DType, Tensor};
use gabor::{Gradients, Model};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Largest tensor file that is read: 16 GiB.
const LARGEST_FILE: u64 = 16 << 30;

/// Run a model on raw tensors
///
/// Every output becomes DIR/NAME.npy, in the element type that the model names. With --grad the gradients of Σ dy·y for
/// every input and every weight become DIR/grad.NAME.npy. Characters of names that file names do not take become `_`.
///
/// The model is read for these inputs: an operator may take from an input what it must know beforehand, such as the shape
/// of a reshape. Such an input becomes a part of the network and has no gradient.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor run model.onnx --input images=x.npy --output out
  gabor run model.onnx --input images=x.npy --output out --grad dy.npy
  gabor run model.onnx --input a=a.npy --input b=b.npy --output out --grad logits=dy.npy

JSON: `outputs` and `gradients`, each by name: `file`, `shape`, `dtype`.")]
pub struct Arguments {
    /// The model, an .onnx file
    model: PathBuf,
    /// An input of the model and the file that holds it, .npy or .pb (ONNX TensorProto)
    #[arg(long = "input", value_name = "NAME=FILE", value_parser = pair)]
    inputs: Vec<(String, String)>,
    /// The directory for the results; made where it is missing
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// dy, of the shape of the output y: FILE where the model has one output, else NAME=FILE
    #[arg(long, value_name = "[NAME=]DY.npy")]
    grad: Vec<String>,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let file = a.model.to_str().map_or_else(|| a.model.clone(), |m| PathBuf::from(&*gabor::model_file(m)));
    let shown = file.display();
    if let Some(text) = a.model.to_str().and_then(holds_no_weights) {
        return Err(Failure::Usage(text));
    }
    if let Ok(format) = gabor::format_of(&file)
        && format.name != "ONNX"
    {
        let text = format!("{shown}: run takes .onnx; right would be: what gabor convert {shown} model.onnx makes");
        return Err(Failure::Usage(text));
    }
    let inputs = read_inputs(&a.inputs)?;
    fn view(v: &[(String, Tensor)]) -> Vec<(&str, &Tensor)> {
        v.iter().map(|(k, t)| (k.as_str(), t)).collect()
    }
    let backend = a.compute.backend()?;
    let mut once = None;
    let (kinds, run) = if a.grad.is_empty() {
        // Kept until the answer is told: to free memory takes time.
        let once = once.insert(Model::once(&file, inputs, &*backend)?);
        let outputs = once.run();
        (std::mem::take(&mut once.outputs), outputs.map(|y| (y, Gradients::default())))
    } else {
        let bound = Model::bind(&file, inputs)?;
        let model = bound.model.on(backend);
        let seeds = a.grad.iter().map(|g| seed(&model, g)).collect::<Result<Vec<_>>>()?;
        (bound.outputs, model.run_with_gradients(&view(&bound.inputs), &view(&seeds)))
    };
    let (outputs, gradients) = run.map_err(|e| e.inside(&shown))?;
    std::fs::create_dir_all(&a.output).map_err(|e| gabor::Error::io(&a.output, "make the directory", &e))?;
    let mut writer = Writer { directory: &a.output, taken: BTreeMap::new() };
    let mut written = [Map::new(), Map::new()];
    for (name, tensor) in &outputs {
        let kind = kinds.iter().find(|(n, _)| n == name).map_or(of(tensor.dtype()), |(_, k)| *k);
        writer.write(&mut written[0], name, &file_name(name), tensor, kind)?;
    }
    for (name, tensor) in gradients.by_name.iter() {
        let file = format!("grad.{}", file_name(name));
        writer.write(&mut written[1], name, &file, tensor, of(tensor.dtype()))?;
    }
    let [outputs, gradients] = written;
    if a.format.json {
        return output::json(&json!({ "outputs": outputs, "gradients": gradients }));
    }
    let lines = outputs.values().chain(gradients.values());
    output::text(
        &lines
            .map(|v| {
                format!("{}  {}{}\n", v["file"].as_str().unwrap_or(""), v["dtype"].as_str().unwrap_or(""), v["shape"])
            })
            .collect::<String>(),
    )
}

/// The type of a file for what a graph computes in.
fn of(dtype: DType) -> ElementType {
    match dtype {
        DType::F32 => ElementType::F32,
        DType::F64 => ElementType::F64,
        DType::I32 => ElementType::I32,
        DType::U8 => ElementType::U8,
    }
}

fn read_array(path: &str) -> Result<Array> {
    let bytes = gabor::read_limited(Path::new(path), LARGEST_FILE)?;
    let pb = Path::new(path).extension().is_some_and(|e| e.eq_ignore_ascii_case("pb"));
    let array = if pb { onnx::read_tensor(&bytes) } else { npy::read_array(&bytes) };
    let array = array.map_err(|e| Failure::Failed(gabor::Error::from(e).inside(path).to_string()))?;
    if array.kind == ElementType::F64 {
        output::note(&format!("{path}: f64 is rounded to f32, in which networks compute"));
    }
    Ok(array)
}

/// The inputs, as their files hold them.
fn read_inputs(given: &[(String, String)]) -> Result<Vec<(String, Array)>> {
    let mut all: Vec<(String, Array)> = Vec::new();
    for (name, path) in given {
        if all.iter().any(|(n, _)| n == name) {
            return Err(Failure::Usage(format!("--input {name}={path}: the input is given twice")));
        }
        all.push((name.clone(), read_array(path)?));
    }
    Ok(all)
}

fn seed(model: &Model, text: &str) -> Result<(String, Tensor)> {
    let outputs: Vec<&str> = model.graph().outputs().iter().map(|o| o.0.as_str()).collect();
    let named = text.rsplit_once('=').filter(|(name, _)| outputs.contains(name));
    let (name, path) = match (named, outputs.as_slice()) {
        (Some((name, path)), _) => (name.to_string(), path),
        (None, [only]) => match text.rsplit_once('=') {
            Some((name, _)) if !Path::new(text).exists() => {
                let text = format!("--grad {text}: the model has no output `{name}`; right would be: `{only}`");
                return Err(Failure::Usage(text));
            }
            _ => (only.to_string(), text),
        },
        (None, all) => {
            let rule = format!(
                "--grad {text}: the model has {} outputs; right would be: NAME=FILE with one of {}",
                all.len(),
                all.join(", ")
            );
            return Err(Failure::Usage(rule));
        }
    };
    let tensor = read_array(path)?.into_tensor();
    let tensor = tensor.map_err(|rule| Failure::Failed(gabor::Error::new(path, rule).to_string()))?;
    Ok((name, tensor))
}

/// A name as a file name: letters, digits, `.`, `-` and `_`.
fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' }).collect()
}

struct Writer<'a> {
    directory: &'a Path,
    /// File names and what they stand for.
    taken: BTreeMap<String, String>,
}

impl Writer<'_> {
    fn write(
        &mut self,
        list: &mut Map<String, Value>,
        name: &str,
        file: &str,
        tensor: &Tensor,
        kind: ElementType,
    ) -> Result<()> {
        if let Some(other) = self.taken.insert(file.to_string(), name.to_string()) {
            return Err(Failure::Failed(format!("{name}: its file {file}.npy is already taken by {other}")));
        }
        let path = self.directory.join(format!("{file}.npy"));
        let bytes = npy::write_as(tensor, kind).map_err(|rule| Failure::Failed(format!("output {name}: {rule}")))?;
        gabor::write_aside(&path, &bytes)?;
        let entry = json!({ "file": path.display().to_string(), "shape": tensor.shape(), "dtype": kind.name() });
        list.insert(name.to_string(), entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_the_directory() {
        assert_eq!(file_name("layer1.0/conv:w"), "layer1.0_conv_w");
        assert_eq!(file_name("../../x"), ".._.._x");
    }
}
