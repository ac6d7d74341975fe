//! Batch normalisation in training, and its gradient.

mod channels;
mod fused;
#[cfg(test)]
mod tests;

use crate::reference::BatchNorm;
use crate::{Isa, SharedMut, Work};
use channels::{Affine, Channels, Finish, Run};
pub use fused::{FusedBatchNormGradKernel, FusedBatchNormKernel, Rectified};

/// The outputs of [`BatchNormKernel`]; everything but `y` is `[c]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormOutputs<'a> {
    /// The normalised, scaled and shifted input, `[n, c, s]`.
    pub y: SharedMut<'a, f32>,
    /// Mean of the batch.
    pub mean: SharedMut<'a, f32>,
    /// `1/√(variance + eps)`, the biased variance of the batch.
    pub inv_std: SharedMut<'a, f32>,
    /// Running mean after this batch.
    pub new_running_mean: SharedMut<'a, f32>,
    /// Running variance after this batch.
    pub new_running_var: SharedMut<'a, f32>,
}

/// The inputs of [`BatchNormKernel`]; everything but `x` is `[c]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormInputs<'a> {
    /// The input, `[n, c, s]`.
    pub x: &'a [f32],
    /// Scale.
    pub gamma: &'a [f32],
    /// Shift.
    pub beta: &'a [f32],
    /// Running mean before this batch.
    pub running_mean: &'a [f32],
    /// Running variance before this batch.
    pub running_var: &'a [f32],
}

/// A prepared batch normalisation, as [`reference::batch_norm_train`](crate::reference::batch_norm_train) defines it.
///
/// The statistics are sums in double precision about the first element of the channel, in one pass; where there are
/// channels enough, the same task then normalises what is still in its cache.
#[derive(Clone, Debug)]
pub struct BatchNormKernel(Channels);

impl BatchNormKernel {
    /// Prepares a normalisation of `[n, c, s]`.
    pub fn new(p: BatchNorm, isa: Isa) -> Self {
        BatchNormKernel(Channels::new(p, isa))
    }
    /// Runs one task of one phase.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch the
    /// outputs and `workspace` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        inputs: BatchNormInputs<'_>,
        outputs: BatchNormOutputs<'_>,
        workspace: SharedMut<'_, f32>,
    ) {
        let finish = Train { p: &self.0.p, inputs, outputs };
        let run = Run::<_, false> {
            plan: &self.0,
            phase,
            task,
            x: inputs.x,
            dy: inputs.x,
            out: outputs.y,
            workspace,
            finish: &finish,
        };
        // SAFETY: the caller's promise.
        unsafe { run.start() }
    }
}

impl Work for BatchNormKernel {
    fn phases(&self) -> &[usize] {
        &self.0.phases
    }
    fn workspace_len(&self) -> usize {
        self.0.workspace_len()
    }
}

/// The statistics of a channel in a batch.
pub(crate) struct Statistics {
    /// Number of elements.
    count: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
    /// The mean.
    pub mean: f64,
    /// `1/√(variance + eps)`, the biased variance.
    pub inv_std: f64,
}

impl Statistics {
    /// Of `count` elements, from their sums `[Σ d, Σ d²]` with `d = x − about`.
    pub(crate) fn new(about: f32, [sum, squares]: [f64; 2], count: f64, eps: f64) -> Self {
        let shift = sum / count;
        let squares = squares - sum * shift;
        // Rounding may leave less than nothing; NaN stays.
        let squares = if squares < 0.0 { 0.0 } else { squares };
        let inv_std = 1.0 / (squares / count + eps).sqrt();
        Statistics { count, squares, mean: f64::from(about) + shift, inv_std }
    }
    /// Running mean and variance after the batch.
    pub(crate) fn running(&self, momentum: f64, mean: f32, var: f32) -> [f64; 2] {
        let unbiased = self.squares / if self.count > 1.0 { self.count - 1.0 } else { self.count };
        let update = |old: f32, new: f64| (1.0 - momentum) * f64::from(old) + momentum * new;
        [update(mean, self.mean), update(var, unbiased)]
    }
}

/// From the sums of a channel to its statistics.
struct Train<'a> {
    p: &'a BatchNorm,
    inputs: BatchNormInputs<'a>,
    outputs: BatchNormOutputs<'a>,
}

impl Finish for Train<'_> {
    fn about(&self, c: usize) -> f32 {
        self.inputs.x.get(c * self.p.s).copied().unwrap_or(0.0)
    }
    unsafe fn finish(&self, c: usize, sums: [f64; 2], write: bool) -> Affine {
        let (p, i, o) = (self.p, &self.inputs, &self.outputs);
        let s = Statistics::new(self.about(c), sums, (p.n * p.s) as f64, p.eps);
        if write {
            let running = s.running(p.momentum, i.running_mean[c], i.running_var[c]);
            let values = [s.mean, s.inv_std, running[0], running[1]];
            for (to, v) in [o.mean, o.inv_std, o.new_running_mean, o.new_running_var].into_iter().zip(values) {
                // SAFETY: one task of a phase writes a channel.
                unsafe { to.part(c, 1)[0] = v as f32 };
            }
        }
        let high = s.mean as f32;
        Affine {
            high,
            low: (s.mean - f64::from(high)) as f32,
            by_dy: 0.0,
            by_x: (s.inv_std * f64::from(i.gamma[c])) as f32,
            plus: i.beta[c],
        }
    }
}

