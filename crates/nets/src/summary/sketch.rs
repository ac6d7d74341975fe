//! A network as blocks and arrows: each layer with the normalisation, activation and dropout that follow it.

use super::{IN_PLACE, flops, kind, layers, main_node};
use gabor_graph::ops::{AvgPool, Conv, ConvTranspose, LpPool, MaxPool};
use gabor_graph::{Graph, Node, NodeId, Source, ValueId};
use gabor_tensor::{DType, Shape, Window};
use std::collections::{HashMap, HashSet};

/// A network's blocks and the arrows between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    /// The network's name.
    pub name: String,
    /// Inputs first, outputs last, in an order in which they can be computed.
    pub blocks: Vec<SketchBlock>,
    /// From a block to a later one, by their numbers.
    pub links: Vec<(usize, usize)>,
}

/// What a block is, roughly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SketchKind {
    Input,
    Conv,
    Linear,
    Pool,
    Norm,
    Activation,
    Join,
    Other,
    Output,
}

/// A layer, with what works in place on its output.
#[derive(Clone, Debug, PartialEq)]
pub struct SketchBlock {
    /// The layer's name.
    pub name: String,
    /// What it is, roughly.
    pub kind: SketchKind,
    /// What it is: `3×3 conv, 64, /2`.
    pub title: String,
    /// What follows in place: `batch norm`, `relu`.
    pub extras: Vec<String>,
    /// Shape of its output.
    pub output: Shape,
    /// Trainable parameters.
    pub parameters: u64,
    /// Floating-point operations for one sample.
    pub flops: u64,
}

/// The blocks and arrows of a graph's forward part.
///
/// ```
/// use gabor_nets::{Mode, sketch, zoo};
/// let net = zoo::by_name("resnet18", &Default::default()).unwrap().graph(Mode::Infer).unwrap();
/// let s = sketch(&net);
/// assert_eq!(s.blocks[1].title, "7×7 conv, 64, /2");
/// assert_eq!(s.blocks[1].extras, ["batch norm", "relu"]);
/// ```
pub fn sketch(graph: &Graph) -> Sketch {
    let mut s = Sketch { name: graph.name.clone(), blocks: Vec::new(), links: Vec::new() };
    let groups = layers(graph);
    // The block that makes each value, and how many layers read it.
    let mut maker: HashMap<ValueId, usize> = HashMap::new();
    let mut readers: HashMap<ValueId, usize> = HashMap::new();
    for group in &groups {
        let all: HashSet<ValueId> = outer_inputs(graph, group).into_iter().collect();
        all.into_iter().for_each(|v| *readers.entry(v).or_default() += 1);
    }
    graph.outputs().iter().for_each(|(_, v)| *readers.entry(*v).or_default() += 1);
    for v in graph.inputs() {
        // The key of random operations is no data.
        if graph.value(v).name == "key" && graph.ty(v).dtype == DType::I32 {
            continue;
        }
        maker.insert(v, s.blocks.len());
        let name = graph.value(v).name.clone();
        s.blocks.push(block(&name, SketchKind::Input, name.clone(), graph.shape(v)));
    }
    let mut counted = HashSet::new();
    for group in &groups {
        let nodes: Vec<&Node> = group.iter().map(|&n| graph.node(n)).collect();
        let Some(&end) = nodes.last() else { continue };
        let inputs = outer_inputs(graph, group);
        let mut from: Vec<usize> = inputs.iter().filter_map(|v| maker.get(v).copied()).collect();
        from.sort_unstable();
        from.dedup();
        let at = match (from.as_slice(), inputs.as_slice()) {
            (&[one], [v]) if readers.get(v) == Some(&1) && follows(&s.blocks[one], &nodes) => {
                extend(&mut s.blocks[one], graph, &nodes);
                one
            }
            _ => {
                let (kind, title) = describe(graph, &nodes);
                s.blocks.push(block(&nodes[0].name, kind, title, graph.shape(end.outputs[0])));
                let at = s.blocks.len() - 1;
                s.links.extend(from.iter().map(|&f| (f, at)));
                at
            }
        };
        for node in &nodes {
            node.outputs.iter().for_each(|&v| {
                maker.insert(v, at);
            });
            s.blocks[at].flops = s.blocks[at].flops.saturating_add(flops(graph, node));
            for &v in &node.inputs {
                if let Source::Parameter(p) = &graph.value(v).source
                    && p.trainable
                    && counted.insert(v)
                {
                    s.blocks[at].parameters += graph.shape(v).len_at(1) as u64;
                }
            }
        }
    }
    for (name, v) in graph.outputs() {
        let Some(&from) = maker.get(v) else { continue };
        s.links.push((from, s.blocks.len()));
        s.blocks.push(block(name, SketchKind::Output, name.to_string(), graph.shape(*v)));
    }
    s
}

fn block(name: &str, kind: SketchKind, title: String, output: &Shape) -> SketchBlock {
    let (name, output) = (name.to_string(), output.clone());
    SketchBlock { name, kind, title, extras: Vec::new(), output, parameters: 0, flops: 0 }
}

