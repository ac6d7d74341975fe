//! Everything a run reports: one enum of plain data, which terminal, files and pages read alike.

use crate::Result;
use crate::metrics::Evaluation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A report of a run. As JSON: an object with the key `event` and the fields.
///
/// ```
/// let e = gabor_train::Event::Warning { text: "one class is empty".into() };
/// assert_eq!(serde_json::to_string(&e).unwrap(), r#"{"event":"warning","text":"one class is empty"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The run begins, or goes on.
    RunStarted {
        /// The run directory.
        run: String,
        /// The network's name.
        net: String,
        /// Trainable parameters.
        parameters: u64,
        /// The model's input `[c, h, w]`.
        input: Vec<usize>,
        /// Names of the classes.
        classes: Vec<String>,
        /// Training samples.
        train: u64,
        /// Validation samples.
        validation: u64,
        /// Test samples.
        test: u64,
        /// Epochs to run in all.
        epochs: u64,
        /// Steps of an epoch.
        steps_per_epoch: u64,
        /// Samples of a step.
        batch: u64,
        /// The step to go on from; 0 for a new run.
        resumed_from: u64,
        /// The resolved configuration.
        config: BTreeMap<String, String>,
    },
    /// What the run will take, as far as it can be known before its first step.
    Forecast {
        /// Bytes of memory of the process, by the plans.
        memory: u64,
        /// Bytes that may still be used: of the machine, of the control group, or of the key `memory`; none where nothing
        /// says.
        free: Option<u64>,
        /// Seconds of a training step; none where the machine was not measured. Wrong by a factor of two at times.
        step_seconds: Option<f64>,
        /// Seconds of what is left of the run, as roughly.
        seconds: Option<f64>,
    },
    /// A step is done. Sent about ten times a second at most, and for the last step of an epoch.
    Step {
        /// The epoch, from 0.
        epoch: u64,
        /// Steps done in the run.
        step: u64,
        /// Steps done in this epoch.
        step_in_epoch: u64,
        /// Steps of an epoch.
        steps_per_epoch: u64,
        /// The loss of the step.
        loss: f64,
        /// Accuracy on the training samples of this epoch so far.
        top1: f64,
        /// The learning rate.
        lr: f64,
        /// The joint norm of the gradients before clipping.
        gradient_norm: f64,
        /// Training samples a second since the last report.
        images_per_second: f64,
    },
    /// An epoch is done.
    Epoch {
        /// The epoch, from 0.
        epoch: u64,
        /// Steps done in the run.
        step: u64,
        /// Mean training loss of the epoch.
        train_loss: f64,
        /// Training accuracy over the epoch, with augmentation.
        train_top1: f64,
        /// Mean validation loss, where there is a validation part.
        validation_loss: Option<f64>,
        /// Validation accuracy.
        validation_top1: Option<f64>,
        /// The learning rate of the last step.
        lr: f64,
        /// Seconds of this epoch, validation included.
        seconds: f64,
        /// Of these, seconds in which training waited for pictures to be read: much means that more `workers` would help.
        waiting: f64,
        /// Whether it is the best epoch so far.
        best: bool,
    },
    /// Norms of the gradients of the last step of an epoch.
    Gradients {
        /// Steps done in the run.
        step: u64,
        /// The norm of each trained parameter's gradient, before clipping.
        norms: BTreeMap<String, f64>,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The file.
        path: String,
        /// Steps done in the run.
        step: u64,
    },
    /// Something to know.
    Note {
        /// In words.
        text: String,
    },
    /// Something that may be wrong.
    Warning {
        /// In words.
        text: String,
    },
    /// The network was evaluated on a part of the data.
    Evaluated {
        /// The numbers.
        #[serde(flatten)]
        evaluation: Evaluation,
    },
    /// Training ended before its last epoch.
    Stopped {
        /// Why: `interrupted`, `patience`, `target`, `max_steps`, `max_time`, `converged`, `not finite`.
        reason: String,
        /// Steps done in the run.
        step: u64,
        /// The command's words to go on.
        resume: Option<String>,
    },
    /// The run is done.
    Finished {
        /// The run directory.
        run: String,
        /// The model file.
        model: Option<String>,
        /// Accuracy on the part reported on.
        top1: f64,
        /// Seconds of the whole run.
        seconds: f64,
    },
}

impl Event {
    /// Steps done in the run, where the event says.
    pub fn step(&self) -> Option<u64> {
        match self {
            Event::Step { step, .. }
            | Event::Epoch { step, .. }
            | Event::Gradients { step, .. }
            | Event::Checkpoint { step, .. }
            | Event::Stopped { step, .. } => Some(*step),
            _ => None,
        }
    }
}

/// Takes events.
pub trait Sink {
    /// Takes one event.
    ///
    /// # Errors
    /// A file that cannot be written.
    fn event(&mut self, event: &Event) -> Result<()>;
}

/// Keeps events in memory.
impl Sink for Vec<Event> {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.push(event.clone());
        Ok(())
    }
}

/// Passes events on to a function.
pub struct FnSink<F: FnMut(&Event)>(pub F);

impl<F: FnMut(&Event)> Sink for FnSink<F> {
    fn event(&mut self, event: &Event) -> Result<()> {
        (self.0)(event);
        Ok(())
    }
}

/// Passes events on to several sinks, in order.
#[derive(Default)]
pub struct Sinks<'a>(pub Vec<&'a mut dyn Sink>);

impl Sink for Sinks<'_> {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.0.iter_mut().try_for_each(|s| s.event(event))
    }
}
