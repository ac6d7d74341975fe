//! A training step as one graph: forward, loss, backward, clipping, update.
//!
//! | entry | runs | outputs |
//! |---|---|---|
//! | [`Entry::Step`] | a batch, or the last part of an accumulated one | `loss` `[]`, `logits` `[n, classes]`, `gradient_norm` `[]`, `gradient_squares` `[trained]` |
//! | [`Entry::Accumulate`] | a part of a batch; adds its gradients up | `loss`, `logits` |
//! | [`Entry::Head`], [`Entry::AccumulateHead`] | the same, where the head alone is trained: the backward pass ends there | as those |
//! | [`Entry::Evaluate`] | the network as in prediction, with averaged weights where they are kept | `logits`, `loss` `[n]`, one number per sample |
//!
//! A parameter changes only if the loss and its own gradient are finite (all gradients, where they are scaled by their
//! joint norm), so a step that goes wrong can be run again to see where.

mod average;
mod choose;
mod depth;
mod mixed;
mod rebuild;

pub use average::{PULL, averaged, decay_at};
pub use depth::{Group, groups};
pub use mixed::{OWN_SHARE, PARTNERS};
pub use rebuild::FreezeNorm;

use crate::optimiser::{Optimiser, PREFIX, Scalars, Update};
use crate::pattern::matches;
use crate::{Error, Loss, Result};
use gabor_compile::{Executable, Program, differentiate};
use gabor_graph::{Graph, Initializer, Parameter, Phase, ValueId};
use gabor_tensor::{DType, Dim, Rule, Shape, Tensor, Unary};
use mixed::Labels;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A network in a graph, before loss and update.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The graph.
    pub graph: Graph,
    /// Scores `[n, classes]`.
    pub logits: ValueId,
    /// Auxiliary scores with the weight of their loss, as GoogLeNet's.
    pub auxiliary: Vec<(ValueId, f64)>,
}

/// What a training step is made of.
#[derive(Clone, Debug)]
pub struct StepOptions {
    /// The loss.
    pub loss: Loss,
    /// The optimiser.
    pub optimiser: Arc<dyn Optimiser>,
    /// λ of weight decay: L2 (λw is added to the gradient), or decoupled where the optimiser is AdamW.
    pub weight_decay: f64,
    /// Decays every trainable parameter, as PyTorch does, and not only those that say so (weights, not biases and
    /// normalisation).
    pub decay_all: bool,
    /// Factors of the learning rate for parameters whose name fits a pattern; the last that fits counts.
    pub factors: Vec<(String, f64)>,
    /// Patterns of parameters that stay as they are.
    pub freeze: Vec<String>,
    /// Scales all gradients down together so that their joint norm is at most this.
    pub clip_norm: Option<f64>,
    /// Limits every element of a gradient to ± this, before the norm.
    pub clip_value: Option<f64>,
    /// Whether gradients of several parts of a batch are added up.
    pub accumulate: bool,
    /// Whether samples are mixed of two, with a second label each ([`PARTNERS`], [`OWN_SHARE`]).
    pub mixed: bool,
    /// Decay of the weights' averages; `None` keeps none.
    pub ema: Option<f64>,
    /// Which batch normalisations keep their statistics.
    pub freeze_norm: FreezeNorm,
    /// Names of the parameters that are trained in [`Entry::Head`]; empty without such steps.
    pub head: Vec<String>,
}

impl StepOptions {
    /// Plain training by an optimiser: cross-entropy, no decay, no clipping.
    pub fn new(optimiser: Box<dyn Optimiser>) -> Self {
        StepOptions {
            loss: Loss::CrossEntropy { smoothing: 0.0 },
            optimiser: optimiser.into(),
            weight_decay: 0.0,
            decay_all: false,
            factors: Vec::new(),
            freeze: Vec::new(),
            clip_norm: None,
            clip_value: None,
            accumulate: false,
            mixed: false,
            ema: None,
            freeze_norm: FreezeNorm::Frozen,
            head: Vec::new(),
        }
    }
    /// What the steps of an entry are made of.
    pub(crate) fn of_entry(&self, graph: &Graph, entry: Entry) -> Self {
        match entry {
            Entry::Head | Entry::AccumulateHead => self.of_head(graph),
            Entry::Step | Entry::Accumulate | Entry::Evaluate => self.clone(),
        }
    }
    /// The same for steps that train the head alone.
    fn of_head(&self, graph: &Graph) -> Self {
        let all = graph.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| graph.value(v).name.clone());
        let mut freeze = self.freeze.clone();
        freeze.extend(all.filter(|n| !self.head.contains(n)));
        StepOptions { freeze, head: Vec::new(), ..self.clone() }
    }
}

