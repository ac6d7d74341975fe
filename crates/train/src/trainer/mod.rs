//! The training loop.
//!
//! One call of [`train`] is one process's work on a run: it begins a run or goes on from its last checkpoint, and ends
//! when the epochs are done, progress ends ([`Config::patience`](crate::Config)), a target or a number of steps is
//! reached, or `stop` is set. Batches, order, augmentation and dropout are functions of (seed, epoch, sample) and of the
//! step alone, so a run that was killed and goes on ends with the same bits as one that was not.

mod bad;
mod begin;
mod diagnose;
mod evaluate;
mod forecast;
mod full_batch;
mod gradients;
mod phases;
mod range_test;
mod split;
mod steps;

pub use evaluate::{evaluate, run_evaluation, write_weights};
pub use forecast::Pace;
pub use range_test::{RangeCurve, RangePoint, RangeTest, range_test};

use crate::checkpoint::{Best, Checkpoints, RunLock, State, Storage};
use crate::metrics::Evaluation;
use crate::schedule::Rate;
use crate::setup::Setup;
use crate::sink::{Jsonl, TensorBoard};
use crate::step::{Entry, Forward, StepOptions, averaged, optimiser_state, program, reset_optimiser};
use crate::whiten::whiten;
use crate::{Error, Event, Result, Sink, Tally};
use begin::{
    averaged_parameters, begin_averages, open_directory, read_weights, take_over, warn_of_changes, write_with_averages,
};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_nets::Mode;
use gabor_tensor::{Rule, Weights};
use phases::Phases;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use steps::Waiting;

/// How many of the worst mistakes an evaluation keeps.
const MISTAKES: usize = 24;

/// Where and how a run runs.
#[derive(Default)]
pub struct RunOptions<'a> {
    /// The run directory: `config.toml`, `metrics.jsonl`, TensorBoard's file and `checkpoints/`. `None` writes nothing.
    pub directory: Option<PathBuf>,
    /// Whether to go on from the directory's last checkpoint.
    pub resume: bool,
    /// Set by a signal handler: the loop saves and ends after the step under way.
    pub stop: Option<&'a AtomicBool>,
    /// Weights to begin with instead of fresh ones (or of the file that the key `weights` names), by name; parameters that they lack or hold in another shape stay
    /// fresh, and the sink is told.
    pub weights: Option<Weights>,
    /// Where checkpoints go; `None` is the disk.
    pub storage: Option<Box<dyn Storage>>,
    /// How long a step will take, where the caller knows; the run's forecast of time rests on it.
    pub pace: Option<Pace>,
}

/// Why a run ended before its last epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `stop` was set.
    Interrupted,
    /// No progress for `patience` epochs.
    Patience,
    /// The validation accuracy reached the target.
    Target,
    /// The number of steps is reached.
    MaxSteps,
    /// The time is over.
    MaxTime,
    /// L-BFGS found no lower point.
    Converged,
}

impl Stop {
    /// The reason as events name it.
    pub fn name(self) -> &'static str {
        match self {
            Stop::Interrupted => "interrupted",
            Stop::Patience => "patience",
            Stop::Target => "target",
            Stop::MaxSteps => "max_steps",
            Stop::MaxTime => "max_time",
            Stop::Converged => "converged",
        }
    }
}

/// What a run ended with.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Parameters and running statistics: those of the best epoch where there is a validation part, else the last.
    pub weights: Weights,
    /// Numbers of these weights on the test part (else the validation part); none for an interrupted run or data with
    /// neither.
    pub evaluation: Option<Evaluation>,
    /// Where the run stands.
    pub state: State,
    /// Why it ended early, if it did.
    pub stopped: Option<Stop>,
    /// Seconds of this call.
    pub seconds: f64,
    /// Of these, seconds in which training waited for pictures to be read.
    pub waiting: f64,
}

