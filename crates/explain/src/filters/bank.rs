//! The layers of a graph that have filters, and their weights in one layout.

use crate::nearest::{Candidate, Kind, suggestion};
use crate::{Error, Result};
use gabor_graph::ops::{Conv, ConvTranspose, MatMul, Reshape};
use gabor_graph::{Graph, Node, Source, ValueId};
use gabor_tensor::{Dim, Rule, Tensor, Weights};

/// What computes with the filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BankKind {
    /// A convolution.
    Conv,
    /// A transposed convolution.
    Transposed,
    /// A fully connected layer that reads a whole feature map or picture.
    Linear,
}

impl BankKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            BankKind::Conv => "convolution",
            BankKind::Transposed => "transposed convolution",
            BankKind::Linear => "fully connected",
        }
    }
}

/// The filters of a layer.
#[derive(Clone, Debug)]
pub struct FilterBank {
    /// The node that computes with them.
    pub layer: String,
    /// The parameter that holds them.
    pub weight: String,
    /// What computes with them.
    pub kind: BankKind,
    /// Groups of the convolution.
    pub groups: usize,
    /// Number of filters.
    pub count: usize,
    /// Channels of a filter.
    pub channels: usize,
    /// Extents of a filter, as many as the layer has spatial dimensions.
    pub kernel: Vec<usize>,
    /// Whether the layer reads the network's input, but for reshaping and numbers that change it point by point.
    pub first: bool,
    /// The weights: `[count, channels, kernel…]`.
    pub values: Vec<f32>,
}

impl FilterBank {
    /// Numbers of one filter: its channels one after the other.
    pub fn filter(&self, i: usize) -> &[f32] {
        let size = self.channels * self.places();
        self.values.get(i * size..(i + 1) * size).unwrap_or_default()
    }
    /// Places of a filter in one channel.
    pub fn places(&self) -> usize {
        self.kernel.iter().product()
    }
    /// Extents with all: `[count, channels, kernel…]`.
    pub fn shape(&self) -> Vec<usize> {
        [&[self.count, self.channels], &self.kernel[..]].concat()
    }
    /// The size of a filter: the root of the sum of its squares.
    pub fn norm(&self, i: usize) -> f64 {
        libm::sqrt(self.filter(i).iter().map(|&v| f64::from(v) * f64::from(v)).sum())
    }
}

/// Names of the layers with filters, in the order of computation, the node's and the parameter's.
pub fn filter_layers(graph: &Graph) -> Vec<(String, String)> {
    let found = graph.nodes().iter().filter_map(|n| Some((n.name.clone(), place(graph, n)?.weight)));
    found.map(|(name, w)| (name, graph.value(w).name.clone())).collect()
}

/// The filters of a layer by its name, or by the name of its parameter with or without `.weight`; the first layer's without
/// a name.
///
/// # Errors
/// A network without such layers, a name that none has (with the nearest and all), weights that are missing.
pub fn filter_layer(graph: &Graph, weights: &Weights, name: Option<&str>) -> Result<FilterBank> {
    let all = filter_layers(graph);
    let Some(first) = all.first() else {
        let rule = Rule::new("the network has no layer with filters");
        return Err(Error::new(&graph.name, rule.right("a network with convolutions, or layers that read a picture")));
    };
    let wanted = match name {
        None => first,
        Some(name) => {
            let is = |l: &&(String, String)| {
                l.0 == name || l.1 == name || l.1.strip_suffix(".weight").is_some_and(|w| w == name)
            };
            all.iter().find(is).ok_or_else(|| unknown(graph, &all, name))?
        }
    };
    let node = graph.nodes().iter().find(|n| n.name == wanted.0);
    node.and_then(|n| bank(graph, weights, n)).ok_or_else(|| {
        let rule = Rule::new("the weights do not hold this parameter").right("weights of this network");
        Error::new(&wanted.1, rule)
    })
}

fn unknown(graph: &Graph, all: &[(String, String)], name: &str) -> Error {
    let kind = |name: &str| graph.nodes().iter().find(|n| n.name == name).and_then(Kind::of);
    let candidates: Vec<Candidate<'_>> = all.iter().map(|(l, _)| Candidate { name: l, kind: kind(l) }).collect();
    let right = suggestion(name, &candidates, "all layers with filters");
    let known = graph.nodes().iter().any(|n| n.name == name);
    let what = if known { format!("layer `{name}` has no filters") } else { format!("there is no layer `{name}`") };
    Error::new(&graph.name, Rule::new(what).right(right))
}

