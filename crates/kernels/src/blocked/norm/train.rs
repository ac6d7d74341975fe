//! Batch normalisation in training.

use super::channels::{COEFFICIENTS, Channels, Direction, Run};
use crate::blocked::Blocked;
use crate::blocked::layout::LANES;
use crate::norm::Statistics;
use crate::simd::Simd16;
use crate::{Isa, SharedMut, Work};

/// The inputs of [`BlockedBatchNormKernel`]. Addresses, for an output may lie over an input of its length.
#[derive(Clone, Copy, Debug)]
pub struct BlockedBatchNormInputs {
    /// The input, blocked.
    pub x: *const f32,
    /// Scale, `[c]`.
    pub gamma: *const f32,
    /// Shift, `[c]`.
    pub beta: *const f32,
    /// Running mean before this batch, `[c]`.
    pub running_mean: *const f32,
    /// Running variance before this batch, `[c]`.
    pub running_var: *const f32,
    /// Another summand of the result, blocked: the shortcut of a residual block.
    pub add: Option<*const f32>,
}

/// The outputs of [`BlockedBatchNormKernel`]; everything but `y` is `[c]`.
#[derive(Clone, Copy, Debug)]
pub struct BlockedBatchNormOutputs<'a> {
    /// The result, blocked.
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

/// A prepared batch normalisation of a blocked tensor, as
/// [`reference::batch_norm_train`](crate::reference::batch_norm_train) defines it, then the other summand, then the
/// rectifier `min(max(v, 0), limit)`.
///
/// The statistics are sums about the mean of a sample: 32 pixels at a time in single precision, these in double.
#[derive(Clone, Debug)]
pub struct BlockedBatchNormKernel {
    channels: Channels,
    eps: f64,
    momentum: f64,
    rectifier: Option<f32>,
}

impl BlockedBatchNormKernel {
    /// Prepares the normalisation of a tensor; `eps` is added to the variance, `momentum` is the weight of the batch in
    /// the running statistics, `rectifier` is the limit of a rectifier, if there is one: infinity but for ReLU6.
    pub fn new(extents: Blocked, eps: f64, momentum: f64, rectifier: Option<f32>, isa: Isa) -> Self {
        BlockedBatchNormKernel { channels: Channels::new(extents, isa), eps, momentum, rectifier }
    }
    /// Runs one task of one phase. An output may be the very memory of an input of its length.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch the
    /// outputs and `workspace` meanwhile. The inputs are valid for as many elements as their extents say.
    ///
    /// # Panics
    /// If an output or the workspace is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        inputs: BlockedBatchNormInputs,
        outputs: BlockedBatchNormOutputs<'_>,
        workspace: SharedMut<'_, f32>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            let limited = self.rectifier.is_some_and(f32::is_finite);
            match (inputs.add.is_some(), self.rectifier.is_some(), limited) {
                (false, false, _) => self.with::<false, false, false>(phase, task, inputs, outputs, workspace),
                (false, true, false) => self.with::<false, true, false>(phase, task, inputs, outputs, workspace),
                (false, true, true) => self.with::<false, true, true>(phase, task, inputs, outputs, workspace),
                (true, false, _) => self.with::<true, false, false>(phase, task, inputs, outputs, workspace),
                (true, true, false) => self.with::<true, true, false>(phase, task, inputs, outputs, workspace),
                (true, true, true) => self.with::<true, true, true>(phase, task, inputs, outputs, workspace),
            }
        }
    }
    unsafe fn with<const ADD: bool, const RELU: bool, const LIMITED: bool>(
        &self,
        phase: usize,
        task: usize,
        inputs: BlockedBatchNormInputs,
        outputs: BlockedBatchNormOutputs<'_>,
        workspace: SharedMut<'_, f32>,
    ) {
        let e = self.channels.extents();
        assert!(outputs.y.len() >= e.len());
        let vectors = [outputs.mean, outputs.inv_std, outputs.new_running_mean, outputs.new_running_var];
        assert!(vectors.iter().all(|v| v.len() >= e.c));
        let direction = Forward::<ADD, RELU, LIMITED> {
            e,
            eps: self.eps,
            momentum: self.momentum,
            limit: self.rectifier.unwrap_or(f32::INFINITY),
            inputs,
            y: outputs.y.as_ptr(),
            vectors,
        };
        // SAFETY: the caller's promise.
        unsafe { Run { plan: &self.channels, phase, task, workspace, direction }.start() }
    }
}

