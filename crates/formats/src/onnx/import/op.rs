//! What a row sees of the node it reads.

use super::attributes::Attributes;
use super::item::{Int, Ints, Item};
use super::reader::{Reader, Role};
use crate::onnx::proto::NodeProto;
use crate::onnx::tensor::{ElementType, Elements, Known};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{Dim, Rule, Shape};

/// Why a node is not read.
#[derive(Debug)]
pub(super) enum Fail {
    /// A broken rule.
    Rule(Rule),
    /// An input comes from a node that was refused, so nothing can be said of this one.
    Lost,
}

impl From<Rule> for Fail {
    fn from(r: Rule) -> Self {
        Fail::Rule(r)
    }
}

impl From<gabor_graph::Error> for Fail {
    fn from(e: gabor_graph::Error) -> Self {
        Fail::Rule(e.rule().clone())
    }
}

/// One node of a file.
pub(super) struct Op<'r, 'm> {
    /// Its attributes.
    pub(super) a: Attributes<'m>,
    /// The version of the operators.
    pub(super) opset: i64,
    r: &'r mut Reader<'m>,
    node: &'m NodeProto<'m>,
}

impl<'r, 'm> Op<'r, 'm> {
    pub(super) fn new(r: &'r mut Reader<'m>, node: &'m NodeProto<'m>) -> Self {
        Op { a: Attributes::new(&node.attribute), opset: r.opset, r, node }
    }
    /// The graph that grows.
    pub(super) fn g(&mut self) -> &mut Graph {
        &mut self.r.graph
    }
    /// Whether a batch size of 1 in the file is taken for any batch size.
    pub(super) fn relaxed(&self) -> bool {
        self.r.relaxed
    }
    /// Whether this is the operator of that name.
    pub(super) fn is(&self, op_type: &str) -> bool {
        self.node.op_type == op_type
    }
    /// Number of inputs listed.
    pub(super) fn inputs(&self) -> usize {
        self.node.input.len()
    }
    /// Number of outputs listed.
    pub(super) fn outputs(&self) -> usize {
        self.node.output.len()
    }
    /// Whether input `i` is given.
    pub(super) fn has(&self, i: usize) -> bool {
        self.node.input.get(i).is_some_and(|n| !n.is_empty())
    }
    /// The name of input `i`.
    pub(super) fn name(&self, i: usize) -> Result<&'m str, Fail> {
        match self.node.input.get(i) {
            Some(n) if !n.is_empty() => Ok(n),
            _ => Err(Rule::new(format!("input {i} is missing")).into()),
        }
    }
    /// Input `i` as a value of the graph.
    pub(super) fn x(&mut self, i: usize) -> Result<ValueId, Fail> {
        self.role(i, Role::Weight)
    }
    /// Input `i` as a value; if it becomes a parameter, in this role.
    pub(super) fn role(&mut self, i: usize, role: Role) -> Result<ValueId, Fail> {
        let name = self.name(i)?;
        self.r.value(name, role)
    }
    /// The shape of a value.
    pub(super) fn shape(&self, v: ValueId) -> Shape {
        self.r.graph.shape(v).clone()
    }
    /// The extents of input `i`.
    pub(super) fn extents(&self, i: usize) -> Result<Vec<Int>, Fail> {
        self.r.shape_of(self.name(i)?)
    }
    /// Input `i` as numbers that must be known; an error for a value of the graph.
    pub(super) fn known(&mut self, i: usize) -> Result<std::rc::Rc<Known>, Fail> {
        let name = self.name(i)?;
        let wrong = || Rule::new(format!("input {i} (`{name}`) is computed in the graph")).right("a constant");
        Ok(self.r.demanded(name)?.ok_or_else(wrong)?)
    }
    /// Input `i` as numbers, if they are known. Floats that are given with a run stay an input.
    pub(super) fn maybe_known(&mut self, i: usize) -> Result<Option<std::rc::Rc<Known>>, Fail> {
        if self.has(i) { self.r.known(self.name(i)?) } else { Ok(None) }
    }
    /// The element type that input `i` has in the file, if it is known.
    pub(super) fn kind(&self, i: usize) -> Option<ElementType> {
        self.r.kind(self.name(i).ok()?)
    }
    /// Input `i` as one known number.
    pub(super) fn number(&mut self, i: usize) -> Result<f64, Fail> {
        let k = self.known(i)?;
        one_number(&k).ok_or_else(|| Rule::new(format!("input {i} has shape {:?}", k.shape)).right("one number").into())
    }
    /// Input `i` as whole numbers of a shape computation, if it is one.
    pub(super) fn ints(&mut self, i: usize) -> Result<Option<Ints>, Fail> {
        self.r.ints(self.name(i)?)
    }
    /// Input `i` as whole numbers that are known.
    pub(super) fn known_ints(&mut self, i: usize) -> Result<Vec<i64>, Fail> {
        let name = self.name(i)?;
        let wrong = || Rule::new(format!("input {i} (`{name}`) is no list of known whole numbers"));
        let ints = self.ints(i)?.ok_or_else(wrong)?;
        Ok(ints.v.iter().map(|v| v.known()).collect::<Result<_, _>>()?)
    }
    /// An attribute that became input `i` with an opset: whole numbers, if given.
    pub(super) fn ints_since(&mut self, name: &str, i: usize, opset: i64) -> Result<Option<Vec<i64>>, Fail> {
        if self.opset < opset {
            return Ok(self.a.ints(name)?);
        }
        if self.has(i) { self.known_ints(i).map(Some) } else { Ok(None) }
    }
    /// An error if the file asks for many more numbers than it holds.
    pub(super) fn spend(&mut self, count: usize) -> Result<(), Fail> {
        let left = self.r.generated.checked_sub(count);
        self.r.generated = left.ok_or_else(|| {
            Rule::new(format!("{count} more numbers computed while reading"))
                .right(format!("at most {} in all, beyond what the file holds", super::MAX_GENERATED))
        })?;
        Ok(())
    }
    /// Gives output `i` known numbers.
    pub(super) fn set_known_at(&mut self, i: usize, k: Known) -> Result<(), Fail> {
        self.set_item(i, Item::Constant(std::rc::Rc::new(k)))
    }
    /// Gives output `i` its value.
    pub(super) fn set(&mut self, i: usize, v: ValueId) -> Result<(), Fail> {
        self.set_item(i, Item::Value(v))
    }
    /// Gives output `i` whole numbers of a shape computation.
    pub(super) fn set_ints(&mut self, scalar: bool, v: Vec<Int>) -> Result<(), Fail> {
        self.set_item(0, Item::Ints(Ints { scalar, v }))
    }
    /// Gives output `i` known numbers.
    pub(super) fn set_known(&mut self, k: Known) -> Result<(), Fail> {
        self.set_item(0, Item::Constant(std::rc::Rc::new(k)))
    }
    /// The first output is the first input, whatever that is.
    pub(super) fn pass(&mut self) -> Result<(), Fail> {
        let item = self.r.item(self.name(0)?)?;
        self.set_item(0, item)
    }
    fn set_item(&mut self, i: usize, item: Item<'m>) -> Result<(), Fail> {
        match self.node.output.get(i) {
            Some(name) if !name.is_empty() => self.r.set(name, item),
            _ => Ok(()),
        }
    }
    /// An error if an attribute was not read.
    pub(super) fn finish(self) -> Result<(), Fail> {
        Ok(self.a.finish(self.opset)?)
    }
    /// An axis that may count from the end.
    pub(super) fn axis(&self, axis: i64, rank: usize) -> Result<usize, Fail> {
        let r = rank as i64;
        if (-r..r).contains(&axis) {
            return Ok((if axis < 0 { axis + r } else { axis }) as usize);
        }
        Err(Rule::new(format!("axis {axis} of a value of {rank} axes")).right(format!("{} to {}", -r, r - 1)).into())
    }
    /// Axes that may count from the end, in increasing order.
    pub(super) fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, Fail> {
        let mut v = axes.iter().map(|&a| self.axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
        v.sort_unstable();
        if v.windows(2).any(|w| w[0] == w[1]) {
            return Err(Rule::new(format!("axes {axes:?} name one twice")).into());
        }
        Ok(v)
    }
    /// An error if an axis is the batch's and the batch size was 1 in the file: samples must not meet.
    pub(super) fn keep_batch(&self, x: ValueId, axes: &[usize]) -> Result<(), Fail> {
        let shape = self.r.graph.shape(x);
        if self.relaxed() && axes.iter().any(|&a| matches!(shape.0.get(a), Some(Dim::Batch(_)))) {
            return Err(Rule::new("it mixes samples").into());
        }
        Ok(())
    }
}

/// The only number of a tensor.
pub(super) fn one_number(k: &Known) -> Option<f64> {
    match &k.elements {
        Elements::Float(v) if v.len() == 1 => Some(f64::from(v[0])),
        Elements::Int(v) if v.len() == 1 => Some(v[0] as f64),
        _ => None,
    }
}

/// A product of extents as one extent.
pub(super) fn product(dims: &[Dim]) -> Result<Dim, Rule> {
    let (mut k, mut batches) = (1usize, 0);
    for d in dims {
        let v = match d {
            Dim::Fixed(v) => v,
            Dim::Batch(v) => {
                batches += 1;
                v
            }
        };
        k = k.checked_mul(*v).ok_or_else(|| Rule::new(format!("{dims:?} has too many elements")))?;
    }
    match batches {
        0 => Ok(Dim::Fixed(k)),
        1 => Ok(Dim::Batch(k)),
        _ => Err(Rule::new("an extent that is a square of the batch size")),
    }
}
