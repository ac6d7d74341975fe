//! The world's smallest network, ŷ = wx, with every number of its training.

use super::{RateSchedule, Walker, spaced};
use crate::Result;
use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_report::{DescentCurve, DescentStep, short};
use gabor_tensor::{DType, Shape, Tensor, Unary};
use gabor_train::optimiser::Descent;

/// The lecture's samples (x, y).
pub const LECTURE: [[f64; 2]; 4] = [[10.0, 10.1], [2.0, 1.9], [3.5, 3.4], [1.0, 1.1]];

/// One update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// From 1.
    pub step: usize,
    /// The sample; none where all are taken together.
    pub sample: Option<[f64; 2]>,
    /// w before.
    pub before: f64,
    /// ŷ of the sample.
    pub predicted: Option<f64>,
    /// ½(y − ŷ)², of all samples their sum.
    pub loss: f64,
    /// dL/dw = −(y − ŷ)x.
    pub gradient: f64,
    /// The learning rate of the step.
    pub rate: f64,
    /// w after.
    pub after: f64,
    /// The loss of all samples after it.
    pub total: f64,
}

/// A training of ŷ = wx.
#[derive(Clone, Debug, PartialEq)]
pub struct Perceptron {
    /// Its samples (x, y).
    pub samples: Vec<[f64; 2]>,
    /// w at the beginning.
    pub start: f64,
    /// The w of least squares, Σxy / Σx².
    pub least_squares: f64,
    /// The loss there.
    pub least_loss: f64,
    /// The largest constant rate at which descent on all samples comes nearer: 2 / Σx².
    pub limit: f64,
    /// Every update.
    pub steps: Vec<Step>,
}

/// How a perceptron is trained.
pub struct Training<'a> {
    /// Samples (x, y).
    pub samples: &'a [[f64; 2]],
    /// w at the beginning.
    pub start: f64,
    /// The optimiser.
    pub walker: &'a Walker,
    /// Its learning rate.
    pub rate: (f64, RateSchedule),
    /// Updates.
    pub steps: usize,
    /// Whether every update takes all samples, and not one after the other.
    pub together: bool,
}

/// A number as tables show it; what has run away, short.
fn fixed(v: f64, digits: usize) -> String {
    if v.abs() < 1e5 { format!("{v:.digits$}").replace('-', "−") } else { short(v) }
}

/// Farther out than this many times the start's distance the training has gone wild.
const WILD: f64 = 1e6;

