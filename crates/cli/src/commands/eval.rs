//! `gabor eval`: how good a model is, or several together.

use crate::arguments::{Compute, Format, Given, Prepared, on_bad};
use crate::ensemble::{Averaged, Opened};
use crate::failure::{Failure, Result};
use crate::output;
use crate::progress::Progress;
use crate::written;
use clap::{Args, ValueEnum};
use gabor::data::{Dataset, Newcomers, OnBad, Splits, Views, WrittenSplit};
use gabor::report::{class_name_among, count, percent, table};
use gabor::train::{Calibration, Evaluation, SampleScore, calibration::TEMPERATURES, open_data, open_divided};
use gabor::{EvaluateOptions, Evaluated, EvaluationPage, Model};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Measure a model on labelled pictures
///
/// Without --data the model is measured on the data that it was trained with, which its file names. Several models are
/// measured together, their probabilities averaged, and each alone.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor eval runs/digits-lenet5-1/model.onnx
  gabor eval model.onnx --data photos --split validation --report eval.html
  gabor eval model.onnx --data photos --bad skip
  gabor eval model.onnx --tta tencrop
  gabor eval --ensemble a.onnx b.onnx c.onnx --data photos
  gabor eval model.onnx --calibrate --output calibrated.onnx
  gabor eval --net resnet20 --weights resnet20.th --data cifar10 --predictions out.csv
  gabor eval model.onnx --json | jq .top1

Calibration: a model that is 90 % sure should be right nine times out of ten. The expected calibration error is the mean
distance from that over 15 bins of equal width. --calibrate divides the scores by the temperature that fits the validation
part best, which changes probabilities but no prediction.

