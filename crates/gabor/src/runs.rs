//! Several runs beside each other: their settings, curves and final figures, read from their directories.

use crate::{Error, Result, read_limited};
use gabor_report::{Comparison, Curve, CurvePanel, PanelScale, TitledTable, count, duration, percent};
use gabor_tensor::Rule;
use gabor_train::{Config, Event};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Largest `metrics.jsonl` that is read.
const LARGEST: u64 = 1 << 30;

/// How a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It ended as it should.
    Finished,
    /// It ended before its last epoch, for this reason.
    Stopped(String),
    /// It is under way, or was killed.
    Unfinished,
    /// Its files cannot be read; why.
    Damaged(String),
}

impl RunState {
    /// In a few words.
    pub fn text(&self) -> String {
        match self {
            RunState::Finished => "finished".into(),
            RunState::Stopped(why) => format!("stopped: {}", why.replace('_', " ")),
            RunState::Unfinished => "unfinished".into(),
            RunState::Damaged(why) => format!("damaged: {why}"),
        }
    }
}

/// The end of an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochEnd {
    /// The epoch, from 0.
    pub epoch: u64,
    /// Mean training loss.
    pub train_loss: f64,
    /// Training accuracy.
    pub train_top1: f64,
    /// Validation loss.
    pub validation_loss: Option<f64>,
    /// Validation accuracy.
    pub validation_top1: Option<f64>,
}

/// What the directory of a run says.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRecord {
    /// The directory as it was given.
    pub path: String,
    /// A short name, unlike those of the other runs.
    pub name: String,
    /// How it stands.
    pub state: RunState,
    /// Lines of `metrics.jsonl` that are no events, such as half a last one.
    pub damaged_lines: usize,
    /// Its settings.
    pub settings: BTreeMap<String, String>,
    /// The network's name.
    pub net: String,
    /// Trainable parameters.
    pub parameters: Option<u64>,
    /// Epochs asked for.
    pub epochs_planned: u64,
    /// Steps done.
    pub steps: u64,
    /// Ends of its epochs, in order.
    pub epochs: Vec<EpochEnd>,
    /// (epoch with fraction, learning rate) of steps.
    pub rates: Vec<(f64, f64)>,
    /// The epoch whose weights were kept, from 0: the last that was the best so far.
    pub best: Option<u64>,
    /// Part that the final figures are of, top-1, top-5 and loss.
    pub result: Option<(String, f64, f64, f64)>,
    /// Seconds of training; of an unfinished run those of its epochs.
    pub seconds: f64,
    /// The middle of the training samples a second that steps report.
    pub images_per_second: Option<f64>,
}

/// Reads the directory of a run. Damage is a state, not an error.
///
/// # Errors
/// A path that is no directory.
pub fn read_run(directory: &Path) -> Result<RunRecord> {
    let path = directory.display().to_string();
    if !directory.is_dir() {
        return Err(Error::new(path, Rule::new("there is no such run directory").right("the directory of a run")));
    }
    let mut run = RunRecord {
        name: path.clone(),
        path,
        state: RunState::Unfinished,
        damaged_lines: 0,
        settings: BTreeMap::new(),
        net: String::new(),
        parameters: None,
        epochs_planned: 0,
        steps: 0,
        epochs: Vec::new(),
        rates: Vec::new(),
        best: None,
        result: None,
        seconds: 0.0,
        images_per_second: None,
    };
    let file = directory.join("metrics.jsonl");
    let text = match read_limited(&file, LARGEST) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(e) => {
            let why = if file.exists() { e.rule().to_string() } else { "there is no metrics.jsonl".into() };
            return Ok(RunRecord { state: RunState::Damaged(why), ..run });
        }
    };
    let mut speeds = Vec::new();
    for line in text.lines() {
        match serde_json::from_str::<Event>(line) {
            Ok(event) => run.take(&event, &mut speeds),
            Err(_) => run.damaged_lines += 1,
        }
    }
    speeds.sort_by(f64::total_cmp);
    run.images_per_second = speeds.get(speeds.len() / 2).copied();
    if run.net.is_empty() {
        run.state = RunState::Damaged("metrics.jsonl tells of no beginning".into());
    }
    // The file is what the run would go on with; it may be of another version, and then the events say it.
    let configuration = directory.join("config.toml");
    if let Ok(config) = Config::load::<&str>(Some(&configuration), [], &[]) {
        run.settings = config.entries().into_iter().map(|(k, v)| (k.to_string(), v)).collect();
    } else if run.settings.is_empty() && !matches!(run.state, RunState::Damaged(_)) {
        run.state = RunState::Damaged("config.toml cannot be read".into());
    }
    Ok(run)
}

