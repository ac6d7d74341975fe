//! The network as it is climbed: pictures in, what a layer says and the gradient of an objective by the pictures out.

use crate::backward::rectifies;
use crate::extract::Extract;
use crate::{Error, Layer, Result, Subject};
use gabor_compile::{Executable, differentiate_with};
use gabor_graph::ops::{Clip, UnaryMap};
use gabor_graph::{Node, ValueId};
use gabor_tensor::{DType, Data, Rule, Shape, Tensor, Unary};

/// What of a layer is climbed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Objective {
    /// A weighted sum of its values.
    Linear,
    /// Half the sum of their squares, as DeepDream has it: what is there already becomes more.
    Squared,
}

/// The inputs that choose: a number per unit, a number per place, and how much of the rectifier's own input counts.
const UNITS: &str = "dream.units";
const PLACES: &str = "dream.places";
const LEAK: &str = "dream.leak";

/// A compiled way forward to a layer and back to the pictures.
pub(crate) struct Engine {
    run: Box<dyn Executable>,
    name: String,
    /// `[n, c, h, w]`, written by the caller before a run.
    pub(crate) images: Tensor,
    /// `[n, units, 1, 1]` or `[n, units]`.
    pub(crate) units: Tensor,
    /// `[n, 1, h, w]`, of a map.
    places: Option<Tensor>,
    /// `[n, 1, 1, 1]` or `[n, 1]`: 1 where what goes into the layer's rectifier is climbed, because nothing comes out of it.
    leak: Option<Tensor>,
    /// Extents of the layer.
    pub(crate) shape: Vec<usize>,
    /// Whether the layer is never below zero, so that a unit may say nothing at all.
    pub(crate) silent: bool,
}

