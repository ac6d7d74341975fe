//! The bytes of a file to graph and weights.

mod activations;
mod attributes;
mod einsum;
mod elementary;
mod fold;
mod index;
mod item;
mod layers;
mod losses;
mod math;
mod norms;
mod op;
mod pools;
mod reader;
mod reductions;
mod regions;
mod resize;
mod rounding;
mod sample;
mod scatter;
mod shapes;
mod slices;
mod windows;

#[cfg(test)]
mod bound_tests;
#[cfg(test)]
mod tests;

use super::proto::{ModelProto, ValueInfoProto};
use super::stored::Stored;
use super::tensor::{self, ElementType, Elements, External, Known};
use super::{NEWEST_OPSET, OLDEST_OPSET};
use crate::array::Array;
use crate::error::At;
use crate::together::together;
use crate::wire::{Budget, Message};
use crate::{Error, Imported, Metadata, Result};
use gabor_graph::{Graph, ValueType};
use gabor_tensor::{Dim, Rule, Shape, Tensor, Unread, Weights};
use op::Op;
use reader::{Reader, Source};
use std::collections::HashMap;
use std::sync::OnceLock;

/// How one operator is read.
type Row = fn(&mut Op<'_, '_>) -> Result<(), op::Fail>;

/// The row of an operator.
fn row(op_type: &str) -> Option<Row> {
    let tables = [
        activations::ROWS,
        einsum::ROWS,
        elementary::ROWS,
        index::ROWS,
        layers::ROWS,
        losses::ROWS,
        math::ROWS,
        norms::ROWS,
        reductions::ROWS,
        pools::ROWS,
        regions::ROWS,
        resize::ROWS,
        sample::ROWS,
        scatter::ROWS,
        shapes::ROWS,
        slices::ROWS,
        windows::ROWS,
    ];
    tables.iter().flat_map(|t| t.iter()).find(|(n, _)| *n == op_type).map(|&(_, f)| f)
}

/// Most elements of one sample of a value: 4 TiB of floats. Beyond it a file is a mistake or an attack.
const MAX_ELEMENTS: usize = 1 << 40;
/// Most numbers that are computed or generated while a file is read, beyond a multiple of those that it holds.
const MAX_GENERATED: usize = 1 << 22;
/// Most axes of a value.
const MAX_RANK: usize = 32;

/// The network in the bytes of an ONNX file, opset 7 to 28, of any producer.
///
/// A first extent that is named, missing or 1 becomes the batch size `n`; where an extent of 1 cannot (the graph mixes
/// samples or counts on it), it stays. Initialisers of floats become parameters under their names, other constants
/// become constants; half and double floats become `f32`. Operators are read as at inference: dropout is the identity.
///
/// # Errors
/// Bytes that are no such file; weights in another file; an opset that is too old or too new; an extent other than the
/// batch that is not known; and all nodes that cannot be imported, with names and reasons.
pub fn import(bytes: &[u8]) -> Result<Imported> {
    import_with(bytes, None)
}

/// The same; `external` gives the bytes of tensors that lie in other files.
///
/// # Errors
/// As [`import`], and what `external` finds wrong.
pub fn import_with(bytes: &[u8], external: Option<&dyn External>) -> Result<Imported> {
    read(bytes, &HashMap::new(), external)?.whole().map(|b| b.model)
}

/// A model that was read for one run.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The network for inputs of the shapes that were given. Its inputs are those that something is computed from; an
    /// input whose numbers an operator had to know (a shape, axes, indices) became part of the graph.
    pub model: Imported,
    /// Weights that [`model`](Bound::model) does not hold yet: they are still to be read.
    pub unread: Vec<(String, Unread)>,
    /// What was given for the network's inputs, in the types that it computes in.
    pub inputs: Vec<(String, Tensor)>,
    /// The element types that the file names for its outputs.
    pub outputs: Vec<(String, ElementType)>,
}

