//! A training from configuration to a complete run directory: checkpoints, `model.onnx`, `report.html`, `sample.png`.

use crate::{Error, Model, Result, files, page};
use gabor_compile::Backend;
use gabor_report::Picture;
use gabor_tensor::{Rule, Tensor};
use gabor_train::{Event, Jsonl, Outcome, RunOptions, Setup, Sink, Stop, train};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Largest difference, relative to the largest score, between the network and its reloaded file.
const TOLERANCE: f32 = 1e-5;

/// What a training left behind.
#[derive(Debug)]
pub struct Finished {
    /// How it ended, with weights and numbers.
    pub outcome: Outcome,
    /// The trained model.
    pub model: Model,
    /// `model.onnx`, checked by reading it back; `None` for a run that was interrupted or has no directory.
    pub model_file: Option<PathBuf>,
    /// `report.html`, likewise.
    pub report_file: Option<PathBuf>,
}

/// Trains; then writes `model.onnx`, checks it (its outputs after reading it back equal the trained network's on a batch
/// of real images), and writes `report.html`. Both need a run directory.
///
/// ```
/// use gabor::prelude::*;
/// let config = Config::load(None, [], &["epochs=1", "max_steps=2", "batch=8"]).unwrap();
/// let setup = gabor::train::Setup::new(&config).unwrap();
/// let mut events: Vec<Event> = Vec::new();
/// let finished = train_run(&setup, std::sync::Arc::new(CpuBackend::default()), Default::default(), &mut events).unwrap();
/// assert_eq!(finished.model.classes().len(), 10);
/// ```
///
/// # Errors
/// As [`train`]; a model that ONNX cannot say or that reads back otherwise; files that cannot be written.
pub fn train_run(
    setup: &Setup,
    backend: Arc<dyn Backend>,
    options: RunOptions<'_>,
    sink: &mut dyn Sink,
) -> Result<Finished> {
    let directory = options.directory.clone();
    let outcome = train(setup, &*backend, options, sink)?;
    let classes = setup.splits.classes().to_vec();
    let mut model = Model::of_network(&setup.network, outcome.weights.clone(), setup.preprocessing.clone(), classes)?
        .with_notes(provenance(setup, &outcome), outcome.evaluation.as_ref().map(metrics))
        .on(backend.clone());
    let (mut model_file, mut report_file) = (None, None);
    if let Some(directory) = directory.filter(|_| outcome.stopped != Some(Stop::Interrupted)) {
        let path = directory.join("model.onnx");
        let bytes = model.to_onnx()?;
        check(&mut model, &bytes, setup, backend).map_err(|e| e.inside(path.display()))?;
        files::write_aside(&path, &bytes)?;
        let events = read_events(&directory)?;
        let report = directory.join("report.html");
        let shown = page::page(setup, &model, &outcome, &events, &directory)?;
        files::write_aside(&report, shown.to_html().as_bytes())?;
        write_sample(setup, &directory)?;
        (model_file, report_file) = (Some(path), Some(report));
    }
    if let Some(evaluation) = outcome.evaluation.as_ref().filter(|_| outcome.stopped != Some(Stop::Interrupted)) {
        let run = model_file.as_deref().and_then(Path::parent);
        let event = Event::Finished {
            run: run.map_or(String::new(), |p| p.display().to_string()),
            model: model_file.as_ref().map(|p| p.display().to_string()),
            top1: evaluation.top1,
            seconds: outcome.state.seconds,
        };
        if let Some(run) = run {
            Jsonl::open(&run.join("metrics.jsonl"), u64::MAX)?.event(&event)?;
        }
        sink.event(&event)?;
    }
    Ok(Finished { outcome, model, model_file, report_file })
}

/// The first evaluation image as `sample.png`, so that there is a picture to try the model on.
fn write_sample(setup: &Setup, directory: &Path) -> Result<()> {
    let Ok((_, data)) = setup.splits.evaluation() else { return Ok(()) };
    let image = data.image(0)?;
    let picture = Picture::new(image.width(), image.height(), image.channels(), image.data().to_vec());
    picture.map_or(Ok(()), |p| files::write_aside(&directory.join("sample.png"), &p.to_png()))
}

/// The events of a run so far, from its `metrics.jsonl`.
///
/// # Errors
/// A file that cannot be read.
pub fn read_events(directory: &Path) -> Result<Vec<Event>> {
    Ok(Jsonl::read(&directory.join("metrics.jsonl"))?)
}

