//! Optimisers: each emits its update as nodes of the training graph.
//!
//! An [`Optimiser`] answers with the amount that is subtracted from one parameter; its memory (momentum, averages of
//! squares) is state of the graph named `optimiser.KIND.PARAMETER`, and what changes from step to step (learning rate,
//! bias corrections) is computed on the host and given as inputs of shape `[]`. So a whole update is element-wise
//! arithmetic that compilation fuses into one pass over memory. Defaults and formulas are PyTorch's.

mod adadelta;
mod adagrad;
mod adam;
mod descent;
pub mod lbfgs;
mod rmsprop;
mod sgd;

pub use adadelta::Adadelta;
pub use adagrad::Adagrad;
pub use adam::Adam;
pub use descent::Descent;
pub use rmsprop::RmsProp;
pub use sgd::{MomentumForm, Sgd};

use crate::error::suggest;
use crate::{Error, Result};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Rule, Shape, Tensor};
use std::fmt::Debug;

/// Prefix of every state and input that belongs to the optimiser.
pub const PREFIX: &str = "optimiser";

/// A rule by which gradients change parameters.
pub trait Optimiser: Debug + Send + Sync {
    /// The lower-case name: `sgd`, `adamw`.
    fn name(&self) -> &'static str;
    /// The learning rate where none is given.
    fn default_lr(&self) -> f64;
    /// Whether weight decay shrinks the parameter directly (AdamW) instead of being added to the gradient (L2).
    fn decoupled(&self) -> bool {
        false
    }
    /// The numbers that the host computes for step `t` (from 1) at learning rate `lr`. Always the same names in the
    /// same order; the first is `lr`.
    fn scalars(&self, t: u64, lr: f64) -> Vec<(&'static str, f64)>;
    /// Adds the nodes that compute what is subtracted from the parameter. Scalars that are proportional to the learning
    /// rate are read by [`Update::rate`], so that a group's factor applies.
    ///
    /// # Errors
    /// Errors of the nodes that are added.
    fn delta(&self, u: &mut Update<'_>) -> Result<ValueId>;
}

/// The surroundings of one parameter while its update is written.
pub struct Update<'a> {
    /// The training graph.
    pub graph: &'a mut Graph,
    /// The parameter.
    pub parameter: ValueId,
    /// Its gradient, clipped, with coupled weight decay.
    pub gradient: ValueId,
    /// Inputs of shape `[]`, by name.
    pub(crate) scalars: &'a [(&'static str, ValueId)],
    /// Factor of the learning rate.
    pub(crate) factor: f64,
}

impl Update<'_> {
    /// The scalar of that name, one of [`Optimiser::scalars`].
    ///
    /// # Errors
    /// A name that the optimiser does not announce.
    pub fn scalar(&mut self, name: &str) -> Result<ValueId> {
        let known = self.scalars.iter().find(|(n, _)| *n == name).map(|s| s.1);
        known.ok_or_else(|| Error::new(PREFIX, Rule::new(format!("the optimiser announces no scalar `{name}`"))))
    }
    /// A scalar that is proportional to the learning rate, times the factor of the parameter's group.
    ///
    /// # Errors
    /// As [`scalar`](Update::scalar).
    pub fn rate(&mut self, name: &str) -> Result<ValueId> {
        let v = self.scalar(name)?;
        if self.factor == 1.0 { Ok(v) } else { Ok(self.graph.scale(v, self.factor)?) }
    }
    /// Memory of the parameter's shape, zero before the first step: `optimiser.KIND.PARAMETER`.
    ///
    /// # Errors
    /// A kind that is used twice.
    pub fn state(&mut self, kind: &str) -> Result<ValueId> {
        self.state_of(kind, Initializer::Zeros)
    }
    /// Memory that starts with other numbers.
    ///
    /// # Errors
    /// A kind that is used twice.
    pub fn state_of(&mut self, kind: &str, initializer: Initializer) -> Result<ValueId> {
        let name = format!("{PREFIX}.{kind}.{}", self.graph.value(self.parameter).name);
        let shape = self.graph.shape(self.parameter).known().unwrap_or_default();
        Ok(self.graph.parameter(&name, &shape, Parameter::state(initializer))?)
    }
    /// `a·x + b·y` for constants `a` and `b`.
    ///
    /// # Errors
    /// Shapes that do not broadcast.
    pub fn combine(&mut self, a: f64, x: ValueId, b: f64, y: ValueId) -> Result<ValueId> {
        let scaled = |g: &mut Graph, c: f64, v: ValueId| if c == 1.0 { Ok(v) } else { g.scale(v, c) };
        let x = scaled(self.graph, a, x)?;
        let y = scaled(self.graph, b, y)?;
        Ok(self.graph.add(x, y)?)
    }
}

