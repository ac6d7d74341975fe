//! The steps of an epoch.

use super::{IMAGES, Run, Stop, diagnose};
use crate::optimiser::{Optimiser, Scalars};
use crate::step::{LABELS, OWN_SHARE, PARTNERS, PULL, SHARE, decay_at};
use crate::{Error, Event, Result};
use gabor_data::{Batch, Epoch, Loader};
use gabor_tensor::{Data, Rule, Tensor};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Time between two reports of steps.
const REPORT: Duration = Duration::from_millis(100);
/// Name of the input that random operations draw from.
pub(super) const KEY: &str = "key";

/// Time that passes while pictures are asked for and not yet there.
#[derive(Default)]
pub(super) struct Waiting {
    /// Seconds of this call.
    pub(super) seconds: f64,
    told: f64,
}

impl Waiting {
    /// The next batch, however long it takes.
    pub(super) fn next_of(&mut self, batches: &mut Epoch) -> Option<std::result::Result<Batch, gabor_data::Error>> {
        let asked = Instant::now();
        let next = batches.next();
        self.seconds += asked.elapsed().as_secs_f64();
        next
    }
    /// Seconds since this was last asked.
    pub(super) fn news(&mut self) -> f64 {
        self.seconds - std::mem::replace(&mut self.told, self.seconds)
    }
}

/// The small inputs of a step, rewritten in place.
pub(super) struct Inputs {
    pub(super) scalars: Scalars,
    share: Tensor,
    /// By how much averages move towards the weights, where they are kept.
    pull: Option<Tensor>,
    key: Tensor,
    has_key: bool,
}

impl Inputs {
    pub(super) fn new(optimiser: &dyn Optimiser, has_key: bool, averages: bool) -> Self {
        Inputs {
            scalars: Scalars::new(optimiser),
            share: Tensor::scalar(1.0),
            pull: averages.then(|| Tensor::scalar(0.0)),
            key: Tensor::zeros(&[4], gabor_tensor::DType::I32),
            has_key,
        }
    }
    /// What a run of the graph wants: images, labels, and what the entry has besides.
    pub(super) fn list<'a>(&'a self, batch: &'a Batch, accumulate: bool, update: bool) -> Vec<(&'a str, &'a Tensor)> {
        let mut list: Vec<(&str, &Tensor)> = vec![(IMAGES, &batch.images), (LABELS, &batch.labels)];
        if let Some(mix) = &batch.mix {
            list.extend([(PARTNERS, &mix.labels), (OWN_SHARE, &mix.share)]);
        }
        if self.has_key {
            list.push((KEY, &self.key));
        }
        if accumulate {
            list.push((SHARE, &self.share));
        }
        if update {
            list.extend(self.scalars.inputs());
            list.extend(self.pull.iter().map(|t| (PULL, t)));
        }
        list
    }
    /// The key of a part of a step: seed and running number of the part.
    pub(super) fn set_key(&mut self, seed: u64, number: u64) {
        if let Data::I32(k) = self.key.data_mut() {
            k.copy_from_slice(&[seed as i32, (seed >> 32) as i32, number as i32, (number >> 32) as i32]);
        }
    }
    pub(super) fn set_pull(&mut self, pull: f64) {
        if let Some(Data::F32(p)) = self.pull.as_mut().map(Tensor::data_mut) {
            p[0] = pull as f32;
        }
    }
    pub(super) fn set_share(&mut self, share: f64) {
        if let Data::F32(s) = self.share.data_mut() {
            s[0] = share as f32;
        }
    }
}