impl Forward {
    /// The network of a description, in training with its auxiliary heads.
    ///
    /// # Errors
    /// Layers that do not fit each other.
    pub fn of(network: &gabor_nets::Network, mode: Mode) -> Result<Self> {
        let (graph, heads) = network.graph_and_heads(mode)?;
        let auxiliary = heads.iter().filter_map(|h| Some((graph.output_value(&h.name)?, h.weight))).collect();
        Ok(Forward { auxiliary, ..Self::of_graph(graph)? })
    }
    /// A graph with an output `logits`; other outputs play no part in the loss.
    ///
    /// # Errors
    /// A graph without it.
    pub fn of_graph(graph: gabor_graph::Graph) -> Result<Self> {
        let logits = graph.output_value("logits").ok_or_else(|| {
            let names: Vec<&str> = graph.outputs().iter().map(|o| o.0.as_str()).collect();
            Error::new(&graph.name, Rule::new(format!("outputs {}", names.join(", "))).right("an output `logits`"))
        })?;
        Ok(Forward { graph, logits, auxiliary: Vec::new() })
    }
}

/// Trains. See the module's page; events go to `sink` and to the run directory's files.
///
/// # Errors
/// A directory that is in use, holds another run or cannot be written; data that cannot be read; a loss that is not
/// finite, with the place where that began.
pub fn train(setup: &Setup, backend: &dyn Backend, options: RunOptions<'_>, sink: &mut dyn Sink) -> Result<Outcome> {
    let mut run = Run::begin(setup, backend, options, sink)?;
    let stopped = if run.state.finished { None } else { run.epochs()? };
    run.end(stopped)
}

/// A run under way.
struct Run<'a> {
    setup: &'a Setup,
    /// Places of samples that could not be read and have been told of.
    bad: BTreeSet<String>,
    backend: &'a dyn Backend,
    step_options: StepOptions,
    forward: Forward,
    program: Program,
    executable: Box<dyn Executable>,
    rate: Rate,
    /// The learning rate before its schedule.
    base_lr: f64,
    phases: Phases,
    /// Names of the parameters whose averages are kept.
    averages: BTreeSet<String>,
    state: State,
    epochs: u64,
    steps_per_epoch: u64,
    stop: Option<&'a AtomicBool>,
    /// What L-BFGS remembers, as checkpoints hold it.
    memory: Option<Weights>,
    /// The best epoch's weights of a run without a directory.
    best_weights: Option<Weights>,
    files: Option<Files>,
    sink: &'a mut dyn Sink,
    started: Instant,
    seconds_before: f64,
    waiting: Waiting,
}

/// What a run writes.
struct Files {
    directory: PathBuf,
    checkpoints: Checkpoints,
    jsonl: Jsonl,
    tensorboard: TensorBoard,
    _lock: RunLock,
}

