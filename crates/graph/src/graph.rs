//! The graph: nodes, values, and the one place where a node is added.

use crate::{Error, Operation, Parameter, Result};
use gabor_tensor::{DType, Rule, Shape, Tensor};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A value of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// Shape and element type of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ValueType {
    /// Extents; the batch size may be the symbol `n`.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl ValueType {
    /// A value of 32-bit floats.
    pub fn f32(shape: Shape) -> Self {
        ValueType { shape, dtype: DType::F32 }
    }
    /// The same shape with another element type.
    pub fn with(&self, dtype: DType) -> Self {
        ValueType { shape: self.shape.clone(), dtype }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// Where a value comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Given with every run.
    Input,
    /// Kept between runs.
    Parameter(Parameter),
    /// Part of the graph.
    Constant(Arc<Tensor>),
    /// An output of a node: the node and which of its outputs.
    Node(NodeId, usize),
}

/// An edge of the graph.
#[derive(Clone, Debug)]
pub struct Value {
    /// Unique in the graph.
    pub name: String,
    /// Shape and element type.
    pub ty: ValueType,
    /// Where it comes from.
    pub source: Source,
}

/// To which part of a training step a node belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    /// The network itself.
    #[default]
    Forward,
    /// Loss and metrics.
    Loss,
    /// Gradients.
    Backward,
    /// The optimiser's update.
    Update,
}

/// An operation with its inputs and outputs.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique in the graph.
    pub name: String,
    /// What it computes.
    pub operation: Arc<dyn Operation>,
    /// Values it reads.
    pub inputs: Vec<ValueId>,
    /// Values it makes.
    pub outputs: Vec<ValueId>,
    /// What is legal but surprising.
    pub notes: Vec<String>,
    /// Part of a training step.
    pub phase: Phase,
}

impl Node {
    /// The operation as its concrete type, if it is one.
    pub fn op<O: Operation>(&self) -> Option<&O> {
        (&*self.operation as &dyn std::any::Any).downcast_ref::<O>()
    }
}

