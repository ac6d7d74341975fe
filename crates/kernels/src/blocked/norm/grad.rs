//! The gradient of batch normalisation.

use super::channels::{COEFFICIENTS, Channels, Direction, Run};
use crate::blocked::Blocked;
use crate::blocked::layout::LANES;
use crate::norm::gradient_coefficients;
use crate::simd::Simd16;
use crate::{Isa, SharedMut, Work};

/// How the gradient passes the rectifier that followed the normalisation.
#[derive(Clone, Copy, Debug)]
pub enum BatchNormMask {
    /// There was none.
    None,
    /// It passes where `x̂·γ + β` is positive: of the shift, `[c]`.
    Shift(*const f32),
    /// It passes where the rectifier's output is positive: of that output, blocked. This is the way where there was
    /// another summand, whose gradient is the masked one.
    Output(*const f32),
}

/// The inputs of [`BlockedBatchNormGradKernel`]. Addresses, for an output may lie over an input of its length.
#[derive(Clone, Copy, Debug)]
pub struct BlockedBatchNormGradInputs {
    /// Gradient of the output, blocked.
    pub dy: *const f32,
    /// The input of the normalisation, blocked.
    pub x: *const f32,
    /// Scale, `[c]`.
    pub gamma: *const f32,
    /// Mean of the batch, `[c]`.
    pub mean: *const f32,
    /// `1/√(variance + eps)`, `[c]`.
    pub inv_std: *const f32,
    /// The rectifier.
    pub mask: BatchNormMask,
    /// Its limit: the gradient does not pass where the rectifier's output reaches it. Infinity but for ReLU6.
    pub limit: f32,
}

/// The outputs of [`BlockedBatchNormGradKernel`].
#[derive(Clone, Copy, Debug)]
pub struct BlockedBatchNormGradOutputs<'a> {
    /// Gradient of x, blocked.
    pub dx: SharedMut<'a, f32>,
    /// Gradient of gamma, `[c]`.
    pub dgamma: SharedMut<'a, f32>,
    /// Gradient of beta, `[c]`.
    pub dbeta: SharedMut<'a, f32>,
    /// Gradient of the other summand, blocked, written with [`BatchNormMask::Output`] only.
    pub dadd: Option<SharedMut<'a, f32>>,
}

/// A prepared gradient of the batch normalisation of a blocked tensor, as
/// [`reference::batch_norm_grad`](crate::reference::batch_norm_grad) defines it, from the gradient behind a rectifier.
#[derive(Clone, Debug)]
pub struct BlockedBatchNormGradKernel(Channels);

impl BlockedBatchNormGradKernel {
    /// Prepares the gradient for a tensor.
    pub fn new(extents: Blocked, isa: Isa) -> Self {
        BlockedBatchNormGradKernel(Channels::new(extents, isa))
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
        inputs: BlockedBatchNormGradInputs,
        outputs: BlockedBatchNormGradOutputs<'_>,
        workspace: SharedMut<'_, f32>,
    ) {
        let e = self.0.extents();
        assert!(outputs.dx.len() >= e.len() && outputs.dadd.is_none_or(|d| d.len() >= e.len()));
        assert!(outputs.dgamma.len() >= e.c && outputs.dbeta.len() >= e.c);
        let plan = &self.0;
        macro_rules! start {
            ($mask:literal, $given:literal, $limited:literal) => {{
                let direction = Backward::<$mask, $given, $limited> { e, inputs, outputs };
                Run { plan, phase, task, workspace, direction }.start()
            }};
        }
        // SAFETY: the caller's promise.
        unsafe {
            match (inputs.mask, inputs.limit.is_finite()) {
                (BatchNormMask::None, _) => start!(false, false, false),
                (BatchNormMask::Shift(_), false) => start!(true, false, false),
                (BatchNormMask::Shift(_), true) => start!(true, false, true),
                (BatchNormMask::Output(_), false) => start!(true, true, false),
                (BatchNormMask::Output(_), true) => start!(true, true, true),
            }
        }
    }
}

impl Work for BlockedBatchNormGradKernel {
    fn phases(&self) -> &[usize] {
        &self.0.phases
    }
    fn workspace_len(&self) -> usize {
        self.0.workspace_len()
    }
}

