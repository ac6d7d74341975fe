//! L-BFGS: an epoch is one step on the whole training set.

use super::steps::{Inputs, KEY, Waiting};
use super::{Run, Stop};
use crate::optimiser::lbfgs::{Ended, LineSearch, Minimiser, Options, Standing};
use crate::step::{Entry, LABELS, optimiser_state};
use crate::{Error, Event, Result, Tally};
use gabor_compile::Executable;
use gabor_data::Loader;
use gabor_tensor::{Data, Rule, Tensor, Weights};
use std::time::Instant;

/// Prefix of the accumulators of gradients.
const SUM: &str = "optimiser.gradient_sum.";

/// What L-BFGS keeps in a checkpoint: point [n], gradient [n], steps and changes of the gradient [pairs, n], and a row of value,
/// diagonal, steps taken and evaluations. Each number is the eight bytes (little-endian) of a double, since readers of
/// weights make single precision of doubles.
const KEPT: [&str; 5] = ["lbfgs.point", "lbfgs.gradient", "lbfgs.steps", "lbfgs.changes", "lbfgs.numbers"];

fn packed(shape: &[usize], numbers: &[f64]) -> std::result::Result<Tensor, Rule> {
    Tensor::new(shape, Data::U8(numbers.iter().flat_map(|v| v.to_le_bytes()).collect()))
}

/// The numbers that were packed; none where these are others.
fn unpacked(tensor: &Tensor) -> Vec<f64> {
    match tensor.data() {
        Data::U8(bytes) => bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        _ => Vec::new(),
    }
}

/// The memory of a minimisation as tensors of a checkpoint.
fn kept(standing: &Standing) -> Result<Weights> {
    let (n, pairs) = (standing.x.len(), standing.pairs.len());
    let (mut steps, mut changes) = (Vec::new(), Vec::new());
    for (s, y) in &standing.pairs {
        steps.extend_from_slice(s);
        changes.extend_from_slice(y);
    }
    let numbers = vec![standing.value, standing.diagonal, standing.steps as f64, standing.evaluations as f64];
    let tensors = [
        packed(&[n, 8], &standing.x),
        packed(&[n, 8], &standing.gradient),
        packed(&[pairs, n, 8], &steps),
        packed(&[pairs, n, 8], &changes),
        packed(&[4, 8], &numbers),
    ];
    let named = KEPT.into_iter().zip(tensors);
    named.map(|(name, t)| Ok((name.to_string(), t.map_err(|r| Error::new(name, r))?))).collect()
}

/// Takes the memory out of a checkpoint's tensors; `None` where the run was one of another optimiser.
pub(super) fn take_memory(weights: &mut Weights) -> Option<Weights> {
    let found: Vec<_> = KEPT.iter().filter_map(|n| Some((n.to_string(), weights.0.remove(*n)?))).collect();
    (found.len() == KEPT.len()).then(|| found.into_iter().collect())
}

/// A minimisation that goes on with the memory of a checkpoint, for a function of `n` numbers.
fn go_on(memory: &Weights, n: usize, options: Options) -> Result<Minimiser> {
    let place = |r: Rule| Error::new("checkpoint", r);
    let [x, gradient, steps, changes, numbers] = KEPT.map(|name| memory.get(name).map(unpacked).unwrap_or_default());
    let [value, diagonal, taken, evaluations] = numbers[..] else {
        return Err(place(Rule::new("the memory of L-BFGS is damaged").right("a checkpoint of this program")));
    };
    if x.len() != n {
        let rule = Rule::new(format!("the memory of L-BFGS is for {} trained numbers, the network has {n}", x.len()));
        return Err(place(rule.right("the network and the frozen layers that the run began with")));
    }
    let rows = |v: Vec<f64>| v.chunks_exact(n.max(1)).map(<[f64]>::to_vec).collect::<Vec<_>>();
    let pairs = rows(steps).into_iter().zip(rows(changes)).collect();
    let (steps, evaluations) = (taken as usize, evaluations as usize);
    let standing = Standing { x, gradient, value, steps, evaluations, diagonal, pairs };
    Minimiser::go_on(standing, options).map_err(place)
}

