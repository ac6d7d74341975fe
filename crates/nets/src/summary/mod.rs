//! The lecture's table of a network, as plain data: per layer its output, values held, parameters, work and field of view.

mod memory;
mod notes;
mod sketch;
mod table;

use gabor_graph::ops::{BinaryMap, Clip, Reduce, UnaryMap};
use gabor_graph::{Graph, Node, NodeId, Phase, Source, ValueId, receptive_field};
use gabor_tensor::{DType, Reduction, Shape, Unary};
use std::collections::{HashMap, HashSet};

pub use memory::Memory;
pub use sketch::{Sketch, SketchBlock, SketchKind, sketch};
pub use table::TableOptions;

/// One row of the table: a layer, with the activation, dropout or flattening that works in place on its output.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerRow {
    /// The layer's name; parameters are called `NAME.weight` and so on.
    pub name: String,
    /// What it computes: `conv + relu`.
    pub kind: String,
    /// Shape of its output.
    pub output: Shape,
    /// Elements of its output, for one sample.
    pub values: u64,
    /// Trainable parameters.
    pub parameters: u64,
    /// Trainable parameters to which weight decay applies: no biases, no normalisation.
    pub weights: u64,
    /// Running statistics and other state.
    pub state: u64,
    /// Floating-point operations for one sample; a multiply-add counts as two.
    pub flops: u64,
    /// Extents of the part of the input that one unit sees, per spatial dimension; empty where it sees all.
    pub receptive_field: Vec<usize>,
}

/// The table of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The network's name.
    pub name: String,
    /// Inputs, then layers in the order of work.
    pub layers: Vec<LayerRow>,
    /// Elements of all rows together, for one sample.
    pub values: u64,
    /// Trainable parameters.
    pub parameters: u64,
    /// Trainable parameters without biases and normalisation.
    pub weights: u64,
    /// Running statistics and other state.
    pub state: u64,
    /// Floating-point operations for one sample.
    pub flops: u64,
    /// What is legal but surprising, with the layers' names: dropped rows and columns. Nothing where windows are smaller
    /// than their stride, and leave gaps everywhere.
    pub notes: Vec<String>,
    peak: u64,
    /// The row of each node.
    rows: HashMap<String, usize>,
}

/// The table of a graph's forward part.
///
/// ```
/// use gabor_nets::{Mode, summary, zoo};
/// let vgg = zoo::by_name("vgg16", &Default::default()).unwrap().graph(Mode::Infer).unwrap();
/// let s = summary(&vgg);
/// assert_eq!((s.parameters, s.weights, s.values), (138_357_544, 138_344_128, 15_237_608));
/// ```
pub fn summary(graph: &Graph) -> Summary {
    let mut rows: Vec<LayerRow> = Vec::new();
    let layers = layers(graph);
    let origin = origin(graph, &layers);
    let field = |v: ValueId| origin.map_or(Vec::new(), |from| field(graph, from, v));
    for v in graph.inputs() {
        // The key of random operations is no data.
        if graph.shape(v).is_batched() {
            let mut row = empty_row(&graph.value(v).name, "input", graph.shape(v));
            row.receptive_field = if Some(v) == origin { field(v) } else { vec![1; graph.shape(v).rank() - 1] };
            rows.push(row);
        }
    }
    let (mut last, mut counted) = (None, HashSet::new());
    let mut row_of = HashMap::new();
    for layer in layers {
        let nodes: Vec<&Node> = layer.iter().map(|&n| graph.node(n)).collect();
        let Some(&end) = nodes.last() else { continue };
        let kind = kind(graph, &nodes);
        let merged = in_place(graph, &nodes, last) && rows.last().is_some_and(|r| r.kind != "input");
        match rows.last_mut() {
            // Flattening changes neither the values nor what a unit sees.
            Some(_) if merged && kind == "reshape" => {}
            Some(row) if merged => row.kind = format!("{} + {kind}", row.kind),
            _ => {
                let row = empty_row(&nodes[0].name, &kind, graph.shape(end.outputs[0]));
                rows.push(LayerRow { receptive_field: field(end.outputs[0]), ..row });
            }
        }
        row_of.extend(nodes.iter().map(|n| (n.name.clone(), rows.len() - 1)));
        let Some(row) = rows.last_mut() else { continue };
        for node in &nodes {
            row.flops = row.flops.saturating_add(flops(graph, node));
            for &v in &node.inputs {
                if counted.insert(v) {
                    count(graph, v, row);
                }
            }
        }
        last = Some(end.outputs[0]);
    }
    let sum = |f: fn(&LayerRow) -> u64| rows.iter().map(f).fold(0, u64::saturating_add);
    Summary {
        name: graph.name.clone(),
        values: sum(|r| r.values),
        parameters: sum(|r| r.parameters),
        weights: sum(|r| r.weights),
        state: sum(|r| r.state),
        flops: sum(|r| r.flops),
        notes: notes::notes(graph),
        peak: memory::peak(graph),
        rows: row_of,
        layers: rows,
    }
}