impl RunRecord {
    fn take(&mut self, event: &Event, speeds: &mut Vec<f64>) {
        self.steps = event.step().map_or(self.steps, |s| s.max(self.steps));
        match event {
            Event::RunStarted { net, parameters, epochs, config, .. } => {
                // A run that goes on is under way again.
                self.state = RunState::Unfinished;
                self.net = net.clone();
                self.parameters = Some(*parameters);
                self.epochs_planned = *epochs;
                self.settings = config.clone();
            }
            Event::Step { epoch, step_in_epoch, steps_per_epoch, lr, images_per_second, .. } => {
                self.rates.push((*epoch as f64 + *step_in_epoch as f64 / (*steps_per_epoch).max(1) as f64, *lr));
                speeds.extend(Some(*images_per_second).filter(|v| v.is_finite() && *v > 0.0));
            }
            Event::Epoch { epoch, train_loss, train_top1, validation_loss, validation_top1, seconds, best, .. } => {
                self.epochs.push(EpochEnd {
                    epoch: *epoch,
                    train_loss: *train_loss,
                    train_top1: *train_top1,
                    validation_loss: *validation_loss,
                    validation_top1: *validation_top1,
                });
                self.seconds += seconds;
                if *best {
                    self.best = Some(*epoch);
                }
            }
            Event::Evaluated { evaluation: e } => {
                self.result = Some((e.split.clone(), e.top1, e.top5, e.loss));
            }
            Event::Stopped { reason, .. } => self.state = RunState::Stopped(reason.clone()),
            Event::Finished { seconds, .. } => {
                self.seconds = *seconds;
                // Patience and targets end a run as asked.
                if !matches!(self.state, RunState::Stopped(_)) {
                    self.state = RunState::Finished;
                }
            }
            _ => {}
        }
    }
    /// The end of the best epoch, else of the last.
    pub fn chosen(&self) -> Option<&EpochEnd> {
        self.epochs.iter().rev().find(|e| Some(e.epoch) == self.best).or(self.epochs.last())
    }
}

/// Runs beside each other.
#[derive(Clone, Debug, PartialEq)]
pub struct RunComparison {
    /// The runs, in the order that they were given.
    pub runs: Vec<RunRecord>,
    /// Settings that are not the same in all of them, with the value of each run (empty where it has none).
    pub differing: Vec<(String, Vec<String>)>,
    /// Runs that differ by their seed alone, as indices; two of them at least.
    pub repeats: Vec<Vec<usize>>,
}

/// Keys that say where a run lies or what it runs on, without influence on its numbers.
const PLACES: &[&str] = &["run", "threads", "workers", "recompute", "save_every"];

