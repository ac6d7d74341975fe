//! A slice through the loss of a network: the weights plus two directions.

use super::Landscape;
use crate::model::no_preprocessing;
use crate::{Error, Model, Result};
use gabor_compile::{CompileOptions, Executable, Program, differentiate};
use gabor_data::source::Subset;
use gabor_data::{Dataset, Loader};
use gabor_graph::ValueId;
use gabor_tensor::{DType, Dim, Rule, Shape, Stream, Tensor, rng};
use gabor_train::Loss;
use std::sync::Arc;

/// How a slice is laid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SliceOptions {
    /// Pictures whose mean loss is the height, evenly spread over the data.
    pub samples: usize,
    /// Seed of the directions.
    pub seed: u64,
}

impl Default for SliceOptions {
    fn default() -> Self {
        SliceOptions { samples: 128, seed: 0 }
    }
}

/// A weight with what is added to it.
struct Moved {
    name: String,
    start: Vec<f32>,
    shape: Vec<usize>,
    directions: [Vec<f32>; 2],
}

/// A slice: the height at (a, b) is the loss at θ + a·d₁ + b·d₂. The directions are random and normalised filter by filter
/// to the length of the network's own (Li et al. 2018); biases and normalisation stay as they are, as there.
pub struct Slice {
    run: Box<dyn Executable>,
    moved: Vec<Moved>,
    images: Tensor,
    labels: Tensor,
    input: String,
}

const LABELS: &str = "labels";

impl Slice {
    /// A slice through a model's loss on some pictures.
    ///
    /// # Errors
    /// A model without preprocessing or scores; data of other classes; no pictures; a network without weights.
    pub fn new(model: &Model, data: Arc<dyn Dataset>, options: &SliceOptions) -> Result<Self> {
        let n = data.len().min(options.samples);
        if n == 0 {
            return Err(Error::from(Rule::new("a loss over no pictures").right("at least one")));
        }
        model.check_classes(data.classes())?;
        let chosen = (0..n).map(|i| (i as u128 * data.len() as u128 / n as u128) as usize).collect();
        let preprocessing = model.preprocessing().ok_or_else(no_preprocessing)?.clone();
        let loader = Loader::evaluation(Arc::new(Subset::new(data, chosen)?), preprocessing, n, 0)?;
        let Some(batch) = loader.epoch(0, 0).next() else {
            return Err(Error::from(Rule::new("a loss over no pictures").right("at least one")));
        };
        let batch = batch?;
        let (images, scores) = (model.image_input()?, model.scores()?);
        let input = model.graph().value(images).name.clone();
        let mut graph = model.graph().clone();
        graph.clear_outputs();
        graph.scope("loss");
        let labels = graph.input(LABELS, Shape(vec![Dim::Batch(1)]), DType::I32)?;
        let each = Loss::CrossEntropy { smoothing: 0.0 }.per_sample(&mut graph, scores, labels)?;
        let loss = graph.mean_all(each)?;
        graph.output("loss", loss);
        let forward = graph.clone();
        let weights: Vec<ValueId> = graph.parameters().map(|p| p.0).filter(|&v| graph.shape(v).rank() >= 2).collect();
        let slopes = differentiate(&mut graph, loss, &weights)?;
        let mut moved = Vec::new();
        for (&v, slope) in weights.iter().zip(slopes) {
            let name = graph.value(v).name.clone();
            let (Some(slope), Some(weight)) = (slope, model.weights().get(&name)) else { continue };
            graph.output(format!("slope{}", moved.len()), slope);
            let start = weight.as_f32()?.to_vec();
            let directions = [0, 1].map(|d| direction(&start, weight.shape(), &name, options.seed, d));
            moved.push(Moved { name, start, shape: weight.shape().to_vec(), directions });
        }
        if moved.is_empty() {
            let rule =
                Rule::new("no weight of the network has an influence on the loss").right("a network with weights");
            return Err(Error::new(&model.graph().name, rule));
        }
        let mut program = Program::new();
        program.add("heights", forward.validate()?)?;
        program.add("slope", graph.validate()?)?;
        let mut run = model.backend.compile(&program, &CompileOptions::default())?;
        for (name, tensor) in model.weights().iter() {
            run.write(name, tensor)?;
        }
        Ok(Slice { run, moved, images: batch.images, labels: batch.labels, input })
    }
    /// Pictures whose loss is measured.
    pub fn samples(&self) -> usize {
        self.labels.len()
    }
    /// Goes to a place and computes there.
    fn go(&mut self, entry: usize, [a, b]: [f64; 2]) -> Result<f64> {
        for m in &self.moved {
            let [d, e] = &m.directions;
            let data = m.start.iter().zip(d).zip(e);
            let data = data.map(|((&w, &d), &e)| (f64::from(w) + a * f64::from(d) + b * f64::from(e)) as f32).collect();
            self.run.write(&m.name, &Tensor::f32(&m.shape, data)?)?;
        }
        let n = self.labels.len();
        self.run.run(entry, n, &[(&self.input, &self.images), (LABELS, &self.labels)])?;
        Ok(f64::from(self.run.output("loss")?.as_f32()?[0]))
    }
}

/// A random direction, normalised filter by filter: along the first axis, each part gets the length of the weights' own.
fn direction(weights: &[f32], shape: &[usize], name: &str, seed: u64, which: u32) -> Vec<f32> {
    let mut stream = Stream::new(seed, which, rng::name_key(name), rng::op::USER + 2);
    let filter = (weights.len() / shape[0].max(1)).max(1);
    let mut out = Vec::with_capacity(weights.len());
    for own in weights.chunks(filter) {
        let drawn: Vec<f64> = own.iter().map(|_| stream.normal()).collect();
        let length = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
        let (have, want) = (length(&mut drawn.iter().copied()), length(&mut own.iter().map(|&x| f64::from(x))));
        let factor = if have > 0.0 { want / have } else { 0.0 };
        out.extend(drawn.iter().map(|d| (d * factor) as f32));
    }
    out
}

impl Landscape for Slice {
    fn heights(&mut self, places: &[[f64; 2]]) -> Result<Vec<f64>> {
        places.iter().map(|&p| self.go(0, p)).collect()
    }
    fn slope(&mut self, place: [f64; 2]) -> Result<(f64, [f64; 2])> {
        let height = self.go(1, place)?;
        let mut slope = [0.0; 2];
        for (i, m) in self.moved.iter().enumerate() {
            let of = self.run.output(&format!("slope{i}"))?;
            let of = of.as_f32()?;
            for (sum, d) in slope.iter_mut().zip(&m.directions) {
                *sum += of.iter().zip(d).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum::<f64>();
            }
        }
        Ok((height, slope))
    }
}
