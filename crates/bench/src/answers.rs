//! What a workload is given and what it answers, so that other programs can show that they compute the same.

use crate::case::{SEED, build, weighted};
use crate::workload::Workload;
use gabor_compile::{Backend, Error, Recompute, Result};
use gabor_nets::initial_values;
use gabor_tensor::{Rule, Tensor, Weights};

/// A workload's data.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// The weights that it begins with, under torchvision's names.
    pub weights: Weights,
    /// Its inputs and its outputs by their names; of a training the inputs and `losses`, those of the first steps.
    pub data: Weights,
}

/// Runs a workload: once, a training for `steps` steps.
///
/// # Errors
/// As [`measure`](crate::measure).
pub fn answers(workload: &Workload, backend: &dyn Backend, steps: usize) -> Result<Answers> {
    let mut case = build(workload, &[backend], Recompute::None)?;
    let mut runs = std::mem::take(&mut case.runs);
    let run = runs.first_mut().ok_or_else(|| Error::new(workload.name(), Rule::new("nothing was compiled")))?;
    let inputs = case.given();
    let mut data: Weights = case.inputs.iter().cloned().collect();
    if matches!(workload, Workload::Train { .. }) {
        let mut losses = Vec::with_capacity(steps);
        for _ in 0..steps {
            run.run(0, case.n, &inputs)?;
            losses.extend(run.output("loss")?.as_f32()?.iter().copied());
        }
        let losses = Tensor::f32(&[losses.len()], losses).map_err(|rule| Error::new("losses", rule))?;
        data.insert("losses", losses);
    } else {
        run.run(0, case.n, &inputs)?;
        for name in &case.outputs {
            data.insert(name, run.output(name)?.to_tensor());
        }
    }
    Ok(Answers { weights: initial_values(&weighted(workload)?, SEED).collect(), data })
}
