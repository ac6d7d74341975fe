//! Graph and weights to the bytes of a file.

mod cx;
mod elementwise;
mod layers;
mod shapes;
mod windows;
mod writer;

use super::proto::*;
use super::{IR_VERSION, OPSET, tensor};
use crate::Metadata;
use crate::wire::Message;
use crate::{Error, Result};
use cx::Cx;
use gabor_graph::ops::{BinaryMap, Conv, ConvInputGrad, ConvTranspose, LocalResponseNorm, LpPool, MatMul, Reshape};
use gabor_graph::{Graph, Node, Source, ValueId, ValueType};
use gabor_tensor::{Binary, ConvGeometry, DType, Dim, Rule, Shape, Weights};
use std::collections::{HashMap, HashSet};
use writer::Writer;

/// How one operation is written.
type Row = fn(&mut Cx<'_>) -> Result<(), Rule>;

/// Most bytes of weights in a file, with room for the rest below 2 GiB.
const MOST_BYTES: usize = (1 << 31) - (1 << 26);

/// The row of a node's operation, by its registry name.
fn row(graph: &Graph, node: &Node) -> Option<Row> {
    // ONNX divides an even window otherwise, and runtimes take images alone; norms have whole exponents there.
    let images = node.inputs.first().is_some_and(|&x| graph.shape(x).rank() == 4);
    if node.op::<LocalResponseNorm>().is_some_and(|l| l.size % 2 == 0 || !images)
        || node.op::<LpPool>().is_some_and(|l| !windows::has_lp(l))
    {
        return None;
    }
    let name = node.operation.name();
    let tables = [elementwise::ROWS, layers::ROWS, shapes::ROWS, windows::ROWS];
    tables.iter().flat_map(|t| t.iter()).find(|(n, _)| *n == name).map(|&(_, f)| f)
}

/// Deepest nesting of decompositions; the library's own have three floors.
const MAX_DEPTH: usize = 32;

/// The bytes of an ONNX file: opset 17, batch size symbolic (`batch`), weights inside, names as in the graph.
///
/// Written is what the graph's outputs depend on. An operation becomes the operator of the same meaning where there is
/// one (a convolution or product with its bias becomes one node), otherwise the operators of its decomposition.
/// `weights` gives every parameter by name; others are not written.
///
/// # Errors
/// All nodes that no operators can express, with names; a parameter without weights or with weights of another shape;
/// a graph without outputs; metadata that is not JSON.
pub fn export(graph: &Graph, weights: &Weights, metadata: &Metadata) -> Result<Vec<u8>> {
    let needed = ancestors(graph, graph.outputs().iter().map(|&(_, v)| v));
    if graph.outputs().is_empty() {
        return Err(Error::new(&graph.name, Rule::new("the graph has no outputs").right("at least one")));
    }
    let mut w = Writer::new();
    let mut names: HashMap<ValueId, String> = HashMap::new();
    for v in graph.value_ids().filter(|v| needed.contains(v)) {
        let value = graph.value(v);
        match &value.source {
            Source::Input => {
                w.claim(&value.name);
                w.graph.input.push(value_info(&value.name, &value.ty));
                if let Some(axis) = value.ty.shape.0.iter().position(|&d| d == Dim::Batch(1)) {
                    w.batch_from.get_or_insert((value.name.clone(), axis));
                }
                names.insert(v, value.name.clone());
            }
            Source::Parameter(_) => {
                let tensor = weights
                    .get(&value.name)
                    .ok_or_else(|| Error::new(&value.name, Rule::new("the parameter has no weights")))?;
                if value.ty.shape != Shape::fixed(tensor.shape()) || !tensor.dtype().is_float() {
                    let rule = Rule::new(format!("weights {} {:?}", tensor.dtype(), tensor.shape()));
                    return Err(Error::new(&value.name, rule.right(value.ty.to_string())));
                }
                w.claim(&value.name);
                let proto = match tensor.dtype() {
                    DType::F32 => tensor::write(value.name.clone(), tensor),
                    _ => tensor::write(value.name.clone(), &tensor.cast(DType::F32)),
                };
                w.graph.initializer.push(proto);
                names.insert(v, value.name.clone());
            }
            _ => {}
        }
    }
    // Outputs keep their names, so these are taken before any node's.
    let mut copies = Vec::new();
    for (name, v) in graph.outputs() {
        if !w.claim(name) {
            return Err(Error::new(
                name,
                Rule::new("the output's name is an input's, a parameter's or another output's"),
            ));
        }
        w.graph.output.push(value_info(name, graph.ty(*v)));
        if matches!(graph.value(*v).source, Source::Node(..)) && !names.contains_key(v) {
            names.insert(*v, name.clone());
        } else {
            copies.push((name.clone(), *v));
        }
    }
    write_nodes(&mut w, graph, &needed, &mut names, 0);
    for (name, v) in copies {
        let from = w.name_of(graph, v, &mut names);
        w.push("Identity", &name, vec![from], vec![name.clone()], Vec::new());
    }
    if !w.refusals.is_empty() {
        return Err(Error::refused(&graph.name, "exported to ONNX", w.refusals));
    }
    w.drop_dead();
    let stored: usize = w.graph.initializer.iter().map(|t| t.raw_data.as_ref().map_or(0, |r| r.len())).sum();
    if stored > MOST_BYTES {
        let rule = Rule::new(format!("{stored} bytes of weights in one ONNX file"));
        return Err(Error::new(
            &graph.name,
            rule.right("less than 2 GiB, where protocol buffers end; save safetensors instead"),
        ));
    }
    w.graph.name = graph.name.clone().into();
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "gabor".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opset_import: vec![OperatorSetIdProto { domain: "".into(), version: OPSET }],
        metadata_props: metadata.to_props()?,
        graph: Some(w.graph),
        ..Default::default()
    };
    let mut out = Vec::new();
    model.put(&mut out);
    Ok(out)
}