/// Values that a layer reads and does not make, parameters, constants and keys not counted.
fn outer_inputs(graph: &Graph, group: &[NodeId]) -> Vec<ValueId> {
    let inside: HashSet<ValueId> = group.iter().flat_map(|&n| graph.node(n).outputs.iter().copied()).collect();
    let mut out = Vec::new();
    for &v in group.iter().flat_map(|&n| &graph.node(n).inputs) {
        let data = match graph.value(v).source {
            Source::Parameter(_) | Source::Constant(_) => false,
            Source::Input => !(graph.value(v).name == "key" && graph.ty(v).dtype == DType::I32),
            _ => true,
        };
        if data && !inside.contains(&v) && !out.contains(&v) {
            out.push(v);
        }
    }
    out
}

fn is_norm(node: &Node) -> bool {
    matches!(node.operation.name(), "batch_norm" | "batch_norm_inference")
}

/// Whether a layer is drawn as part of the block before it.
fn follows(before: &SketchBlock, nodes: &[&Node]) -> bool {
    use SketchKind::{Conv, Input, Linear, Pool};
    let norm = nodes.iter().any(|n| is_norm(n));
    let in_place = nodes.iter().all(|n| IN_PLACE.contains(&n.operation.name()) || is_norm(n));
    match before.kind {
        Input => false,
        Pool => in_place && !norm,
        Conv | Linear => in_place,
        _ => in_place && !norm,
    }
}

fn extend(block: &mut SketchBlock, graph: &Graph, nodes: &[&Node]) {
    let kind = kind(graph, nodes);
    match kind.as_str() {
        // Flattening changes no value, and a bias that stands alone belongs to its layer.
        "reshape" => {}
        "add" if matches!(block.kind, SketchKind::Conv | SketchKind::Linear) => {}
        "batch_norm" => block.extras.push("batch norm".into()),
        "mul" => block.extras.push("scale".into()),
        other => block.extras.push(other.replace('_', " ")),
    }
}

/// `3×3`, or one number for one dimension.
fn extents(all: &[usize]) -> String {
    all.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// `, /2`, `, dilated 2`: what of a window is not one.
fn beyond(window: &Window) -> String {
    let o = window.options();
    let said = |all: &[usize]| {
        let same = all.windows(2).all(|w| w[0] == w[1]);
        if same { all.first().map_or(String::new(), usize::to_string) } else { extents(all) }
    };
    let mut out = String::new();
    if o.stride.iter().any(|&s| s != 1) {
        out += &format!(", /{}", said(&o.stride));
    }
    if o.dilation.iter().any(|&d| d != 1) {
        out += &format!(", dilated {}", said(&o.dilation));
    }
    out
}

fn groups(n: usize) -> String {
    if n > 1 { format!(", {n} groups") } else { String::new() }
}

/// Kind and title of a layer.
fn describe(graph: &Graph, nodes: &[&Node]) -> (SketchKind, String) {
    let Some(node) = main_node(graph, nodes) else { return (SketchKind::Other, String::new()) };
    if let Some(conv) = node.op::<Conv>() {
        let g = &conv.geometry;
        let window = extents(&g.window.kernel());
        let more = beyond(&g.window);
        if g.groups > 1 && g.groups == g.ci && g.co.is_multiple_of(g.ci) {
            return (SketchKind::Conv, format!("{window} depthwise conv, {}{more}", g.co));
        }
        return (SketchKind::Conv, format!("{window} conv, {}{more}{}", g.co, groups(g.groups)));
    }
    if let Some(conv) = node.op::<ConvTranspose>() {
        let g = &conv.geometry;
        let (window, more) = (extents(&g.window.kernel()), beyond(&g.window));
        return (SketchKind::Conv, format!("{window} transposed conv, {}{more}{}", g.ci, groups(g.groups)));
    }
    let pool = |window: &Window, what: &str| {
        (SketchKind::Pool, format!("{} {what} pool{}", extents(&window.kernel()), beyond(window)))
    };
    if let Some(p) = node.op::<MaxPool>() {
        return pool(&p.window, "max");
    }
    if let Some(p) = node.op::<AvgPool>() {
        return pool(&p.window, "average");
    }
    if let Some(p) = node.op::<LpPool>() {
        return pool(&p.window, &format!("L{}", p.p));
    }
    let kind = kind(graph, nodes);
    let spoken = kind.replace('_', " ").replace("avg", "average");
    match kind.as_str() {
        "linear" => {
            let out = node.outputs.first().and_then(|&v| graph.shape(v).0.last()).map_or(0, |d| d.at(1));
            (SketchKind::Linear, format!("fully connected, {out}"))
        }
        "add" | "mul" | "concat" => (SketchKind::Join, if kind == "mul" { "multiply".into() } else { kind }),
        "batch_norm" => (SketchKind::Norm, "batch norm".into()),
        k if k.contains("norm") && !k.contains("softmax") => (SketchKind::Norm, spoken),
        k if k.contains("pool") => (SketchKind::Pool, spoken),
        k if k.contains("conv") || k == "locally_connected" => (SketchKind::Conv, spoken),
        k if crate::Activation::NAMES.contains(&k) || k == "clip" || k == "softmax" => (SketchKind::Activation, spoken),
        _ => (SketchKind::Other, spoken),
    }
}
