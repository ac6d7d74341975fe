//! Rewriting a graph by named rules.
//!
//! A rule looks at one node and answers with a [`Patch`]; [`optimise`] applies it, checks the result again and records
//! which rule did what. Nothing else edits a graph.

use crate::Recompute;
use crate::recompute::recompute;
use gabor_graph::{Error, Graph, NodeId, Operation, Phase, Result, Source, ValidGraph, ValueId};
use std::collections::HashMap;
use std::sync::Arc;

/// What a rule may ask about its surroundings.
pub struct RuleContext<'a> {
    /// The graph as it is now.
    pub graph: &'a Graph,
    /// The batch size that is compiled for.
    pub n: usize,
    /// Whether the backend has a kernel for an operation.
    pub supports: &'a dyn Fn(&dyn Operation) -> bool,
    /// The nodes that read each value.
    readers: Vec<Vec<NodeId>>,
    /// Whether an output or an update reads each value.
    kept: Vec<bool>,
    /// The first node of each key, made at the first question.
    first: std::cell::OnceCell<HashMap<String, NodeId>>,
}

impl<'a> RuleContext<'a> {
    fn new(graph: &'a Graph, n: usize, supports: &'a dyn Fn(&dyn Operation) -> bool) -> Self {
        let mut readers = vec![Vec::new(); graph.values().len()];
        for (i, node) in graph.nodes().iter().enumerate() {
            for &v in &node.inputs {
                readers[v.0 as usize].push(NodeId(i as u32));
            }
        }
        let mut kept = vec![false; graph.values().len()];
        for v in graph.outputs().iter().map(|o| o.1).chain(graph.updates().iter().map(|u| u.1)) {
            kept[v.0 as usize] = true;
        }
        RuleContext { graph, n, supports, readers, kept, first: Default::default() }
    }
    /// The nodes that read a value.
    pub fn readers(&self, v: ValueId) -> &[NodeId] {
        &self.readers[v.0 as usize]
    }
    /// Whether exactly one node reads the value, once, and neither an output nor an update does.
    pub fn used_once(&self, v: ValueId) -> bool {
        self.readers(v).len() == 1 && !self.kept[v.0 as usize]
    }
    /// Whether anything but this node reads the value.
    pub fn read_besides(&self, v: ValueId, node: NodeId) -> bool {
        self.kept[v.0 as usize] || self.readers(v).iter().any(|&r| r != node)
    }
    /// An earlier node that computes the same as this one.
    pub fn first_equal(&self, node: NodeId) -> Option<NodeId> {
        let key = |id| crate::rules::node_key(self.graph, id);
        let first = self.first.get_or_init(|| {
            let mut map = HashMap::new();
            for id in (0..self.graph.nodes().len() as u32).map(NodeId) {
                map.entry(key(id)).or_insert(id);
            }
            map
        });
        first.get(&key(node)).copied().filter(|&f| f != node)
    }
}

/// A value that a patch reads: one of the graph, or one the patch makes (node and output).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// A value of the graph.
    Old(ValueId),
    /// An output of the patch's node of that index.
    New(usize, usize),
}

/// A node that a patch adds.
#[derive(Clone, Debug)]
pub struct NewNode {
    /// Its operation.
    pub operation: Arc<dyn Operation>,
    /// What it reads.
    pub inputs: Vec<Operand>,
}

/// The answer of a rule: nodes to add, and which values of the graph are replaced by what.
#[derive(Clone, Debug, Default)]
pub struct Patch {
    /// New nodes, in topological order.
    pub nodes: Vec<NewNode>,
    /// Constants to add first; `Operand::New(usize::MAX - i, 0)` reads constant `i`.
    pub constants: Vec<gabor_tensor::Tensor>,
    /// Old values and what takes their place.
    pub replace: Vec<(ValueId, Operand)>,
}

impl Patch {
    /// A patch that replaces a value by another one of the graph.
    pub fn forward(from: ValueId, to: ValueId) -> Self {
        Patch { replace: vec![(from, Operand::Old(to))], ..Default::default() }
    }
    /// A patch that replaces the outputs of a node by those of one new operation.
    pub fn swap(outputs: &[ValueId], operation: Arc<dyn Operation>, inputs: Vec<Operand>) -> Self {
        let replace = outputs.iter().enumerate().map(|(i, &o)| (o, Operand::New(0, i))).collect();
        Patch { nodes: vec![NewNode { operation, inputs }], replace, ..Default::default() }
    }
    /// Adds a constant and returns its operand.
    pub fn constant(&mut self, t: gabor_tensor::Tensor) -> Operand {
        self.constants.push(t);
        Operand::New(usize::MAX - (self.constants.len() - 1), 0)
    }
}