/// The wanted values and all that they depend on.
fn ancestors(graph: &Graph, wanted: impl Iterator<Item = ValueId>) -> HashSet<ValueId> {
    let mut needed: HashSet<ValueId> = wanted.collect();
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().any(|o| needed.contains(o)) {
            needed.extend(&node.inputs);
        }
    }
    needed
}

fn value_info(name: &str, ty: &ValueType) -> ValueInfoProto<'static> {
    let dim = |d: &Dim| match d {
        Dim::Fixed(v) => DimensionProto { dim_value: Some(*v as i64), ..Default::default() },
        Dim::Batch(1) => DimensionProto { dim_param: "batch".into(), ..Default::default() },
        Dim::Batch(k) => DimensionProto { dim_param: format!("{k}*batch").into(), ..Default::default() },
    };
    let shape = TensorShapeProto { dim: ty.shape.0.iter().map(dim).collect() };
    let tensor_type = TensorTypeProto { elem_type: Kind::new(elem_of(ty.dtype)), shape: Some(shape) };
    let ty = TypeProto { tensor_type: Some(tensor_type), ..Default::default() };
    ValueInfoProto { name: name.to_string().into(), ty: Some(ty) }
}

/// Writes the needed nodes of a graph, or of a decomposition.
fn write_nodes(
    w: &mut Writer,
    graph: &Graph,
    needed: &HashSet<ValueId>,
    names: &mut HashMap<ValueId, String>,
    depth: usize,
) {
    let biases = find_biases(graph, needed);
    let held: HashSet<ValueId> = biases.values().map(|b| b.product).collect();
    for node in graph.nodes() {
        let first = node.outputs.first().copied();
        if !node.outputs.iter().any(|o| needed.contains(o)) || first.is_some_and(|v| held.contains(&v)) {
            continue;
        }
        for &v in &node.outputs {
            let value = graph.value(v);
            names.entry(v).or_insert_with(|| w.fresh(&value.name));
        }
        for &v in &node.inputs {
            w.name_of(graph, v, names);
        }
        let result = match first.and_then(|v| biases.get(&v)) {
            Some(bias) => write_with_bias(w, graph, node, bias, names, needed),
            None => write_node(w, graph, node, names, needed, depth),
        };
        if let Err(rule) = result {
            w.refuse(node, rule);
        }
    }
}

fn write_node(
    w: &mut Writer,
    graph: &Graph,
    node: &Node,
    names: &mut HashMap<ValueId, String>,
    needed: &HashSet<ValueId>,
    depth: usize,
) -> Result<(), Rule> {
    if let Some(f) = row(graph, node) {
        return f(&mut Cx { w, graph, node, names, needed, first: true });
    }
    if depth == MAX_DEPTH {
        return Err(Rule::new(format!("its decomposition is more than {MAX_DEPTH} floors deep")));
    }
    // The decomposition is built in a graph of its own. Its first input takes the node's name, so that the parts are
    // called `NAME.operation`.
    let mut inner = Graph::new(&node.name);
    let mut inner_names = HashMap::new();
    let mut inputs = Vec::new();
    let flat = |e: gabor_graph::Error| Rule::new(e.to_string());
    for (i, &v) in node.inputs.iter().enumerate() {
        let ty = graph.ty(v);
        let name = if i == 0 { node.name.clone() } else { format!("{}#in{i}", node.name) };
        let id = inner.input(&name, ty.shape.clone(), ty.dtype).map_err(flat)?;
        inner_names.insert(id, names[&v].clone());
        inputs.push(id);
    }
    inner.scope(&node.name);
    let outputs = node
        .operation
        .decompose(&mut inner, &inputs)
        .ok_or_else(|| Rule::new("no ONNX operators have this meaning"))?
        .map_err(flat)?;
    let mut wanted = HashSet::new();
    let mut copies = Vec::new();
    for (&inner_v, &outer) in outputs.iter().zip(&node.outputs) {
        if !needed.contains(&outer) {
            continue;
        }
        wanted.insert(inner_v);
        if matches!(inner.value(inner_v).source, Source::Node(..)) && !inner_names.contains_key(&inner_v) {
            inner_names.insert(inner_v, names[&outer].clone());
        } else {
            copies.push((inner_v, names[&outer].clone()));
        }
    }
    let inner_needed = ancestors(&inner, wanted.into_iter());
    let before = w.refusals.len();
    write_nodes(w, &inner, &inner_needed, &mut inner_names, depth + 1);
    // A user knows the operation, not its parts.
    if let Some(part) = w.refusals.drain(before..).next() {
        return Err(Rule::new(format!("its part {}: {}", part.operation, part.reason)));
    }
    for (v, to) in copies {
        let from = w.name_of(&inner, v, &mut inner_names);
        w.push("Identity", &node.name, vec![from], vec![to], Vec::new());
    }
    Ok(())
}

