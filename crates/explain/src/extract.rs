//! A part of a graph as a graph of its own.

use crate::extents::adapted;
use gabor_graph::{Graph, Node, NodeId, Result, Source, ValueId};
use gabor_tensor::{DType, Shape};
use std::collections::{HashMap, HashSet};

/// Copies nodes of one graph into another.
pub(crate) struct Extract<'a> {
    from: &'a Graph,
    /// The new graph.
    pub(crate) graph: Graph,
    copied: HashMap<ValueId, ValueId>,
}

impl<'a> Extract<'a> {
    pub(crate) fn new(from: &'a Graph) -> Self {
        Extract { from, graph: Graph::new(from.name.clone()), copied: HashMap::new() }
    }
    /// Makes a value of the old graph an input of the new one: `[n, shape…]`.
    pub(crate) fn give(&mut self, value: ValueId, name: &str, shape: &[usize]) -> Result<ValueId> {
        let new = self.graph.input(name, Shape::batch(shape), DType::F32)?;
        self.copied.insert(value, new);
        Ok(new)
    }
    /// Says which new value stands for an old one.
    pub(crate) fn set(&mut self, value: ValueId, new: ValueId) {
        self.copied.insert(value, new);
    }
    /// The value in the new graph, with all that it needs; what was given is not gone behind.
    pub(crate) fn value(&mut self, wanted: ValueId) -> Result<ValueId> {
        for id in self.missing(wanted) {
            let node = self.from.node(id).clone();
            self.node(&node)?;
        }
        self.leaf(wanted)
    }
    /// Copies one node, with all that its inputs still need. Where these have other extents, so has its result.
    pub(crate) fn node(&mut self, node: &Node) -> Result<()> {
        let inputs = node.inputs.iter().map(|&v| self.value(v)).collect::<Result<Vec<_>>>()?;
        self.graph.scope(node.name.clone());
        let operation = adapted(self.from, node, &self.graph, &inputs)?;
        let outputs = self.graph.add_shared(operation, &inputs)?;
        self.copied.extend(node.outputs.iter().copied().zip(outputs));
        Ok(())
    }
    /// A value that is there already, or a parameter, constant or input.
    fn leaf(&mut self, v: ValueId) -> Result<ValueId> {
        if let Some(&there) = self.copied.get(&v) {
            return Ok(there);
        }
        let value = self.from.value(v);
        let new = match &value.source {
            Source::Input => self.graph.input(&value.name, value.ty.shape.clone(), value.ty.dtype)?,
            Source::Parameter(p) => {
                self.graph.parameter(&value.name, &value.ty.shape.known().unwrap_or_default(), p.clone())?
            }
            Source::Constant(t) => self.graph.constant(t.as_ref().clone()),
            // Callers copy nodes in topological order, so this does not happen; zeros would be wrong, an error is not.
            Source::Node(..) => {
                let rule = gabor_tensor::Rule::new("the value is made by a node that was not copied");
                return Err(gabor_graph::Error::new(&value.name, rule));
            }
        };
        self.copied.insert(v, new);
        Ok(new)
    }
    /// The nodes that `wanted` still needs, in topological order.
    fn missing(&self, wanted: ValueId) -> Vec<NodeId> {
        let (mut stack, mut seen) = (vec![wanted], HashSet::new());
        while let Some(v) = stack.pop() {
            if self.copied.contains_key(&v) {
                continue;
            }
            if let Source::Node(id, _) = self.from.value(v).source
                && seen.insert(id)
            {
                stack.extend(self.from.node(id).inputs.iter().copied());
            }
        }
        let mut order: Vec<NodeId> = seen.into_iter().collect();
        order.sort_unstable_by_key(|id| id.0);
        order
    }
}
