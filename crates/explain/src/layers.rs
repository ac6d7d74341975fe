//! The layers of a network as the person who wrote it names them.
//!
//! A builder or a file gives a layer one name, and the graph may need several nodes for it: `conv16`, a convolution, and
//! `conv16.binary`, the addition of its bias. The first node carries the name, the others the name and their operation.
//! Only the name is shown, and the layer's value is what its last node makes.

use crate::nearest::{Candidate, Kind, suggestion};
use crate::{Error, Result, Subject};
use gabor_graph::{Graph, Node, NodeId, ValueId};
use gabor_tensor::{DType, Dim, Rule};

/// A layer: a feature map or a vector inside a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name, as it was written: `conv1`, `layer1.0.relu`, or that of the file's node.
    pub name: String,
    /// What it makes.
    pub value: ValueId,
    /// Extents without the batch: `[c, h, w]` of feature maps, `[features]` of a vector.
    pub shape: Vec<usize>,
    nodes: Vec<NodeId>,
}

impl Layer {
    /// Whether it has places, and more than one: something to draw over a picture.
    pub fn is_map(&self) -> bool {
        matches!(self.shape[..], [_, h, w] if h * w > 1)
    }
    /// How many units it has: channels of feature maps, elements of a vector.
    pub fn units(&self) -> usize {
        self.shape[0]
    }
    /// Rows and columns of a unit's map; 1 × 1 for vectors.
    pub fn places(&self) -> [usize; 2] {
        match self.shape[..] {
            [_, h, w] => [h, w],
            _ => [1, 1],
        }
    }
    /// Its extents in words: `64 × 56 × 56`.
    pub fn extents(&self) -> String {
        self.shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ")
    }
}

/// Operations that say the same place by place in another way: what a layer of these makes stands for what it read.
const IN_PLACE: &[&str] = &[
    "unary",
    "binary",
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
    "batch_norm",
    "batch_norm_inference",
    "identity",
];

/// Operations that pick from what is there, or move it.
const REARRANGES: &[&str] = &["reshape", "transpose", "pad", "slice", "max_pool"];

/// Operations after which a unit still stands for the same class.
const KEEPS_UNITS: &[&str] = &["reshape", "reduce", "avg_pool", "global_avg_pool", "softmax", "log_softmax"];

