//! Whether every trained parameter receives a gradient, and how large each is.

use super::Run;
use crate::step::{Entry, Forward, SQUARES, StepOptions, backward, gradients_of};
use crate::{Error, Event, Result};
use gabor_compile::{CompileOptions, Program};
use gabor_graph::ops::{BatchNorm, UnaryMap};
use gabor_graph::{Graph, Initializer, Node, Source, ValueId};
use gabor_tensor::{Tensor, Unary};
use std::collections::{BTreeMap, BTreeSet};

/// Most parameters that a warning names.
const NAMED: usize = 8;

impl Run<'_> {
    /// The norm of every trained parameter's gradient in the last step.
    pub(super) fn gradient_norms(&self) -> Result<BTreeMap<String, f64>> {
        let (entry, _) = self.step_entries();
        let (names, _) = gradients_of(&self.forward, &self.step_options, entry)?;
        let squares = self.executable.output(SQUARES)?.as_f32()?;
        Ok(names.into_iter().zip(squares.iter().map(|&s| f64::from(s).sqrt())).collect())
    }

    /// After the first step of a phase: warns of trained parameters that received no gradient, with the likely reason.
    pub(super) fn check_gradients(&mut self, n: usize, inputs: &[(&str, &Tensor)]) -> Result<()> {
        let (entry, _) = self.step_entries();
        let (names, detached) = gradients_of(&self.forward, &self.step_options, entry)?;
        let squares = self.executable.output(SQUARES)?.as_f32()?;
        let zero: Vec<String> = names.into_iter().zip(squares).filter(|(_, s)| **s == 0.0).map(|(n, _)| n).collect();
        if !detached.is_empty() {
            let text = format!("the loss does not depend on {}: they will not learn", list(&detached));
            self.emit(&Event::Warning { text })?;
        }
        if zero.is_empty() {
            return Ok(());
        }
        for (reason, names) in self.reasons(entry, &zero, n, inputs)? {
            let begins = reason.is_initial();
            let (reason, names) = (reason.text(), list(&names));
            let text = format!("no gradient reached {names} in the first step: {reason}");
            self.emit(&if begins { Event::Note { text } } else { Event::Warning { text } })?;
        }
        Ok(())
    }

    /// The likely reason for each parameter without gradient, parameters of one reason together.
    fn reasons(
        &self,
        entry: Entry,
        zero: &[String],
        n: usize,
        inputs: &[(&str, &Tensor)],
    ) -> Result<Vec<(Reason, Vec<String>)>> {
        let options = self.step_options.of_entry(&self.forward.graph, entry);
        let seen = self.look(&self.forward, &options, n, inputs)?;
        let graph = &self.forward.graph;
        let mut found: Vec<(Reason, Vec<String>)> = Vec::new();
        for name in zero {
            let reason = graph.find(name).map_or(Reason::Unknown, |v| reason(graph, v, &seen));
            match found.iter_mut().find(|(r, _)| *r == reason) {
                Some((_, names)) => names.push(name.clone()),
                None => found.push((reason, vec![name.clone()])),
            }
        }
        Ok(found)
    }

    /// Runs the batch again and says of which nodes all outputs are zero; `loss` stands for the loss.
    fn look(
        &self,
        forward: &Forward,
        options: &StepOptions,
        n: usize,
        inputs: &[(&str, &Tensor)],
    ) -> Result<BTreeSet<String>> {
        let (graph, _) = backward(forward.clone(), options)?;
        let mut part = graph.clone();
        let loss = part.output_value("loss").ok_or_else(|| Error::new("loss", gabor_tensor::Rule::new("no loss")))?;
        part.clear_outputs();
        let rectifiers: Vec<String> =
            graph.nodes().iter().filter(|n| is_rectifier(n)).map(|n| n.name.clone()).collect();
        let outputs = graph.nodes().iter().filter(|n| is_rectifier(n)).map(|n| n.outputs[0]).chain([loss]);
        for (i, v) in outputs.enumerate() {
            part.output(i.to_string(), v);
        }
        let given: Vec<String> = part.inputs().map(|v| part.value(v).name.clone()).collect();
        let inputs: Vec<_> = inputs.iter().filter(|(name, _)| given.iter().any(|g| g == name)).copied().collect();
        let names: Vec<String> = part.parameters().map(|(v, _)| part.value(v).name.clone()).collect();
        let program = Program::single("look", part.validate()?);
        let mut run = self.backend.compile(&program, &CompileOptions::default())?;
        for name in names {
            run.write(&name, &self.executable.read(&name)?)?;
        }
        run.run(0, n, &inputs)?;
        let mut silent = BTreeSet::new();
        for (i, name) in rectifiers.into_iter().chain(["loss".to_string()]).enumerate() {
            if run.output(&i.to_string())?.as_f32()?.iter().all(|&v| v == 0.0) {
                silent.insert(name);
            }
        }
        Ok(silent)
    }
}

