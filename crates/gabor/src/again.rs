//! The page of a run from what is in its directory: [`run_report`].

use crate::{Error, Model, Result, page, read_events};
use gabor_compile::Backend;
use gabor_report::Report;
use gabor_tensor::Rule;
use gabor_train::checkpoint::{self, State};
use gabor_train::{Config, Event, Outcome, Setup, Stop};
use std::path::Path;
use std::sync::Arc;

/// What the directory of a run tells.
#[derive(Debug)]
pub struct RunReport {
    /// The page.
    pub report: Report,
    /// Where the run stands.
    pub state: State,
    /// The part of the data that the page judges the model on, with its accuracy; none of a run that is not over.
    pub judged: Option<(String, f64)>,
}

/// The report of a run, from its settings, events, checkpoint and model, as [`train_run`](crate::train_run) wrote it at the
/// end. Of a run that is not over the page shows what there is so far. `hear` gets (samples looked at, samples in all).
///
/// # Errors
/// A directory of no run, data that are not where they were, files that are damaged.
pub fn run_report(directory: &Path, backend: Arc<dyn Backend>, hear: &mut dyn FnMut(u64, u64)) -> Result<RunReport> {
    let place = || directory.display().to_string();
    let (settings, last) = (directory.join("config.toml"), directory.join("checkpoints/last.safetensors"));
    for file in [&settings, &last] {
        if !file.is_file() {
            let name = file.strip_prefix(directory).unwrap_or(file).display();
            let rule = Rule::new(format!("there is no {name}, which a run has"));
            return Err(Error::new(place(), rule.right("the directory of a run, as gabor train makes it")));
        }
    }
    let config = Config::load::<&str>(Some(&settings), [], &[])?;
    let setup = Setup::prepare(&config, Some(directory), hear)?;
    let (weights, state) = checkpoint::read(&last)?;
    let events = read_events(directory)?;
    let (evaluation, stopped) = ending(&events);
    let file = directory.join("model.onnx");
    // Where a run went on and is not over, the model is that of an end before.
    let starts = events.iter().filter(|e| matches!(e, Event::RunStarted { .. })).count();
    let model = if file.is_file() && (starts < 2 || evaluation.is_some()) {
        Model::open(&file)?
    } else {
        let classes = setup.splits.classes().to_vec();
        Model::of_network(&setup.network, weights, setup.preprocessing.clone(), classes)?
    };
    let model = model.on(backend);
    let judged = evaluation.as_ref().map(|e| (e.split.clone(), e.top1));
    let weights = model.weights().clone();
    let waited = |e: &Event| if let Event::Epoch { waiting, .. } = e { *waiting } else { 0.0 };
    let waiting = events.iter().map(waited).sum();
    let outcome = Outcome { weights, evaluation, state, stopped, seconds: 0.0, waiting };
    let report = page(&setup, &model, &outcome, &events, directory)?;
    Ok(RunReport { report, state: outcome.state, judged })
}

/// The last evaluation and the last stop, of the training that came last.
fn ending(events: &[Event]) -> (Option<gabor_train::Evaluation>, Option<Stop>) {
    let (mut evaluation, mut stopped) = (None, None);
    for event in events {
        match event {
            // A run that goes on is not over.
            Event::RunStarted { .. } => (evaluation, stopped) = (None, None),
            Event::Evaluated { evaluation: e } => evaluation = Some(e.clone()),
            Event::Stopped { reason, .. } => {
                use Stop::{Converged, Interrupted, MaxSteps, MaxTime, Patience, Target};
                let all = [Interrupted, Patience, Target, MaxSteps, MaxTime, Converged];
                stopped = all.into_iter().find(|s| s.name() == reason);
            }
            _ => {}
        }
    }
    (evaluation, stopped)
}
