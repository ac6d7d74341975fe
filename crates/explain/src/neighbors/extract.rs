//! From pictures to features.

use crate::{Error, Layer, Result, Subject};
use gabor_compile::Executable;
use gabor_graph::ValueId;
use gabor_graph::ops::{Conv, MatMul};
use gabor_tensor::{Rule, Shape, Tensor};

/// A network cut off at a layer: pictures in, a vector of features each.
pub struct Extractor {
    subject: Subject,
    run: Box<dyn Executable>,
    layer: Layer,
    width: usize,
}

const OUTPUT: &str = "features";

impl Extractor {
    /// The features of a layer; of `None` what the network's last linear map reads ([`Subject::penultimate`]). A feature map
    /// is averaged over its places.
    ///
    /// # Errors
    /// A layer that does not exist, a network without a linear map, a graph that the backend cannot run.
    pub fn new(subject: &Subject, layer: Option<&str>) -> Result<Self> {
        let layer = match layer {
            Some(name) if name == subject.images_name() => subject.pictures(),
            Some(name) => subject.layer(name)?,
            None => subject.penultimate()?,
        };
        let width = layer.shape.first().copied().unwrap_or(0);
        let mut graph = subject.graph().clone();
        graph.clear_outputs();
        let mut v = layer.value;
        if layer.shape.len() == 3 {
            graph.scope(OUTPUT);
            v = graph.global_avg_pool(v)?;
            v = graph.reshape(v, &Shape::batch(&[width]))?;
        }
        graph.output(OUTPUT, v);
        Ok(Extractor { subject: subject.clone(), run: subject.compile(graph)?, layer, width })
    }
    /// The layer.
    pub fn layer(&self) -> &Layer {
        &self.layer
    }
    /// Numbers a picture.
    pub fn width(&self) -> usize {
        self.width
    }
    /// The features of prepared pictures `[n, c, h, w]`, added row by row at the end of `out`. They do not depend on how
    /// pictures fall into batches.
    ///
    /// # Errors
    /// Pictures of another shape.
    pub fn add(&mut self, images: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        let width = self.width;
        self.subject.run_parts(&mut *self.run, images, &mut |run, which| {
            out.extend_from_slice(&run.output(OUTPUT)?.as_f32()?[..which.len() * width]);
            Ok(())
        })?;
        Ok(())
    }
}

impl Subject {
    /// What the last linear map of the network reads: the last hidden layer of a classifier, or the feature map before a
    /// last convolution.
    ///
    /// # Errors
    /// A network without a matrix product and without a convolution.
    pub fn penultimate(&self) -> Result<Layer> {
        let g = self.graph();
        let mut needed = vec![false; g.values().len()];
        needed[self.scores().0 as usize] = true;
        let layers = self.layers();
        let of = |v: ValueId| layers.iter().find(|l| l.value == v);
        for node in g.nodes().iter().rev() {
            if !node.outputs.iter().any(|o| needed[o.0 as usize]) {
                continue;
            }
            node.inputs.iter().for_each(|i| needed[i.0 as usize] = true);
            if node.op::<MatMul>().is_none() && node.op::<Conv>().is_none() {
                continue;
            }
            if let Some(layer) = node.inputs.iter().find_map(|&i| of(i)) {
                return Ok(layer.clone());
            }
            if node.inputs.contains(&self.images()) {
                return Ok(self.pictures());
            }
        }
        let rule = Rule::new("the network has no linear map whose input could serve as features");
        Err(Error::new(&g.name, rule.right("the name of a layer")))
    }
}