/// The graphs of a training program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One step.
    Step,
    /// Evaluation.
    Evaluate,
    /// A part of a batch, where [`StepOptions::accumulate`] is on.
    Accumulate,
    /// One step of the head, where [`StepOptions::head`] names parameters.
    Head,
    /// A part of a batch in such a step.
    AccumulateHead,
}

impl Entry {
    /// The name in a program.
    pub fn name(self) -> &'static str {
        match self {
            Entry::Step => "step",
            Entry::Evaluate => "evaluate",
            Entry::Accumulate => "accumulate",
            Entry::Head => "head",
            Entry::AccumulateHead => "head.accumulate",
        }
    }
    /// The number in a program.
    ///
    /// # Errors
    /// A program without this entry.
    pub fn of(self, program: &Program) -> Result<usize> {
        let at = program.entries().iter().position(|(name, _)| name == self.name());
        at.ok_or_else(|| Error::new("program", Rule::new(format!("there is no entry `{}`", self.name()))))
    }
}

/// Name of the input of labels, i32 `[n]`.
pub const LABELS: &str = "labels";
/// Name of the output with the squared norm of every parameter's gradient, in the order of [`gradients_of`].
pub const SQUARES: &str = "gradient_squares";
/// Name of the input of shape `[]` that says which part of the whole batch a part is; 1 for a whole batch. Only where
/// [`StepOptions::accumulate`] is on.
pub const SHARE: &str = "optimiser.share";

/// The program of a training with the entries that the options ask for. `train` is the network as in training, `evaluate`
/// as in prediction.
///
/// # Errors
/// A pattern that fits no parameter, scores of a wrong shape, no parameter left to train.
pub fn program(train: &Forward, evaluate: &Forward, options: &StepOptions) -> Result<Program> {
    let mut graphs = vec![(Entry::Step, step(train.clone(), options)?)];
    if options.accumulate {
        graphs.push((Entry::Accumulate, accumulation(train.clone(), options)?));
    }
    if !options.head.is_empty() {
        let head = options.of_head(&train.graph);
        graphs.push((Entry::Head, step(train.clone(), &head)?));
        if options.accumulate {
            graphs.push((Entry::AccumulateHead, accumulation(train.clone(), &head)?));
        }
    }
    let prefix = averaged("");
    let names = graphs.iter().flat_map(|(_, g)| g.parameters().map(|(v, _)| g.value(v).name.clone()));
    let kept: BTreeSet<String> = names.filter_map(|n| n.strip_prefix(&prefix).map(String::from)).collect();
    let kept: BTreeSet<&str> = kept.iter().map(String::as_str).collect();
    let evaluate = if kept.is_empty() { evaluate.clone() } else { rebuild::of_averages(evaluate, &kept)? };
    graphs.insert(1, (Entry::Evaluate, evaluation(evaluate, options.loss.plain())?));
    let mut program = Program::new();
    for (entry, graph) in graphs {
        program.add(entry.name(), graph.validate()?)?;
    }
    Ok(program)
}

/// The parameters that a graph of a step trains, in the order of `gradient_squares`, and those that it would train but the
/// loss does not depend on.
///
/// # Errors
/// As [`program`].
pub fn gradients_of(train: &Forward, options: &StepOptions, entry: Entry) -> Result<(Vec<String>, Vec<String>)> {
    let options = &options.of_entry(&train.graph, entry);
    let (graph, pairs) = backward(train.clone(), options)?;
    let name = |v: ValueId| graph.value(v).name.clone();
    let with: Vec<String> = pairs.iter().map(|p| name(p.0)).collect();
    let all = choose::trained(&train.graph, options)?;
    let without = all.into_iter().map(|v| train.graph.value(v).name.clone()).filter(|n| !with.contains(n)).collect();
    Ok((with, without))
}