/// `MASK`: behind a rectifier; `GIVEN`: whose output is given; `LIMITED`: which has a limit.
struct Backward<'a, const MASK: bool, const GIVEN: bool, const LIMITED: bool> {
    e: Blocked,
    inputs: BlockedBatchNormGradInputs,
    outputs: BlockedBatchNormGradOutputs<'a>,
}

impl<const MASK: bool, const GIVEN: bool, const LIMITED: bool> Backward<'_, MASK, GIVEN, LIMITED> {
    /// The gradient before the rectifier.
    #[inline(always)]
    unsafe fn masked<S: Simd16>(&self, at: usize, centred: S::V, factor: S::V, beta: S::V) -> S::V {
        // SAFETY: the caller promises a vector of the tensors.
        unsafe {
            let dy = S::load(self.inputs.dy.add(at));
            let by = match self.inputs.mask {
                BatchNormMask::Output(y) if GIVEN => S::load(y.add(at)),
                _ if MASK => S::fma(centred, factor, beta),
                _ => return dy,
            };
            let dy = S::select(S::gt(by, S::zero()), dy, S::zero());
            if LIMITED { S::select(S::gt(S::splat(self.inputs.limit), by), dy, S::zero()) } else { dy }
        }
    }
    #[inline(always)]
    unsafe fn centred<S: Simd16>(&self, at: usize, mean: S::V) -> S::V {
        // SAFETY: the caller promises a vector of the tensor.
        unsafe { S::sub(S::load(self.inputs.x.add(at)), mean) }
    }
}

impl<const MASK: bool, const GIVEN: bool, const LIMITED: bool> Direction for Backward<'_, MASK, GIVEN, LIMITED> {
    /// Mean, `γ·inv_std` and β.
    #[inline(always)]
    unsafe fn before(&self, block: usize, lanes: usize) -> [[f32; LANES]; COEFFICIENTS] {
        let (i, mut all) = (&self.inputs, [[0.0; LANES]; COEFFICIENTS]);
        for l in 0..lanes {
            let c = block * LANES + l;
            // SAFETY: vectors of `c` numbers.
            unsafe {
                all[0][l] = *i.mean.add(c);
                all[1][l] = (f64::from(*i.gamma.add(c)) * f64::from(*i.inv_std.add(c))) as f32;
                if let BatchNormMask::Shift(beta) = i.mask {
                    all[2][l] = *beta.add(c);
                }
            }
        }
        all
    }
    #[inline(always)]
    unsafe fn terms<S: Simd16>(&self, at: usize, c: &[S::V; COEFFICIENTS]) -> (S::V, S::V) {
        // SAFETY: the caller's promise.
        unsafe {
            let d = self.centred::<S>(at, c[0]);
            (self.masked::<S>(at, d, c[1], c[2]), d)
        }
    }
    /// To what there was before: the mean gradient and the share of x̂.
    #[inline(always)]
    unsafe fn finish(&self, c: usize, before: [f32; COEFFICIENTS], sums: [f64; 2]) -> [f32; COEFFICIENTS] {
        let count = (self.e.n * self.e.plane) as f64;
        // SAFETY: vectors of `c` numbers; everything is read before anything is written.
        unsafe {
            let g = gradient_coefficients(sums, f64::from(*self.inputs.inv_std.add(c)), count);
            *self.outputs.dbeta.as_ptr().add(c) = sums[0] as f32;
            *self.outputs.dgamma.as_ptr().add(c) = g.dgamma as f32;
            [before[0], before[1], before[2], g.by_x, g.mean_dy]
        }
    }
    #[inline(always)]
    fn result(&self) -> (*mut f32, bool) {
        let (dx, i) = (self.outputs.dx.as_ptr(), &self.inputs);
        let mask = matches!(i.mask, BatchNormMask::Output(y) if y == dx.cast_const());
        (dx, mask || dx.cast_const() == i.dy || dx.cast_const() == i.x)
    }
    #[inline(always)]
    unsafe fn apply<S: Simd16>(&self, at: usize, c: &[S::V; COEFFICIENTS]) -> S::V {
        let [mean, factor, beta, by_x, mean_dy] = *c;
        // SAFETY: the caller's promise.
        unsafe {
            let centred = self.centred::<S>(at, mean);
            let dy = self.masked::<S>(at, centred, factor, beta);
            if GIVEN && let Some(dadd) = self.outputs.dadd {
                S::store(dadd.as_ptr().add(at), dy);
            }
            S::mul(factor, S::fma(centred, by_x, S::sub(dy, mean_dy)))
        }
    }
}