impl Run<'_> {
    /// The steps that are left of the epoch under way.
    pub(super) fn steps(&mut self, loader: &Loader) -> Result<Option<Stop>> {
        let config = &self.setup.config;
        let (parts, batch, seed) = (config.grad_accum as u64, config.batch_size(), config.seed);
        let (max_steps, max_time, save_every) = (config.max_steps, config.max_time, config.save_every);
        let (whole, partial) = self.step_entries();
        let whole = whole.of(&self.program)?;
        let partial = if parts > 1 { partial.of(&self.program)? } else { whole };
        let samples = self.setup.epoch_samples()?;
        let ema = self.step_options.ema;
        let has_key = self.forward.graph.find(KEY).is_some();
        let mut inputs = Inputs::new(&*self.step_options.optimiser, has_key, ema.is_some());
        let mut batches = loader.epoch(self.state.epoch as u32, (self.state.step_in_epoch * parts) as usize);
        let (mut reported, mut since) = (Instant::now(), 0u64);
        let mut waiting = VecDeque::new();
        while self.state.step_in_epoch < self.steps_per_epoch {
            if self.stop.is_some_and(|s| s.load(Ordering::Relaxed)) {
                return Ok(Some(Stop::Interrupted));
            }
            if max_steps.is_some_and(|m| self.state.step >= m) {
                return Ok(Some(Stop::MaxSteps));
            }
            if max_time.is_some_and(|m| self.seconds() >= m.0 as f64) {
                return Ok(Some(Stop::MaxTime));
            }
            let lr = self.lr(self.state.step);
            inputs.scalars.set(&*self.step_options.optimiser, self.optimiser_steps() + 1, lr);
            if let Some(decay) = ema {
                inputs.set_pull(1.0 - decay_at(decay, self.state.step));
            }
            let done = self.state.step_in_epoch as usize * batch;
            let wanted = batch.min(samples - done);
            // All parts come first: their shares depend on how many samples can be read.
            let (mut count, mut seen) = (0, 0);
            while seen < wanted {
                let images = match self.waiting.next_of(&mut batches) {
                    Some(images) => images?,
                    None => {
                        return Err(Error::new("loader", Rule::new(format!("the epoch ended after {done} samples"))));
                    }
                };
                self.report_bad(&images.bad)?;
                seen += images.indices.len() + images.bad.len();
                count += images.indices.len();
                if !images.indices.is_empty() {
                    waiting.push_back(images);
                }
            }
            let (mut loss, mut part) = (0.0, 0);
            while let Some(images) = waiting.pop_front() {
                let n = images.indices.len();
                let share = n as f64 / count as f64;
                inputs.set_share(share);
                inputs.set_key(seed, self.state.step * parts + part);
                let last = waiting.is_empty();
                let entry = if last { whole } else { partial };
                self.executable.run(entry, n, &inputs.list(&images, parts > 1, last))?;
                let part_loss = f64::from(self.executable.output("loss")?.scalar()?);
                loss += share * part_loss;
                let norm = if last { self.executable.output("gradient_norm")?.scalar()? } else { 0.0 };
                if !part_loss.is_finite() || !norm.is_finite() {
                    let list = inputs.list(&images, false, false);
                    return Err(self.not_finite(n, part_loss, &list));
                }
                // A mixed sample counts as right where the network says the label of its larger part, as torchvision's
                // reference training counts.
                let labels = images.mix.as_ref().filter(|m| m.lambda < 0.5).map_or(&images.labels, |m| &m.labels);
                let labels = labels.as_i32().map_err(|r| Error::new(LABELS, r))?;
                let scores = self.executable.output("logits")?.as_f32()?;
                self.state.tally.add_batch(scores, labels, part_loss);
                if last && self.optimiser_steps() == 0 {
                    self.check_gradients(n, &inputs.list(&images, false, false))?;
                }
                batches.recycle(images);
                part += 1;
            }
            self.state.step += 1;
            self.state.step_in_epoch += 1;
            since += count as u64;
            let elapsed = reported.elapsed();
            // A step none of whose samples could be read has no numbers.
            if count > 0 && (elapsed >= REPORT || self.state.step_in_epoch == self.steps_per_epoch) {
                let event = Event::Step {
                    epoch: self.state.epoch,
                    step: self.state.step,
                    step_in_epoch: self.state.step_in_epoch,
                    steps_per_epoch: self.steps_per_epoch,
                    loss,
                    top1: self.state.tally.top1(),
                    lr,
                    gradient_norm: f64::from(self.executable.output("gradient_norm")?.scalar()?),
                    images_per_second: since as f64 / elapsed.as_secs_f64().max(1e-9),
                };
                self.emit(&event)?;
                (reported, since) = (Instant::now(), 0);
                if self.state.step_in_epoch == self.steps_per_epoch {
                    let (step, norms) = (self.state.step, self.gradient_norms()?);
                    self.emit(&Event::Gradients { step, norms })?;
                }
            }
            if save_every.is_some_and(|k| self.state.step.is_multiple_of(k))
                && self.state.step_in_epoch < self.steps_per_epoch
            {
                self.save_last()?;
            }
        }
        Ok(None)
    }

    /// The error of a step whose loss or gradients are not finite. Parameters whose own gradients were finite may have
    /// changed if the loss was finite; what is kept is the last checkpoint.
    fn not_finite(&mut self, n: usize, loss: f64, inputs: &[(&str, &Tensor)]) -> Error {
        let options = self.step_options.of_entry(&self.forward.graph, self.step_entries().0);
        let found = diagnose::first_not_finite(self.backend, &*self.executable, &self.forward, &options, n, inputs);
        let found = found.unwrap_or_else(|e| format!("the search for the place failed: {e}"));
        let what = if loss.is_finite() { "the gradients are not finite".into() } else { format!("the loss is {loss}") };
        let (epoch, step) = (self.state.epoch, self.state.step + 1);
        let stopped = Event::Stopped { reason: "not finite".into(), step: self.state.step, resume: None };
        // The run ends with this error; one more about a report would hide it.
        let _ = self.emit(&stopped);
        let kept = match &self.files {
            Some(f) => format!("; the last good checkpoint stays in {}", f.checkpoints.last().display()),
            None => String::new(),
        };
        let right = format!("a lower learning rate, clip=1, or warmup=1{kept}");
        Error::new(format!("epoch {epoch}, step {step}"), Rule::new(what).given(found).right(right))
    }
}