impl Bound {
    /// With all weights read, by all cores.
    ///
    /// # Errors
    /// What keeps one from being read, with its name.
    pub fn whole(mut self) -> Result<Self> {
        let read: Vec<_> = std::mem::take(&mut self.unread).into_iter().map(|u| (u, OnceLock::new())).collect();
        together(read.iter(), |((_, unread), tensor)| drop(tensor.set(unread.tensor())));
        for ((name, unread), tensor) in read {
            let tensor = tensor.into_inner().unwrap_or_else(|| unread.tensor());
            self.model.weights.insert(&name, tensor.at(&format!("initialiser `{name}`"))?);
        }
        Ok(self)
    }
}

/// The network in the bytes of an ONNX file for the inputs of one run: extents that the file leaves open are those of the
/// inputs, and operators may take from an input what they must know beforehand. Weights that lie elsewhere, and that no
/// operator had to know, stay unread.
///
/// # Errors
/// As [`import_with`]; an input that the model does not have, or of another kind or shape than the model says.
pub fn import_for(bytes: &[u8], inputs: Vec<(String, Array)>, external: Option<&dyn External>) -> Result<Bound> {
    read(bytes, &inputs.into_iter().collect(), external)
}

fn read(bytes: &[u8], given: &HashMap<String, Known>, external: Option<&dyn External>) -> Result<Bound> {
    let model = ModelProto::read(bytes, &mut Budget::new()).map_err(|r| {
        let rule = format!("{}: it is damaged or no ONNX file", r.rule);
        Error::new("onnx", Rule { rule, ..r })
    })?;
    let opset = opset(&model).at("onnx")?;
    let graph = model.graph.as_ref().ok_or_else(|| {
        Error::new("onnx", Rule::new(format!("{} bytes without a graph: no ONNX model", bytes.len())))
    })?;
    if !graph.sparse_initializer.is_empty() {
        return Err(Error::new("onnx", Rule::new("sparse initialisers").right("dense ones")));
    }
    let mut initializers: HashMap<&str, Stored> = HashMap::new();
    let is_given = |name: &str| given.contains_key(name) && graph.input.iter().any(|i| i.name == name);
    // An initialiser that is an input, too, is that input's default.
    let opened: Vec<_> =
        graph.initializer.iter().filter(|t| !is_given(&t.name)).map(|t| (t, OnceLock::new())).collect();
    together(opened.iter(), |(t, open)| drop(open.set(Stored::open(t, external))));
    for (t, open) in opened {
        let open = open.into_inner().unwrap_or_else(|| Stored::open(t, external));
        let open = open.at(&format!("initialiser `{}`", t.name))?;
        if open.shape().len() > MAX_RANK {
            let rule = Rule::new(format!("{} axes", open.shape().len()));
            return Err(Error::new(&*t.name, rule.right(format!("at most {MAX_RANK}"))));
        }
        if initializers.insert(&t.name, open).is_some() {
            return Err(Error::new(&*t.name, Rule::new("two initialisers have this name")));
        }
    }
    // Old files list initialisers among the inputs, too.
    let inputs: Vec<_> = graph.input.iter().filter(|i| !initializers.contains_key(&*i.name)).collect();
    if let Some(name) = given.keys().find(|k| inputs.iter().all(|i| i.name != k.as_str())) {
        let list = inputs.iter().map(|i| &*i.name).collect::<Vec<_>>().join(", ");
        return Err(Error::new(name, Rule::new("the model has no such input").right(format!("one of {list}"))));
    }
    let mut types = Vec::new();
    let batch = batch_name(&inputs);
    for i in &inputs {
        let ty = match given.get(&*i.name) {
            Some(k) => given_type(i, k),
            None => input_type(i, batch),
        };
        types.push(ty.at(&format!("input `{}`", i.name))?);
    }
    let source = Source { proto: graph, initializers: &initializers, given, opset };
    let network = network(&source, &inputs, &types)?;
    let outputs = graph.output.iter().map(|o| Some((o.name.to_string(), input_kind(o).ok()?)));
    let outputs = outputs.collect::<Option<Vec<_>>>().unwrap_or_default();
    let (mut weights, mut unread) = (Weights::new(), Vec::new());
    for (name, key) in network.parameters {
        let Some(stored) = initializers.remove(key.as_str()) else { continue };
        match stored.into_known().at(&key)? {
            Ok(known) => drop(weights.insert(name, known.into_tensor().at(&key)?)),
            Err(elements) => unread.push((name, elements)),
        }
    }
    let producer = format!("{} {}", model.producer_name, model.producer_version).trim().to_string();
    let metadata = Metadata::from_props(&model.metadata_props)?;
    let format = format!("ONNX opset {opset}");
    let model = Imported { graph: network.graph, weights, metadata, format, producer, notes: Vec::new() };
    Ok(Bound { model, unread, inputs: network.given, outputs })
}

