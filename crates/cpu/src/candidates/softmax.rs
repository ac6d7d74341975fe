//! Softmax and its logarithm on vectors.

use super::reference::op;
use super::tasks::tasks;
use crate::kernel::{Candidate, Prepared, Problem};
use gabor_graph::ops::{LogSoftmax, Softmax};
use gabor_kernels::SoftmaxKernel;

/// Rows for the softmax and its logarithm.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "softmax.lines", operation: "softmax", prepare: softmax },
    Candidate { name: "log_softmax.lines", operation: "log_softmax", prepare: log_softmax },
];

fn softmax(p: &Problem<'_>) -> Prepared {
    Ok(lines(p, op::<Softmax>(p)?.axis, false))
}

fn log_softmax(p: &Problem<'_>) -> Prepared {
    Ok(lines(p, op::<LogSoftmax>(p)?.axis, true))
}

fn lines(p: &Problem<'_>, axis: usize, log: bool) -> Box<dyn crate::Kernel> {
    tasks(SoftmaxKernel::new(&p.inputs[0], axis, log, p.isa), |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0), c.scratch) }
    })
}
