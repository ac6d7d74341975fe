//! Computing values of the forward pass a second time instead of keeping them for the backward pass.
//!
//! Which values are dropped is decided in `choose.rs`; here the graph is copied with the nodes that make them again, next
//! to the first node that needs them. The second computation is the same operation on the same values, so results keep
//! their bits: randomness is keyed, and nothing else is hidden in a node.

mod choose;

use gabor_graph::{Graph, Node, Phase, Result, Source, ValueId};
use gabor_tensor::Rule;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Which values of the forward pass are computed again for the backward pass, so that they need not be kept: memory for
/// time. Results do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Recompute {
    /// None: all that the backward pass reads is kept.
    #[default]
    None,
    /// Results of operations that cost little more than a pass over memory (element-wise, normalisation, pooling), where
    /// what they are made of is kept anyway.
    Cheap,
    /// All but checkpoints between segments of the network; a segment runs again before its backward pass (Chen, Xu,
    /// Zhang, Guestrin 2016, "Training deep nets with sublinear memory cost"). Costs at most one more forward pass.
    Segments,
}

impl Recompute {
    /// All values with their names.
    pub const ALL: [(&str, Recompute); 3] =
        [("none", Recompute::None), ("cheap", Recompute::Cheap), ("segments", Recompute::Segments)];
    /// The name: `none`, `cheap` or `segments`.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }
}

impl fmt::Display for Recompute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Recompute {
    type Err = Rule;
    fn from_str(text: &str) -> Result<Self, Rule> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text).map(|r| r.1);
        found.ok_or_else(|| {
            Rule::new(format!("`{text}` says not what is computed again")).right("none, cheap or segments")
        })
    }
}

/// What is dropped after the forward pass and made again.
#[derive(Debug, Default, PartialEq)]
struct Choice {
    /// By value: whether the backward pass reads a second copy.
    dropped: Vec<bool>,
    /// Nodes that run again, by group and in order; a group runs before the first node that reads a dropped value of it.
    groups: Vec<Vec<usize>>,
}

/// A copy of the graph at batch size `n` in which the backward pass makes again what was not worth keeping.
///
/// # Errors
/// A copy that breaks a graph's invariant: a bug.
pub(crate) fn recompute(graph: &Graph, n: usize, what: Recompute) -> Result<Graph> {
    let choice = match what {
        Recompute::None => Choice::default(),
        Recompute::Cheap => choose::cheap(graph, n),
        Recompute::Segments => choose::segments(graph, n),
    };
    if choice.groups.is_empty() {
        return Ok(graph.clone());
    }
    Twice::new(graph, &choice)?.finish()
}

/// Whether a node belongs to the pass that is computed again, or to the one that reads what it made.
fn is_forward(node: &Node) -> bool {
    matches!(node.phase, Phase::Forward | Phase::Loss)
}

struct Twice<'a> {
    old: &'a Graph,
    choice: &'a Choice,
    new: Graph,
    first: HashMap<ValueId, ValueId>,
    again: HashMap<ValueId, ValueId>,
    /// By node: the group in which it runs again.
    group: HashMap<usize, usize>,
}

impl<'a> Twice<'a> {
    fn new(old: &'a Graph, choice: &'a Choice) -> Result<Self> {
        let mut new = Graph::new(old.name.clone());
        let mut first = HashMap::new();
        for v in old.value_ids() {
            let value = old.value(v);
            let id = match &value.source {
                Source::Input => new.input(&value.name, value.ty.shape.clone(), value.ty.dtype)?,
                Source::Parameter(p) => {
                    new.parameter(&value.name, &value.ty.shape.known().unwrap_or_default(), p.clone())?
                }
                Source::Constant(t) => new.constant((**t).clone()),
                Source::Node(..) => continue,
            };
            first.insert(v, id);
        }
        let groups = choice.groups.iter().enumerate();
        let group = groups.flat_map(|(g, nodes)| nodes.iter().map(move |&i| (i, g))).collect();
        Ok(Twice { old, choice, new, first, again: HashMap::new(), group })
    }

    fn finish(mut self) -> Result<Graph> {
        for node in self.old.nodes() {
            let mut inputs = Vec::with_capacity(node.inputs.len());
            for &v in &node.inputs {
                let second = !is_forward(node) && self.choice.dropped[v.0 as usize];
                inputs.push(if second { self.second(v)? } else { self.first[&v] });
            }
            let outputs = self.add(node, node.name.clone(), node.phase, &inputs)?;
            self.first.extend(node.outputs.iter().copied().zip(outputs));
        }
        for (name, v) in self.old.outputs() {
            self.new.output(name.clone(), self.first[v]);
        }
        for (p, v) in self.old.updates() {
            self.new.update(self.first[p], self.first[v])?;
        }
        self.new.scope("");
        self.new.set_phase(Phase::Forward);
        Ok(self.new)
    }
    fn add(&mut self, node: &Node, name: String, phase: Phase, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        self.new.scope(name);
        self.new.set_phase(phase);
        self.new.add_shared(node.operation.clone(), inputs)
    }
    /// The second copy of a value; its whole group is made if it is not there.
    fn second(&mut self, v: ValueId) -> Result<ValueId> {
        if let Some(&made) = self.again.get(&v) {
            return Ok(made);
        }
        let Source::Node(maker, _) = self.old.value(v).source else { return Ok(self.first[&v]) };
        let Some(&group) = self.group.get(&(maker.0 as usize)) else { return Ok(self.first[&v]) };
        for &i in &self.choice.groups[group] {
            let node = &self.old.nodes()[i];
            // Within a group a node reads what runs again; values from outside are kept.
            let inputs: Vec<ValueId> =
                node.inputs.iter().map(|v| self.again.get(v).copied().unwrap_or(self.first[v])).collect();
            let outputs = self.add(node, format!("{}.again", node.name), Phase::Backward, &inputs)?;
            self.again.extend(node.outputs.iter().copied().zip(outputs));
        }
        Ok(self.again[&v])
    }
}
