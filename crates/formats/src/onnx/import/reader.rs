//! The way through a file's nodes.

use super::item::{Int, Ints, Item, as_ints, as_known};
use super::op::{Fail, Op};
use super::{fold, input_kind, row, want_size};
use crate::onnx::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::onnx::stored::Stored;
use crate::onnx::tensor::{ElementType, Known};
use crate::{Error, Refusal, Result};
use gabor_graph::{Graph, Initializer, Parameter, ValueId, ValueType};
use gabor_tensor::{Dim, Rule};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What a parameter is to the operator that uses it first.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Role {
    /// Filters or a matrix: trained with weight decay.
    Weight,
    /// Biases and scales: trained without.
    Bias,
    /// Running statistics: not trained.
    State,
}

/// The graph as far as it is read.
pub(super) struct Reader<'m> {
    pub(super) graph: Graph,
    /// The version of the operators.
    pub(super) opset: i64,
    /// Whether a batch size of 1 in the file is taken for any batch size.
    pub(super) relaxed: bool,
    proto: &'m GraphProto<'m>,
    initializers: &'m HashMap<&'m str, Stored>,
    items: HashMap<&'m str, Item<'m>>,
    /// Names that nodes do not take.
    reserved: HashSet<&'m str>,
    /// Parameters of the graph and the initialisers they come from.
    used: Vec<(String, String)>,
    /// Inputs whose numbers are given.
    given: &'m HashMap<String, Known>,
    /// Inputs and their types, in order.
    inputs: Vec<(&'m str, ValueType)>,
    /// Element types of values in the file, where they are not those of the graph.
    kinds: HashMap<&'m str, ElementType>,
    /// How many numbers may still be computed or generated while reading.
    pub(super) generated: usize,
}

/// A file's parts that a reader walks through.
pub(super) struct Source<'m> {
    pub(super) proto: &'m GraphProto<'m>,
    pub(super) initializers: &'m HashMap<&'m str, Stored>,
    pub(super) given: &'m HashMap<String, Known>,
    pub(super) opset: i64,
}

/// A graph, and its parameters' names with the initialisers they come from.
type Done = (Graph, Vec<(String, String)>);

impl<'m> Reader<'m> {
    pub(super) fn new(source: &Source<'m>, relaxed: bool) -> Self {
        let &Source { proto, initializers, given, opset } = source;
        let name = if proto.name.is_empty() { "onnx" } else { &proto.name };
        let inputs = proto.input.iter().map(|i| &*i.name);
        Reader {
            graph: Graph::new(name),
            opset,
            relaxed,
            proto,
            initializers,
            items: initializers.keys().map(|&k| (k, Item::Initializer(k))).collect(),
            reserved: initializers.keys().copied().chain(inputs).collect(),
            used: Vec::new(),
            given,
            inputs: Vec::new(),
            kinds: HashMap::new(),
            generated: super::MAX_GENERATED
                + 4 * (initializers.values().map(Stored::len).sum::<usize>()
                    + given.values().map(|k| k.elements.len()).sum::<usize>()),
        }
    }

    /// Reads inputs, nodes and outputs.
    pub(super) fn read(mut self, inputs: &[&'m ValueInfoProto<'m>], types: &[ValueType]) -> Result<Done> {
        let place = format!("onnx graph `{}`", self.graph.name);
        for (info, ty) in inputs.iter().zip(types) {
            if let Ok(kind) = input_kind(info) {
                self.kinds.insert(&info.name, kind);
            }
            // An input whose numbers are given may become part of the graph.
            if self.given.contains_key(&*info.name) {
                self.items.insert(&info.name, Item::Input(self.inputs.len()));
                self.inputs.push((&info.name, ty.clone()));
                continue;
            }
            let added = self.graph.input(&info.name, ty.shape.clone(), ty.dtype);
            let id = added.map_err(|e| Error::new(e.place(), e.rule().clone()))?;
            self.items.insert(&info.name, Item::Value(id));
        }
        let mut refusals = Vec::new();
        for node in &self.proto.node {
            match self.node(node) {
                Ok(()) => {}
                Err(fail) => {
                    for o in node.output.iter().filter(|o| !o.is_empty()) {
                        self.items.insert(o, Item::Lost);
                    }
                    if let Fail::Rule(rule) = fail {
                        let operation = match &*node.domain {
                            "" | "ai.onnx" => node.op_type.to_string(),
                            domain => format!("{domain}.{}", node.op_type),
                        };
                        refusals.push(Refusal { node: name_of(node).into(), operation, reason: rule.to_string() });
                    }
                }
            }
        }
        if !refusals.is_empty() {
            return Err(Error::refused(&place, "imported", refusals));
        }
        if self.proto.output.is_empty() {
            return Err(Error::new(place, Rule::new("the graph has no outputs")));
        }
        for o in &self.proto.output {
            let id = match self.value(&o.name, Role::Weight) {
                Ok(id) => id,
                Err(Fail::Rule(rule)) => return Err(Error::new(format!("output `{}`", o.name), rule)),
                Err(Fail::Lost) => return Err(Error::new(format!("output `{}`", o.name), Rule::new("it is lost"))),
            };
            let shape = self.graph.shape(id);
            let batches = shape.0.iter().filter(|d| matches!(d, Dim::Batch(_))).count();
            if self.relaxed && (shape.0.first() != Some(&Dim::Batch(1)) || batches != 1) {
                return Err(Error::new(&*o.name, Rule::new(format!("{shape} is not one result per sample"))));
            }
            self.graph.output(o.name.to_string(), id);
        }
        Ok((self.graph, self.used))
    }