/// Names of the optimiser's memory in a program, in the order of the parameters.
pub fn optimiser_state(program: &Program) -> Vec<String> {
    let mut names = Vec::new();
    for (_, graph) in program.entries() {
        for (v, _) in graph.parameters() {
            let name = &graph.value(v).name;
            if name.starts_with(PREFIX) && !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

/// Puts the optimiser's memory to what it is before the first step; averages of weights stay as they are.
///
/// # Errors
/// A program that was not compiled to this executable.
pub fn reset_optimiser(program: &Program, executable: &mut dyn Executable) -> Result<()> {
    for (_, graph) in program.entries() {
        for (v, p) in graph.parameters() {
            let value = graph.value(v);
            if value.name.starts_with(PREFIX) && !value.name.starts_with(&averaged("")) {
                let start = if let Initializer::Constant(c) = p.initializer { c as f32 } else { 0.0 };
                let shape = value.ty.shape.at(1);
                let count = shape.iter().product();
                let tensor = Tensor::f32(&shape, vec![start; count]).map_err(|r| Error::new(&value.name, r))?;
                executable.write(&value.name, &tensor)?;
            }
        }
    }
    Ok(())
}

/// The network with per-sample loss `[n]` and `logits` as outputs.
///
/// # Errors
/// Scores of a wrong shape.
pub fn evaluation(forward: Forward, loss: Loss) -> Result<Graph> {
    let Forward { mut graph, logits, .. } = forward;
    graph.clear_outputs();
    graph.set_phase(Phase::Loss);
    graph.scope("loss");
    let labels = graph.input(LABELS, Shape(vec![Dim::Batch(1)]), DType::I32)?;
    let per_sample = loss.per_sample(&mut graph, logits, labels)?;
    graph.output("logits", logits);
    graph.output("loss", per_sample);
    Ok(graph)
}

/// Adds loss and backward; the gradients come with their parameters.
pub(crate) fn backward(forward: Forward, options: &StepOptions) -> Result<(Graph, Vec<(ValueId, ValueId)>)> {
    let frozen = |name: &str| options.freeze.iter().any(|p| matches(p, name));
    let fixed = rebuild::fixed_norms(&forward, &options.freeze_norm, &frozen)?;
    let Forward { mut graph, logits, auxiliary } = fixed;
    graph.clear_outputs();
    graph.set_phase(Phase::Loss);
    graph.scope("loss");
    let labels = Labels::declare(&mut graph, options.mixed)?;
    let mut loss = labels.mean_loss(&mut graph, options.loss, logits)?;
    for (scores, weight) in auxiliary {
        let mean = labels.mean_loss(&mut graph, options.loss, scores)?;
        let part = graph.scale(mean, weight)?;
        loss = graph.add(loss, part)?;
    }
    graph.output("loss", loss);
    graph.output("logits", logits);
    let wrt = choose::trained(&graph, options)?;
    let gradients = differentiate(&mut graph, loss, &wrt)?;
    let pairs = wrt.into_iter().zip(gradients).filter_map(|(w, d)| d.map(|d| (w, d))).collect();
    Ok((graph, pairs))
}

/// One step.
///
/// # Errors
/// As [`program`].
pub fn step(forward: Forward, options: &StepOptions) -> Result<Graph> {
    let (mut g, mut gradients) = backward(forward, options)?;
    let loss = g.output_value("loss").ok_or_else(|| Error::new("loss", Rule::new("the graph has no loss")))?;
    g.set_phase(Phase::Update);
    if options.accumulate {
        let share = g.input(SHARE, Shape::scalar(), DType::F32)?;
        for (w, d) in &mut gradients {
            let sum = accumulator(&mut g, *w)?;
            *d = weighted(&mut g, sum, *d, share)?;
            let zero = g.zeros_like(*w)?;
            g.update(sum, zero)?;
        }
    }
    if let Some(limit) = options.clip_value {
        g.scope("clip_value");
        let (high, low) = (g.number(limit), g.number(-limit));
        for (_, d) in &mut gradients {
            let below = g.minimum(*d, high)?;
            *d = g.maximum(below, low)?;
        }
    }
    g.scope("gradient_norm");
    let squares = gradients.iter().map(|&(_, d)| g.sum_of_squares(d)).collect::<Result<Vec<_>, _>>()?;
    let mut total = None;
    for &s in &squares {
        total = Some(total.map_or(Ok(s), |t| g.add(t, s))?);
    }
    let norm = match total {
        Some(total) => g.unary(Unary::Sqrt, total)?,
        None => g.number(0.0),
    };
    g.output("gradient_norm", norm);
    if let Some(limit) = options.clip_norm {
        g.scope("clip_norm");
        // PyTorch's factor, min(1, limit / (norm + 10⁻⁶)).
        let above = g.shift(norm, 1e-6)?;
        let limit = g.number(limit);
        let factor = g.div(limit, above)?;
        let one = g.number(1.0);
        let factor = g.minimum(factor, one)?;
        for (_, d) in &mut gradients {
            *d = g.mul(*d, factor)?;
        }
    }
    g.scope("finite");
    let size = g.unary(Unary::Abs, loss)?;
    let infinity = g.number(f64::INFINITY);
    let scalars = Scalars::declare(&*options.optimiser, &mut g)?;
    for (&(w, d), &own) in gradients.iter().zip(&squares) {
        // Where no gradient has to wait for all others, it need not be kept until the last one is made.
        let judged = if options.clip_norm.is_some() { norm } else { own };
        g.scope("finite");
        let sum = g.add(size, judged)?;
        let finite = g.greater(infinity, sum)?;
        update(&mut g, (w, d), finite, &scalars, options)?;
    }
    average::add(&mut g, options)?;
    if !squares.is_empty() {
        // What nothing waits for comes last, so that it stands in no update's way.
        g.scope(SQUARES);
        let one = Shape::fixed(&[1]);
        let each = squares.iter().map(|&s| g.reshape(s, &one)).collect::<Result<Vec<_>, _>>()?;
        let all = g.concat(&each, 0)?;
        g.output(SQUARES, all);
    }
    g.scope("");
    g.set_phase(Phase::Forward);
    Ok(g)
}

/// A part of a batch: adds its share of the gradients to the accumulators.
fn accumulation(forward: Forward, options: &StepOptions) -> Result<Graph> {
    let (mut g, gradients) = backward(forward, options)?;
    g.set_phase(Phase::Update);
    let share = g.input(SHARE, Shape::scalar(), DType::F32)?;
    for (w, d) in gradients {
        let sum = accumulator(&mut g, w)?;
        let new = weighted(&mut g, sum, d, share)?;
        g.update(sum, new)?;
    }
    Ok(g)
}

fn accumulator(g: &mut Graph, w: ValueId) -> Result<ValueId> {
    let name = format!("optimiser.gradient_sum.{}", g.value(w).name);
    let shape = g.shape(w).known().unwrap_or_default();
    g.scope(format!("accumulate.{}", g.value(w).name));
    Ok(g.parameter(&name, &shape, Parameter::state(Initializer::Zeros))?)
}

fn weighted(g: &mut Graph, sum: ValueId, d: ValueId, share: ValueId) -> Result<ValueId> {
    let part = g.mul(d, share)?;
    Ok(g.add(sum, part)?)
}

/// Writes one parameter's update, which waits for `finite`.
pub(crate) fn update(
    g: &mut Graph,
    (parameter, mut gradient): (ValueId, ValueId),
    finite: ValueId,
    scalars: &[(&'static str, ValueId)],
    options: &StepOptions,
) -> Result<()> {
    let name = g.value(parameter).name.clone();
    g.scope(format!("update.{name}"));
    let decays = options.decay_all || g.parameters().any(|(v, p)| v == parameter && p.decay);
    let decay = if decays { options.weight_decay } else { 0.0 };
    let optimiser = &*options.optimiser;
    if decay > 0.0 && !optimiser.decoupled() {
        let pull = g.scale(parameter, decay)?;
        gradient = g.add(gradient, pull)?;
    }
    let factor = options.factors.iter().rev().find(|(p, _)| matches(p, &name)).map_or(1.0, |f| f.1);
    let mut u = Update { graph: g, parameter, gradient, scalars, factor };
    let mut delta = optimiser.delta(&mut u)?;
    if decay > 0.0 && optimiser.decoupled() {
        let lr = u.rate("lr")?;
        let rate = u.graph.scale(lr, decay)?;
        let pull = u.graph.mul(parameter, rate)?;
        delta = u.graph.add(delta, pull)?;
    }
    let delta = g.gate(delta, finite)?;
    let new = g.sub(parameter, delta)?;
    Ok(g.update(parameter, new)?)
}