JSON: `models`, `tta`, `temperature`, `split`, `count`, `loss`, `top1`, `top5`, `top` (for k = 1, 2, …), `balanced_accuracy`,
`macro_f1`, `calibration` (`ece`, `mce`, `brier`, `nll`, `bins`), `confusion`, `classes` (`class`, `count`, `predicted`,
`precision`, `recall`, `f1`), `mistakes` and `hardest` (`id`, `label`, `predicted`, `probability`, `truth_probability`,
`loss`); with --ensemble `members`, each the same; with --calibrate `before`, the same without the temperature; with --bad skip
`bad` (`id`, `reason`), what was left out, and with --calibrate `bad_calibration`, the same of the validation part.")]
pub struct Arguments {
    /// The model: an .onnx file, weights with --net, or a name of the hub
    model: Option<String>,
    /// The data: `digits`, a directory (a folder per class, MNIST, CIFAR, tar shards, Parquet), a table of paths and labels (.csv); URLs with the feature object-store
    #[arg(long, value_name = "PATH")]
    data: Option<String>,
    /// Which part of the data (default: test, else validation)
    #[arg(long, value_name = "PART")]
    split: Option<Split>,
    #[command(flatten)]
    averaged: Averaged,
    /// Fit a temperature on the validation part, and measure before and after
    #[arg(long)]
    calibrate: bool,
    /// With --calibrate: write the model with the temperature in it
    #[arg(long, value_name = "FILE.onnx", requires = "calibrate")]
    output: Option<PathBuf>,
    /// Write a page with figures, confusion, calibration and the pictures of the highest losses
    #[arg(long, value_name = "FILE.html")]
    report: Option<PathBuf>,
    /// Write a line for every sample: id, label, prediction, probability, loss
    #[arg(long, value_name = "FILE.csv")]
    predictions: Option<PathBuf>,
    /// Pictures that are run at once; views count one by one
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch: u32,
    /// What to do about pictures that cannot be read, `fail` or `skip` (default: as the model was trained, else fail)
    #[arg(long, value_name = "WHAT", value_parser = on_bad)]
    bad: Option<OnBad>,
    #[command(flatten)]
    prepared: Prepared,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    pub compute: Compute,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Split {
    Train,
    Validation,
    Test,
}

impl Split {
    /// The part that messages and files call by this name.
    pub fn named(name: &str) -> Option<Self> {
        <Self as ValueEnum>::from_str(name, false).ok()
    }
}

pub fn run(a: &Arguments) -> Result<()> {
    let files = [("--output", &a.output), ("--report", &a.report), ("--predictions", &a.predictions)];
    let files: Vec<(&str, &Path)> = files.into_iter().filter_map(|(flag, p)| Some((flag, p.as_deref()?))).collect();
    let others = a.model.iter().chain(&a.averaged.ensemble).chain(&a.data).map(Path::new);
    written::check(&files, None, &written::read(&a.given, Some(&a.prepared), others))?;
    let mut opened = a.averaged.open(&a.given, a.model.as_deref(), &a.compute, &a.prepared)?;
    let name = opened.name();
    if let Some(path) = a.output.as_ref().filter(|_| opened.names.len() > 1 || a.averaged.tta != Views::One) {
        let text = format!("--output {}: a temperature of several models or views belongs to none", path.display());
        return Err(Failure::Usage(text + "; right would be: one model, without --tta"));
    }
    let first = &opened.ensemble.models()[0];
    let data = match a.data.clone().or_else(|| noted(first, "data")) {
        Some(data) => data,
        None => {
            let text = format!("{name}: the file does not say what it was trained with; right would be: --data PATH");
            return Err(Failure::Usage(text));
        }
    };
    let splits = splits(&data, first, a.model.as_deref())?;
    let (split, dataset) = part(&data, &splits, a.split)?;
    let trained_so = || if noted(first, "bad").as_deref() == Some("skip") { OnBad::Skip } else { OnBad::Fail };
    let mut options = EvaluateOptions {
        batch: a.batch as usize,
        split,
        views: a.averaged.tta,
        bad: a.bad.unwrap_or_else(trained_so),
        ..Default::default()
    };
    let mut fitted = None;
    if a.calibrate {
        let f = fit(&mut opened, &data, &splits, &options)?;
        options.temperature = Some(f.temperature);
        fitted = Some(f);
    }
    let (e, rows) = measure(&mut opened, dataset.clone(), &options, a.predictions.is_some())?;
    if let Some(path) = &a.predictions {
        gabor::write_aside(path, rows.as_bytes())?;
    }
    if let (Some(path), Some(page)) = (&a.report, page(a, &opened, &data, &*dataset, &options, &e)) {
        gabor::write_aside(path, page.report(&e)?.to_html().as_bytes())?;
    }
    let Opened { ensemble, names } = opened;
    if let (Some(path), Some(t)) = (&a.output, options.temperature) {
        for model in ensemble.into_models() {
            model.calibrated(t)?.save(path)?;
        }
    }
    tell_bad(&e.bad, dataset.len(), &options.split);
    if a.format.json {
        return output::json(&to_json(&e, &*dataset, &names, &options, fitted.as_ref()));
    }
    let mut text = format!("{name} on {data}\n\n{}", describe_all(&e, &names, &options));
    for (what, path) in [("model", &a.output), ("report", &a.report), ("predictions", &a.predictions)] {
        if let Some(path) = path {
            let _ = write!(text, "\n{what:12}{}", path.display());
        }
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    output::text(&text)
}

/// A setting of the training that the model's file tells of.
fn noted(model: &Model, key: &str) -> Option<String> {
    let notes: Value = serde_json::from_str(model.provenance()?).ok()?;
    notes["config"][key].as_str().map(String::from)
}

/// The parts of the data as the training had them: as its run wrote them down beside the model, else with the validation
/// part drawn again.
pub fn splits(data: &str, model: &Model, path: Option<&str>) -> Result<Splits> {
    let file = path.map(gabor::model_file);
    let run = file.as_deref().and_then(|p| Path::new(p).parent()).filter(|run| run.join(WrittenSplit::FILE).is_file());
    if let Some(run) = run.filter(|_| noted(model, "data").as_deref() == Some(data)) {
        let (splits, changes) = open_divided(data, run, Newcomers::LeftOut)?;
        if !changes.none() {
            output::note(&format!("{data}: since the training: {}; what was added is left out", changes.text()));
        }
        return Ok(splits);
    }
    let splits = open_data(data)?;
    let number = |key: &str| noted(model, key);
    let (fraction, seed) = (number("val").and_then(|v| v.parse::<f64>().ok()), number("seed"));
    match (fraction.filter(|&f| f > 0.0), seed.and_then(|s| s.parse().ok())) {
        (Some(f), Some(seed)) if splits.validation.is_none() && splits.train.is_some() => Ok(splits.hold_out(f, seed)?),
        _ => Ok(splits),
    }
}

/// The part of the data that is asked for, with its name; test, else validation, where none is.
pub fn part(data: &str, splits: &Splits, split: Option<Split>) -> Result<(String, Arc<dyn Dataset>)> {
    let (name, found) = match split {
        None => {
            let (name, set) = splits.evaluation()?;
            return Ok((name.to_string(), set.clone()));
        }
        Some(Split::Train) => ("train", &splits.train),
        Some(Split::Validation) => ("validation", &splits.validation),
        Some(Split::Test) => ("test", &splits.test),
    };
    match found {
        Some(set) => Ok((name.to_string(), set.clone())),
        None => Err(Failure::Failed(format!("{data}: the data have no {name} part"))),
    }
}

type Bad = Vec<(usize, gabor::data::Error)>;

/// Which pictures of a part were left out, and how many.
fn tell_bad(bad: &Bad, all: usize, split: &str) {
    for (_, why) in bad.iter().take(TOLD) {
        output::warning(&format!("left out: {why}"));
    }
    if !bad.is_empty() {
        let (bad, all) = (count(bad.len() as u64), count(all as u64));
        output::note(&format!("{bad} of {all} {split} images could not be read and are left out"));
    }
}

/// A temperature, and what was left out of the part that it is fitted on.
struct Fitted {
    temperature: f64,
    validation: Arc<dyn Dataset>,
    bad: Bad,
}

/// The temperature that fits the validation part best.
fn fit(opened: &mut Opened, data: &str, splits: &Splits, options: &EvaluateOptions) -> Result<Fitted> {
    let (name, validation) = part(data, splits, Some(Split::Validation))?;
    let mut line = Progress::late(validation.len() as u64);
    let mut hear = |done: usize| line.draw_images(done as u64, "calibrating");
    let scored = opened.ensemble.scores(validation.clone(), options, &mut hear);
    line.clear();
    let gabor::Scored { scores, bad, unfit } = scored.map_err(|e| e.inside(opened.name()))?;
    // The same part is told of when it is measured.
    if options.split != name {
        tell_bad(&bad, validation.len(), &name);
    }
    if unfit > 0 {
        let all = count(validation.len() as u64);
        let what = "probabilities that are no numbers, or none for their class, and do not count for the temperature";
        output::warning(&format!("{} of {all} {name} images get {what}", count(unfit as u64)));
    }
    let t = scores.temperature();
    if t <= TEMPERATURES.0 || t >= TEMPERATURES.1 {
        let why = if t < 1.0 { "every prediction is right there" } else { "probabilities tell next to nothing there" };
        let images = count(scores.len() as u64);
        output::warning(&format!("the temperature ends at {t}: on the {images} images of the validation part {why}"));
    }
    if options.split == "validation" {
        output::note("the temperature is fitted on the part that is measured, which flatters the figures after it");
    }
    Ok(Fitted { temperature: t, validation, bad })
}

/// The evaluation, and the lines of --predictions where they are wanted.
fn measure(
    opened: &mut Opened,
    dataset: Arc<dyn Dataset>,
    options: &EvaluateOptions,
    wanted: bool,
) -> Result<(Evaluated, String)> {
    let classes = dataset.classes().to_vec();
    let class = |i: usize| classes.get(i).map_or_else(|| i.to_string(), |c| quoted(c));
    let mut rows = if wanted { "id,label,prediction,probability,loss\n".to_string() } else { String::new() };
    let mut line = Progress::late(dataset.len() as u64);
    let (mut done, mut right) = (0u64, 0u64);
    let e = opened.ensemble.eval_with(dataset, options, &mut |s: &SampleScore| {
        done += 1;
        right += u64::from(s.verdict.predicted == s.label);
        line.draw_images(done, &format!("accuracy {}", percent(right as f64 / done as f64)));
        if wanted {
            let v = &s.verdict;
            let (label, predicted) = (class(s.label), class(v.predicted));
            let _ = writeln!(rows, "{},{label},{predicted},{:.6},{:.6}", quoted(&s.id), v.probability, v.loss);
        }
    });
    line.clear();
    Ok((e.map_err(|e| e.inside(opened.name()))?, rows))
}

/// A field of a CSV file (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.into() }
}

fn page<'a>(
    a: &Arguments,
    opened: &'a Opened,
    data: &str,
    dataset: &'a dyn Dataset,
    options: &EvaluateOptions,
    e: &Evaluated,
) -> Option<EvaluationPage<'a>> {
    let models = opened.ensemble.models();
    // Without it there would be no evaluation.
    let preprocessing = models.first()?.preprocessing()?;
    let several = opened.names.len() > 1;
    let on = std::path::Path::new(data).file_name().map_or(data.into(), |n| n.to_string_lossy());
    let who = if several { format!("{} models together", models.len()) } else { opened.name() };
    let images = count(e.evaluation.count);
    let left_out = match e.bad.len() as u64 {
        0 => String::new(),
        n => format!(" {} could not be read and {} left out.", count(n), if n == 1 { "is" } else { "are" }),
    };
    let mut commands = Vec::new();
    let words = |more: &str| format!("gabor eval {} --data {data} {more}", opened.names.join(" "));
    if !several {
        let model = &opened.names[0];
        if a.output.is_none() {
            commands.push((words("--calibrate --output calibrated.onnx"), "mend its probabilities".into()));
        }
        commands.push((format!("gabor predict {model} PICTURE"), "name a picture".into()));
        commands.push((format!("gabor summary {model}"), "see its layers".into()));
    }
    Some(EvaluationPage {
        title: if several { format!("{} models", models.len()) } else { models[0].graph().name.clone() },
        subtitle: format!(
            "{who} on the {images} {} images of {on}, {} classes.{left_out}",
            options.split,
            dataset.classes().len()
        ),
        models: &opened.names,
        dataset,
        preprocessing,
        views: options.views,
        temperature: options.temperature,
        commands,
    })
}