/// The run directory that a setup asks for: as its key `run` says, else the first of `runs/DATA-NET-1`, `-2`, … that
/// does not exist.
///
/// # Errors
/// A path in which no name is left.
pub fn resolve_directory(setup: &Setup, parent: &Path) -> Result<PathBuf> {
    if let Some(run) = &setup.config.run.0 {
        return Ok(PathBuf::from(run));
    }
    let data = Path::new(&setup.config.data).file_name().map_or("data".into(), |n| n.to_string_lossy().into_owned());
    let name = format!("{}-{}", slug(&data), slug(setup.network.name()));
    let free = (1..100_000).map(|i| parent.join(format!("{name}-{i}"))).find(|p| !p.exists());
    free.ok_or_else(|| {
        let rule = Rule::new(format!("all run directories of the name {name} are taken")).right("run=DIRECTORY");
        Error::new(parent.display().to_string(), rule)
    })
}

/// Lower-case letters, digits and dashes; at most 24 of them.
fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || c == '_' {
            out.push(c);
        } else if !out.ends_with('-') && !out.is_empty() {
            out.push('-');
        }
    }
    let out: String = out.chars().take(24).collect();
    let out = out.trim_end_matches('-');
    if out.is_empty() { "run".into() } else { out.into() }
}

/// Reads the model back and compares its scores with the network's on up to 16 evaluation (else training) images.
fn check(model: &mut Model, bytes: &[u8], setup: &Setup, backend: Arc<dyn Backend>) -> Result<()> {
    let data = match setup.splits.evaluation() {
        Ok((_, data)) => data.clone(),
        Err(_) => setup.splits.train()?.clone(),
    };
    let count = data.len().min(16);
    let [c, h, w] = setup.preprocessing.input();
    let mut images = Vec::with_capacity(count * c * h * w);
    for i in 0..count {
        images.extend(setup.preprocessing.apply(&data.image(i)?)?);
    }
    let images = Tensor::f32(&[count, c, h, w], images)?;
    let mut reloaded = Model::from_onnx(bytes)?.on(backend);
    let (ours, theirs) = (model.logits(&images)?, reloaded.logits(&images)?);
    let (ours, theirs) = (ours.as_f32()?, theirs.as_f32()?);
    let size = ours.iter().fold(1f32, |m, v| m.max(v.abs()));
    let worst =
        ours.iter().zip(theirs).fold(0f32, |m, (a, b)| if (a - b).is_nan() { f32::NAN } else { m.max((a - b).abs()) });
    if ours.len() != theirs.len() || worst.is_nan() || worst > TOLERANCE * size {
        let rule = Rule::new(format!("the reloaded file's scores differ by {worst} from the trained network's"));
        return Err(Error::from(rule.right(format!("at most {}", TOLERANCE * size))));
    }
    if reloaded.preprocessing() != model.preprocessing() || reloaded.classes() != model.classes() {
        return Err(Error::from(Rule::new("the reloaded file has other preprocessing or classes")));
    }
    Ok(())
}

/// How the network was trained. It holds no times, so equal trainings write equal files.
fn provenance(setup: &Setup, outcome: &Outcome) -> String {
    let config: serde_json::Map<String, serde_json::Value> =
        setup.config.influential().into_iter().map(|(k, v)| (k, v.into())).collect();
    let len = |d: &Option<Arc<dyn gabor_data::Dataset>>| d.as_ref().map_or(0, |d| d.len());
    serde_json::json!({
        "producer": "gabor",
        "version": env!("CARGO_PKG_VERSION"),
        "network": setup.network.name(),
        "paper": setup.network.card().map(|c| c.paper),
        "steps": outcome.state.step,
        "epochs": outcome.state.epoch,
        "best_epoch": outcome.state.best.map(|b| b.epoch),
        "samples": {
            "train": len(&setup.splits.train),
            "validation": len(&setup.splits.validation),
            "test": len(&setup.splits.test),
        },
        "config": config,
    })
    .to_string()
}

fn metrics(e: &gabor_train::Evaluation) -> String {
    serde_json::json!({ "split": e.split, "count": e.count, "loss": e.loss, "top1": e.top1, "top5": e.top5 })
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_runs_are_plain() {
        assert_eq!(slug("LeNet-5"), "lenet-5");
        assert_eq!(slug("INPUT -> [CONV3-16 -> RELU]*2 -> FC"), "input-conv3-16-relu-2-fc");
        assert_eq!(slug("../.."), "run");
    }
}