impl Perceptron {
    /// Trains ŷ = wx: the loss and its derivative come from a graph, the update from the optimiser's.
    ///
    /// # Errors
    /// No samples, or none with x other than 0; what goes wrong in computing.
    pub fn train(backend: &dyn Backend, t: &Training<'_>) -> Result<Self> {
        let sum = |f: &dyn Fn(&[f64; 2]) -> f64| t.samples.iter().map(f).sum::<f64>();
        let squares = sum(&|s| s[0] * s[0]);
        if squares.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
            let rule =
                gabor_tensor::Rule::new("samples that say nothing of w").right("at least one with x other than 0");
            return Err(rule.into());
        }
        let least_squares = sum(&|s| s[0] * s[1]) / squares;
        let loss = |w: f64| 0.5 * sum(&|s| (s[1] - w * s[0]) * (s[1] - w * s[0]));
        let mut network = network(backend)?;
        let mut descent = Descent::new(backend, t.walker.optimiser.clone(), &[t.start as f32])?;
        let mut w = f64::from(t.start as f32);
        let mut steps = Vec::new();
        for step in 1..=t.steps {
            let one = [t.samples[(step - 1) % t.samples.len()]];
            let seen = if t.together { t.samples } else { &one };
            let (predicted, own, gradient) = forward(&mut *network, seen, w)?;
            let rate = t.rate.1.at(t.rate.0, step);
            let after = f64::from(descent.step(&[gradient as f32], rate)?[0]);
            let sample = (!t.together).then_some(one[0]);
            let predicted = (!t.together).then_some(predicted);
            steps.push(Step {
                step,
                sample,
                before: w,
                predicted,
                loss: own,
                gradient,
                rate,
                after,
                total: loss(after),
            });
            w = after;
            // What runs away is seen after few steps; the numbers beyond say no more.
            if !loss(w).is_finite() || w.abs() > WILD * (1.0 + t.start.abs() + least_squares.abs()) {
                break;
            }
        }
        let (samples, least_loss, limit) = (t.samples.to_vec(), loss(least_squares), 2.0 / squares);
        Ok(Perceptron { samples, start: t.start, least_squares, least_loss, limit, steps })
    }
    /// That the training ran away, in words; `None` of one that did not.
    pub fn diverged(&self) -> Option<String> {
        let (first, last) = (self.steps.first()?, self.steps.last()?);
        let off = |w: f64| (w - self.least_squares).abs();
        let begun = off(self.start).max(0.1);
        let wild = !last.total.is_finite() || off(last.after) > WILD * begun;
        // Farther off than ever, and farther at the end than halfway.
        let half = &self.steps[self.steps.len() / 2];
        let most = self.steps.iter().map(|s| off(s.after)).fold(0.0, f64::max);
        let away = off(last.after) >= most && off(last.after) > 2.0 * begun && off(last.after) > 2.0 * off(half.after);
        (wild || away).then(|| {
            format!(
                "it diverges: w is {} after {} steps, and the loss of all samples {} (at first {})",
                short(last.after),
                self.steps.len(),
                short(last.total),
                short(first.total)
            )
        })
    }
    /// The loss of all samples.
    pub fn loss(&self, w: f64) -> f64 {
        0.5 * self.samples.iter().map(|s| (s[1] - w * s[0]) * (s[1] - w * s[0])).sum::<f64>()
    }
    /// The picture as plain data.
    pub fn curve(&self, title: &str, subtitle: &str) -> DescentCurve {
        let begun = self.start;
        let all = self.steps.iter().map(|s| s.after).chain([begun, self.least_squares]);
        // A training that runs away shows its first steps.
        let reach = 3.0 * (begun - self.least_squares).abs().max(0.1);
        let near = all.filter(|w| (w - self.least_squares).abs() <= reach);
        let (low, high) = near.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), w| (a.min(w), b.max(w)));
        let low = low.min(2.0 * self.least_squares - high);
        let high = high.max(2.0 * self.least_squares - low);
        let margin = 0.08 * (high - low).max(0.1);
        let curve = spaced([low - margin, high + margin], 161).into_iter().map(|w| (w, self.loss(w))).collect();
        let step = |s: &Step| DescentStep {
            at: (s.after, s.total),
            row: vec![
                s.step.to_string(),
                s.sample.map_or("all".into(), |p| format!("({}, {})", p[0], p[1])),
                s.predicted.map_or("–".into(), |p| fixed(p, 4)),
                fixed(s.loss, 4),
                fixed(s.gradient, 4),
                fixed(s.after, 5),
            ],
        };
        DescentCurve {
            title: title.into(),
            subtitle: subtitle.into(),
            axes: ["w".into(), "L(w)".into()],
            curve,
            start: (begun, self.loss(begun)),
            least: (self.least_squares, self.least_loss),
            head: ["step", "(x, y)", "ŷ", "loss", "dL/dw", "w"].map(String::from).to_vec(),
            steps: self.steps.iter().map(step).collect(),
        }
    }
}

/// ŷ = wx with Σ½(y − ŷ)² and its derivative by w.
fn network(backend: &dyn Backend) -> Result<Box<dyn Executable>> {
    let mut g = Graph::new("perceptron");
    let x = g.input("x", Shape::batch(&[1]), DType::F32)?;
    let y = g.input("y", Shape::batch(&[1]), DType::F32)?;
    let w = g.parameter("w", &[1, 1], Parameter::weight(Initializer::Zeros))?;
    let predicted = g.matmul(x, w, false, true)?;
    let off = g.sub(y, predicted)?;
    let square = g.unary(Unary::Square, off)?;
    let total = g.sum_all(square)?;
    let loss = g.scale(total, 0.5)?;
    let slope = differentiate(&mut g, loss, &[w])?;
    g.output("predicted", predicted);
    g.output("loss", loss);
    if let Some(slope) = slope[0] {
        g.output("gradient", slope);
    }
    Ok(backend.compile(
        &Program::single("perceptron", g.validate()?),
        &CompileOptions { strict: true, ..Default::default() },
    )?)
}

/// (ŷ of the first sample, loss, gradient).
fn forward(run: &mut dyn Executable, samples: &[[f64; 2]], w: f64) -> Result<(f64, f64, f64)> {
    let n = samples.len();
    let column = |c: usize| Tensor::f32(&[n, 1], samples.iter().map(|s| s[c] as f32).collect());
    let (x, y) = (column(0)?, column(1)?);
    run.write("w", &Tensor::f32(&[1, 1], vec![w as f32])?)?;
    run.run(0, n, &[("x", &x), ("y", &y)])?;
    let read = |name: &str| -> Result<f64> { Ok(f64::from(run.output(name)?.as_f32()?[0])) };
    Ok((read("predicted")?, read("loss")?, read("gradient")?))
}