/// What a file's nodes are.
struct Read {
    graph: Graph,
    /// Parameters of the graph and the initialisers they come from.
    parameters: Vec<(String, String)>,
    /// What is given for the graph's inputs.
    given: Vec<(String, Tensor)>,
}

fn network<'m>(source: &Source<'m>, inputs: &[&'m ValueInfoProto<'m>], types: &[ValueType]) -> Result<Read> {
    let one = |t: &ValueType| t.shape.0.first() == Some(&Dim::Fixed(1)) && t.shape.rank() > 1;
    let mut attempt = None;
    if source.given.is_empty() && !types.is_empty() && types.iter().all(one) {
        let mut symbolic = types.to_vec();
        symbolic.iter_mut().for_each(|t| t.shape.0[0] = Dim::Batch(1));
        attempt = Reader::new(source, true).read(inputs, &symbolic).ok();
    }
    let (graph, parameters) = match attempt {
        Some(done) => done,
        None => Reader::new(source, false).read(inputs, types)?,
    };
    let mut given = Vec::new();
    for v in graph.inputs() {
        let name = &graph.value(v).name;
        let Some(k) = source.given.get(name.as_str()) else { continue };
        // In the file's own type, which decides in what the graph computes.
        let kind = inputs.iter().find(|i| i.name == *name).and_then(|i| input_kind(i).ok()).unwrap_or(k.kind);
        given.push((name.clone(), Known { kind, ..k.clone() }.into_tensor().at(&format!("input `{name}`"))?));
    }
    Ok(Read { graph, parameters, given })
}

/// The element type of a value that is named with its type.
fn input_kind(info: &ValueInfoProto<'_>) -> Result<ElementType, Rule> {
    let tensor = info.ty.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| Rule::new("it is no tensor").right("a tensor"))?;
    tensor::kind_of(tensor.elem_type.0)
}

/// The type of an input for which these numbers are given: they must be of its kind and fit its shape.
fn given_type(info: &ValueInfoProto<'_>, k: &Known) -> Result<ValueType, Rule> {
    let kind = input_kind(info)?;
    let given = format!("{} {:?}", k.kind, k.shape);
    let truths =
        kind == ElementType::Bool && matches!(&k.elements, Elements::Int(v) if v.iter().all(|x| matches!(x, 0 | 1)));
    if kind.is_float() != k.kind.is_float() || (kind == ElementType::Bool && !truths) {
        return Err(Rule::new(format!("elements of {} where {kind} is wanted", k.kind)).given(given));
    }
    if let (Elements::Int(v), Some((low, high))) = (&k.elements, kind.range())
        && let Some(x) = v.iter().find(|x| !(low..=high).contains(*x))
    {
        return Err(Rule::new(format!("the number {x} is no {kind}")).given(given));
    }
    let wanted = dims(info);
    let open = info.ty.as_ref().and_then(|t| t.tensor_type.as_ref()).is_none_or(|t| t.shape.is_none());
    let fits = |(d, &k): (&super::proto::DimensionProto<'_>, &usize)| d.dim_value.is_none_or(|v| v == k as i64);
    if !open && (wanted.len() != k.shape.len() || !wanted.iter().zip(&k.shape).all(fits)) {
        let text = |d: &super::proto::DimensionProto<'_>| match d.dim_value {
            Some(v) => v.to_string(),
            None if d.dim_param.is_empty() => "?".into(),
            None => d.dim_param.to_string(),
        };
        let list = wanted.iter().map(text).collect::<Vec<_>>().join(", ");
        return Err(Rule::new("another shape than the model's").given(given).right(format!("{kind} [{list}]")));
    }
    let shape = Shape::fixed(&k.shape);
    want_size(&shape)?;
    Ok(ValueType { shape, dtype: kind.dtype() })
}

