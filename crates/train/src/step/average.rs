//! Averages of the weights.

use super::StepOptions;
use crate::Result;
use crate::optimiser::PREFIX;
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Shape};

/// Name of the input of shape `[]` by which averages move towards the weights: 1 − decay of the step.
pub const PULL: &str = "optimiser.ema_pull";

/// The name of a parameter's average.
pub fn averaged(parameter: &str) -> String {
    format!("{PREFIX}.ema.{parameter}")
}

/// The decay at step `t` (from 0): at most `decay`, less in the beginning so that the first weights are soon forgotten:
/// min(decay, (1 + t) / (10 + t)), as TensorFlow and timm warm it up.
pub fn decay_at(decay: f64, t: u64) -> f64 {
    decay.min((1 + t) as f64 / (10 + t) as f64)
}

/// Moves the average of everything that this step changes, running statistics too: e ← e + (1 − decay)·(w − e).
pub(super) fn add(g: &mut Graph, options: &StepOptions) -> Result<()> {
    if options.ema.is_none() {
        return Ok(());
    }
    let pull = g.input(PULL, Shape::scalar(), DType::F32)?;
    for (parameter, new) in g.updates().to_vec() {
        let name = g.value(parameter).name.clone();
        if name.starts_with(PREFIX) {
            continue;
        }
        g.scope(format!("average.{name}"));
        let shape = g.shape(parameter).known().unwrap_or_default();
        let average = g.parameter(&averaged(&name), &shape, Parameter::state(Initializer::Zeros))?;
        let way = g.sub(new, average)?;
        let part = g.mul(way, pull)?;
        let moved = g.add(average, part)?;
        g.update(average, moved)?;
    }
    Ok(())
}
