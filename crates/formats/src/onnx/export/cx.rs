//! What a row sees of the node it writes.

use super::writer::{Writer, int};
use crate::onnx::proto::AttributeProto;
use gabor_graph::{Graph, Node, Operation, ValueId};
use gabor_tensor::{Dim, Rule, Shape, Tensor};
use std::collections::{HashMap, HashSet};

/// One node of a graph, to be written.
pub(super) struct Cx<'c> {
    pub(super) w: &'c mut Writer,
    pub(super) graph: &'c Graph,
    pub(super) node: &'c Node,
    pub(super) names: &'c HashMap<ValueId, String>,
    pub(super) needed: &'c HashSet<ValueId>,
    /// Whether no operator of this node stands yet: the first one takes the node's name.
    pub(super) first: bool,
}

impl Cx<'_> {
    /// The node's operation.
    pub(super) fn op<O: Operation>(&self) -> Result<&O, Rule> {
        let wrong = || Rule::new(format!("another operation is registered as `{}`", self.node.operation.name()));
        self.node.op::<O>().ok_or_else(wrong)
    }
    /// The name of input `i`.
    pub(super) fn x(&self, i: usize) -> String {
        self.node.inputs.get(i).and_then(|v| self.names.get(v)).cloned().unwrap_or_default()
    }
    /// The names of all inputs.
    pub(super) fn xs(&self) -> Vec<String> {
        (0..self.node.inputs.len()).map(|i| self.x(i)).collect()
    }
    /// The name of output `i`.
    pub(super) fn y(&self, i: usize) -> String {
        self.node.outputs.get(i).and_then(|v| self.names.get(v)).cloned().unwrap_or_default()
    }
    /// The shape of input `i`.
    pub(super) fn shape(&self, i: usize) -> &Shape {
        self.graph.shape(self.node.inputs[i])
    }
    /// The shape of output `i`.
    pub(super) fn out_shape(&self, i: usize) -> &Shape {
        self.graph.shape(self.node.outputs[i])
    }
    /// Whether something needs output `i`.
    pub(super) fn used(&self, i: usize) -> bool {
        self.node.outputs.get(i).is_some_and(|v| self.needed.contains(v))
    }
    /// Adds an operator with an output of its own, whose name is returned.
    pub(super) fn emit(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<AttributeProto<'static>>,
    ) -> String {
        let y = self.w.fresh(&format!("{}.{}", self.node.name, op.to_lowercase()));
        self.emit_to(op, inputs, attributes, &y);
        y
    }
    /// Adds an operator that makes the value of that name.
    pub(super) fn emit_to(
        &mut self,
        op: &'static str,
        inputs: &[&str],
        attributes: Vec<AttributeProto<'static>>,
        y: &str,
    ) {
        let name =
            if self.first { self.node.name.clone() } else { format!("{}.{}", self.node.name, op.to_lowercase()) };
        self.first = false;
        let inputs = inputs.iter().map(|s| s.to_string()).collect();
        self.w.push(op, &name, inputs, vec![y.to_string()], attributes);
    }
    /// Adds an operator of all inputs that makes the only output.
    pub(super) fn done(&mut self, op: &'static str, attributes: Vec<AttributeProto<'static>>) {
        let (xs, y) = (self.xs(), self.y(0));
        let xs: Vec<&str> = xs.iter().map(String::as_str).collect();
        self.emit_to(op, &xs, attributes, &y);
    }
    /// A constant of 64-bit integers.
    pub(super) fn ints(&mut self, v: &[i64]) -> String {
        self.w.ints(v)
    }
    /// A constant number, of shape `[]`.
    pub(super) fn number(&mut self, v: f64) -> String {
        self.constant(&Tensor::scalar(v as f32))
    }
    /// A constant.
    pub(super) fn constant(&mut self, t: &Tensor) -> String {
        let name = self.w.fresh(&format!("{}.constant", self.node.name));
        self.w.constant(&name, t);
        name
    }
    /// A shape as 64-bit integers; extents that depend on the batch size are computed.
    pub(super) fn shape_value(&mut self, shape: &Shape) -> Result<String, Rule> {
        if let Some(known) = shape.known() {
            return Ok(self.ints(&known.iter().map(|&d| d as i64).collect::<Vec<_>>()));
        }
        let mut parts = Vec::new();
        for &d in shape.dims() {
            parts.push(match d {
                Dim::Fixed(v) => self.ints(&[v as i64]),
                Dim::Batch(1) => self.w.batch()?,
                Dim::Batch(k) => {
                    let (n, k) = (self.w.batch()?, self.ints(&[k as i64]));
                    self.emit("Mul", &[&n, &k], vec![])
                }
            });
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(self.emit("Concat", &parts, vec![int("axis", 0)]))
    }
    /// Reshapes a value `from` a shape to another, and returns its name. Extents along the batch stay symbolic.
    pub(super) fn reshape(&mut self, x: &str, from: &Shape, to: &Shape) -> Result<String, Rule> {
        let target = self.reshape_target(from, to)?;
        Ok(self.emit("Reshape", &[x, &target], vec![]))
    }
    /// The second input of a reshape: 0 keeps an extent, −1 stands for one that is left.
    pub(super) fn reshape_target(&mut self, from: &Shape, to: &Shape) -> Result<String, Rule> {
        let mut open = 0;
        let target: Vec<i64> = (to.dims().iter().enumerate())
            .map(|(i, &d)| match d {
                Dim::Fixed(v) => v as i64,
                Dim::Batch(_) if from.0.get(i) == Some(&d) => 0,
                Dim::Batch(_) => {
                    open += 1;
                    -1
                }
            })
            .collect();
        if open > 1 { self.shape_value(to) } else { Ok(self.ints(&target)) }
    }
}
