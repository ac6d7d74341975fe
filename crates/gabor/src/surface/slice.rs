//! A slice through the loss of a network: the weights plus two directions.

use super::Landscape;
use crate::{Error, Model, Result};
use gabor_compile::{CompileOptions, Executable, Program, differentiate};
use gabor_data::source::Subset;
use gabor_data::{Dataset, Loader, Preprocessing};
use gabor_explain::Room;
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

/// Pictures that are run at once, at most.
const TOGETHER: usize = 32;

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
    /// Pictures with their labels, in batches.
    batches: Vec<(Tensor, Tensor)>,
    samples: usize,
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
        let preprocessing = model.preprocessing().ok_or_else(|| model.no_preprocessing())?.clone();
        let room = Room::new(gabor_train::memory_left);
        let bytes = (n as u64).saturating_mul(8 * preprocessing.input().iter().product::<usize>() as u64);
        room.check("samples", &format!("{n} pictures"), bytes, "fewer samples")?;
        let batches = batches(Subset::new(data, chosen)?, preprocessing)?;
        let (images, scores) = (model.image_input()?, model.scores()?);
        let input = model.graph().value(images).name.clone();
        let mut graph = model.graph().clone();
        graph.clear_outputs();
        graph.scope("loss");
        let labels = graph.input(LABELS, Shape(vec![Dim::Batch(1)]), DType::I32)?;
        let each = Loss::CrossEntropy { smoothing: 0.0 }.per_sample(&mut graph, scores, labels)?;
        // Each by itself: their sum is made outside, in one order for all sizes of batches.
        graph.output("losses", each);
        let loss = graph.sum_all(each)?;
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
        let most = batches.iter().map(|b| b.1.len()).max().unwrap_or(1);
        for entry in [0, 1] {
            room.check_plan("surface", &run.report(entry, most)?)?;
        }
        for (name, tensor) in model.weights().iter() {
            run.write(name, tensor)?;
        }
        Ok(Slice { run, moved, batches, samples: n, input })
    }
    /// Pictures whose loss is measured.
    pub fn samples(&self) -> usize {
        self.samples
    }
    /// Goes to a place and computes there: the height, and by the second entry the slope.
    fn go(&mut self, entry: usize, [a, b]: [f64; 2]) -> Result<(f64, [f64; 2])> {
        for m in &self.moved {
            let [d, e] = &m.directions;
            let data = m.start.iter().zip(d).zip(e);
            let data = data.map(|((&w, &d), &e)| (f64::from(w) + a * f64::from(d) + b * f64::from(e)) as f32).collect();
            self.run.write(&m.name, &Tensor::f32(&m.shape, data)?)?;
        }
        let (mut sum, mut slope) = (0.0, [0.0; 2]);
        for (images, labels) in &self.batches {
            self.run.run(entry, labels.len(), &[(&self.input, images), (LABELS, labels)])?;
            for &loss in self.run.output("losses")?.as_f32()? {
                sum += f64::from(loss);
            }
            let moved = self.moved.iter().enumerate().filter(|_| entry == 1);
            for (i, m) in moved {
                let of = self.run.output(&format!("slope{i}"))?;
                let of = of.as_f32()?;
                for (sum, d) in slope.iter_mut().zip(&m.directions) {
                    *sum += of.iter().zip(d).map(|(&g, &d)| f64::from(g) * f64::from(d)).sum::<f64>();
                }
            }
        }
        let n = self.samples as f64;
        Ok((sum / n, slope.map(|s| s / n)))
    }
}

/// All pictures of a data set with their labels, in batches of as nearly the same size as can be: two sizes are planned.
fn batches(data: Subset, preprocessing: Preprocessing) -> Result<Vec<(Tensor, Tensor)>> {
    let n = data.len();
    let [c, h, w] = preprocessing.input();
    let loader = Loader::evaluation(Arc::new(data), preprocessing, TOGETHER, 0)?;
    let (mut images, mut labels) = (Vec::with_capacity(n * c * h * w), Vec::with_capacity(n));
    let mut epoch = loader.epoch(0, 0);
    while let Some(batch) = epoch.next() {
        let batch = batch?;
        images.extend_from_slice(batch.images.as_f32()?);
        labels.extend_from_slice(batch.labels.as_i32()?);
        epoch.recycle(batch);
    }
    let parts = n.div_ceil(TOGETHER);
    let mut out = Vec::with_capacity(parts);
    for i in (0..parts).rev() {
        let from = n * i / parts;
        let (images, labels) = (images.split_off(from * c * h * w), labels.split_off(from));
        let count = labels.len();
        out.push((Tensor::f32(&[count, c, h, w], images)?, Tensor::i32(&[count], labels)?));
    }
    out.reverse();
    Ok(out)
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
        places.iter().map(|&p| Ok(self.go(0, p)?.0)).collect()
    }
    fn slope(&mut self, place: [f64; 2]) -> Result<(f64, [f64; 2])> {
        self.go(1, place)
    }
}