/// The loss over the training set as a function of all trained parameters in a row.
struct Objective<'a> {
    executable: &'a mut dyn Executable,
    loader: &'a Loader,
    waiting: &'a mut Waiting,
    /// Training samples that the loader gives.
    samples: usize,
    parameters: &'a [Parameter],
    inputs: Inputs,
    /// The program's number for a part of a batch.
    entry: usize,
    /// λ of weight decay, added as λ/2·Σw².
    decay: f64,
    tally: Tally,
    failure: Option<Error>,
}

/// A trained parameter: its name, that of its accumulator, a tensor to write it from, and whether it decays.
struct Parameter {
    name: String,
    sum: String,
    tensor: Tensor,
    decays: bool,
}

impl Objective<'_> {
    /// Loss and gradient at `x`; NaN after a failure, which is kept.
    fn at(&mut self, x: &[f64], gradient: &mut [f64]) -> f64 {
        self.evaluate(x, gradient).unwrap_or_else(|e| {
            self.failure.get_or_insert(e);
            f64::NAN
        })
    }
    fn evaluate(&mut self, x: &[f64], gradient: &mut [f64]) -> Result<f64> {
        write(self.executable, self.parameters, x)?;
        for p in self.parameters {
            self.executable.write(&p.sum, &Tensor::zeros(p.tensor.shape(), gabor_tensor::DType::F32))?;
        }
        self.tally = Tally::default();
        let samples = self.samples as f64;
        // Always the same order and the same dropout, so that it is one function.
        self.inputs.set_key(0, 0);
        let mut batches = self.loader.epoch(0, 0);
        let mut read = 0;
        while let Some(batch) = self.waiting.next_of(&mut batches) {
            let batch = batch?;
            let n = batch.indices.len();
            if n == 0 {
                continue;
            }
            read += n;
            self.inputs.set_share(n as f64 / samples);
            self.executable.run(self.entry, n, &self.inputs.list(&batch, true, false))?;
            let loss = f64::from(self.executable.output("loss")?.scalar()?);
            let labels = batch.labels.as_i32().map_err(|r| Error::new(LABELS, r))?;
            self.tally.add_batch(self.executable.output("logits")?.as_f32()?, labels, loss);
            batches.recycle(batch);
        }
        // The shares are those of all samples; some may be left out as unreadable.
        let whole = samples / read.max(1) as f64;
        let (mut at, mut pull) = (0, 0.0);
        for p in self.parameters {
            let sum = self.executable.read(&p.sum)?;
            let decay = if p.decays { self.decay } else { 0.0 };
            for &g in sum.as_f32().map_err(|r| Error::new(&p.sum, r))? {
                gradient[at] = whole * f64::from(g) + decay * x[at];
                pull += 0.5 * decay * x[at] * x[at];
                at += 1;
            }
        }
        Ok(self.tally.loss() + pull)
    }
}

/// Writes parameters from their numbers in a row.
fn write(executable: &mut dyn Executable, parameters: &[Parameter], x: &[f64]) -> Result<()> {
    let mut rest = x;
    for p in parameters {
        let (mine, others) = rest.split_at(p.tensor.len());
        rest = others;
        let mut tensor = p.tensor.clone();
        if let Data::F32(data) = tensor.data_mut() {
            data.iter_mut().zip(mine).for_each(|(d, &v)| *d = v as f32);
        }
        executable.write(&p.name, &tensor)?;
    }
    Ok(())
}

