//! The range test of learning rates (Smith 2017): a short training in which the rate grows until the loss does.

use super::steps::{Inputs, KEY};
use super::{Run, RunOptions};
use crate::setup::Setup;
use crate::step::{LABELS, decay_at};
use crate::{Error, Event, Result, Sink};
use gabor_compile::Backend;
use gabor_tensor::Rule;
use serde::Serialize;
use std::sync::atomic::Ordering;

/// How the rate grows: from `from` to `to`, by the same factor from step to step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeTest {
    /// The first learning rate.
    pub from: f64,
    /// The last one.
    pub to: f64,
    /// Steps, at least ten; the training set is gone through again where it has fewer.
    pub steps: usize,
}

impl Default for RangeTest {
    fn default() -> Self {
        RangeTest { from: 1e-7, to: 10.0, steps: 100 }
    }
}

/// A step of the test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RangePoint {
    /// The learning rate.
    pub lr: f64,
    /// The loss of the batch before the step.
    pub loss: f64,
    /// The loss averaged over the neighbours, the nearest the most.
    pub smoothed: f64,
}

/// What the test found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RangeCurve {
    /// The steps that were taken.
    pub points: Vec<RangePoint>,
    /// Whether it ended because the loss grew beyond measure.
    pub diverged: bool,
    /// The rate at which the smoothed loss falls fastest; none where it never falls.
    pub steepest: Option<f64>,
    /// A tenth of the rate at which the smoothed loss is lowest; none where it is lowest at the very beginning.
    pub minimum_tenth: Option<f64>,
}

/// A loss of so many times the lowest one ends the test.
const DIVERGED: f64 = 4.0;
/// Weight of what was before in the running mean that decides so.
const RUNNING: f64 = 0.9;

/// Runs the test from fresh (or given) weights; nothing is written. Of a training that begins with the head alone, it is
/// that phase which is tested. Events tell of the steps.
///
/// # Errors
/// Rates that do not grow, an optimiser without steps of one batch, data that cannot be read.
pub fn range_test(
    setup: &Setup,
    backend: &dyn Backend,
    options: RunOptions<'_>,
    range: RangeTest,
    sink: &mut dyn Sink,
) -> Result<RangeCurve> {
    let RangeTest { from, to, steps } = range;
    if !(from > 0.0 && to > from && to.is_finite()) {
        let rule = Rule::new(format!("rates from {from} to {to}")).right("two positive numbers, the second larger");
        return Err(Error::new("range of learning rates", rule));
    }
    if !(10..=100_000).contains(&steps) {
        let rule = Rule::new(format!("{steps} steps")).right("a number from 10 to 100000");
        return Err(Error::new("range of learning rates", rule));
    }
    if setup.config.is_lbfgs() {
        let rule = Rule::new("lbfgs takes steps on the whole set and chooses their length itself");
        return Err(Error::new("key `optimiser`", rule.right("another optimiser")));
    }
    let mut run = Run::begin(setup, backend, RunOptions { directory: None, ..options }, sink)?;
    run.test_range(range)
}

impl Run<'_> {
    fn test_range(&mut self, range: RangeTest) -> Result<RangeCurve> {
        let parts = self.setup.config.grad_accum as u64;
        let (batch, seed) = (self.setup.config.batch_size(), self.setup.config.seed);
        let samples = self.setup.epoch_samples()?;
        let (whole, partial) = self.step_entries();
        let whole = whole.of(&self.program)?;
        let partial = if parts > 1 { partial.of(&self.program)? } else { whole };
        let ema = self.step_options.ema;
        let has_key = self.forward.graph.find(KEY).is_some();
        let mut inputs = Inputs::new(&*self.step_options.optimiser, has_key, ema.is_some());
        let loader = self.setup.training_loader()?;
        let (mut seen_points, mut diverged) = (Vec::new(), false);
        let (mut mean, mut lowest) = (0.0, f64::INFINITY);
        let (mut epoch, mut step) = (0u32, 0usize);
        while step < range.steps && !diverged {
            let mut batches = loader.epoch(epoch, 0);
            let mut done = 0;
            while done < samples && step < range.steps && !diverged {
                if self.stop.is_some_and(|s| s.load(Ordering::Relaxed)) {
                    return Ok(curve(&seen_points, false));
                }
                let lr = rate(range, step);
                inputs.scalars.set(&*self.step_options.optimiser, step as u64 + 1, lr);
                if let Some(decay) = ema {
                    inputs.set_pull(1.0 - decay_at(decay, step as u64));
                }
                let count = batch.min(samples - done);
                let (mut loss, mut seen, mut part) = (0.0, 0, 0);
                while seen < count {
                    let Some(images) = batches.next() else { break };
                    let images = images?;
                    let n = images.indices.len();
                    seen += n;
                    let share = n as f64 / count as f64;
                    inputs.set_share(share);
                    inputs.set_key(seed, step as u64 * parts + part);
                    let last = seen == count;
                    self.executable.run(
                        if last { whole } else { partial },
                        n,
                        &inputs.list(&images, parts > 1, last),
                    )?;
                    loss += share * f64::from(self.executable.output("loss")?.scalar()?);
                    batches.recycle(images);
                    part += 1;
                }
                if seen < count {
                    return Err(Error::new(
                        LABELS,
                        Rule::new(format!("the epoch ended after {} samples", done + seen)),
                    ));
                }
                done += count;
                step += 1;
                mean = RUNNING * mean + (1.0 - RUNNING) * loss;
                // Without the part of the zero that it began with.
                let unbiased = mean / (1.0 - libm::pow(RUNNING, step as f64));
                diverged = !unbiased.is_finite() || step > 1 && unbiased > DIVERGED * lowest;
                lowest = lowest.min(unbiased);
                if loss.is_finite() {
                    seen_points.push((lr, loss));
                }
                self.sink.event(&Event::Step {
                    epoch: u64::from(epoch),
                    step: step as u64,
                    step_in_epoch: step as u64,
                    steps_per_epoch: range.steps as u64,
                    loss,
                    top1: 0.0,
                    lr,
                    gradient_norm: f64::from(self.executable.output("gradient_norm")?.scalar()?),
                    images_per_second: 0.0,
                })?;
            }
            epoch += 1;
        }
        Ok(curve(&seen_points, diverged))
    }
}

