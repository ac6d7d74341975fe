//! Prepared kernels, called by a closure.

use crate::kernel::{Io, Kernel};
use gabor_kernels::{SharedMut, Work};

/// One task: the arguments of [`Kernel::run`], under the same contract.
pub struct Call<'a> {
    /// The phase.
    pub phase: usize,
    /// The task of the phase.
    pub task: usize,
    /// Inputs and outputs.
    pub io: &'a Io<'a>,
    /// Memory that tasks share.
    pub workspace: SharedMut<'a, f32>,
    /// Memory of this call.
    pub scratch: &'a mut [f32],
}

/// A kernel from its work and the call of one task. The closure may rely on the contract of [`Kernel::run`].
pub fn tasks<W>(work: W, run: impl Fn(&W, Call<'_>) + Send + Sync + 'static) -> Box<dyn Kernel>
where
    W: Work + Send + Sync + 'static,
{
    Box::new(Tasks { work, run, spread: None })
}

/// As [`tasks`], for a kernel that can write its result into a larger one ([`Kernel::spread`]).
pub fn spreading<W>(
    work: W,
    spread: fn(&mut W, usize),
    run: impl Fn(&W, Call<'_>) + Send + Sync + 'static,
) -> Box<dyn Kernel>
where
    W: Work + Send + Sync + 'static,
{
    Box::new(Tasks { work, run, spread: Some(spread) })
}

struct Tasks<W, F> {
    work: W,
    run: F,
    spread: Option<fn(&mut W, usize)>,
}

impl<W: Work + Send + Sync, F: Fn(&W, Call<'_>) + Send + Sync> Kernel for Tasks<W, F> {
    fn work(&self) -> &dyn Work {
        &self.work
    }
    fn spread(&mut self, pitch: usize) -> bool {
        self.spread.map(|spread| spread(&mut self.work, pitch)).is_some()
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, workspace: SharedMut<'_, f32>, scratch: &mut [f32]) {
        (self.run)(&self.work, Call { phase, task, io, workspace, scratch });
    }
}