/// Reads runs and lays them beside each other.
///
/// # Errors
/// A path that is no directory, or a directory that is there twice.
pub fn compare_runs<P: AsRef<Path>>(directories: &[P]) -> Result<RunComparison> {
    let mut runs = directories.iter().map(|d| read_run(d.as_ref())).collect::<Result<Vec<_>>>()?;
    let mut seen = BTreeSet::new();
    if let Some(twice) = runs.iter().find(|r| !seen.insert(std::fs::canonicalize(&r.path).ok())) {
        return Err(Error::new(&twice.path, Rule::new("the same run twice").right("each run once")));
    }
    name(&mut runs);
    let keys: BTreeSet<&String> = runs.iter().flat_map(|r| r.settings.keys()).collect();
    let known = |r: &&RunRecord| !r.settings.is_empty();
    let value = |r: &RunRecord, k: &str| r.settings.get(k).cloned().unwrap_or_default();
    let differs = |k: &str| {
        let mut values = runs.iter().filter(known).map(|r| value(r, k));
        let first = values.next();
        values.any(|v| Some(v) != first)
    };
    let differing = (keys.iter())
        .filter(|k| k.as_str() != "run" && differs(k))
        .map(|k| (k.to_string(), runs.iter().map(|r| value(r, k)).collect()))
        .collect();
    let mut alike: BTreeMap<Vec<(&String, &String)>, Vec<usize>> = BTreeMap::new();
    for (i, r) in runs.iter().enumerate().filter(|(_, r)| known(r)) {
        let same = r.settings.iter().filter(|(k, _)| *k != "seed" && !PLACES.contains(&k.as_str())).collect();
        alike.entry(same).or_default().push(i);
    }
    let mut repeats: Vec<Vec<usize>> = alike.into_values().filter(|g| g.len() > 1).collect();
    repeats.sort_unstable();
    Ok(RunComparison { runs, differing, repeats })
}

/// Names runs by the last part of their paths, or by as many as tell them apart.
fn name(runs: &mut [RunRecord]) {
    let parts: Vec<Vec<String>> = (runs.iter())
        .map(|r| {
            let whole = std::fs::canonicalize(&r.path).unwrap_or_else(|_| r.path.clone().into());
            whole.iter().rev().map(|p| p.to_string_lossy().into_owned()).collect()
        })
        .collect();
    let tail = |p: &[String], n: usize| p.iter().take(n).rev().cloned().collect::<Vec<_>>().join("/");
    let longest = parts.iter().map(Vec::len).max().unwrap_or(1);
    let told = (1..=longest).find(|&n| parts.iter().map(|p| tail(p, n)).collect::<BTreeSet<_>>().len() == runs.len());
    for (run, parts) in runs.iter_mut().zip(&parts) {
        run.name = tail(parts, told.unwrap_or(longest));
    }
}

/// Mean and standard deviation (of a sample, n − 1).
fn spread(values: &[f64]) -> Option<(f64, f64)> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    Some((mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()))
}