impl Subject {
    /// Every layer that depends on the pictures, in the order of computation.
    pub fn layers(&self) -> Vec<Layer> {
        let graph = self.graph();
        let depends = self.dependent();
        let mut layers: Vec<Layer> = Vec::new();
        for nodes in groups(graph) {
            let made = nodes.iter().rev().map(|&n| graph.node(n)).find_map(|node| {
                let value = node.outputs[0];
                (depends[value.0 as usize] && self.is_features(value)).then_some(value)
            });
            if let Some(value) = made {
                let name = graph.node(nodes[0]).name.clone();
                layers.push(Layer { name, value, shape: self.extents(value), nodes });
            }
        }
        layers
    }
    /// The scores of the classes as a layer, before softmax.
    pub(crate) fn answer(&self) -> Layer {
        let value = self.scores();
        Layer { name: self.graph().value(value).name.clone(), value, shape: self.extents(value), nodes: Vec::new() }
    }
    /// The layer of that name.
    ///
    /// # Errors
    /// A name that no layer has, with the nearest ones and all there are.
    pub fn layer(&self, name: &str) -> Result<Layer> {
        let layers = self.layers();
        if let Some(l) = layers.iter().find(|l| l.name == name) {
            return Ok(l.clone());
        }
        let graph = self.graph();
        let candidate = |l| {
            let Layer { name, nodes, .. }: &Layer = l;
            Candidate { name, kind: nodes.first().and_then(|&n| Kind::of(graph.node(n))) }
        };
        let right = suggestion(name, &layers.iter().map(candidate).collect::<Vec<_>>(), "all layers");
        Err(Error::new(&graph.name, Rule::new(format!("there is no layer `{name}`")).right(right)))
    }
    /// The pictures themselves, as a layer that nothing computes.
    pub(crate) fn pictures(&self) -> Layer {
        let value = self.images();
        Layer { name: self.images_name().into(), value, shape: self.extents(value), nodes: Vec::new() }
    }
    /// The last feature map with places, which most explanations draw: what the classifier's head reads.
    ///
    /// # Errors
    /// A network without any.
    pub fn last_map(&self) -> Result<Layer> {
        let last = self.layers().into_iter().rev().find(Layer::is_map);
        last.ok_or_else(|| {
            let rule = Rule::new("the network has no feature map of more than one place");
            Error::new(&self.graph().name, rule.right("a convolutional network"))
        })
    }
    /// The layers that tell something new, at most `most` of them (0: any number).
    ///
    /// A layer that is only normalised, rectified or added to by the next one is left to that one, and one that only picks
    /// or moves values (a maximum, padding, reshaping) is left out. If more remain than wanted, the last ones before the maps change their size stay, with the first and the
    /// last layer, and of the others as many as there is room for, at even steps.
    pub fn telling_layers(&self, most: usize) -> Vec<Layer> {
        let (graph, all) = (self.graph(), self.layers());
        let depends = self.dependent();
        let mut readers: Vec<Vec<usize>> = vec![Vec::new(); graph.values().len()];
        for (i, layer) in all.iter().enumerate() {
            for &n in &layer.nodes {
                graph.node(n).inputs.iter().for_each(|v| readers[v.0 as usize].push(i));
            }
        }
        // How many values from elsewhere a layer reads that depend on the pictures.
        let outer = |layer: &Layer| {
            let nodes = || layer.nodes.iter().map(|&n| graph.node(n));
            let inner: Vec<ValueId> = nodes().flat_map(|n| n.outputs.clone()).collect();
            nodes().flat_map(|n| &n.inputs).filter(|v| depends[v.0 as usize] && !inner.contains(v)).count()
        };
        let of = |l: &Layer, names: &[&str]| l.nodes.iter().all(|&n| names.contains(&graph.node(n).operation.name()));
        let rearranges = |l: &Layer| outer(l) == 1 && of(l, REARRANGES);
        let left_to_next = |i: usize| {
            let own: Vec<usize> = readers[all[i].value.0 as usize].iter().copied().filter(|&r| r != i).collect();
            matches!(own[..], [r] if of(&all[r], IN_PLACE) && all[r].shape == all[i].shape)
        };
        let told: Vec<Layer> =
            (0..all.len()).filter(|&i| !left_to_next(i) && !rearranges(&all[i])).map(|i| all[i].clone()).collect();
        if most == 0 || told.len() <= most {
            return told;
        }
        let last = told.len() - 1;
        let changes = (0..last).filter(|&i| told[i].places() != told[i + 1].places());
        let mut kept: Vec<usize> = [0, last].into_iter().chain(changes).collect();
        kept.sort_unstable();
        kept.dedup();
        if kept.len() > most {
            kept = evenly(kept.len(), most).map(|i| kept[i]).collect();
        }
        let others: Vec<usize> = (0..=last).filter(|i| !kept.contains(i)).collect();
        kept.extend(evenly(others.len(), most - kept.len()).map(|i| others[i]));
        kept.sort_unstable();
        kept.into_iter().map(|i| told[i].clone()).collect()
    }
    /// Whether a layer has a unit for each class, in their order: the scores, and maps that are only averaged to them.
    pub fn is_of_classes(&self, layer: &Layer) -> bool {
        let graph = self.graph();
        let mut v = self.scores();
        while v != layer.value {
            match graph.producer(v) {
                Some(n) if KEEPS_UNITS.contains(&n.operation.name()) => v = n.inputs[0],
                _ => return false,
            }
        }
        layer.units() == self.classes()
    }
    /// Which values depend on the pictures.
    pub(crate) fn dependent(&self) -> Vec<bool> {
        let mut depends = vec![false; self.graph().values().len()];
        depends[self.images().0 as usize] = true;
        for node in self.graph().nodes() {
            if node.inputs.iter().any(|v| depends[v.0 as usize]) {
                node.outputs.iter().for_each(|o| depends[o.0 as usize] = true);
            }
        }
        depends
    }
    /// Whether a value is feature maps or a vector of features for every picture.
    fn is_features(&self, value: ValueId) -> bool {
        let ty = self.graph().ty(value);
        let fixed = ty.shape.0.iter().skip(1).all(|d| matches!(d, Dim::Fixed(1..)));
        ty.dtype == DType::F32 && fixed && matches!(ty.shape.rank(), 2 | 4) && ty.shape.0[0] == Dim::Batch(1)
    }
}

/// `count` of the numbers below `of`, at even steps from the first to the last.
fn evenly(of: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(of);
    (0..count).map(move |i| if count == 1 { of - 1 } else { (i * (of - 1) + (count - 1) / 2) / (count - 1) })
}

/// The nodes of each layer, in order.
fn groups(graph: &Graph) -> Vec<Vec<NodeId>> {
    let mut groups: Vec<Vec<NodeId>> = Vec::new();
    for (i, node) in graph.nodes().iter().enumerate() {
        let id = NodeId(i as u32);
        match groups.last_mut() {
            Some(group) if is_helper(&graph.node(group[0]).name, node) => group.push(id),
            _ => groups.push(vec![id]),
        }
    }
    groups
}

/// Whether a node is another one of the layer of that name: `NAME.operation` or `NAME.operation_2`.
fn is_helper(layer: &str, node: &Node) -> bool {
    let own = node.name.strip_prefix(layer).and_then(|n| n.strip_prefix('.'));
    let rest = own.and_then(|n| n.strip_prefix(node.operation.name()));
    rest.is_some_and(|r| r.is_empty() || r.strip_prefix('_').is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_steps_reach_both_ends() {
        assert_eq!(evenly(9, 3).collect::<Vec<_>>(), [0, 4, 8]);
        assert_eq!(evenly(3, 5).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(evenly(7, 1).collect::<Vec<_>>(), [6]);
        assert_eq!(evenly(0, 2).count(), 0);
    }
}