/// A bias that is written with the convolution or product before it.
struct Bias {
    /// The product's value, used by the addition alone.
    product: ValueId,
    /// The bias as it is added.
    added: ValueId,
}

/// Additions of one number per channel to a convolution, or per column to a product, by their value.
fn find_biases(graph: &Graph, needed: &HashSet<ValueId>) -> HashMap<ValueId, Bias> {
    let mut uses: HashMap<ValueId, usize> = HashMap::new();
    let live = graph.nodes().iter().filter(|n| n.outputs.iter().any(|o| needed.contains(o)));
    live.flat_map(|n| &n.inputs).for_each(|&v| *uses.entry(v).or_default() += 1);
    graph.outputs().iter().for_each(|&(_, v)| *uses.entry(v).or_default() += 1);
    let mut found = HashMap::new();
    for node in graph.nodes() {
        if node.op::<BinaryMap>().is_none_or(|b| b.f != Binary::Add) {
            continue;
        }
        let y = node.outputs[0];
        for (product, added) in [(node.inputs[0], node.inputs[1]), (node.inputs[1], node.inputs[0])] {
            let Some(p) = graph.producer(product) else { continue };
            let (shape, b) = (graph.shape(y), graph.shape(added));
            let convolution = p.op::<Conv>().is_some() || transposed(p).is_some();
            let fits = if convolution {
                // Aligned at the right, all extents but the channels' are 1.
                let lead = (b.rank() + 1).checked_sub(shape.rank());
                lead.is_some_and(|l| {
                    l <= 1 && b.0.iter().enumerate().all(|(i, &d)| d == if i == l { shape.0[1] } else { Dim::Fixed(1) })
                })
            } else {
                p.op::<MatMul>().is_some() && shape.rank() == 2 && b.rank() == 1 && b.0[0] == shape.0[1]
            };
            if fits && uses.get(&product) == Some(&1) && graph.shape(product) == shape && b.known().is_some() {
                found.insert(y, Bias { product, added });
                break;
            }
        }
    }
    found
}

fn write_with_bias(
    w: &mut Writer,
    graph: &Graph,
    node: &Node,
    bias: &Bias,
    names: &mut HashMap<ValueId, String>,
    needed: &HashSet<ValueId>,
) -> Result<(), Rule> {
    let Some(product) = graph.producer(bias.product) else { return Ok(()) };
    for &v in &product.inputs {
        w.name_of(graph, v, names);
    }
    // A vector that was only reshaped to broadcast is taken as it is.
    let vector = match graph.producer(bias.added) {
        Some(p) if p.op::<Reshape>().is_some() && graph.shape(p.inputs[0]).rank() == 1 => p.inputs[0],
        _ => bias.added,
    };
    let mut name = w.name_of(graph, vector, names);
    let y = names[&node.outputs[0]].clone();
    let mut cx = Cx { w, graph, node: product, names, needed, first: true };
    if graph.shape(vector).rank() != 1 {
        let shape = cx.ints(&[-1]);
        name = cx.emit("Reshape", &[&name, &shape], vec![]);
        cx.first = true;
    }
    if let Some(conv) = product.op::<Conv>() {
        windows::conv(&mut cx, &conv.geometry, Some(&name), &y);
    } else if let Some(geometry) = transposed(product) {
        windows::conv_transpose(&mut cx, geometry, Some(&name), &y);
    } else if let Some(m) = product.op::<MatMul>() {
        layers::gemm(&mut cx, m, Some(&name), &y);
    }
    Ok(())
}

/// The geometry of a transposed convolution under either of its names.
fn transposed(node: &Node) -> Option<&ConvGeometry> {
    let gradient = node.op::<ConvInputGrad>().map(|o| &o.geometry);
    gradient.or_else(|| node.op::<ConvTranspose>().map(|o| &o.geometry))
}