impl Engine {
    /// For `n` pictures of `extents` rows and columns.
    ///
    /// # Errors
    /// A network that cannot take pictures of this size up to the layer.
    pub(crate) fn new(
        subject: &Subject,
        layer: &Layer,
        [h, w]: [usize; 2],
        n: usize,
        objective: Objective,
    ) -> Result<Self> {
        let from = subject.graph();
        let channels = subject.input()[0];
        let mut e = Extract::new(from);
        let images = e.give(subject.images(), subject.images_name(), &[channels, h, w])?;
        let y = e.value(layer.value)?;
        let before = from.producer(layer.value).filter(|node| objective == Objective::Linear && silences(node));
        let before = before.map(|node| e.value(node.inputs[0])).transpose()?;
        let graph = &mut e.graph;
        let shape: Vec<usize> = graph.shape(y).at(1)[1..].to_vec();
        let ones = vec![1; shape.len() - 1];
        let of = |first: usize| -> Vec<usize> { [&[first], &ones[..]].concat() };
        graph.scope("dream");
        let units = graph.input(UNITS, Shape::batch(&of(shape[0])), DType::F32)?;
        let map = shape.len() == 3;
        let mut chosen = units;
        if map {
            let places = graph.input(PLACES, Shape::batch(&[1, shape[1], shape[2]]), DType::F32)?;
            chosen = graph.mul(units, places)?;
        }
        let full = graph.shape(y).clone();
        let seed = match objective {
            Objective::Linear => graph.broadcast(chosen, &full)?,
            Objective::Squared => graph.mul(y, chosen)?,
        };
        let mut seeds = vec![(y, seed)];
        if let Some(before) = before {
            let leak = graph.input(LEAK, Shape::batch(&of(1)), DType::F32)?;
            seeds.push((before, graph.mul(seed, leak)?));
        }
        let gradient = differentiate_with(graph, &seeds, &[images], &|_, _| Ok(None))?[0];
        let gradient: ValueId = gradient.map_or_else(|| graph.zeros_like(images), Ok)?;
        graph.output("gradient", gradient);
        graph.output("layer", y);
        let leak = before.map(|_| Tensor::zeros(&[&[n], &of(1)[..]].concat(), DType::F32));
        let mut run = subject.compile(e.graph)?;
        subject.foresee(&mut *run, n)?;
        let mut places = map.then(|| Tensor::zeros(&[n, 1, shape[1], shape[2]], DType::F32));
        if let Some(p) = &mut places {
            numbers(p).fill(1.0);
        }
        Ok(Engine {
            run,
            name: subject.images_name().to_string(),
            images: Tensor::zeros(&[n, channels, h, w], DType::F32),
            units: Tensor::zeros(&[&[n], &of(shape[0])[..]].concat(), DType::F32),
            places,
            leak,
            shape,
            silent: before.is_some(),
        })
    }
    /// Pictures of a run.
    pub(crate) fn n(&self) -> usize {
        self.images.shape()[0]
    }
    /// Places of one unit.
    pub(crate) fn area(&self) -> usize {
        self.shape[1..].iter().product()
    }
    /// Chooses, for picture `i`, the mean of one unit over all places, or its value at one.
    pub(crate) fn choose(&mut self, i: usize, unit: usize, at: Option<usize>) {
        let (units, area) = (self.shape[0], self.area());
        let row = &mut numbers(&mut self.units)[i * units..][..units];
        row.fill(0.0);
        row[unit] = if at.is_some() { 1.0 } else { 1.0 / area as f32 };
        if let Some(p) = &mut self.places {
            let row = &mut numbers(p)[i * area..][..area];
            row.fill(if at.is_some() { 0.0 } else { 1.0 });
            if let Some(at) = at {
                row[at] = 1.0;
            }
        }
    }
    /// Whether for picture `i` what goes into the rectifier is climbed instead of what comes out.
    pub(crate) fn leak(&mut self, i: usize, on: bool) {
        if let Some(l) = &mut self.leak {
            numbers(l)[i] = f32::from(u8::from(on));
        }
    }
    /// Runs forward and back.
    pub(crate) fn run(&mut self) -> Result<()> {
        let mut inputs = vec![(self.name.as_str(), &self.images), (UNITS, &self.units)];
        inputs.extend(self.places.iter().map(|p| (PLACES, p)));
        inputs.extend(self.leak.iter().map(|l| (LEAK, l)));
        self.run.run(0, self.images.shape()[0], &inputs)
    }
    /// The gradient by the pictures of the last run.
    pub(crate) fn gradient(&self) -> Result<&[f32]> {
        self.run.output("gradient")?.as_f32()
    }
    /// What the layer said in the last run.
    pub(crate) fn layer(&self) -> Result<&[f32]> {
        self.run.output("layer")?.as_f32()
    }
    /// What picture `i` was chosen for in the last run: the objective, and the largest value at any place.
    pub(crate) fn said(&self, i: usize, unit: usize, at: Option<usize>) -> Result<(f32, f32)> {
        let area = self.area();
        let map = &self.layer()?[(i * self.shape[0] + unit) * area..][..area];
        let mean = map.iter().map(|&v| f64::from(v)).sum::<f64>() / area as f64;
        let most = map.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        Ok(at.map_or((mean as f32, most), |at| (map[at], map[at])))
    }
}

/// Whether a node gives exactly zero for a whole range of inputs, and otherwise passes gradients on.
fn silences(node: &Node) -> bool {
    let exact = node.op::<UnaryMap>().is_some_and(|u| u.f == Unary::Relu) || node.op::<Clip>().is_some();
    exact && rectifies(node)
}

/// The numbers of a tensor that was made of floats.
pub(crate) fn numbers(t: &mut Tensor) -> &mut [f32] {
    match t.data_mut() {
        Data::F32(v) => v,
        _ => &mut [],
    }
}

/// The error of a unit that does not exist.
pub(crate) fn no_unit(layer: &Layer, unit: usize) -> Error {
    let rule = Rule::new(format!("unit {unit} of a layer of {}", layer.shape[0]));
    Error::new(&layer.name, rule.right(format!("0 to {}", layer.shape[0].saturating_sub(1))))
}