impl Work for BlockedBatchNormKernel {
    fn phases(&self) -> &[usize] {
        &self.channels.phases
    }
    fn workspace_len(&self) -> usize {
        self.channels.workspace_len()
    }
}

struct Forward<'a, const ADD: bool, const RELU: bool, const LIMITED: bool> {
    e: Blocked,
    eps: f64,
    momentum: f64,
    limit: f32,
    inputs: BlockedBatchNormInputs,
    y: *mut f32,
    /// Mean, 1/√(variance + eps), running mean and variance.
    vectors: [SharedMut<'a, f32>; 4],
}

impl<const ADD: bool, const RELU: bool, const LIMITED: bool> Direction for Forward<'_, ADD, RELU, LIMITED> {
    /// The mean of 16 pixels from everywhere: near the mean of all, so that the sums about it cancel little; and exactly
    /// the value of a channel that has only one.
    #[inline(always)]
    unsafe fn before(&self, block: usize, lanes: usize) -> [[f32; LANES]; COEFFICIENTS] {
        const SAMPLE: usize = 16;
        let (e, mut about) = (&self.e, [0.0; LANES]);
        let some = if e.is_empty() { 0 } else { lanes };
        for (l, about) in about.iter_mut().enumerate().take(some) {
            let pixels = std::array::from_fn::<f32, SAMPLE, _>(|i| {
                let at = i * (e.n * e.plane) / SAMPLE;
                // SAFETY: a pixel of the tensor.
                unsafe { *self.inputs.x.add(e.start(at / e.plane, block) + at % e.plane * LANES + l) }
            });
            *about = crate::simd::tree(pixels, |a, b| a + b) / SAMPLE as f32;
        }
        [about, [0.0; LANES], [0.0; LANES], [0.0; LANES], [0.0; LANES]]
    }
    #[inline(always)]
    unsafe fn terms<S: Simd16>(&self, at: usize, c: &[S::V; COEFFICIENTS]) -> (S::V, S::V) {
        // SAFETY: the caller's promise.
        unsafe {
            let d = S::sub(S::load(self.inputs.x.add(at)), c[0]);
            (d, d)
        }
    }
    #[inline(always)]
    unsafe fn finish(&self, c: usize, before: [f32; COEFFICIENTS], sums: [f64; 2]) -> [f32; COEFFICIENTS] {
        let i = &self.inputs;
        // SAFETY: vectors of `c` numbers; everything is read before anything is written.
        unsafe {
            let count = (self.e.n * self.e.plane) as f64;
            let s = Statistics::new(before[0], sums, count, self.eps);
            let (gamma, beta) = (*i.gamma.add(c), *i.beta.add(c));
            let running = s.running(self.momentum, *i.running_mean.add(c), *i.running_var.add(c));
            for (to, v) in self.vectors.iter().zip([s.mean, s.inv_std, running[0], running[1]]) {
                *to.as_ptr().add(c) = v as f32;
            }
            let high = s.mean as f32;
            [high, (s.mean - f64::from(high)) as f32, (s.inv_std * f64::from(gamma)) as f32, beta, 0.0]
        }
    }
    #[inline(always)]
    fn result(&self) -> (*mut f32, bool) {
        let y = self.y.cast_const();
        (self.y, y == self.inputs.x || Some(y) == self.inputs.add)
    }
    #[inline(always)]
    unsafe fn apply<S: Simd16>(&self, at: usize, c: &[S::V; COEFFICIENTS]) -> S::V {
        let [high, low, factor, beta, _] = *c;
        // SAFETY: the caller's promise.
        unsafe {
            let centred = S::sub(S::sub(S::load(self.inputs.x.add(at)), high), low);
            let mut v = S::fma(centred, factor, beta);
            if ADD && let Some(add) = self.inputs.add {
                v = S::add(v, S::load(add.add(at)));
            }
            // `max` and `min` give their second argument where one is NaN, so a NaN stays.
            if RELU {
                v = S::max(S::zero(), v);
            }
            if LIMITED { S::min(S::splat(self.limit), v) } else { v }
        }
    }
}