/// The host's side of an optimiser's scalars: one input of shape `[]` each, rewritten before every step.
#[derive(Clone, Debug)]
pub struct Scalars {
    names: Vec<String>,
    tensors: Vec<Tensor>,
}

impl Scalars {
    /// The scalars of an optimiser, before the first step.
    pub fn new(optimiser: &dyn Optimiser) -> Self {
        let all = optimiser.scalars(1, 0.0);
        Scalars {
            names: all.iter().map(|(n, _)| format!("{PREFIX}.{n}")).collect(),
            tensors: all.iter().map(|_| Tensor::scalar(0.0)).collect(),
        }
    }
    /// Adds them to a graph as inputs.
    ///
    /// # Errors
    /// A name that is taken.
    pub(crate) fn declare(optimiser: &dyn Optimiser, g: &mut Graph) -> Result<Vec<(&'static str, ValueId)>> {
        (optimiser.scalars(1, 0.0).into_iter())
            .map(|(n, _)| Ok((n, g.input(&format!("{PREFIX}.{n}"), Shape::scalar(), DType::F32)?)))
            .collect()
    }
    /// Computes them for step `t` (from 1) at learning rate `lr`.
    pub fn set(&mut self, optimiser: &dyn Optimiser, t: u64, lr: f64) {
        for (tensor, (_, v)) in self.tensors.iter_mut().zip(optimiser.scalars(t, lr)) {
            if let gabor_tensor::Data::F32(data) = tensor.data_mut() {
                data[0] = v as f32;
            }
        }
    }
    /// Names and tensors, as a run wants them.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.names.iter().map(String::as_str).zip(&self.tensors)
    }
}

/// Names of all optimisers; [`by_name`] knows all but `lbfgs`, which works on the host ([`lbfgs`]).
pub const NAMES: &[&str] = &["sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamw", "lbfgs"];

/// An optimiser with its defaults; `momentum` replaces that of `sgd`, `momentum`, `nesterov` and `rmsprop` where given.
///
/// | name | rule |
/// |---|---|
/// | `sgd` | w ← w − ηg |
/// | `momentum` | v ← 0.9 v + g, w ← w − ηv |
/// | `nesterov` | v ← 0.9 v + g, w ← w − η(g + 0.9 v) |
/// | `adagrad`, `rmsprop`, `adadelta`, `adam`, `adamw` | see [`Adagrad`], [`RmsProp`], [`Adadelta`], [`Adam`] |
///
/// # Errors
/// An unknown name, with the nearest known one; a momentum for an optimiser that has none or outside [0, 1).
pub fn by_name(name: &str, momentum: Option<f64>) -> Result<Box<dyn Optimiser>, Rule> {
    if let Some(m) = momentum
        && !(0.0..1.0).contains(&m)
    {
        return Err(Rule::new(format!("a momentum of {m}")).right("a number in [0, 1)"));
    }
    let m = momentum.unwrap_or(0.9);
    let known: Box<dyn Optimiser> = match name {
        "sgd" => Box::new(Sgd { momentum: momentum.unwrap_or(0.0), ..Default::default() }),
        "momentum" => Box::new(Sgd { momentum: m, ..Default::default() }),
        "nesterov" => Box::new(Sgd { momentum: m, nesterov: true, ..Default::default() }),
        "adagrad" => Box::new(Adagrad::default()),
        "rmsprop" => Box::new(RmsProp { momentum: momentum.unwrap_or(0.0), ..Default::default() }),
        "adadelta" => Box::new(Adadelta::default()),
        "adam" => Box::new(Adam::default()),
        "adamw" => Box::new(Adam::decoupled()),
        _ => {
            return Err(
                Rule::new(format!("no optimiser is called `{name}`")).right(suggest(name, NAMES.iter().copied()))
            );
        }
    };
    if momentum.is_some() && !matches!(name, "sgd" | "momentum" | "nesterov" | "rmsprop") {
        return Err(Rule::new(format!("`{name}` has no momentum")).right("no momentum, or sgd, nesterov or rmsprop"));
    }
    Ok(known)
}