impl<'a> Run<'a> {
    fn begin(
        setup: &'a Setup,
        backend: &'a dyn Backend,
        options: RunOptions<'a>,
        sink: &'a mut dyn Sink,
    ) -> Result<Self> {
        let started = Instant::now();
        let config = begin::of_classes(setup)?;
        let mut step_options = config.step_options()?;
        let forward = Forward::of(&setup.network, Mode::Train)?;
        let phases = Phases::decide(setup, &forward, &mut step_options);
        let program = program(&forward, &Forward::of(&setup.network, Mode::Infer)?, &step_options)?;
        let strict = config.numerics == "strict";
        let compile = CompileOptions { strict, recompute: config.recompute, ..Default::default() };
        let mut executable = backend.compile(&program, &compile)?;
        let epochs = config.epochs.0.unwrap_or(1) as u64;
        let whole = if config.is_lbfgs() { usize::MAX } else { config.batch_size() };
        let steps_per_epoch = setup.epoch_samples()?.div_ceil(whole) as u64;
        let base_lr = config.base_lr()?;
        let total = epochs.saturating_sub(phases.head_epochs) * steps_per_epoch;
        let rate = Rate::new(config.full_schedule(), base_lr, steps_per_epoch, total);
        let averages = averaged_parameters(&program);
        let fresh = State {
            gabor: env!("CARGO_PKG_VERSION").into(),
            seed: config.seed,
            config: config.influential(),
            ..Default::default()
        };
        // The lock comes before anything is read or written.
        let opened = match &options.directory {
            Some(directory) => {
                let opened = open_directory(directory, options.resume, options.storage)?;
                split::keep(directory, setup, options.resume)?;
                Some(opened)
            }
            None => None,
        };
        let (mut state, mut memory) = (fresh, None);
        match &opened {
            Some((checkpoints, _)) if options.resume => {
                let (mut weights, saved) = checkpoints.load_last(sink)?;
                memory = full_batch::take_memory(&mut weights).filter(|_| config.is_lbfgs());
                begin_averages(&mut weights, &averages);
                warn_of_changes(&saved, &state, sink)?;
                write_weights(&program, &mut *executable, &weights)?;
                // A finished run goes on only if it is asked for something else, such as more epochs.
                let finished = saved.finished && saved.config == state.config;
                state = State { finished, config: state.config, ..saved };
            }
            _ => {
                let mut weights = setup.network.initialize(config.seed)?;
                if config.whiten {
                    let (name, count) = whiten(setup, &forward.graph, IMAGES, &mut weights)?;
                    let text =
                        format!("`{name}`: {count} filters are the principal components of the pictures' patches");
                    sink.event(&Event::Note { text })?;
                }
                let named = config.weights.as_deref().filter(|_| options.weights.is_none());
                let read = named.map(|path| read_weights(Path::new(path))).transpose()?;
                if let Some(given) = options.weights.as_ref().or(read.as_ref()) {
                    take_over(&mut weights, given, sink)?;
                }
                write_with_averages(&mut *executable, &weights, &averages)?;
                reset_optimiser(&program, &mut *executable)?;
            }
        }
        let files = match (opened, options.directory) {
            (Some((checkpoints, lock)), Some(directory)) => {
                crate::checkpoint::replace(&directory.join("config.toml"), config.to_toml().as_bytes())?;
                let jsonl = Jsonl::open(&directory.join("metrics.jsonl"), state.step)?;
                let tensorboard = TensorBoard::create(&directory, state.step)?;
                Some(Files { directory, checkpoints, jsonl, tensorboard, _lock: lock })
            }
            _ => None,
        };
        let mut run = Run {
            setup,
            bad: BTreeSet::new(),
            backend,
            step_options,
            forward,
            program,
            executable,
            rate,
            base_lr,
            phases,
            averages,
            seconds_before: state.seconds,
            waiting: Waiting::default(),
            state,
            epochs,
            steps_per_epoch,
            stop: options.stop,
            memory,
            best_weights: None,
            files,
            sink,
            started,
        };
        run.rate.plateau = run.state.plateau;
        run.announce()?;
        if !run.state.finished {
            run.foresee(options.pace)?;
        }
        if run.state.step == 0 {
            // A run that is killed before its first epoch ends can go on too.
            run.save_last()?;
        }
        Ok(run)
    }