/// The outputs of [`BatchNormGradKernel`].
#[derive(Clone, Copy, Debug)]
pub struct BatchNormGradOutputs<'a> {
    /// Gradient of x, `[n, c, s]`.
    pub dx: SharedMut<'a, f32>,
    /// Gradient of gamma, `[c]`.
    pub dgamma: SharedMut<'a, f32>,
    /// Gradient of beta, `[c]`.
    pub dbeta: SharedMut<'a, f32>,
}

/// The inputs of [`BatchNormGradKernel`].
#[derive(Clone, Copy, Debug)]
pub struct BatchNormGradInputs<'a> {
    /// Gradient of the output, `[n, c, s]`.
    pub dy: &'a [f32],
    /// The input of the normalisation, `[n, c, s]`.
    pub x: &'a [f32],
    /// Scale, `[c]`.
    pub gamma: &'a [f32],
    /// Mean of the batch, `[c]`.
    pub mean: &'a [f32],
    /// `1/√(variance + eps)`, `[c]`.
    pub inv_std: &'a [f32],
}

/// A prepared gradient of batch normalisation, as
/// [`reference::batch_norm_grad`](crate::reference::batch_norm_grad) defines it.
#[derive(Clone, Debug)]
pub struct BatchNormGradKernel(Channels);

impl BatchNormGradKernel {
    /// Prepares the gradient of a normalisation of `[n, c, s]`; `eps` and `momentum` do not matter.
    pub fn new(p: BatchNorm, isa: Isa) -> Self {
        BatchNormGradKernel(Channels::new(p, isa))
    }
    /// Runs one task of one phase.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch the
    /// outputs and `workspace` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        inputs: BatchNormGradInputs<'_>,
        outputs: BatchNormGradOutputs<'_>,
        workspace: SharedMut<'_, f32>,
    ) {
        let finish = Gradient { p: &self.0.p, inputs, outputs };
        let run = Run::<_, true> {
            plan: &self.0,
            phase,
            task,
            x: inputs.x,
            dy: inputs.dy,
            out: outputs.dx,
            workspace,
            finish: &finish,
        };
        // SAFETY: the caller's promise.
        unsafe { run.start() }
    }
}

impl Work for BatchNormGradKernel {
    fn phases(&self) -> &[usize] {
        &self.0.phases
    }
    fn workspace_len(&self) -> usize {
        self.0.workspace_len()
    }
}

/// What the gradient of a channel is made of: `dx = γ·inv_std·(dy − mean_dy + by_x·(x − mean))`.
pub(crate) struct Coefficients {
    /// Gradient of gamma.
    pub dgamma: f64,
    /// Factor of the centred input.
    pub by_x: f32,
    /// Mean of the gradient of the output.
    pub mean_dy: f32,
}

/// From the sums `[Σ dy, Σ dy·(x − mean)]` over `count` elements.
pub(crate) fn gradient_coefficients([sum, product]: [f64; 2], inv_std: f64, count: f64) -> Coefficients {
    let dgamma = product * inv_std;
    Coefficients { dgamma, by_x: (-inv_std * dgamma / count) as f32, mean_dy: (sum / count) as f32 }
}

/// From the sums of a channel to the coefficients of its gradient.
struct Gradient<'a> {
    p: &'a BatchNorm,
    inputs: BatchNormGradInputs<'a>,
    outputs: BatchNormGradOutputs<'a>,
}

impl Finish for Gradient<'_> {
    fn about(&self, c: usize) -> f32 {
        self.inputs.mean[c]
    }
    unsafe fn finish(&self, c: usize, sums: [f64; 2], write: bool) -> Affine {
        let i = &self.inputs;
        let inv_std = f64::from(i.inv_std[c]);
        let g = gradient_coefficients(sums, inv_std, (self.p.n * self.p.s) as f64);
        if write {
            // SAFETY: one task of a phase writes a channel.
            unsafe {
                self.outputs.dbeta.part(c, 1)[0] = sums[0] as f32;
                self.outputs.dgamma.part(c, 1)[0] = g.dgamma as f32;
            }
        }
        Affine {
            high: i.mean[c],
            low: 0.0,
            by_dy: (f64::from(i.gamma[c]) * inv_std) as f32,
            by_x: g.by_x,
            plus: g.mean_dy,
        }
    }
}