/// A named rewrite.
pub trait Rule: Sync {
    /// The rule's name, as reports print it.
    fn name(&self) -> &'static str;
    /// A patch for the pattern that ends in this node, if it is there.
    fn apply(&self, cx: &RuleContext<'_>, node: NodeId) -> Option<Patch>;
}

/// A record of one applied patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The rule.
    pub rule: &'static str,
    /// The node it was applied at.
    pub node: String,
}

/// Applies the rules in order, each until it finds nothing more, and returns the rewritten graph and the record.
/// Nodes that no output and no update needs are dropped on the way. At last values that are not worth keeping for the
/// backward pass are made again there, and the updates of parameters move to where their gradients are.
///
/// # Errors
/// A patch that breaks a graph's invariant: a bug of the rule, reported with its name.
pub fn optimise(
    graph: ValidGraph,
    n: usize,
    supports: &dyn Fn(&dyn Operation) -> bool,
    rules: &[&dyn Rule],
    what: Recompute,
) -> Result<(ValidGraph, Vec<Applied>)> {
    let mut record = Vec::new();
    let in_order = |graph: &Graph| (0..graph.nodes().len()).collect::<Vec<_>>();
    let mut graph = rebuild(&graph, &[], &in_order(&graph))?;
    // One sweep applies every match of a rule that touches no other match; a rule is done when a sweep finds nothing.
    const SWEEPS: usize = 64;
    for rule in rules {
        for _ in 0..SWEEPS {
            let patches = sweep(&graph, n, supports, *rule);
            if patches.is_empty() {
                break;
            }
            for (node, _) in &patches {
                record.push(Applied { rule: rule.name(), node: graph.node(*node).name.clone() });
            }
            graph = rebuild(&graph, &patches, &in_order(&graph))
                .map_err(|e| Error::new(format!("rule {} at {}", rule.name(), e.place()), e.rule().clone()))?;
        }
    }
    // After all rules: one of them merges equal nodes.
    let graph = recompute(&graph, n, what)?;
    let graph = rebuild(&graph, &[], &crate::schedule::updates_early(&graph, n))?;
    Ok((graph.validate()?, record))
}

fn sweep(graph: &Graph, n: usize, supports: &dyn Fn(&dyn Operation) -> bool, rule: &dyn Rule) -> Vec<(NodeId, Patch)> {
    let cx = RuleContext::new(graph, n, supports);
    let mut taken = vec![false; graph.values().len()];
    let mut patches = Vec::new();
    for id in (0..graph.nodes().len() as u32).map(NodeId) {
        let Some(patch) = rule.apply(&cx, id) else { continue };
        // A patch must not read or replace what another patch of this sweep replaces.
        let reads = patch.nodes.iter().flat_map(|n| &n.inputs).chain(patch.replace.iter().map(|r| &r.1));
        let old = reads.filter_map(|o| match o {
            Operand::Old(v) => Some(*v),
            Operand::New(..) => None,
        });
        let touched: Vec<ValueId> = old.chain(patch.replace.iter().map(|r| r.0)).collect();
        if touched.iter().any(|v| taken[v.0 as usize]) {
            continue;
        }
        for &(v, _) in &patch.replace {
            taken[v.0 as usize] = true;
        }
        // Nodes absorbed by this patch must not be absorbed by the next one either.
        for &o in &graph.node(id).outputs {
            taken[o.0 as usize] = true;
        }
        patches.push((id, patch));
    }
    patches
}

/// Copies the graph with patches applied, without nodes that nothing needs, in an order close to the given one.
fn rebuild(old: &Graph, patches: &[(NodeId, Patch)], order: &[usize]) -> Result<Graph> {
    let mut replaced = vec![None; old.values().len()];
    for (p, (_, patch)) in patches.iter().enumerate() {
        for &(from, to) in &patch.replace {
            replaced[from.0 as usize] = Some((p, to));
        }
    }
    let mut copy = Copy {
        old,
        patches,
        replaced,
        new: Graph::new(old.name.clone()),
        values: vec![None; old.values().len()],
        made: vec![HashMap::new(); patches.len()],
        constants: vec![HashMap::new(); patches.len()],
    };
    for v in old.value_ids() {
        let value = old.value(v);
        let id = match &value.source {
            Source::Input => copy.new.input(&value.name, value.ty.shape.clone(), value.ty.dtype)?,
            Source::Parameter(p) => {
                copy.new.parameter(&value.name, &value.ty.shape.known().unwrap_or_default(), p.clone())?
            }
            Source::Constant(_) | Source::Node(..) => continue,
        };
        copy.values[v.0 as usize] = Some(id);
    }
    // Emit in this order, so that execution order and names stay what they were.
    let live = copy.live();
    for &i in order {
        for &o in &old.nodes()[i].outputs {
            // A replaced value is made where the patch was found, or earlier if something needs it.
            let here = copy.replaced[o.0 as usize].is_none_or(|(p, _)| patches[p].0.0 as usize == i);
            if here && live[o.0 as usize] {
                copy.value(o)?;
            }
        }
    }
    for (name, v) in old.outputs() {
        let v = copy.value(*v)?;
        copy.new.output(name.clone(), v);
    }
    for &(p, v) in old.updates() {
        let (p, v) = (copy.value(p)?, copy.value(v)?);
        copy.new.update(p, v)?;
    }
    copy.new.scope("");
    copy.new.set_phase(Phase::Forward);
    Ok(copy.new)
}