/// A figure of a run for tables of repeats.
type Measure = (&'static str, fn(&RunRecord) -> Option<f64>, fn(f64) -> String);

/// What repeats are averaged over.
const MEASURES: [Measure; 6] = [
    ("validation top-1", |r| r.chosen()?.validation_top1, percent),
    ("validation loss", |r| r.chosen()?.validation_loss, four),
    ("top-1", |r| r.result.as_ref().map(|e| e.1), percent),
    ("top-5", |r| r.result.as_ref().map(|e| e.2), percent),
    ("loss", |r| r.result.as_ref().map(|e| e.3), four),
    ("time", |r| Some(r.seconds).filter(|s| *s > 0.0), duration),
];

fn four(v: f64) -> String {
    format!("{v:.4}")
}

impl RunComparison {
    /// Final figures, one row a run.
    pub fn figures(&self) -> TitledTable {
        let shown = |v: Option<f64>, f: fn(f64) -> String| v.map_or("–".into(), f);
        let row = |r: &RunRecord| {
            let chosen = r.chosen();
            let part = r.result.as_ref().map_or("–".into(), |e| e.0.clone());
            let best = chosen.map_or("–".into(), |e| format!("{} of {}", e.epoch + 1, r.epochs_planned));
            vec![
                r.name.clone(),
                r.state.text(),
                best,
                shown(chosen.and_then(|e| e.validation_top1), percent),
                shown(chosen.and_then(|e| e.validation_loss), four),
                part,
                shown(r.result.as_ref().map(|e| e.1), percent),
                shown(r.result.as_ref().map(|e| e.2), percent),
                shown(r.result.as_ref().map(|e| e.3), four),
                shown(Some(r.seconds).filter(|s| *s > 0.0), duration),
                shown(r.images_per_second, |v| count(v.round() as u64)),
                r.parameters.map_or("–".into(), count),
            ]
        };
        let head = [
            "run",
            "state",
            "best epoch",
            "val top-1",
            "val loss",
            "final on",
            "top-1",
            "top-5",
            "loss",
            "time",
            "images/s",
            "parameters",
        ];
        TitledTable::new("Final figures", &head, self.runs.iter().map(row).collect())
    }
    /// Settings that differ, one row a setting; empty where all are alike.
    pub fn settings(&self) -> TitledTable {
        let short = |v: &String| {
            let line = v.lines().next().unwrap_or_default();
            let cut: String = line.chars().take(60).collect();
            if cut.len() < v.len() { format!("{cut} …") } else { cut }
        };
        let head: Vec<&str> = std::iter::once("setting").chain(self.runs.iter().map(|r| r.name.as_str())).collect();
        let rows = self.differing.iter().map(|(k, v)| std::iter::once(k.clone()).chain(v.iter().map(short)).collect());
        TitledTable::new("Settings that differ", &head, rows.collect())
    }
    /// Mean ± standard deviation of runs that differ by their seed alone; empty where there are none.
    pub fn repeated(&self) -> TitledTable {
        let head: Vec<&str> = ["runs"].into_iter().chain(MEASURES.map(|m| m.0)).collect();
        let row = |group: &Vec<usize>| {
            let names: Vec<&str> = group.iter().map(|&i| self.runs[i].name.as_str()).collect();
            let cells = MEASURES.iter().map(|(_, get, show)| {
                let values: Vec<f64> = group.iter().filter_map(|&i| get(&self.runs[i])).collect();
                match spread(&values) {
                    Some((mean, deviation)) if values.len() == group.len() => {
                        format!("{} ± {}", show(mean), show(deviation))
                    }
                    Some((mean, deviation)) => format!("{} ± {} (of {})", show(mean), show(deviation), values.len()),
                    None => "–".into(),
                }
            });
            std::iter::once(names.join(", ")).chain(cells).collect()
        };
        TitledTable::new("Runs that differ by their seed alone", &head, self.repeats.iter().map(row).collect())
    }
    /// What does not show in the tables: damage, and curves that end early.
    pub fn remarks(&self) -> Vec<String> {
        let mut out = Vec::new();
        for r in &self.runs {
            if r.damaged_lines > 0 {
                let (lines, were) = if r.damaged_lines == 1 { ("line", "was") } else { ("lines", "were") };
                out.push(format!(
                    "{}: {} {lines} of metrics.jsonl {were} passed over, damaged",
                    r.name, r.damaged_lines
                ));
            }
            if r.state == RunState::Unfinished {
                out.push(format!(
                    "{}: unfinished after step {}; it is under way or was killed",
                    r.name,
                    count(r.steps)
                ));
            }
        }
        out
    }
    /// The page: curves over each other, then the tables.
    pub fn page(&self) -> Comparison {
        let of = |get: fn(&EpochEnd) -> Option<f64>, what: &str, dashed: bool| {
            (self.runs.iter().enumerate())
                .map(|(i, r)| {
                    let points = r.epochs.iter().filter_map(|e| Some((e.epoch as f64 + 1.0, get(e)?))).collect();
                    let curve = Curve::new(format!("{}{what}", r.name), points).colored(i);
                    if dashed { curve.dashed() } else { curve }
                })
                .collect::<Vec<Curve>>()
        };
        let validated = self.runs.iter().any(|r| r.epochs.iter().any(|e| e.validation_loss.is_some()));
        let both = |validation: fn(&EpochEnd) -> Option<f64>, training: fn(&EpochEnd) -> Option<f64>| {
            if validated {
                let mut all = of(validation, "", false);
                all.extend(of(training, ", training", true));
                all
            } else {
                of(training, "", false)
            }
        };
        let rates = (self.runs.iter().enumerate()).map(|(i, r)| Curve::new(r.name.clone(), r.rates.clone()).colored(i));
        let panel = |title: &str, scale, curves| CurvePanel { title: title.into(), scale, curves };
        let n = self.runs.len();
        Comparison {
            title: if n == 1 { "1 run".into() } else { format!("{n} runs") },
            subtitle: self.runs.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", "),
            note: if validated { "Solid: validation. Dashed: training.".into() } else { "Training.".into() },
            panels: vec![
                panel("Loss", PanelScale::Auto, both(|e| e.validation_loss, |e| Some(e.train_loss))),
                panel("Accuracy", PanelScale::Percent, both(|e| e.validation_top1, |e| Some(e.train_top1))),
                panel("Learning rate", PanelScale::Linear, rates.collect()),
            ],
            tables: vec![self.figures(), self.repeated(), self.settings()],
            remarks: self.remarks(),
        }
    }
    /// Everything as JSON: `runs`, `differing` (key to the list of values), `repeats` (`runs`, and of each measure `mean`,
    /// `deviation`, `count`).
    pub fn to_json(&self) -> Value {
        let runs: Vec<Value> = self.runs.iter().map(run_json).collect();
        let differing: serde_json::Map<String, Value> =
            self.differing.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        let repeats = self.repeats.iter().map(|group| {
            let mut out = json!({ "runs": group.iter().map(|&i| self.runs[i].path.as_str()).collect::<Vec<_>>() });
            for (name, get, _) in &MEASURES {
                let values: Vec<f64> = group.iter().filter_map(|&i| get(&self.runs[i])).collect();
                if let Some((mean, deviation)) = spread(&values) {
                    let key = name.replace([' ', '-'], "_").replace("top_", "top");
                    out[key] = json!({ "mean": mean, "deviation": deviation, "count": values.len() });
                }
            }
            out
        });
        json!({ "runs": runs, "differing": differing, "repeats": repeats.collect::<Vec<_>>() })
    }
}