fn to_json(
    e: &Evaluated,
    dataset: &dyn Dataset,
    names: &[String],
    options: &EvaluateOptions,
    fitted: Option<&Fitted>,
) -> Value {
    let value = |e: &Evaluation| serde_json::to_value(e).unwrap_or_default();
    let mut out = value(&e.evaluation);
    out["models"] = json!(names);
    out["tta"] = options.views.name().into();
    out["temperature"] = json!(options.temperature);
    if options.bad == OnBad::Skip {
        let list = |bad: &Bad, set: &dyn Dataset| -> Value {
            bad.iter().map(|(i, why)| json!({"id": set.id(*i), "reason": why.rule().to_string()})).collect()
        };
        out["bad"] = list(&e.bad, dataset);
        if let Some(f) = fitted {
            out["bad_calibration"] = list(&f.bad, &*f.validation);
        }
    }
    if !e.members.is_empty() {
        out["members"] = e.members.iter().map(value).collect();
    }
    if let Some(before) = &e.before {
        out["before"] = value(before);
    }
    out
}

/// Pictures that could not be read and are told of one by one.
const TOLD: usize = 20;
/// Most classes that are listed one by one.
const LISTED: usize = 20;

/// The numbers of one evaluation as text.
pub fn describe(e: &Evaluation) -> String {
    let top5 = if e.classes.len() > 5 { format!("   top-5 {}", percent(e.top5)) } else { String::new() };
    let mut out = format!(
        "{} accuracy {} of {} images{top5}   loss {:.4}\n",
        e.split,
        output::bold(&percent(e.top1)),
        count(e.count),
        e.loss,
    );
    if e.is_uneven() {
        let _ = writeln!(
            out,
            "the classes are uneven: balanced accuracy {}   mean F1 {:.4}",
            percent(e.balanced_accuracy),
            e.macro_f1
        );
    }
    let _ = write!(out, "\n{}", gabor::confusion(e).to_text());
    let mut order = e.worst_first();
    let all = order.len() <= LISTED;
    if all {
        order.sort_unstable();
    }
    order.truncate(LISTED);
    let names: Vec<&str> = e.classes.iter().map(|c| c.class.as_str()).collect();
    let cells = |&i: &usize| {
        let c = &e.classes[i];
        let f1 = format!("{:.4}", c.f1);
        vec![class_name_among(&c.class, &names).into(), count(c.count), percent(c.precision), percent(c.recall), f1]
    };
    let rows: Vec<Vec<String>> = order.iter().map(cells).collect();
    let head = ["class", "images", "precision", "recall", "F1"];
    if !all {
        let _ = write!(out, "\nthe {LISTED} worst of {} classes\n", e.classes.len());
    }
    let _ = write!(out, "\n{}", table(&head, &[false, true, true, true, true], &rows));
    out
}

