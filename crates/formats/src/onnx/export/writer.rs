//! What grows while a graph is written.

use super::tensor;
use crate::Refusal;
use crate::onnx::proto::*;
use gabor_graph::{Graph, Node, Source, ValueId};
use gabor_tensor::{Rule, Tensor};
use std::collections::{HashMap, HashSet};

/// The file's graph, the names that are taken, and the nodes that were refused.
pub(super) struct Writer {
    pub(super) graph: GraphProto<'static>,
    pub(super) refusals: Vec<Refusal>,
    /// A graph input with the batch size along an axis.
    pub(super) batch_from: Option<(String, usize)>,
    batch: Option<String>,
    integers: HashMap<Vec<i64>, String>,
    values: HashSet<String>,
    nodes: HashSet<String>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Writer {
            graph: GraphProto::default(),
            refusals: Vec::new(),
            batch_from: None,
            batch: None,
            integers: HashMap::new(),
            values: HashSet::new(),
            nodes: HashSet::new(),
        }
    }
    /// Takes a value's name; whether it was free.
    pub(super) fn claim(&mut self, name: &str) -> bool {
        self.values.insert(name.to_string())
    }
    /// A value's name that was free: the base, or the base and a number.
    pub(super) fn fresh(&mut self, base: &str) -> String {
        fresh(&mut self.values, base)
    }
    /// The name of a value; a constant is written where it is first used.
    pub(super) fn name_of(&mut self, graph: &Graph, v: ValueId, names: &mut HashMap<ValueId, String>) -> String {
        if let Some(name) = names.get(&v) {
            return name.clone();
        }
        let value = graph.value(v);
        let name = self.fresh(&value.name);
        if let Source::Constant(t) = &value.source {
            self.constant(&name, t);
        }
        names.insert(v, name.clone());
        name
    }
    /// Writes a constant under a name. Constants are nodes; initialisers are parameters alone.
    pub(super) fn constant(&mut self, name: &str, t: &Tensor) {
        self.push("Constant", name, vec![], vec![name.to_string()], vec![value(tensor::write("", t))]);
    }
    /// 64-bit integers `[len]`; equal ones are written once.
    pub(super) fn ints(&mut self, v: &[i64]) -> String {
        if let Some(name) = self.integers.get(v) {
            return name.clone();
        }
        let name = self.fresh("shape");
        let t = tensor::write_ints(&[v.len()], v);
        self.push("Constant", &name, vec![], vec![name.clone()], vec![value(t)]);
        self.integers.insert(v.to_vec(), name.clone());
        name
    }
    /// The batch size as 64-bit integers `[1]`, read from a graph input.
    pub(super) fn batch(&mut self) -> Result<String, Rule> {
        if let Some(name) = &self.batch {
            return Ok(name.clone());
        }
        let (input, axis) = self.batch_from.clone().ok_or_else(|| {
            Rule::new("its shape depends on the batch size and no input has it").right("an input [n, …]")
        })?;
        let name = self.fresh("batch");
        let ends = vec![int("start", axis as i64), int("end", axis as i64 + 1)];
        self.push("Shape", &name, vec![input], vec![name.clone()], ends);
        self.batch = Some(name.clone());
        Ok(name)
    }
    /// Adds a node.
    pub(super) fn push(
        &mut self,
        op_type: &'static str,
        name: &str,
        input: Vec<String>,
        output: Vec<String>,
        attribute: Vec<AttributeProto<'static>>,
    ) {
        let name = fresh(&mut self.nodes, name);
        self.graph.node.push(NodeProto {
            input: input.into_iter().map(Into::into).collect(),
            output: output.into_iter().map(Into::into).collect(),
            name: name.into(),
            op_type: op_type.into(),
            attribute,
            ..Default::default()
        });
    }
    /// Notes a node that cannot be written.
    pub(super) fn refuse(&mut self, node: &Node, rule: Rule) {
        let operation = node.operation.name().to_string();
        self.refusals.push(Refusal { node: node.name.clone(), operation, reason: rule.to_string() });
    }
    /// Drops nodes and initialisers that no output needs.
    pub(super) fn drop_dead(&mut self) {
        let mut live: HashSet<String> = self.graph.output.iter().map(|o| o.name.to_string()).collect();
        let mut kept = Vec::new();
        for node in std::mem::take(&mut self.graph.node).into_iter().rev() {
            if node.output.iter().any(|o| live.contains(&**o)) {
                live.extend(node.input.iter().map(|i| i.to_string()));
                kept.push(node);
            }
        }
        kept.reverse();
        self.graph.node = kept;
        self.graph.initializer.retain(|t| live.contains(&*t.name));
    }
}

fn fresh(taken: &mut HashSet<String>, base: &str) -> String {
    let mut name = base.to_string();
    let mut count = 1;
    while !taken.insert(name.clone()) {
        name = format!("{base}_{count}");
        count += 1;
    }
    name
}

/// A whole number as an attribute.
pub(super) fn int(name: &'static str, v: i64) -> AttributeProto<'static> {
    AttributeProto { name: name.into(), i: Some(v), kind: attr::INT, ..Default::default() }
}
/// Whole numbers as an attribute.
pub(super) fn ints(name: &'static str, v: Vec<i64>) -> AttributeProto<'static> {
    AttributeProto { name: name.into(), ints: v, kind: attr::INTS, ..Default::default() }
}
/// A number as an attribute.
pub(super) fn float(name: &'static str, v: f64) -> AttributeProto<'static> {
    AttributeProto { name: name.into(), f: Some(v as f32), kind: attr::FLOAT, ..Default::default() }
}
/// A text as an attribute.
pub(super) fn text(name: &'static str, v: &'static str) -> AttributeProto<'static> {
    AttributeProto { name: name.into(), s: Some(v.as_bytes().into()), kind: attr::STRING, ..Default::default() }
}
/// A constant's elements.
pub(super) fn value(t: TensorProto<'static>) -> AttributeProto<'static> {
    AttributeProto { name: "value".into(), t: Some(t), kind: attr::TENSOR, ..Default::default() }
}
