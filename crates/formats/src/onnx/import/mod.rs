//! The bytes of a file to graph and weights.

mod activations;
mod attributes;
mod fold;
mod item;
mod layers;
mod math;
mod norms;
mod op;
mod reader;
mod reductions;
mod shapes;
mod slices;
mod windows;

#[cfg(test)]
mod tests;

use super::proto::{ModelProto, ValueInfoProto, elem, elem_name};
use super::tensor::{self, Known};
use super::{NEWEST_OPSET, OLDEST_OPSET};
use crate::error::At;
use crate::wire::{Budget, Message};
use crate::{Error, Imported, Metadata, Result};
use gabor_graph::ValueType;
use gabor_tensor::{DType, Dim, Rule, Shape, Weights};
use op::Op;
use reader::Reader;
use std::collections::HashMap;

/// How one operator is read.
type Row = fn(&mut Op<'_, '_>) -> Result<(), op::Fail>;

/// The row of an operator.
fn row(op_type: &str) -> Option<Row> {
    let tables = [
        activations::ROWS,
        layers::ROWS,
        math::ROWS,
        norms::ROWS,
        reductions::ROWS,
        shapes::ROWS,
        slices::ROWS,
        windows::ROWS,
    ];
    tables.iter().flat_map(|t| t.iter()).find(|(n, _)| *n == op_type).map(|&(_, f)| f)
}

/// Most elements of one sample of a value: 4 TiB of floats. Beyond it a file is a mistake or an attack.
const MAX_ELEMENTS: usize = 1 << 40;
/// Most axes of a value.
const MAX_RANK: usize = 32;

/// The network in the bytes of an ONNX file, opset 7 to 21, of any producer.
///
/// A first extent that is named, missing or 1 becomes the batch size `n`; where an extent of 1 cannot (the graph mixes
/// samples or counts on it), it stays. Initialisers of floats become parameters under their names, other constants
/// become constants; half and double floats become `f32`. Operators are read as at inference: dropout is the identity.
///
/// # Errors
/// Bytes that are no such file; weights in another file; an opset that is too old or too new; an extent other than the
/// batch that is not known; and all nodes that cannot be imported, with names and reasons.
pub fn import(bytes: &[u8]) -> Result<Imported> {
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
    let mut initializers: HashMap<&str, Known> = HashMap::new();
    for t in &graph.initializer {
        let known = tensor::read(t).at(&format!("initialiser `{}`", t.name))?;
        if known.shape.len() > MAX_RANK {
            let rule = Rule::new(format!("{} axes", known.shape.len()));
            return Err(Error::new(&*t.name, rule.right(format!("at most {MAX_RANK}"))));
        }
        if initializers.insert(&t.name, known).is_some() {
            return Err(Error::new(&*t.name, Rule::new("two initialisers have this name")));
        }
    }
    // Old files list initialisers among the inputs, too.
    let inputs: Vec<_> = graph.input.iter().filter(|i| !initializers.contains_key(&*i.name)).collect();
    let mut types = Vec::new();
    let batch = batch_name(&inputs);
    for i in &inputs {
        types.push(input_type(i, batch).at(&format!("input `{}`", i.name))?);
    }
    let one = |t: &ValueType| t.shape.0.first() == Some(&Dim::Fixed(1)) && t.shape.rank() > 1;
    let mut attempt = None;
    if !types.is_empty() && types.iter().all(one) {
        let mut symbolic = types.clone();
        symbolic.iter_mut().for_each(|t| t.shape.0[0] = Dim::Batch(1));
        attempt = Reader::new(graph, &initializers, opset, true).read(&inputs, &symbolic).ok();
    }
    let (graph, used) = match attempt {
        Some(done) => done,
        None => Reader::new(graph, &initializers, opset, false).read(&inputs, &types)?,
    };
    let mut weights = Weights::new();
    for (name, key) in used {
        if let Some(known) = initializers.remove(key.as_str()) {
            weights.insert(name, known.into_tensor().at(&key)?);
        }
    }
    let producer = format!("{} {}", model.producer_name, model.producer_version).trim().to_string();
    Ok(Imported {
        graph,
        weights,
        metadata: Metadata::from_props(&model.metadata_props)?,
        format: format!("ONNX opset {opset}"),
        producer,
        notes: Vec::new(),
    })
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
    let tensor = info.ty.as_ref().and_then(|t| t.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| Rule::new("it is no tensor").right("a tensor"))?;
    let dtype = match tensor.elem_type.0 {
        elem::FLOAT | elem::FLOAT16 | elem::DOUBLE | elem::BFLOAT16 => DType::F32,
        elem::INT32 | elem::INT64 => DType::I32,
        elem::UINT8 => DType::U8,
        other => {
            return Err(Rule::new(format!("elements of type {}", elem_name(other)))
                .right("float, float16, bfloat16, double, int32, int64 or uint8"));
        }
    };
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