fn rate(range: RangeTest, step: usize) -> f64 {
    range.from * libm::pow(range.to / range.from, step as f64 / (range.steps - 1) as f64)
}

/// Smooths the losses and looks for the marks.
fn curve(points: &[(f64, f64)], diverged: bool) -> RangeCurve {
    // Centred weights, so that the curve does not lag behind the rate.
    let reach = (points.len() / 20).max(2) as i64;
    let smoothed = |at: usize| {
        let near = (-reach..=reach).filter_map(|d| {
            let i = usize::try_from(at as i64 + d).ok().filter(|&i| i < points.len())?;
            Some((points[i].1, (reach + 1 - d.abs()) as f64))
        });
        let (sum, weight) = near.fold((0.0, 0.0), |(s, w), (loss, k)| (s + k * loss, w + k));
        sum / weight
    };
    let points: Vec<RangePoint> =
        points.iter().enumerate().map(|(i, &(lr, loss))| RangePoint { lr, loss, smoothed: smoothed(i) }).collect();
    let lowest = (0..points.len()).min_by(|&a, &b| points[a].smoothed.total_cmp(&points[b].smoothed)).unwrap_or(0);
    // The slope over the logarithm of the rate, on the way down to the lowest loss.
    let slope = |i: usize| {
        let (a, b) = (&points[i - 1], &points[i + 1]);
        (b.smoothed - a.smoothed) / (b.lr.ln() - a.lr.ln())
    };
    let steepest = (1..lowest.min(points.len().saturating_sub(1)))
        .map(|i| (slope(i), i))
        .filter(|(s, _)| *s < 0.0)
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, i)| points[i].lr);
    let minimum_tenth = (lowest > 0).then(|| points[lowest].lr / 10.0);
    RangeCurve { points, diverged, steepest, minimum_tenth }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_stand_where_the_curve_says() {
        let range = RangeTest { from: 1e-6, to: 1.0, steps: 121 };
        // A loss that falls from 2 to 1 around 10⁻³ and rises beyond 10⁻¹·⁵: σ is the logistic function.
        let sigma = |x: f64| 1.0 / (1.0 + (-x).exp());
        let loss = |lr: f64| 2.0 - sigma(4.0 * (lr.log10() + 3.0)) + 8.0 * sigma(6.0 * (lr.log10() + 1.0));
        let points: Vec<(f64, f64)> = (0..121).map(|i| (rate(range, i), loss(rate(range, i)))).collect();
        assert!((points[0].0 - 1e-6).abs() < 1e-18 && (points[120].0 - 1.0).abs() < 1e-12);
        let c = curve(&points, true);
        assert!((c.steepest.unwrap().log10() + 3.0).abs() < 0.11, "{:?}", c.steepest);
        let lowest = points.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0;
        assert!((c.minimum_tenth.unwrap().log10() + 1.0 - lowest.log10()).abs() < 0.16, "{:?}", c.minimum_tenth);
        // A loss that only grows has no marks.
        let rising: Vec<(f64, f64)> = (0..50).map(|i| (rate(range, i), 1.0 + i as f64)).collect();
        let c = curve(&rising, true);
        assert_eq!((c.steepest, c.minimum_tenth), (None, None));
        assert_eq!(curve(&[], true).points.len(), 0);
    }
}