/// Why no gradient arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    /// A parameter behind it begins as zeros.
    Zeros(String),
    /// All outputs of a rectifier before or behind it are 0.
    Dead(String),
    /// The loss of every sample is 0.
    Satisfied,
    /// Something else.
    Unknown,
}

impl Reason {
    /// Whether it holds in the first step alone.
    fn is_initial(&self) -> bool {
        matches!(self, Reason::Zeros(_))
    }
    fn text(&self) -> String {
        match self {
            Reason::Zeros(name) => format!("`{name}` behind it begins as zeros; once that has moved, they will learn"),
            Reason::Dead(node) => format!(
                "all outputs of `{node}` are 0, a dead ReLU; a lower lr, another init or other normalisation of \
                 the inputs may help"
            ),
            Reason::Satisfied => "the loss of the batch is 0, so there is nothing to learn from it".into(),
            Reason::Unknown => "their inputs or what comes back from above is 0 throughout".into(),
        }
    }
}

/// Follows what a parameter makes to the scores and names the first thing that holds a gradient up.
fn reason(graph: &Graph, parameter: ValueId, silent: &BTreeSet<String>) -> Reason {
    if silent.contains("loss") {
        return Reason::Satisfied;
    }
    if let Some(node) = dead_before(graph, parameter, silent) {
        return Reason::Dead(node);
    }
    let mut reached: BTreeSet<ValueId> = [parameter].into();
    let mut zeros = None;
    for node in graph.nodes() {
        if !node.inputs.iter().any(|v| reached.contains(v)) {
            continue;
        }
        reached.extend(node.outputs.iter().copied());
        if is_rectifier(node) && silent.contains(&node.name) {
            return Reason::Dead(node.name.clone());
        }
        zeros = zeros.or_else(|| {
            let factors = node.inputs.iter().enumerate().filter(|(i, v)| is_factor(graph, node, *i, **v));
            let zero = factors.map(|(_, &v)| v).find(|&v| v != parameter && begins_as_zeros(graph, v));
            zero.map(|v| graph.value(v).name.clone())
        });
    }
    zeros.map_or(Reason::Unknown, Reason::Zeros)
}

/// The rectifier of zeros that gives a parameter's layer its input, if there is one.
fn dead_before(graph: &Graph, parameter: ValueId, silent: &BTreeSet<String>) -> Option<String> {
    let layer = graph.nodes().iter().find(|n| n.inputs.contains(&parameter))?;
    let mut stack: Vec<ValueId> = layer.inputs.clone();
    let mut seen = BTreeSet::new();
    while let Some(v) = stack.pop() {
        let Some(node) = graph.producer(v).filter(|_| seen.insert(v)) else { continue };
        if !is_rectifier(node) {
            stack.extend(&node.inputs);
        } else if silent.contains(&node.name) {
            return Some(node.name.clone());
        }
    }
    None
}

fn is_rectifier(node: &Node) -> bool {
    node.op::<UnaryMap>().is_some_and(|u| u.f == Unary::Relu)
}

/// Whether an input of a node is a parameter that is multiplied with: a weight, or the scale of a normalisation.
fn is_factor(graph: &Graph, node: &Node, at: usize, v: ValueId) -> bool {
    matches!(graph.value(v).source, Source::Parameter(_))
        && (graph.shape(v).rank() >= 2 || node.op::<BatchNorm>().is_some() && at == 1)
}

fn begins_as_zeros(graph: &Graph, v: ValueId) -> bool {
    matches!(
        &graph.value(v).source,
        Source::Parameter(p) if matches!(p.initializer, Initializer::Zeros | Initializer::Constant(0.0))
    )
}

/// The first of the names, and how many more.
fn list(names: &[String]) -> String {
    let shown = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len() {
        n if n > NAMED => format!("{shown} and {} more", n - NAMED),
        _ => shown,
    }
}
