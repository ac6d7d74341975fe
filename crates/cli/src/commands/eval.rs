//! `gabor eval`: how good a model is.

use crate::arguments::{Compute, Format, Given};
use crate::failure::{Failure, Result};
use crate::output;
use clap::{Args, ValueEnum};
use gabor::data::Dataset;
use gabor::report::{count, percent, table};
use gabor::train::{Evaluation, open_data};
use gabor::{EvaluateOptions, Model};
use std::sync::Arc;

/// Measure a model on labelled pictures
///
/// Without --data the model is measured on the data that it was trained with, which its file names.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor eval runs/digits-lenet5-1/model.onnx
  gabor eval model.onnx --data photos --split validation
  gabor eval --net resnet20 --weights resnet20.th --data cifar10
  gabor eval model.onnx --json | jq .top1

JSON: `split`, `count`, `loss`, `top1`, `top5`, `confusion`, `classes` (`class`, `count`, `precision`, `recall`, `f1`),
`mistakes`.")]
pub struct Arguments {
    /// The model: an .onnx file, or weights with --net
    model: Option<String>,
    /// The data: `digits` or a directory (MNIST, CIFAR-10, or a folder per class)
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Which part of the data (default: test, else validation)
    #[arg(long, value_name = "PART")]
    split: Option<Split>,
    /// Pictures that are run at once
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// Preprocessing instead of the model's: `imagenet` or a JSON file
    #[arg(long, value_name = "HOW")]
    preprocessing: Option<String>,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    Train,
    Validation,
    Test,
}

pub fn run(a: &Arguments) -> Result<()> {
    let (model, name) = a.given.open(a.model.as_deref())?;
    let mut model = model.on(a.compute.backend()?);
    if let Some(how) = &a.preprocessing {
        model = model.with_preprocessing(super::predict::preprocessing(how)?);
    }
    let data = match a.data.clone().or_else(|| trained_with(&model)) {
        Some(data) => data,
        None => {
            let text = format!("{name}: the file does not say what it was trained with; right would be: --data PATH");
            return Err(Failure::Usage(text));
        }
    };
    let (split, dataset) = part(&data, a.split)?;
    let options = EvaluateOptions { batch: a.batch as usize, split, ..Default::default() };
    let e = model.eval(dataset, &options).map_err(|e| e.inside(&name))?;
    if a.format.json {
        return output::json(&serde_json::to_value(&e).unwrap_or_default());
    }
    output::text(&format!("{name} on {data}\n\n{}", describe(&e)))
}

/// The data that the model's file says it was trained with.
fn trained_with(model: &Model) -> Option<String> {
    let notes: serde_json::Value = serde_json::from_str(model.provenance()?).ok()?;
    notes["config"]["data"].as_str().map(String::from)
}

fn part(data: &str, split: Option<Split>) -> Result<(String, Arc<dyn Dataset>)> {
    let splits = open_data(data)?;
    let (name, found) = match split {
        None => {
            let (name, set) = splits.evaluation()?;
            return Ok((name.to_string(), set.clone()));
        }
        Some(Split::Train) => ("train", splits.train),
        Some(Split::Validation) => ("validation", splits.validation),
        Some(Split::Test) => ("test", splits.test),
    };
    match found {
        Some(set) => Ok((name.to_string(), set)),
        None => Err(Failure::Failed(format!("{data}: the data have no {name} part"))),
    }
}

/// The numbers of an evaluation as text.
pub fn describe(e: &Evaluation) -> String {
    let top5 = if e.classes.len() > 5 { format!("   top-5 {}", percent(e.top5)) } else { String::new() };
    let mut out = format!(
        "{} accuracy {} of {} images{top5}   loss {:.4}\n\n{}",
        e.split,
        output::bold(&percent(e.top1)),
        count(e.count),
        e.loss,
        gabor::confusion(e).to_text()
    );
    if e.classes.len() <= 20 {
        let rows: Vec<Vec<String>> = (e.classes.iter())
            .map(|c| {
                vec![
                    c.class.clone(),
                    c.count.to_string(),
                    percent(c.precision),
                    percent(c.recall),
                    format!("{:.4}", c.f1),
                ]
            })
            .collect();
        out += "\n";
        out += &table(&["class", "images", "precision", "recall", "F1"], &[false, true, true, true, true], &rows);
    }
    out
}