    fn node(&mut self, node: &'m NodeProto<'m>) -> Result<(), Fail> {
        if !matches!(&*node.domain, "" | "ai.onnx") {
            return Err(Rule::new(format!("operators of domain {} are not known", node.domain)).into());
        }
        if let Some(f) = fold::row(&node.op_type)
            && let Some(inputs) = self.foldable(node)
        {
            let mut op = Op::new(self, node);
            if let Some(outputs) = f(&mut op, &inputs)? {
                for (i, k) in outputs.into_iter().enumerate() {
                    op.spend(k.elements.len())?;
                    op.set_known_at(i, k)?;
                }
                return op.finish();
            }
        }
        let f = row(&node.op_type).ok_or_else(|| Rule::new("the operator is not supported"))?;
        let name = name_of(node);
        let scope = if self.reserved.contains(name) { format!("{name}.node") } else { name.to_string() };
        self.graph.scope(scope);
        let before = self.graph.values().len();
        let mut op = Op::new(self, node);
        let done = f(&mut op).and_then(|()| op.finish());
        // Constants that the row made count; numbers of the file do not.
        let made = self.graph.values()[before..].iter().map(|v| match &v.source {
            gabor_graph::Source::Constant(t) => t.len(),
            _ => 0,
        });
        let made = made.sum();
        done?;
        Op::new(self, node).spend(made)?;
        for o in node.output.iter().filter(|o| !o.is_empty()) {
            match self.items.get(&**o) {
                Some(Item::Value(v)) => want_size(self.graph.shape(*v))?,
                Some(_) => {}
                None => drop(self.items.insert(o, Item::Absent(&node.op_type))),
            }
        }
        Ok(())
    }