struct Copy<'a> {
    old: &'a Graph,
    patches: &'a [(NodeId, Patch)],
    /// Per value of the old graph the patch that replaces it, and by what.
    replaced: Vec<Option<(usize, Operand)>>,
    new: Graph,
    /// Per value of the old graph that of the new one.
    values: Vec<Option<ValueId>>,
    made: Vec<HashMap<usize, Vec<ValueId>>>,
    constants: Vec<HashMap<usize, ValueId>>,
}

impl Copy<'_> {
    /// Old values that outputs and updates need, replacements followed; a replaced value counts as needed where it is
    /// read.
    fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.old.values().len()];
        let mut stack: Vec<ValueId> =
            self.old.outputs().iter().map(|o| o.1).chain(self.old.updates().iter().map(|u| u.1)).collect();
        while let Some(v) = stack.pop() {
            if std::mem::replace(&mut live[v.0 as usize], true) {
                continue;
            }
            match self.replaced[v.0 as usize] {
                Some((p, operand)) => self.reads(p, operand, &mut stack),
                None => {
                    if let Some(node) = self.old.producer(v) {
                        stack.extend(&node.inputs);
                    }
                }
            }
        }
        live
    }
    fn reads(&self, p: usize, operand: Operand, out: &mut Vec<ValueId>) {
        match operand {
            Operand::Old(v) => out.push(v),
            Operand::New(i, _) if i < self.patches[p].1.nodes.len() => {
                for &input in &self.patches[p].1.nodes[i].inputs {
                    self.reads(p, input, out);
                }
            }
            Operand::New(..) => {}
        }
    }

    fn value(&mut self, v: ValueId) -> Result<ValueId> {
        if let Some(done) = self.values[v.0 as usize] {
            return Ok(done);
        }
        let id = if let Some((p, operand)) = self.replaced[v.0 as usize] {
            self.operand(p, operand)?
        } else {
            match &self.old.value(v).source {
                Source::Constant(t) => self.new.constant((**t).clone()),
                Source::Node(n, _) => {
                    let node = self.old.node(*n);
                    // Depth first, but iteratively bounded: inputs are emitted before, in old order, so this rarely nests.
                    let inputs = node.inputs.iter().map(|&i| self.value(i)).collect::<Result<Vec<_>>>()?;
                    self.new.scope(node.name.clone());
                    self.new.set_phase(node.phase);
                    let outputs = self.new.add_shared(node.operation.clone(), &inputs)?;
                    for (&o, &new) in node.outputs.iter().zip(&outputs) {
                        if self.replaced[o.0 as usize].is_none() {
                            self.values[o.0 as usize] = Some(new);
                        }
                    }
                    // `v` is one of the outputs and is not replaced.
                    return Ok(self.values[v.0 as usize].unwrap_or(v));
                }
                Source::Input | Source::Parameter(_) => v,
            }
        };
        self.values[v.0 as usize] = Some(id);
        Ok(id)
    }

    fn operand(&mut self, p: usize, operand: Operand) -> Result<ValueId> {
        let (anchor, patch) = &self.patches[p];
        let anchor = self.old.node(*anchor);
        match operand {
            Operand::Old(v) => self.value(v),
            Operand::New(i, out) if i < patch.nodes.len() => {
                if !self.made[p].contains_key(&i) {
                    let node = &patch.nodes[i];
                    let inputs = node.inputs.iter().map(|&o| self.operand(p, o)).collect::<Result<Vec<_>>>()?;
                    self.new.scope(anchor.name.clone());
                    self.new.set_phase(anchor.phase);
                    let outputs = self.new.add_shared(node.operation.clone(), &inputs)?;
                    self.made[p].insert(i, outputs);
                }
                Ok(self.made[p][&i][out])
            }
            Operand::New(i, _) => {
                let i = usize::MAX - i;
                if let Some(&c) = self.constants[p].get(&i) {
                    return Ok(c);
                }
                let c = self.new.constant(patch.constants[i].clone());
                self.constants[p].insert(i, c);
                Ok(c)
            }
        }
    }
}
