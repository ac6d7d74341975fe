//! A training step as one graph: forward, loss, backward, clipping, update.
//!
//! | entry | runs | outputs |
//! |---|---|---|
//! | [`Entry::Step`] | a batch, or the last part of an accumulated one | `loss` `[]`, `logits` `[n, classes]`, `gradient_norm` `[]` |
//! | [`Entry::Accumulate`] | a part of a batch; adds its gradients up | `loss`, `logits` |
//! | [`Entry::Evaluate`] | the network as in prediction | `logits`, `loss` `[n]`, one number per sample |
//!
//! A parameter changes only if the loss and its own gradient are finite (all gradients, where they are scaled by their
//! joint norm), so a step that goes wrong can be run again to see where.

use crate::error::suggest;
use crate::optimiser::{Optimiser, PREFIX, Scalars, Update};
use crate::pattern::matches;
use crate::{Error, Loss, Result};
use gabor_compile::{Executable, Program, differentiate};
use gabor_graph::{Graph, Initializer, Parameter, Phase, ValueId};
use gabor_tensor::{DType, Dim, Rule, Shape, Tensor, Unary};

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
#[derive(Debug)]
pub struct StepOptions {
    /// The loss.
    pub loss: Loss,
    /// The optimiser.
    pub optimiser: Box<dyn Optimiser>,
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
}

impl StepOptions {
    /// Plain training by an optimiser: cross-entropy, no decay, no clipping.
    pub fn new(optimiser: Box<dyn Optimiser>) -> Self {
        StepOptions {
            loss: Loss::CrossEntropy { smoothing: 0.0 },
            optimiser,
            weight_decay: 0.0,
            decay_all: false,
            factors: Vec::new(),
            freeze: Vec::new(),
            clip_norm: None,
            clip_value: None,
            accumulate: false,
        }
    }
}

/// The graphs of a training program, by their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One step.
    Step = 0,
    /// Evaluation.
    Evaluate = 1,
    /// A part of a batch, where [`StepOptions::accumulate`] is on.
    Accumulate = 2,
}

/// Name of the input of labels, i32 `[n]`.
pub const LABELS: &str = "labels";
/// Name of the input of shape `[]` that says which part of the whole batch a part is; 1 for a whole batch. Only where
/// [`StepOptions::accumulate`] is on.
pub const SHARE: &str = "optimiser.share";

/// The program of a training: step, evaluation, and accumulation if asked for. `train` is the network as in training,
/// `evaluate` as in prediction.
///
/// # Errors
/// A pattern that fits no parameter, scores of a wrong shape, no parameter left to train.
pub fn program(train: &Forward, evaluate: &Forward, options: &StepOptions) -> Result<Program> {
    let mut program = Program::new();
    program.add("step", step(train.clone(), options)?.validate()?)?;
    program.add("evaluate", evaluation(evaluate.clone(), options.loss.plain())?.validate()?)?;
    if options.accumulate {
        program.add("accumulate", accumulation(train.clone(), options)?.validate()?)?;
    }
    Ok(program)
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

/// Puts the optimiser's memory to what it is before the first step.
///
/// # Errors
/// A program that was not compiled to this executable.
pub fn reset_optimiser(program: &Program, executable: &mut dyn Executable) -> Result<()> {
    for (_, graph) in program.entries() {
        for (v, p) in graph.parameters() {
            let value = graph.value(v);
            if value.name.starts_with(PREFIX) {
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
    let Forward { mut graph, logits, auxiliary } = forward;
    graph.clear_outputs();
    graph.set_phase(Phase::Loss);
    graph.scope("loss");
    let labels = graph.input(LABELS, Shape(vec![Dim::Batch(1)]), DType::I32)?;
    let per_sample = options.loss.per_sample(&mut graph, logits, labels)?;
    let mut loss = graph.mean_all(per_sample)?;
    for (scores, weight) in auxiliary {
        let per_sample = options.loss.per_sample(&mut graph, scores, labels)?;
        let mean = graph.mean_all(per_sample)?;
        let part = graph.scale(mean, weight)?;
        loss = graph.add(loss, part)?;
    }
    graph.output("loss", loss);
    graph.output("logits", logits);
    let wrt = trained(&graph, options)?;
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
    for ((w, d), own) in gradients.into_iter().zip(squares) {
        // Where no gradient has to wait for all others, it need not be kept until the last one is made.
        let judged = if options.clip_norm.is_some() { norm } else { own };
        g.scope("finite");
        let sum = g.add(size, judged)?;
        let finite = g.greater(infinity, sum)?;
        update(&mut g, (w, d), finite, &scalars, options)?;
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

/// The nearest pattern of parameter names, or the nearest name.
fn nearest<'a>(pattern: &str, names: impl Iterator<Item = &'a str> + Clone) -> String {
    let bare = pattern.trim_end_matches(['*', '.']);
    // A layer's name without its star; else a layer's name that is like it.
    if !bare.is_empty() && names.clone().any(|n| n.starts_with(bare)) {
        return format!("`{bare}*`");
    }
    if !pattern.contains(['*', '?']) {
        return suggest(pattern, names);
    }
    let layers = names.flat_map(|n| n.match_indices('.').map(|(at, _)| &n[..at]));
    let layers: std::collections::BTreeSet<&str> = layers.collect();
    let near = layers.iter().map(|l| (strsim::jaro_winkler(bare, l), *l)).max_by(|a, b| a.0.total_cmp(&b.0));
    near.map_or_else(|| "a pattern such as `conv1*`".into(), |(_, layer)| format!("`{layer}*`"))
}

/// Trainable parameters that no pattern freezes.
fn trained(g: &Graph, options: &StepOptions) -> Result<Vec<ValueId>> {
    let all: Vec<ValueId> = g.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| v).collect();
    let name = |v: ValueId| g.value(v).name.as_str();
    let factors = options.factors.iter().map(|(p, _)| ("lr_factors", p));
    for (key, pattern) in options.freeze.iter().map(|p| ("freeze", p)).chain(factors) {
        if !all.iter().any(|&v| matches(pattern, name(v))) {
            let right = nearest(pattern, all.iter().map(|&v| name(v)));
            return Err(Error::new(key, Rule::new(format!("`{pattern}` fits no parameter")).right(right)));
        }
    }
    let left: Vec<ValueId> =
        all.iter().copied().filter(|&v| !options.freeze.iter().any(|p| matches(p, name(v)))).collect();
    if left.is_empty() {
        let rule = Rule::new(format!("none of {} parameters is left to train", all.len()));
        return Err(Error::new("freeze", rule.right("patterns that leave some")));
    }
    Ok(left)
}

fn update(
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