/// A network as a graph: a node per operation, an edge per value. Nodes are added in topological order, shapes are
/// checked as they are added.
///
/// ```
/// use gabor_graph::{Graph, Parameter, Initializer};
/// use gabor_tensor::{DType, Shape, WindowOptions};
/// let mut g = Graph::new("tiny");
/// let x = g.input("x", Shape::batch(&[3, 32, 32]), DType::F32).unwrap();
/// let w = g.parameter("conv1.weight", &[10, 3, 5, 5], Parameter::weight(Initializer::KaimingUniform { a: 5f64.sqrt() })).unwrap();
/// g.scope("conv1");
/// let y = g.conv(x, w, 1, &WindowOptions::default()).unwrap();
/// assert_eq!(g.ty(y).to_string(), "f32[n, 10, 28, 28]");
/// ```
#[derive(Clone, Debug)]
pub struct Graph {
    /// The network's name.
    pub name: String,
    nodes: Vec<Node>,
    values: Vec<Value>,
    names: HashMap<String, u32>,
    outputs: Vec<(String, ValueId)>,
    updates: Vec<(ValueId, ValueId)>,
    scope: String,
    phase: Phase,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Graph {
            name: name.into(),
            nodes: Vec::new(),
            values: Vec::new(),
            names: HashMap::new(),
            outputs: Vec::new(),
            updates: Vec::new(),
            scope: String::new(),
            phase: Phase::Forward,
        }
    }

    // --- building -----------------------------------------------------------------------------------------------

    /// Names the nodes that follow: the first becomes `name`, later ones `name.operation`. An empty name: no scope.
    pub fn scope(&mut self, name: impl Into<String>) -> &mut Self {
        self.scope = name.into();
        self
    }
    /// The name under which nodes are added now.
    pub fn current_scope(&self) -> &str {
        &self.scope
    }
    /// Says to which part of a training step the nodes that follow belong.
    pub fn set_phase(&mut self, phase: Phase) {
        self.phase = phase;
    }
    /// A value that is given with every run.
    ///
    /// # Errors
    /// A name that is taken, or a shape of more than 2⁴⁰ elements.
    pub fn input(&mut self, name: &str, shape: Shape, dtype: DType) -> Result<ValueId> {
        self.add_value(name, ValueType { shape, dtype }, Source::Input)
    }
    /// A value of 32-bit floats that is kept between runs.
    ///
    /// # Errors
    /// A name that is taken, an extent of 0, or a shape of more than 2⁴⁰ elements.
    pub fn parameter(&mut self, name: &str, shape: &[usize], parameter: Parameter) -> Result<ValueId> {
        if shape.contains(&0) {
            return Err(Error::new(name, Rule::new(format!("a parameter of shape {shape:?} has an extent of 0"))));
        }
        self.add_value(name, ValueType::f32(Shape::fixed(shape)), Source::Parameter(parameter))
    }
    /// A value that is part of the graph.
    pub fn constant(&mut self, tensor: Tensor) -> ValueId {
        let ty = ValueType { shape: Shape::fixed(tensor.shape()), dtype: tensor.dtype() };
        let name = self.fresh("constant");
        self.push_value(name, ty, Source::Constant(Arc::new(tensor)))
    }
    /// A constant number, of shape `[]`.
    pub fn number(&mut self, v: f64) -> ValueId {
        self.constant(Tensor::scalar(v as f32))
    }
    /// Adds a node and returns its outputs.
    ///
    /// # Errors
    /// The operation's rule that the inputs break, with the node's name and where the inputs come from.
    pub fn add_node(&mut self, operation: impl Operation, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        self.add_shared(Arc::new(operation), inputs)
    }
    /// Adds a node with one output and returns it.
    ///
    /// # Errors
    /// As [`add_node`](Graph::add_node).
    pub fn add_one(&mut self, operation: impl Operation, inputs: &[ValueId]) -> Result<ValueId> {
        Ok(self.add_shared(Arc::new(operation), inputs)?[0])
    }
    /// Adds a node of a shared operation.
    ///
    /// # Errors
    /// As [`add_node`](Graph::add_node).
    pub fn add_shared(&mut self, operation: Arc<dyn Operation>, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let types: Vec<ValueType> = inputs.iter().map(|&v| self.ty(v).clone()).collect();
        let names = operation.input_names();
        let variadic = names.last().is_some_and(|n| n.ends_with('…'));
        if !variadic && inputs.len() != names.len() {
            let rule = Rule::new(format!("{} inputs for `{}`", inputs.len(), operation.name())).right(format!(
                "{} inputs: {}",
                names.len(),
                names.join(", ")
            ));
            return Err(self.error_here(operation.name(), rule, &[]));
        }
        let sized = |types: Vec<ValueType>| types.iter().try_for_each(|ty| ty.shape.check_len_at(1)).map(|()| types);
        let outputs =
            operation.infer(&types).and_then(sized).map_err(|rule| self.error_here(operation.name(), rule, inputs))?;
        let name = self.node_name(operation.name());
        let id = NodeId(self.nodes.len() as u32);
        let notes = operation.notes();
        let outputs: Vec<ValueId> = (outputs.into_iter().enumerate())
            .map(|(i, ty)| {
                let value_name = if i == 0 { name.clone() } else { format!("{name}#{i}") };
                self.push_value(value_name, ty, Source::Node(id, i))
            })
            .collect();
        self.nodes.push(Node {
            name,
            operation,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            notes,
            phase: self.phase,
        });
        Ok(outputs)
    }
    /// An error of a rule that is broken while a node is prepared here, with the inputs' origins.
    pub fn error_here(&self, operation: &str, rule: Rule, inputs: &[ValueId]) -> Error {
        let place = if self.scope.is_empty() { operation } else { &self.scope };
        let mut e = Error::new(place, rule);
        for &v in inputs {
            let value = self.value(v);
            let from = match value.source {
                Source::Input => "is an input",
                Source::Parameter(_) => "is a parameter",
                Source::Constant(_) => continue,
                Source::Node(..) => "is made there",
            };
            e = e.origin(match value.source {
                Source::Node(n, _) => format!("input {} comes from {}", value.ty.shape, self.node(n).name),
                _ => format!("{} {} {from}", value.name, value.ty.shape),
            });
        }
        e
    }
    /// Makes a value an output of the graph.
    pub fn output(&mut self, name: impl Into<String>, value: ValueId) {
        self.outputs.push((name.into(), value));
    }
    /// After each run the parameter takes this value.
    ///
    /// # Errors
    /// If the first value is no parameter, the types differ, or it has an update already.
    pub fn update(&mut self, parameter: ValueId, value: ValueId) -> Result<()> {
        let (p, v) = (self.value(parameter), self.value(value));
        if !matches!(p.source, Source::Parameter(_)) {
            return Err(Error::new(&p.name, Rule::new("only a parameter can be updated")));
        }
        if p.ty != v.ty {
            return Err(Error::new(
                &p.name,
                Rule::new(format!("an update of type {} for a parameter of type {}", v.ty, p.ty)),
            ));
        }
        if self.updates.iter().any(|&(q, _)| q == parameter) {
            return Err(Error::new(&p.name, Rule::new("the parameter has an update already")));
        }
        self.updates.push((parameter, value));
        Ok(())
    }

    // --- reading ------------------------------------------------------------------------------------------------

    /// All nodes, in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }
    /// All values.
    pub fn values(&self) -> &[Value] {
        &self.values
    }
    /// A value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.0 as usize]
    }
    /// All value ids.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..self.values.len() as u32).map(ValueId)
    }
    /// Shape and element type of a value.
    pub fn ty(&self, id: ValueId) -> &ValueType {
        &self.value(id).ty
    }
    /// Shape of a value.
    pub fn shape(&self, id: ValueId) -> &Shape {
        &self.value(id).ty.shape
    }
    /// The value of that name.
    pub fn find(&self, name: &str) -> Option<ValueId> {
        self.values.iter().position(|v| v.name == name).map(|i| ValueId(i as u32))
    }
    /// The node that makes a value.
    pub fn producer(&self, id: ValueId) -> Option<&Node> {
        match self.value(id).source {
            Source::Node(n, _) => Some(self.node(n)),
            _ => None,
        }
    }
    /// Inputs, in the order they were added.
    pub fn inputs(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.value_ids().filter(|&v| matches!(self.value(v).source, Source::Input))
    }
    /// Parameters and state, in the order they were added.
    pub fn parameters(&self) -> impl Iterator<Item = (ValueId, &Parameter)> + '_ {
        self.value_ids().filter_map(|v| match &self.value(v).source {
            Source::Parameter(p) => Some((v, p)),
            _ => None,
        })
    }
    /// Named outputs.
    pub fn outputs(&self) -> &[(String, ValueId)] {
        &self.outputs
    }
    /// The output of that name.
    pub fn output_value(&self, name: &str) -> Option<ValueId> {
        self.outputs.iter().find(|(n, _)| n == name).map(|&(_, v)| v)
    }
    /// Parameters with the values they take after a run.
    pub fn updates(&self) -> &[(ValueId, ValueId)] {
        &self.updates
    }
    /// Forgets all outputs, to name others.
    pub fn clear_outputs(&mut self) {
        self.outputs.clear();
    }
    /// The graph in text, one node a line.
    pub fn to_text(&self) -> String {
        self.to_string()
    }

    /// Checks every invariant again: unique names, inputs before use, types as inferred. Compilation accepts only what
    /// this returns.
    ///
    /// # Errors
    /// The first broken invariant.
    pub fn validate(self) -> Result<ValidGraph> {
        let mut seen = std::collections::HashSet::new();
        for v in &self.values {
            if !seen.insert(v.name.as_str()) {
                return Err(Error::new(&v.name, Rule::new("two values have this name")));
            }
        }
        for (i, node) in self.nodes.iter().enumerate() {
            for &v in &node.inputs {
                if let Source::Node(p, _) = self.value(v).source
                    && p.0 as usize >= i
                {
                    return Err(Error::new(&node.name, Rule::new("an input is made later than it is used")));
                }
            }
            let types: Vec<_> = node.inputs.iter().map(|&v| self.ty(v).clone()).collect();
            let inferred = node.operation.infer(&types).map_err(|r| Error::new(&node.name, r))?;
            if inferred.len() != node.outputs.len() || inferred.iter().zip(&node.outputs).any(|(t, &o)| t != self.ty(o))
            {
                return Err(Error::new(&node.name, Rule::new("the outputs' types are not what the operation infers")));
            }
        }
        Ok(ValidGraph(Arc::new(self)))
    }

    // --- inner --------------------------------------------------------------------------------------------------

    fn add_value(&mut self, name: &str, ty: ValueType, source: Source) -> Result<ValueId> {
        if self.names.contains_key(name) {
            return Err(Error::new(name, Rule::new("the name is taken").right("another name")));
        }
        ty.shape.check_len_at(1).map_err(|rule| Error::new(name, rule))?;
        self.names.insert(name.to_string(), 1);
        Ok(self.push_value(name.to_string(), ty, source))
    }
    fn push_value(&mut self, name: String, ty: ValueType, source: Source) -> ValueId {
        self.values.push(Value { name, ty, source });
        ValueId(self.values.len() as u32 - 1)
    }
    fn node_name(&mut self, operation: &str) -> String {
        if self.scope.is_empty() {
            self.fresh(operation)
        } else if self.names.contains_key(&self.scope) {
            let base = format!("{}.{operation}", self.scope);
            self.fresh(&base)
        } else {
            let base = self.scope.clone();
            self.fresh(&base)
        }
    }
    /// A name that is not taken: the base itself, or the base and a number.
    fn fresh(&mut self, base: &str) -> String {
        let mut count = self.names.get(base).copied().unwrap_or(0);
        let name = loop {
            let name = if count == 0 { base.to_string() } else { format!("{base}_{count}") };
            count += 1;
            if !self.names.contains_key(&name) {
                break name;
            }
        };
        self.names.insert(base.to_string(), count);
        self.names.entry(name.clone()).or_insert(1);
        name
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", self.name)?;
        for v in self.values.iter() {
            match &v.source {
                Source::Input => writeln!(f, "  input {}: {}", v.name, v.ty)?,
                Source::Parameter(p) => writeln!(f, "  parameter {}: {} {}", v.name, v.ty, p.initializer)?,
                _ => {}
            }
        }
        for n in &self.nodes {
            let list = |ids: &[ValueId]| ids.iter().map(|&v| self.operand(v)).collect::<Vec<_>>().join(", ");
            write!(f, "  {} = {}({})", list(&n.outputs), n.operation.name(), list(&n.inputs))?;
            for (k, v) in n.operation.attributes() {
                write!(f, " {k}={v}")?;
            }
            let types: Vec<_> = n.outputs.iter().map(|&o| self.ty(o).to_string()).collect();
            writeln!(f, " : {}", types.join(", "))?;
        }
        for (p, v) in &self.updates {
            writeln!(f, "  update {} <- {}", self.value(*p).name, self.operand(*v))?;
        }
        for (name, v) in &self.outputs {
            writeln!(f, "  output {name} = {}", self.operand(*v))?;
        }
        Ok(())
    }
}

impl Graph {
    /// How a value is written where it is used: its name, or the number itself for a constant scalar.
    fn operand(&self, v: ValueId) -> String {
        match &self.value(v).source {
            Source::Constant(t) if t.len() == 1 => format!("{}", t.to_f64()[0]),
            _ => self.value(v).name.clone(),
        }
    }
}

/// A graph whose invariants have been checked; made by [`Graph::validate`].
#[derive(Clone, Debug)]
pub struct ValidGraph(Arc<Graph>);

impl std::ops::Deref for ValidGraph {
    type Target = Graph;
    fn deref(&self) -> &Graph {
        &self.0
    }
}

impl ValidGraph {
    /// The graph, to change it again.
    pub fn into_graph(self) -> Graph {
        Arc::try_unwrap(self.0).unwrap_or_else(|shared| (*shared).clone())
    }
}