/// The version of the standard operators.
fn opset(model: &ModelProto<'_>) -> Result<i64, Rule> {
    let standard = model.opset_import.iter().find(|o| o.domain.is_empty() || o.domain == "ai.onnx");
    let Some(o) = standard else {
        return Err(Rule::new("the file names no opset of the standard operators: it is damaged or no ONNX model"));
    };
    if (OLDEST_OPSET..=NEWEST_OPSET).contains(&o.version) {
        return Ok(o.version);
    }
    Err(Rule::new(format!("opset {}", o.version))
        .right(format!("opset {OLDEST_OPSET} to {NEWEST_OPSET}; onnx.version_converter changes a file's opset")))
}

fn dims<'a>(info: &'a ValueInfoProto<'_>) -> &'a [super::proto::DimensionProto<'a>] {
    let shape = info.ty.as_ref().and_then(|t| t.tensor_type.as_ref()).and_then(|t| t.shape.as_ref());
    shape.map_or(&[], |s| &s.dim)
}

/// The name of the batch size: a named first extent's, or else the first name there is.
fn batch_name<'a>(inputs: &[&'a ValueInfoProto<'_>]) -> Option<&'a str> {
    let named = |d: &'a super::proto::DimensionProto<'_>| (!d.dim_param.is_empty()).then_some(&*d.dim_param);
    let first = inputs.iter().find_map(|i| dims(i).first().and_then(named));
    first.or_else(|| inputs.iter().flat_map(|i| dims(i)).find_map(named))
}

fn input_type(info: &ValueInfoProto<'_>, batch: Option<&str>) -> Result<ValueType, Rule> {
    let dtype = input_kind(info)?.dtype();
    let tensor = info.ty.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| Rule::new("it is no tensor").right("a tensor"))?;
    let shape = tensor.shape.as_ref().ok_or_else(|| Rule::new("its number of axes is not known"))?;
    if shape.dim.len() > MAX_RANK {
        return Err(Rule::new(format!("{} axes", shape.dim.len())).right(format!("at most {MAX_RANK}")));
    }
    let dim = |(i, d): (usize, &super::proto::DimensionProto<'_>)| match d.dim_value {
        Some(v) => usize::try_from(v)
            .ok()
            .filter(|v| (1..=MAX_ELEMENTS).contains(v))
            .map(Dim::Fixed)
            .ok_or_else(|| Rule::new(format!("an extent of {v}")).right("at least 1")),
        None if i == 0 && (d.dim_param.is_empty() || Some(&*d.dim_param) == batch) => Ok(Dim::Batch(1)),
        None if !d.dim_param.is_empty() && Some(&*d.dim_param) == batch => Ok(Dim::Batch(1)),
        None => {
            // A multiple of the batch size, as this library writes it.
            let multiple = d.dim_param.split_once('*').filter(|(_, name)| *name == "batch");
            if let Some(k) = multiple.and_then(|(k, _)| k.parse().ok()).filter(|k| (1..=MAX_ELEMENTS).contains(k)) {
                return Ok(Dim::Batch(k));
            }
            let name = if d.dim_param.is_empty() { "no name".into() } else { format!("`{}`", d.dim_param) };
            Err(Rule::new(format!("the extent of axis {i} is not known ({name})"))
                .right("a file with fixed extents but for the batch size"))
        }
    };
    let shape = Shape(shape.dim.iter().enumerate().map(dim).collect::<Result<_, _>>()?);
    want_size(&shape)?;
    Ok(ValueType { shape, dtype })
}

/// An error for values that no memory holds; keeps every later product of extents in range.
fn want_size(shape: &Shape) -> Result<(), Rule> {
    let product = shape.0.iter().try_fold(1usize, |a, d| a.checked_mul(d.at(1).max(1)));
    match product {
        Some(p) if p <= MAX_ELEMENTS && shape.rank() <= MAX_RANK => Ok(()),
        _ => Err(Rule::new(format!("a value of shape {shape}"))
            .right(format!("at most {MAX_ELEMENTS} elements a sample and {MAX_RANK} axes"))),
    }
}