/// Where a node's filters are, and how they lie there.
struct Place {
    weight: ValueId,
    kind: BankKind,
    groups: usize,
    /// The layer's own layout of the weights is the transpose of `[count, channels, kernel…]` in its first two extents.
    turned: bool,
    count: usize,
    channels: usize,
    kernel: Vec<usize>,
}

fn place(graph: &Graph, node: &Node) -> Option<Place> {
    let (&x, &weight) = (node.inputs.first()?, node.inputs.get(1)?);
    if !matches!(graph.value(weight).source, Source::Parameter(_) | Source::Constant(_)) {
        return None;
    }
    if let Some(c) = node.op::<Conv>() {
        let g = &c.geometry;
        let (channels, kernel) = (g.ci / g.groups, g.window.kernel());
        return Some(Place {
            weight,
            kind: BankKind::Conv,
            groups: g.groups,
            turned: false,
            count: g.co,
            channels,
            kernel,
        });
    }
    if let Some(c) = node.op::<ConvTranspose>() {
        // The weight is `[ci, co/groups, kernel…]`; a filter is what one input channel writes.
        let g = &c.geometry;
        let (channels, kernel) = (g.ci / g.groups, g.window.kernel());
        let kind = BankKind::Transposed;
        return Some(Place { weight, kind, groups: g.groups, turned: false, count: g.co, channels, kernel });
    }
    let product = node.op::<MatMul>()?;
    let &[rows, columns] = graph.shape(weight).known()?.as_slice() else { return None };
    let (count, inputs) = if product.transpose_b { (rows, columns) } else { (columns, rows) };
    let [channels, kernel @ ..] = &read_map(graph, x)?[..] else { return None };
    if channels * kernel.iter().product::<usize>() != inputs || product.transpose_a {
        return None;
    }
    let (kind, turned) = (BankKind::Linear, !product.transpose_b);
    Some(Place { weight, kind, groups: 1, turned, count, channels: *channels, kernel: kernel.to_vec() })
}

/// `[c, h, w]` of the map that a vector is made of by reshaping alone.
fn read_map(graph: &Graph, x: ValueId) -> Option<Vec<usize>> {
    let node = graph.producer(x).filter(|n| n.op::<Reshape>().is_some())?;
    let from = *node.inputs.first()?;
    let dims = graph.shape(from).dims();
    let [Dim::Batch(1), rest @ ..] = dims else { return None };
    let extents: Vec<usize> = rest.iter().map(|d| d.fixed()).collect::<Option<_>>()?;
    match extents[..] {
        [_, h, w] if h * w > 1 => Some(extents),
        [_] => read_map(graph, from),
        _ => None,
    }
}

/// Whether a value is the network's input, but for numbers that change it point by point.
fn is_input(graph: &Graph, v: ValueId) -> bool {
    let Some(node) = graph.producer(v) else { return matches!(graph.value(v).source, Source::Input) };
    let computes = node.op::<Conv>().is_some() || node.op::<ConvTranspose>().is_some() || node.op::<MatMul>().is_some();
    let x = node.inputs.first().copied();
    x.is_some_and(|x| !computes && graph.shape(x).count() == graph.shape(v).count() && is_input(graph, x))
}

fn bank(graph: &Graph, weights: &Weights, node: &Node) -> Option<FilterBank> {
    let p = place(graph, node)?;
    let value = graph.value(p.weight);
    let tensor: &Tensor = match &value.source {
        Source::Constant(t) => t,
        _ => weights.get(&value.name)?,
    };
    let mut values = tensor.as_f32().ok()?.to_vec();
    let size = p.channels * p.kernel.iter().product::<usize>();
    if values.len() != p.count * size {
        return None;
    }
    if p.turned {
        values = (0..values.len()).map(|i| values[i % size * p.count + i / size]).collect();
    }
    Some(FilterBank {
        layer: node.name.clone(),
        weight: value.name.clone(),
        kind: p.kind,
        groups: p.groups,
        count: p.count,
        channels: p.channels,
        kernel: p.kernel,
        first: node.inputs.first().is_some_and(|&x| is_input(graph, x)),
        values,
    })
}