impl Summary {
    /// The row to which a node of the graph belongs, by its name.
    pub fn row_of(&self, node: &str) -> Option<usize> {
        self.rows.get(node).copied()
    }
}

fn empty_row(name: &str, kind: &str, output: &Shape) -> LayerRow {
    LayerRow {
        name: name.to_string(),
        kind: kind.to_string(),
        output: output.clone(),
        values: output.len_at(1) as u64,
        parameters: 0,
        weights: 0,
        state: 0,
        flops: 0,
        receptive_field: Vec::new(),
    }
}

/// The value in which receptive fields are counted: the first input, or the vectors of its words where that is text.
fn origin(graph: &Graph, layers: &[Vec<NodeId>]) -> Option<ValueId> {
    let input = graph.inputs().next()?;
    let text = graph.ty(input).dtype == DType::I32 && graph.shape(input).rank() == 2;
    let words = layers.first().and_then(|l| l.last()).map(|&n| graph.node(n).outputs[0]);
    if text { words.or(Some(input)) } else { Some(input) }
}

/// Extents of what one element of a value sees of another; empty where it sees all, or that has no spatial axes.
fn field(graph: &Graph, from: ValueId, to: ValueId) -> Vec<usize> {
    let seen = receptive_field(graph, from, to).unwrap_or_default();
    // Neighbours that see the same see everything, as after a linear layer.
    if seen.iter().any(|f| f.jump == 0) { Vec::new() } else { seen.iter().map(|f| f.size).collect() }
}

/// Adds a parameter to the row of the layer that uses it first.
fn count(graph: &Graph, v: ValueId, row: &mut LayerRow) {
    let value = graph.value(v);
    let Source::Parameter(p) = &value.source else { return };
    let n = value.ty.shape.len_at(1) as u64;
    if p.trainable {
        row.parameters += n;
        row.weights += if p.decay { n } else { 0 };
    } else {
        row.state += n;
    }
}

fn flops(graph: &Graph, node: &Node) -> u64 {
    let types = |vs: &[ValueId]| vs.iter().map(|&v| graph.ty(v).clone()).collect::<Vec<_>>();
    node.operation.cost(&types(&node.inputs), &types(&node.outputs), 1).flops
}

/// The forward nodes of each layer, in order. A layer's first node carries its name, the others `NAME.operation`.
fn layers(graph: &Graph) -> Vec<Vec<NodeId>> {
    let mut groups: Vec<Vec<NodeId>> = Vec::new();
    let mut of_name: HashMap<&str, usize> = HashMap::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        if node.phase != Phase::Forward {
            continue;
        }
        let id = NodeId(i as u32);
        let owner = node.name.rmatch_indices('.').find_map(|(at, _)| of_name.get(&node.name[..at]).copied());
        // Only the layer that was built last may grow: names of foreign graphs follow no such rule.
        match owner {
            Some(g) if g + 1 == groups.len() => groups[g].push(id),
            _ => {
                of_name.insert(&node.name, groups.len());
                groups.push(vec![id]);
            }
        }
    }
    groups
}

/// What a layer computes: the operation with the most work, by its own name or that of its function.
fn kind(graph: &Graph, nodes: &[&Node]) -> String {
    // Vectors are looked up by the numbers of words.
    let looks_up = |n: &&Node| {
        matches!(n.operation.name(), "gather" | "one_hot")
            && n.inputs.iter().any(|&v| graph.ty(v).dtype == DType::I32 && graph.shape(v).is_batched())
    };
    if nodes.iter().any(looks_up) {
        return "embedding".into();
    }
    // A mean over channels and a square root in one layer: `Net::channel_norm`, written in simple operations.
    let has = |f: fn(&Node) -> bool| nodes.iter().any(|n| f(n));
    if has(|n| n.op::<Reduce>().is_some_and(|r| r.kind == Reduction::Mean && r.axes == [1]))
        && has(|n| n.op::<UnaryMap>().is_some_and(|u| u.f == Unary::Sqrt))
    {
        return "layer_norm".into();
    }
    // Reordering between two views: a shuffle of channels.
    let count = |name: &str| nodes.iter().filter(|n| n.operation.name() == name).count();
    if nodes.len() == 3 && count("reshape") == 2 && count("transpose") == 1 {
        return "channel_shuffle".into();
    }
    let Some(node) = main_node(graph, nodes) else { return String::new() };
    if let Some(u) = node.op::<UnaryMap>() {
        return u.f.name().into();
    }
    if let Some(b) = node.op::<BinaryMap>() {
        return b.f.name().into();
    }
    if node.op::<Clip>().is_some_and(|c| (c.min, c.max) == (0.0, 6.0)) {
        return "relu6".into();
    }
    match node.operation.name() {
        "matmul" => "linear".into(),
        "batch_norm_inference" => "batch_norm".into(),
        name => name.into(),
    }
}

fn main_node<'a>(graph: &Graph, nodes: &[&'a Node]) -> Option<&'a Node> {
    nodes.iter().max_by_key(|n| (n.operation.name() != "reshape", flops(graph, n))).copied()
}