fn run_json(r: &RunRecord) -> Value {
    let state = match &r.state {
        RunState::Finished => "finished",
        RunState::Stopped(_) => "stopped",
        RunState::Unfinished => "unfinished",
        RunState::Damaged(_) => "damaged",
    };
    let reason = match &r.state {
        RunState::Stopped(why) | RunState::Damaged(why) => json!(why),
        _ => Value::Null,
    };
    let chosen = r.chosen();
    let result = r
        .result
        .as_ref()
        .map(|(split, top1, top5, loss)| json!({ "split": split, "top1": top1, "top5": top5, "loss": loss }));
    let epochs: Vec<Value> = (r.epochs.iter())
        .map(|e| {
            json!({
                "epoch": e.epoch, "train_loss": e.train_loss, "train_top1": e.train_top1,
                "validation_loss": e.validation_loss, "validation_top1": e.validation_top1,
            })
        })
        .collect();
    json!({
        "run": r.path, "name": r.name, "state": state, "reason": reason, "damaged_lines": r.damaged_lines, "net": r.net,
        "parameters": r.parameters, "epochs_planned": r.epochs_planned, "steps": r.steps,
        "best_epoch": chosen.filter(|_| r.best.is_some()).map(|e| e.epoch),
        "validation_top1": chosen.and_then(|e| e.validation_top1), "validation_loss": chosen.and_then(|e| e.validation_loss),
        "result": result, "seconds": r.seconds, "images_per_second": r.images_per_second, "settings": r.settings,
        "epochs": epochs,
    })
}
