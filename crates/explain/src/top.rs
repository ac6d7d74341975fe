//! What excites a unit most: the pictures of a data set, the places in them, and the way back from there to the pixels
//! (Zeiler and Fergus 2014, figure 2).

use crate::features::peaks;
use crate::{Backpropagation, Error, Layer, Result, Subject};
use gabor_compile::{Executable, differentiate_with};
use gabor_tensor::{DType, Rule, Shape, Tensor};

/// A place of a picture that excites a unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Excitation {
    /// The unit's value there.
    pub value: f32,
    /// The picture, by its number in the data set.
    pub sample: usize,
    /// Row and column of the layer's map; `[0, 0]` in a vector.
    pub place: [usize; 2],
}

/// The strongest excitations of every unit of a layer, collected batch by batch. A picture counts once for a unit, where
/// its value is largest.
///
/// What is kept does not depend on the order in which pictures come: of equal values those of the first samples stay.
pub struct Strongest {
    subject: Subject,
    run: Box<dyn Executable>,
    layer: Layer,
    count: usize,
    best: Vec<Vec<Excitation>>,
    seen: usize,
}

/// Name of the values of the layer in its graph.
const VALUES: &str = "values";

impl Strongest {
    /// The `count` strongest excitations of each unit of a layer, of no pictures so far.
    ///
    /// # Errors
    /// A count of 0 or beyond 10 000.
    pub fn new(subject: &Subject, layer: &Layer, count: usize) -> Result<Self> {
        if count == 0 || count > 10_000 {
            let rule = Rule::new(format!("{count} patches for a unit")).right("1 to 10000");
            return Err(Error::new("count", rule));
        }
        let mut graph = subject.graph().clone();
        graph.clear_outputs();
        graph.output(VALUES, layer.value);
        let (run, best) = (subject.compile(graph)?, vec![Vec::new(); layer.units()]);
        Ok(Strongest { subject: subject.clone(), run, layer: layer.clone(), count, best, seen: 0 })
    }
    /// Looks at prepared pictures `[n, c, h, w]`, which are these samples of the data set.
    ///
    /// # Errors
    /// Pictures of another shape, or another number of samples.
    pub fn push(&mut self, images: &Tensor, samples: &[usize]) -> Result<()> {
        let n = images.shape().first().copied().unwrap_or(0);
        if n != samples.len() || n == 0 {
            let rule = Rule::new(format!("{n} pictures for {} samples", samples.len()));
            return Err(Error::new(self.subject.images_name(), rule.right("as many")));
        }
        let Strongest { subject, run, layer, best, count, .. } = self;
        let (units, places) = (layer.units(), layer.places());
        subject.run_parts(&mut **run, images, &mut |run, which| {
            let values = run.output(VALUES)?.as_f32()?;
            for (i, peak) in peaks(values, places).enumerate().take(which.len() * units) {
                let best = &mut best[i % units];
                let new = Excitation { value: peak.value, sample: samples[which.start + i / units], place: peak.place };
                // Not a number anywhere: nothing to show.
                if new.value == f32::NEG_INFINITY {
                    continue;
                }
                let at = best.partition_point(|e| {
                    e.value.total_cmp(&new.value).then(new.sample.cmp(&e.sample)) == std::cmp::Ordering::Greater
                });
                if at < *count {
                    best.truncate(*count - 1);
                    best.insert(at, new);
                }
            }
            Ok(())
        })?;
        self.seen += n;
        Ok(())
    }
    /// How many pictures it has looked at.
    pub fn seen(&self) -> usize {
        self.seen
    }
    /// The strongest excitations of a unit, the strongest first.
    pub fn of(&self, unit: usize) -> &[Excitation] {
        self.best.get(unit).map_or(&[], Vec::as_slice)
    }
    /// Whether no picture brings a unit above 0.
    pub fn is_dead(&self, unit: usize) -> bool {
        self.of(unit).first().is_none_or(|e| e.value <= 0.0)
    }
    /// How many units no picture brings above 0.
    pub fn dead(&self) -> usize {
        (0..self.best.len()).filter(|&u| self.is_dead(u)).count()
    }
    /// The `count` units with the largest values, the largest first; of equals the first.
    pub fn strongest(&self, count: usize) -> Vec<usize> {
        let peak = |u: usize| self.of(u).first().map_or(f32::NEG_INFINITY, |e| e.value);
        let mut order: Vec<usize> = (0..self.best.len()).collect();
        order.sort_by(|&a, &b| peak(b).total_cmp(&peak(a)).then(a.cmp(&b)));
        order.truncate(count);
        order
    }
}

/// One activation that is followed back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// The unit.
    pub unit: usize,
    /// Row and column of its map.
    pub place: [usize; 2],
    /// What is sent back from there: the activation itself for the deconvnet, 1 for a gradient.
    pub value: f32,
}

/// The way back from single activations of a layer to the pixels. Compiled once, for any units and places.
///
/// With [`Backpropagation::Deconvnet`] this is Zeiler and Fergus's: max pooling is undone by the switches of the way
/// forward, filters are transposed, and what comes back at a rectifier is rectified.
pub struct Projector {
    run: Box<dyn Executable>,
    images: String,
    layer: Layer,
}

/// Names of the input that says where the ways begin, and of what they lead to.
const START: &str = "explain.start";
const PIXELS: &str = "pixels";

impl Projector {
    /// The way back from a layer by a rule.
    ///
    /// # Errors
    /// A layer that does not depend on the pictures differentiably.
    pub fn new(subject: &Subject, layer: &Layer, how: Backpropagation) -> Result<Self> {
        let mut graph = subject.graph().clone();
        graph.clear_outputs();
        let seed = graph.input(START, Shape::batch(&layer.shape), DType::F32)?;
        let images = subject.images();
        let back = differentiate_with(&mut graph, &[(layer.value, seed)], &[images], &|n, cx| how.rule(n, cx))?;
        let pixels = match back.first() {
            Some(&Some(d)) => d,
            _ => graph.zeros_like(images)?,
        };
        graph.output(PIXELS, pixels);
        let run = subject.compile(graph)?;
        Ok(Projector { run, images: subject.images_name().to_string(), layer: layer.clone() })
    }
    /// Follows one activation of each of the prepared pictures `[n, c, h, w]` back: `[n, c, h, w]`.
    ///
    /// # Errors
    /// Pictures of another shape, another number of starts, a unit or place that the layer does not have.
    pub fn project(&mut self, images: &Tensor, starts: &[Start]) -> Result<&[f32]> {
        let n = images.shape().first().copied().unwrap_or(0);
        let ([h, w], units) = (self.layer.places(), self.layer.units());
        let fits = |s: &&Start| s.unit >= units || s.place[0] >= h || s.place[1] >= w;
        if n != starts.len() || starts.iter().any(|s| fits(&s)) {
            let rule = Rule::new(format!("{} starts {starts:?} in {n} pictures", starts.len()));
            return Err(Error::new(
                &self.layer.name,
                rule.right(format!("one a picture, within {}", self.layer.extents())),
            ));
        }
        let mut seed = vec![0.0; n * units * h * w];
        for (s, own) in starts.iter().zip(seed.chunks_exact_mut(units * h * w)) {
            own[(s.unit * h + s.place[0]) * w + s.place[1]] = s.value;
        }
        let shape: Vec<usize> = [n].iter().chain(&self.layer.shape).copied().collect();
        let seed = Tensor::f32(&shape, seed).map_err(|r| Error::new(START, r))?;
        self.run.run(0, n, &[(&self.images, images), (START, &seed)])?;
        self.run.output(PIXELS)?.as_f32()
    }
}