    /// Gives a name its meaning. Static single assignment: each name has one.
    pub(super) fn set(&mut self, name: &'m str, item: Item<'m>) -> Result<(), Fail> {
        if self.items.insert(name, item).is_some() {
            return Err(Rule::new(format!("the value `{name}` is made twice")).into());
        }
        Ok(())
    }
    /// What a name stands for.
    pub(super) fn item(&self, name: &str) -> Result<Item<'m>, Fail> {
        match self.items.get(name) {
            None => Err(Rule::new(format!("its input `{name}` is made nowhere before it")).into()),
            Some(Item::Lost) => Err(Fail::Lost),
            Some(Item::Absent(op)) => {
                Err(Rule::new(format!("its input `{name}` is an output of {op} that is not supported")).into())
            }
            Some(item) => Ok(item.clone()),
        }
    }
    /// A name as a value of the graph: initialisers become parameters, known numbers constants.
    pub(super) fn value(&mut self, name: &'m str, role: Role) -> Result<ValueId, Fail> {
        let id = match self.item(name)? {
            Item::Value(v) => return Ok(v),
            // Identities give one tensor several names: it is one parameter, or one input.
            Item::Initializer(key) => match self.items.get(key) {
                Some(&Item::Value(v)) => v,
                _ => {
                    let id = self.parameter(key, role)?;
                    self.items.insert(key, Item::Value(id));
                    id
                }
            },
            Item::Input(i) => {
                let (key, ty) = self.inputs[i].clone();
                match self.items.get(key) {
                    Some(&Item::Value(v)) => v,
                    _ => {
                        let id = self.graph.input(key, ty.shape, ty.dtype)?;
                        self.items.insert(key, Item::Value(id));
                        id
                    }
                }
            }
            Item::Constant(k) => self.graph.constant(Known::clone(&k).into_tensor()?),
            Item::Ints(i) => self.graph.constant(as_known(&i)?.into_tensor()?),
            Item::Lost | Item::Absent(_) => return Err(Fail::Lost),
        };
        // Numbers of the file are no numbers that a row made.
        if let gabor_graph::Source::Constant(t) = &self.graph.value(id).source {
            self.generated = self.generated.saturating_add(t.len());
        }
        self.items.insert(name, Item::Value(id));
        Ok(id)
    }
    fn parameter(&mut self, key: &'m str, role: Role) -> Result<ValueId, Fail> {
        let known = &self.initializers[key];
        if !known.kind().is_float() {
            return Ok(self.graph.constant(known.known()?.clone().into_tensor()?));
        }
        // A node may have taken the name: then the parameter has a number behind it.
        let mut name = key.to_string();
        let mut count = 1;
        while self.graph.find(&name).is_some() {
            name = format!("{key}_{count}");
            count += 1;
        }
        let parameter = match role {
            Role::State => Parameter::state(Initializer::Zeros),
            Role::Weight if known.shape().len() > 1 => {
                Parameter::weight(Initializer::KaimingUniform { a: 5f64.sqrt() })
            }
            _ => Parameter::bias(Initializer::Zeros),
        };
        let id = self.graph.parameter(&name, known.shape(), parameter)?;
        self.used.push((name, key.to_string()));
        Ok(id)
    }
    /// The numbers that are given for the input behind a name.
    fn given(&self, name: &str) -> Option<&'m Known> {
        match self.items.get(name) {
            Some(Item::Input(i)) => self.given.get(self.inputs[*i].0),
            _ => self.given.get(name),
        }
    }
    /// A name as numbers that an operator must know: inputs that are given become part of the graph.
    pub(super) fn demanded(&self, name: &str) -> Result<Option<Rc<Known>>, Fail> {
        Ok(match self.given(name) {
            Some(k) => Some(Rc::new(k.clone())),
            None => self.known(name)?,
        })
    }
    /// The element type that a name has in the file, if it is known.
    pub(super) fn kind(&self, name: &str) -> Option<ElementType> {
        match self.items.get(name)? {
            Item::Constant(k) => Some(k.kind),
            Item::Initializer(key) => Some(self.initializers[key].kind()),
            Item::Ints(_) => Some(ElementType::I64),
            _ => self.kinds.get(name).copied(),
        }
    }
    /// A node's inputs, if all are known and few enough to compute with here and now. Floats that may be weights or are
    /// given with a run are not known.
    fn foldable(&self, node: &NodeProto<'m>) -> Option<Vec<Option<Rc<Known>>>> {
        let one = |name: &crate::wire::Text<'m>| {
            let known = match self.items.get(&**name) {
                _ if name.is_empty() => return Some(None),
                Some(Item::Constant(k)) => Rc::clone(k),
                Some(Item::Ints(i)) => Rc::new(as_known(i).ok()?),
                Some(Item::Initializer(key)) if !self.initializers[key].kind().is_float() => {
                    Rc::new(self.initializers[key].known().ok()?.clone())
                }
                Some(Item::Input(_)) => Rc::new(self.given(name).filter(|k| !k.kind.is_float())?.clone()),
                _ => return None,
            };
            fold::small(&known).then_some(Some(known))
        };
        if node.input.is_empty() { None } else { node.input.iter().map(one).collect() }
    }
    /// A name as numbers that are known now; `None` for a value of the graph.
    pub(super) fn known(&self, name: &str) -> Result<Option<Rc<Known>>, Fail> {
        Ok(match self.item(name)? {
            Item::Input(_) | Item::Value(_) => {
                self.given(name).filter(|k| !k.kind.is_float()).map(|k| Rc::new(k.clone()))
            }
            Item::Initializer(key) => Some(Rc::new(self.initializers[key].known()?.clone())),
            Item::Constant(k) => Some(k),
            Item::Ints(i) => as_known(&i).ok().map(Rc::new),
            _ => None,
        })
    }
    /// A name as whole numbers that shapes are computed with; `None` for anything else.
    pub(super) fn ints(&self, name: &str) -> Result<Option<Ints>, Fail> {
        Ok(match self.item(name)? {
            Item::Ints(i) => Some(i),
            Item::Input(_) | Item::Value(_) => self.given(name).and_then(as_ints),
            Item::Initializer(key) => as_ints(self.initializers[key].known()?),
            Item::Constant(k) => as_ints(&k),
            _ => None,
        })
    }
    /// The shape behind a name, as whole numbers.
    pub(super) fn shape_of(&self, name: &str) -> Result<Vec<Int>, Fail> {
        let fixed = |shape: &[usize]| shape.iter().map(|&d| Int::Known(d as i64)).collect();
        Ok(match self.item(name)? {
            Item::Value(v) => self.graph.shape(v).0.iter().map(|&d| d.into()).collect(),
            Item::Input(i) => self.inputs[i].1.shape.0.iter().map(|&d| d.into()).collect(),
            Item::Initializer(key) => fixed(self.initializers[key].shape()),
            Item::Constant(k) => fixed(&k.shape),
            Item::Ints(i) if i.scalar => Vec::new(),
            Item::Ints(i) => vec![Int::Known(i.v.len() as i64)],
            Item::Lost | Item::Absent(_) => return Err(Fail::Lost),
        })
    }
}

/// A node's name, or its first output's.
fn name_of<'m>(node: &'m NodeProto<'m>) -> &'m str {
    match (node.name.is_empty(), node.output.first()) {
        (true, Some(o)) if !o.is_empty() => o,
        (true, _) => &node.op_type,
        (false, _) => &node.name,
    }
}
