//! `gabor predict`: what pictures show.

use crate::arguments::{Compute, Format, Given, Prepared};
use crate::ensemble::Averaged;
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use clap::Args;
use gabor::Prediction;
use gabor::data::{Limits, decode_file};
use gabor::report::class_name_among;
use serde_json::{Value, json};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Name what pictures show
///
/// Pictures may have any size and be grey or coloured (PNG, JPEG, BMP, GIF, WebP, TIFF): the model file says how they become
/// the network's input.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor predict model.onnx cat.jpg dog.png
  gabor predict model.onnx *.png --top 1
  gabor predict --net resnet18 --weights resnet18.pth cat.jpg
  gabor predict timm/resnet18.a1_in1k cat.jpg
  gabor predict a.onnx cat.jpg dog.png --ensemble b.onnx c.onnx --tta flip
  gabor predict model.onnx cat.jpg --json | jq '.[0].top[0].class'

JSON: a list with an entry per file: `file`, `top` (`class`, `index`, `probability`), or `file`, `error`.")]
pub struct Arguments {
    /// The model (.onnx, a run's directory, weights with --net, or a name of the hub), then pictures; pictures alone with --weights
    #[arg(required = true, value_name = "MODEL | IMAGE")]
    files: Vec<String>,
    /// How many classes to show
    #[arg(long, default_value_t = 5, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    top: u32,
    #[command(flatten)]
    averaged: Averaged,
    #[command(flatten)]
    prepared: Prepared,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

pub fn run(a: &Arguments) -> Result<()> {
    let (model, images) = match a.files.split_first() {
        Some((model, images)) if a.given.weights.is_none() => (Some(model.as_str()), images),
        _ => (None, &a.files[..]),
    };
    if images.is_empty() {
        return Err(Failure::Usage("no pictures; right would be: gabor predict MODEL IMAGE…".into()));
    }
    let images: Vec<PathBuf> = images.iter().map(PathBuf::from).collect();
    let mut opened = a.averaged.open(&a.given, model, &a.compute, &a.prepared)?;
    let name = opened.name();
    // As in training and validation, large photographs are decoded at the size that the model needs; whole where several
    // models need different sizes.
    let models = opened.ensemble.models();
    let first = models.first().and_then(|m| m.preprocessing());
    let prepared = first.filter(|p| models.iter().all(|m| m.preprocessing() == Some(p))).cloned();
    let mut line = Progress::late(images.len() as u64);
    let stdout_is_aside = a.format.json || !std::io::stdout().is_terminal();
    let mut entries = Vec::new();
    let mut failed = 0;
    for (i, path) in images.iter().enumerate() {
        let found = match &prepared {
            Some(p) => p.decode_file(path, &Limits::default()),
            None => decode_file(path, &Limits::default()),
        };
        let found = found.map_err(gabor::Error::from);
        // What a picture is to blame for must not keep the others from being named; the model's faults end it all.
        let image = match found {
            Ok(image) => image,
            Err(e) => {
                failed += 1;
                line.clear();
                output::error(&e.to_string());
                entries.push(json!({ "file": path.display().to_string(), "error": e.to_string() }));
                continue;
            }
        };
        let top = opened.ensemble.top(&image, a.averaged.tta, a.top as usize).map_err(|e| {
            line.clear();
            e.inside(&name)
        })?;
        // Where both are a terminal, the pictures' own lines are progress enough.
        if stdout_is_aside {
            line.draw_images(i as u64 + 1, "");
        }
        if a.format.json {
            entries.push(json!({ "file": path.display().to_string(), "top": to_json(&top) }));
        } else {
            output::text(&table(path, &top, opened.ensemble.models()[0].classes(), i > 0))?;
        }
    }
    line.clear();
    if a.format.json {
        output::json(&Value::from(entries))?;
    }
    match failed {
        0 => Ok(()),
        1 => Err(Failure::Failed(format!("1 of {} pictures could not be read", images.len()))),
        n => Err(Failure::Failed(format!("{n} of {} pictures could not be read", images.len()))),
    }
}

fn to_json(top: &[Prediction]) -> Vec<Value> {
    top.iter().map(|p| json!({ "class": p.class, "index": p.index, "probability": p.probability })).collect()
}

fn table(path: &Path, top: &[Prediction], classes: &[String], gap: bool) -> String {
    let names: Vec<&str> = top.iter().map(|p| class_name_among(&p.class, classes)).collect();
    let width = names.iter().map(|n| n.chars().count()).max().unwrap_or(0);
    let mut out = if gap { "\n".to_string() } else { String::new() };
    out += &format!("{}\n", output::bold(&path.display().to_string()));
    for (p, name) in top.iter().zip(names) {
        let bar = "█".repeat((p.probability * 24.0).round() as usize);
        out += format!("  {:6.2} %  {:width$}  {bar}", p.probability * 100.0, name).trim_end();
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_of_one_short_name_are_told_apart() {
        let classes = ["n02012849 crane", "n03126707 crane", "n02106030 collie"].map(String::from);
        let found = |index: usize| Prediction { class: classes[index].clone(), index, probability: 0.25 };
        let text = table(Path::new("a.png"), &[found(0), found(2)], &classes, false);
        assert!(
            text.contains("  n02012849 crane") && text.contains("  collie ") && !text.contains("n02106030"),
            "{text}"
        );
    }
}