    fn announce(&mut self) -> Result<()> {
        let (splits, graph) = (&self.setup.splits, &self.forward.graph);
        let len = |d: &Option<std::sync::Arc<dyn gabor_data::Dataset>>| d.as_ref().map_or(0, |d| d.len() as u64);
        let trainable = graph.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| graph.shape(v).len_at(1) as u64);
        let event = Event::RunStarted {
            run: self.files.as_ref().map_or(String::new(), |f| f.directory.display().to_string()),
            net: self.setup.network.name().to_string(),
            parameters: trainable.sum(),
            input: self.setup.network.input().to_vec(),
            classes: splits.classes().to_vec(),
            train: len(&splits.train),
            validation: len(&splits.validation),
            test: len(&splits.test),
            epochs: self.epochs,
            steps_per_epoch: self.steps_per_epoch,
            batch: self.setup.config.batch_size() as u64,
            resumed_from: self.state.step,
            config: self.setup.config.entries().into_iter().map(|(k, v)| (k.to_string(), v)).collect(),
        };
        self.emit(&event)?;
        let notes = splits.notes.iter().map(|text| Event::Note { text: text.clone() });
        let all: Vec<Event> = notes.chain(self.phases.notes.iter().cloned()).collect();
        all.iter().try_for_each(|event| self.emit(event))
    }

    fn emit(&mut self, event: &Event) -> Result<()> {
        if let Some(files) = &mut self.files {
            files.jsonl.event(event)?;
            files.tensorboard.event(event)?;
        }
        self.sink.event(event)
    }

    /// Runs the epochs that are left.
    fn epochs(&mut self) -> Result<Option<Stop>> {
        if self.setup.config.is_lbfgs() {
            return self.full_batch();
        }
        let loader = self.setup.training_loader()?;
        while self.state.epoch < self.epochs {
            let began = Instant::now();
            if let Some(stop) = self.steps(&loader)? {
                self.save_last()?;
                return Ok(Some(stop));
            }
            self.count_bad("training", &loader)?;
            let stop = self.epoch_ended(began)?;
            if stop.is_some() {
                return Ok(stop);
            }
        }
        Ok(None)
    }

    /// Validation, best weights, early stopping, checkpoint.
    fn epoch_ended(&mut self, began: Instant) -> Result<Option<Stop>> {
        let validation = match self.setup.splits.validation.clone() {
            Some(data) => {
                let loader = self.setup.evaluation_loader(data)?;
                let entry = Entry::Evaluate.of(&self.program)?;
                let tally = run_evaluation(&mut *self.executable, entry, IMAGES, &loader, 0)?.tally();
                self.count_bad("validation", &loader)?;
                Some(tally)
            }
            None => None,
        };
        let epoch = self.state.epoch;
        let lr = self.lr(self.state.step.saturating_sub(1));
        let better = validation.is_some_and(|v| {
            self.state.best.is_none_or(|b| v.top1() > b.top1 || (v.top1() == b.top1 && v.loss() < b.loss))
        });
        if let (Some(v), true) = (validation, better) {
            self.state.best = Some(Best { epoch, top1: v.top1(), loss: v.loss() });
        }
        self.state.waited = if better { 0 } else { self.state.waited + 1 };
        let (tally, waiting) = (std::mem::take(&mut self.state.tally), self.waiting.news());
        if let Some(v) = validation.filter(|_| !self.is_head_phase())
            && self.rate.epoch_ended(v.loss())
        {
            let text = format!("no progress: the learning rate becomes {:.2e}", self.lr(self.state.step));
            self.emit(&Event::Note { text })?;
        }
        self.state.plateau = self.rate.plateau;
        self.state.epoch += 1;
        self.state.step_in_epoch = 0;
        self.emit(&Event::Epoch {
            epoch,
            step: self.state.step,
            train_loss: tally.loss(),
            train_top1: tally.top1(),
            validation_loss: validation.map(|v| v.loss()),
            validation_top1: validation.map(|v| v.top1()),
            lr,
            seconds: began.elapsed().as_secs_f64(),
            waiting,
            best: better,
        })?;
        // The best weights first: whoever dies in between repeats the epoch and writes the same file again.
        if better {
            let weights = self.weights()?;
            match &self.files {
                Some(files) => drop(files.checkpoints.save_best(&weights, &self.state)?),
                None => self.best_weights = Some(weights),
            }
        }
        self.unfreeze_if_due()?;
        let stop = self.why_stop(validation);
        self.state.finished = self.state.epoch >= self.epochs || stop.is_some();
        self.save_last()?;
        Ok(stop)
    }

    fn why_stop(&self, validation: Option<Tally>) -> Option<Stop> {
        let c = &self.setup.config;
        if c.target.is_some_and(|t| validation.is_some_and(|v| v.top1() >= t)) {
            return Some(Stop::Target);
        }
        let all_layers = self.state.epoch > self.phases.head_epochs;
        let patience = c.patience.0.flatten().filter(|_| validation.is_some() && all_layers);
        if patience.is_some_and(|p| self.state.waited >= p) && self.state.epoch < self.epochs {
            return Some(Stop::Patience);
        }
        None
    }

    /// Parameters and running statistics as they are, and the optimiser's memory.
    fn everything(&self) -> Result<Weights> {
        let graph = &self.forward.graph;
        let names = graph.parameters().map(|(v, _)| graph.value(v).name.clone());
        let all = names.chain(optimiser_state(&self.program));
        let mut all: Weights =
            all.map(|name| Ok((name.clone(), self.executable.read(&name)?))).collect::<Result<_>>()?;
        all.0.extend(self.memory.iter().flat_map(|m| m.0.clone()));
        Ok(all)
    }
    /// Parameters and running statistics to predict with: their averages where they are kept.
    fn weights(&self) -> Result<Weights> {
        let graph = &self.forward.graph;
        let names = graph.parameters().map(|(v, _)| graph.value(v).name.clone());
        let source = |name: &String| if self.averages.contains(name) { averaged(name) } else { name.clone() };
        names.map(|name| Ok((name.clone(), self.executable.read(&source(&name))?))).collect()
    }

    /// Seconds of training so far, earlier calls too.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }

    fn save_last(&mut self) -> Result<()> {
        self.state.seconds = self.seconds();
        if self.files.is_none() {
            return Ok(());
        }
        let weights = self.everything()?;
        let Some(files) = &self.files else { return Ok(()) };
        let path = files.checkpoints.save_last(&weights, &self.state)?;
        let event = Event::Checkpoint { path: path.display().to_string(), step: self.state.step };
        self.emit(&event)
    }

    /// The best weights, their numbers on the test part, the outcome.
    fn end(mut self, stopped: Option<Stop>) -> Result<Outcome> {
        if let Some(stop) = stopped {
            let run = self.files.as_ref().map(|f| f.directory.display().to_string());
            let resumable = matches!(stop, Stop::Interrupted | Stop::MaxSteps | Stop::MaxTime);
            let resume = run.filter(|_| resumable).map(|run| format!("gabor train --resume {run}"));
            let event = Event::Stopped { reason: stop.name().into(), step: self.state.step, resume };
            self.emit(&event)?;
        }
        let interrupted = stopped == Some(Stop::Interrupted);
        let best = match &self.files {
            Some(files) if self.state.best.is_some() && !interrupted => Some(files.checkpoints.load_best()?.0),
            _ => self.best_weights.take(),
        };
        if let Some(best) = best {
            write_with_averages(&mut *self.executable, &best, &self.averages)?;
        }
        let mut evaluation = None;
        if let (false, Ok((name, data))) = (interrupted, self.setup.splits.evaluation()) {
            let loader = self.setup.evaluation_loader(data.clone())?;
            let entry = Entry::Evaluate.of(&self.program)?;
            let found = run_evaluation(&mut *self.executable, entry, IMAGES, &loader, MISTAKES)?.finish(name);
            self.count_bad(name, &loader)?;
            self.emit(&Event::Evaluated { evaluation: found.clone() })?;
            evaluation = Some(found);
        }
        Ok(Outcome {
            weights: self.weights()?,
            evaluation,
            state: self.state,
            stopped,
            seconds: self.started.elapsed().as_secs_f64(),
            waiting: self.waiting.seconds,
        })
    }
}

/// Name of the images' input in networks.
const IMAGES: &str = "images";
