//! A network as it is looked at: graph, weights, where pictures go in and scores come out.

use crate::{Error, Result};
use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Dim, Rule, Tensor, Weights};
use std::sync::Arc;

/// A classifier of pictures with its weights. The graph is the one for inference.
#[derive(Clone)]
pub struct Subject {
    graph: Graph,
    weights: Weights,
    images: ValueId,
    scores: ValueId,
    backend: Arc<dyn Backend>,
}

/// A feature map (or vector) inside a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The node that makes it.
    pub name: String,
    /// The value.
    pub value: ValueId,
    /// Extents without the batch: `[c, h, w]` of a feature map, `[features]` of a vector.
    pub shape: Vec<usize>,
}

impl Layer {
    /// Whether it has places, and more than one: something to draw over a picture.
    pub fn is_map(&self) -> bool {
        matches!(self.shape[..], [_, h, w] if h * w > 1)
    }
}

impl Subject {
    /// A network whose input `images` is `[n, c, h, w]` and whose `scores` (before softmax) are `[n, classes]`.
    ///
    /// # Errors
    /// Values of other shapes.
    pub fn new(
        graph: Graph,
        weights: Weights,
        images: ValueId,
        scores: ValueId,
        backend: Arc<dyn Backend>,
    ) -> Result<Self> {
        let subject = Subject { graph, weights, images, scores, backend };
        let known = |v: ValueId, rank: usize| {
            let (g, ty) = (&subject.graph, subject.graph.ty(v));
            let fixed = ty.shape.0.iter().skip(1).all(|d| matches!(d, Dim::Fixed(1..)));
            if ty.dtype == DType::F32 && ty.shape.rank() == rank && fixed && ty.shape.0[0] == Dim::Batch(1) {
                return Ok(());
            }
            let right = if rank == 4 { "[n, channels, height, width]" } else { "[n, classes]" };
            Err(Error::new(&g.value(v).name, Rule::new(format!("a value of type {ty}")).right(right)))
        };
        known(images, 4)?;
        known(scores, 2)?;
        Ok(subject)
    }
    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
    /// Parameters and running statistics.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
    /// Where pictures go in.
    pub fn images(&self) -> ValueId {
        self.images
    }
    /// The scores of the classes, before softmax.
    pub fn scores(&self) -> ValueId {
        self.scores
    }
    /// The name of the input of pictures.
    pub fn images_name(&self) -> &str {
        &self.graph.value(self.images).name
    }
    /// `[c, h, w]` of a picture.
    pub fn input(&self) -> [usize; 3] {
        let shape = self.extents(self.images);
        [shape[0], shape[1], shape[2]]
    }
    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.extents(self.scores)[0]
    }
    /// Extents of a value without the batch.
    pub fn extents(&self, v: ValueId) -> Vec<usize> {
        self.graph.shape(v).at(1)[1..].to_vec()
    }
    /// Every value between pictures and scores that depends on the pictures, in the order of computation.
    pub fn layers(&self) -> Vec<Layer> {
        let mut depends = vec![false; self.graph.values().len()];
        depends[self.images.0 as usize] = true;
        let mut layers = Vec::new();
        for node in self.graph.nodes() {
            if !node.inputs.iter().any(|v| depends[v.0 as usize]) {
                continue;
            }
            node.outputs.iter().for_each(|o| depends[o.0 as usize] = true);
            let value = node.outputs[0];
            let ty = self.graph.ty(value);
            let fixed = ty.shape.0.iter().skip(1).all(|d| matches!(d, Dim::Fixed(_)));
            if ty.dtype == DType::F32 && fixed && matches!(ty.shape.rank(), 2 | 4) && ty.shape.0[0] == Dim::Batch(1) {
                layers.push(Layer { name: node.name.clone(), value, shape: self.extents(value) });
            }
        }
        layers
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
        let mut near: Vec<(f64, &str)> =
            layers.iter().map(|l| (strsim::jaro_winkler(name, &l.name), l.name.as_str())).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        let near: Vec<&str> = near.iter().filter(|n| n.0 > 0.7).take(3).map(|n| n.1).collect();
        let all: Vec<&str> = layers.iter().map(|l| l.name.as_str()).collect();
        let rule = Rule::new(format!("there is no layer `{name}`"));
        let right = if near.is_empty() { String::new() } else { format!("{}; ", near.join(" or ")) };
        Err(Error::new(&self.graph.name, rule.right(format!("{right}all layers: {}", all.join(", ")))))
    }
    /// The last feature map with places, which most explanations draw: what the classifier's head reads.
    ///
    /// # Errors
    /// A network without any.
    pub fn last_map(&self) -> Result<Layer> {
        let last = self.layers().into_iter().rev().find(Layer::is_map);
        last.ok_or_else(|| {
            let rule = Rule::new("the network has no feature map of more than one place");
            Error::new(&self.graph.name, rule.right("a convolutional network"))
        })
    }
    /// Compiles a graph over this network's parameters.
    ///
    /// # Errors
    /// A graph that is not sound, or one that the backend cannot run.
    pub fn compile(&self, graph: Graph) -> Result<Box<dyn Executable>> {
        let graph = graph.validate()?;
        let names: Vec<String> = graph.parameters().map(|(v, _)| graph.value(v).name.clone()).collect();
        let mut run = self.backend.compile(&Program::single("explain", graph), &CompileOptions::default())?;
        for name in names {
            let tensor = self.weights.get(&name).ok_or_else(|| {
                Error::new(&name, Rule::new("the weights do not hold this parameter").right("weights of this network"))
            })?;
            run.write(&name, tensor)?;
        }
        Ok(run)
    }
    /// Values of the network for pictures `[n, c, h, w]`, in the order asked for.
    ///
    /// # Errors
    /// Pictures of another shape.
    pub fn values(&self, images: &Tensor, wanted: &[ValueId]) -> Result<Vec<Tensor>> {
        let mut graph = self.graph.clone();
        graph.clear_outputs();
        for (i, &v) in wanted.iter().enumerate() {
            graph.output(format!("value{i}"), v);
        }
        let mut run = self.compile(graph)?;
        let n = self.count(images)?;
        run.run(0, n, &[(self.images_name(), images)])?;
        (0..wanted.len()).map(|i| Ok(run.output(&format!("value{i}"))?.to_tensor())).collect()
    }
    /// How many pictures a tensor holds.
    ///
    /// # Errors
    /// A tensor of another shape than this network's pictures.
    pub fn count(&self, images: &Tensor) -> Result<usize> {
        let [c, h, w] = self.input();
        match *images.shape() {
            [n, ic, ih, iw] if n > 0 && [ic, ih, iw] == [c, h, w] => Ok(n),
            _ => {
                let rule = Rule::new(format!("pictures of shape {:?}", images.shape()));
                Err(Error::new(self.images_name(), rule.right(format!("[n, {c}, {h}, {w}]"))))
            }
        }
    }
}