impl Run<'_> {
    /// The epochs that are left, each one step of L-BFGS.
    pub(super) fn full_batch(&mut self) -> Result<Option<Stop>> {
        let loader = self.setup.training_loader()?;
        let samples = self.setup.epoch_samples()?;
        let parameters = self.trained()?;
        let mut x = Vec::new();
        for p in &parameters {
            x.extend(self.executable.read(&p.name)?.to_f64());
        }
        let options = Options {
            lr: self.setup.config.base_lr()?,
            max_steps: usize::MAX,
            max_evaluations: usize::MAX,
            history: 20,
            line_search: LineSearch::StrongWolfe,
            // Single precision carries the function to about seven digits.
            change_tolerance: 1e-7,
            ..Default::default()
        };
        let mut minimiser = match &self.memory {
            Some(memory) => Some(go_on(memory, x.len(), options)?),
            None if self.state.step > 0 => {
                let text = "the checkpoint holds no memory of L-BFGS: its first step follows the gradient".to_string();
                self.emit(&Event::Warning { text })?;
                None
            }
            None => None,
        };
        while self.state.epoch < self.epochs {
            if self.stop.is_some_and(|s| s.load(std::sync::atomic::Ordering::Relaxed)) {
                self.save_last()?;
                return Ok(Some(Stop::Interrupted));
            }
            if self.setup.config.max_time.is_some_and(|m| self.seconds() >= m.0 as f64) {
                self.save_last()?;
                return Ok(Some(Stop::MaxTime));
            }
            if self.setup.config.max_steps.is_some_and(|m| self.state.step >= m) {
                self.save_last()?;
                return Ok(Some(Stop::MaxSteps));
            }
            let began = Instant::now();
            let mut objective = Objective {
                executable: &mut *self.executable,
                loader: &loader,
                waiting: &mut self.waiting,
                samples,
                parameters: &parameters,
                inputs: Inputs::new(&*self.step_options.optimiser, self.forward.graph.find(KEY).is_some(), false),
                entry: Entry::Accumulate.of(&self.program)?,
                decay: self.step_options.weight_decay,
                tally: Tally::default(),
                failure: None,
            };
            let ended = {
                let mut f = |x: &[f64], g: &mut [f64]| objective.at(x, g);
                match &mut minimiser {
                    Some(m) => m.step(&mut f),
                    None => match Minimiser::new(&mut f, &x, options) {
                        Ok(m) => minimiser.insert(m).step(&mut f),
                        Err(rule) => {
                            let place = format!("epoch {}", self.state.epoch);
                            return Err(objective.failure.unwrap_or_else(|| Error::new(place, rule)));
                        }
                    },
                }
            };
            if let Some(e) = objective.failure {
                return Err(e);
            }
            self.state.tally = objective.tally;
            let Some(m) = &minimiser else { continue };
            write(&mut *self.executable, &parameters, m.x())?;
            self.memory = Some(kept(&m.standing())?);
            self.state.step += 1;
            let (loss, norm) = (m.value(), m.gradient().iter().map(|g| g * g).sum::<f64>().sqrt());
            self.emit(&Event::Step {
                epoch: self.state.epoch,
                step: self.state.step,
                step_in_epoch: 1,
                steps_per_epoch: 1,
                loss,
                top1: self.state.tally.top1(),
                lr: options.lr,
                gradient_norm: norm,
                images_per_second: samples as f64 / began.elapsed().as_secs_f64().max(1e-9),
            })?;
            self.count_bad("training", &loader)?;
            let stop = self.epoch_ended(began)?;
            if stop.is_some() {
                return Ok(stop);
            }
            if let Some(why) = ended {
                let text = match why {
                    Ended::Gradient | Ended::Change => "L-BFGS has converged",
                    Ended::Budget | Ended::LineSearch => "L-BFGS finds no lower point: single precision is used up",
                };
                self.emit(&Event::Note { text: text.into() })?;
                self.state.finished = true;
                self.save_last()?;
                return Ok(Some(Stop::Converged));
            }
        }
        Ok(None)
    }

    /// Trained parameters: those that have an accumulator.
    fn trained(&self) -> Result<Vec<Parameter>> {
        let graph = &self.forward.graph;
        let names = optimiser_state(&self.program);
        (names.iter().filter_map(|sum| sum.strip_prefix(SUM)))
            .map(|name| {
                let found = graph.parameters().find(|(v, _)| graph.value(*v).name == name);
                let (_, p) = found.ok_or_else(|| Error::new(name, Rule::new("the network has no such parameter")))?;
                Ok(Parameter {
                    name: name.to_string(),
                    sum: format!("{SUM}{name}"),
                    tensor: self.executable.read(name)?,
                    decays: p.decay || self.step_options.decay_all,
                })
            })
            .collect()
    }
}