/// All numbers as text: each model, the temperature, and how far probabilities can be believed.
fn describe_all(e: &Evaluated, names: &[String], options: &EvaluateOptions) -> String {
    let mut out = String::new();
    if options.views != Views::One {
        let _ = writeln!(out, "{} views of each picture ({})", options.views.count(), options.views.name());
    }
    if !e.members.is_empty() {
        let row = |name: &str, e: &Evaluation| {
            let loss = format!("{:.4}", e.loss);
            vec![name.to_string(), percent(e.top1), percent(e.top5), loss, percent(e.calibration.ece)]
        };
        let mut rows: Vec<Vec<String>> = names.iter().zip(&e.members).map(|(n, e)| row(n, e)).collect();
        rows.push(row("together", e.before.as_ref().unwrap_or(&e.evaluation)));
        let head = ["model", "accuracy", "top-5", "loss", "calibration error"];
        let _ = writeln!(out, "{}", table(&head, &[false, true, true, true, true], &rows));
    }
    out += &describe(&e.evaluation);
    let now = &e.evaluation.calibration;
    let head = |name: &str| name.to_string();
    let mut columns: Vec<(String, &Calibration)> = Vec::new();
    match (&e.before, options.temperature) {
        (Some(before), Some(t)) => {
            columns.push((head("before"), &before.calibration));
            columns.push((format!("temperature {t:.3}"), now));
        }
        _ => columns.push((head("value"), now)),
    }
    let figure = |name: &str, f: &dyn Fn(&Calibration) -> String| {
        let mut row = vec![name.to_string()];
        row.extend(columns.iter().map(|c| f(c.1)));
        row
    };
    let rows = [
        figure("expected calibration error", &|c| percent(c.ece)),
        figure("largest error of a bin", &|c| percent(c.mce)),
        figure("Brier score", &|c| format!("{:.4}", c.brier)),
        figure("negative log likelihood", &|c| format!("{:.4}", c.nll)),
    ];
    let mut names = vec!["calibration"];
    names.extend(columns.iter().map(|c| c.0.as_str()));
    let right: Vec<bool> = (0..names.len()).map(|c| c > 0).collect();
    let _ = write!(out, "\n{}", table(&names, &right, &rows));
    out
}