/// Operations that can write their result over their input.
const IN_PLACE: &[&str] = &[
    "unary",
    "binary",
    "reshape",
    "clip",
    "leaky_relu",
    "prelu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "hard_swish",
    "hard_sigmoid",
    "dropout",
];

/// Whether a layer without parameters works in place on the value before it.
fn in_place(graph: &Graph, nodes: &[&Node], last: Option<ValueId>) -> bool {
    let inside: HashSet<ValueId> = nodes.iter().flat_map(|n| n.outputs.iter().copied()).collect();
    let mut outer = nodes.iter().flat_map(|n| &n.inputs).filter(|v| !inside.contains(v));
    nodes.iter().all(|n| IN_PLACE.contains(&n.operation.name()))
        && outer.all(|&v| {
            Some(v) == last
                || match graph.value(v).source {
                    Source::Constant(_) => true,
                    Source::Input => graph.value(v).ty.dtype != DType::F32,
                    _ => false,
                }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mode, zoo};

    fn of(name: &str, mode: Mode) -> Summary {
        summary(&zoo::by_name(name, &Default::default()).unwrap().graph(mode).unwrap())
    }

    #[test]
    fn vgg16_is_the_lectures_table() {
        for mode in [Mode::Infer, Mode::Train] {
            let s = of("vgg16", mode);
            assert_eq!(s.parameters, 138_357_544);
            assert_eq!(s.weights, 138_344_128);
            assert_eq!(s.values, 15_237_608);
            // Rows: input, 13 convolutions, 5 poolings, 3 fully connected layers.
            assert_eq!(s.layers.len(), 22);
            let first = &s.layers[1];
            assert_eq!((first.name.as_str(), first.kind.as_str()), ("features.0", "conv + relu"));
            assert_eq!((first.weights, first.values), (1_728, 224 * 224 * 64));
            let fc = &s.layers[19];
            assert_eq!((fc.name.as_str(), fc.weights, fc.values), ("classifier.0", 102_760_448, 4096));
            // The last pooling sees 212 of 224 pixels.
            assert_eq!(s.layers[18].receptive_field, [212, 212]);
        }
        // 15.47 billion multiply-adds, as published (He et al. 2016 round to 15.3).
        let s = of("vgg16", Mode::Infer);
        assert!((s.flops as f64 / 2e9 - 15.47).abs() < 0.05, "{}", s.flops);
    }

    #[test]
    fn tables_of_texts_films_and_segmentation() {
        let rows = |name: &str| {
            let s = of(name, Mode::Infer);
            let row = |r: &LayerRow| (r.name.clone(), r.kind.clone(), r.output.to_string(), r.receptive_field.clone());
            s.layers.iter().map(row).collect::<Vec<_>>()
        };
        let row = |n: &str, k: &str, o: &str, f: &[usize]| (n.to_string(), k.to_string(), o.to_string(), f.to_vec());
        let text = rows("tiny_text_cnn");
        assert_eq!(
            text,
            [
                row("tokens", "input", "[n, 12]", &[1]),
                row("embedding", "embedding", "[n, 8, 12]", &[1]),
                row("convs.0", "conv + relu", "[n, 6, 10]", &[3]),
                row("pool1", "global_max_pool", "[n, 6, 1]", &[]),
                row("convs.1", "conv + relu", "[n, 6, 9]", &[4]),
                row("pool2", "global_max_pool", "[n, 6, 1]", &[]),
                row("convs.2", "conv + relu", "[n, 6, 8]", &[5]),
                row("pool3", "global_max_pool", "[n, 6, 1]", &[]),
                row("concat1", "concat", "[n, 18, 1]", &[]),
                row("fc", "linear", "[n, 2]", &[]),
            ]
        );
        let film = rows("c3d");
        assert_eq!(film[1], row("conv1", "conv + relu", "[n, 64, 16, 112, 112]", &[3, 3, 3]));
        assert_eq!(film[2], row("pool1", "max_pool", "[n, 64, 16, 56, 56]", &[3, 4, 4]));
        let unet = rows("unet");
        assert!(unet.contains(&row("bottom.conv2", "conv + relu", "[n, 1024, 28, 28]", &[140, 140])), "{unet:?}");
        assert_eq!(unet.last().unwrap().2, "[n, 2, 388, 388]");
    }

    #[test]
    fn table_and_memory() {
        let s = of("lenet5", Mode::Train);
        let text = s.to_string();
        assert!(text.contains("conv1") && text.contains("61,706"), "{text}");
        let (one, many) = (s.memory(1), s.memory(64));
        assert!(one.inference < many.inference && many.inference < many.training);
        assert!(many.training < 64 << 20, "{many:?}");
        let convnext = of("tiny_convnext", Mode::Infer);
        let kinds: Vec<&str> = convnext.layers.iter().map(|r| r.kind.as_str()).collect();
        assert_eq!(kinds[1..6], ["conv", "layer_norm", "conv", "layer_norm", "conv + gelu"]);
        let resnet = of("resnet18", Mode::Infer);
        let row = resnet.layers.iter().find(|r| r.name == "layer1.0.add1").unwrap();
        assert_eq!(row.kind, "add + relu");
    }
}
