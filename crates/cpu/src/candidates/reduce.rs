//! Reductions over rows, columns and channels.

use super::reference::op;
use super::tasks::tasks;
use crate::kernel::{Candidate, Prepared, Problem};
use gabor_graph::ops::Reduce;
use gabor_kernels::ReduceKernel;

/// The row for reductions.
pub const TABLE: &[Candidate] = &[Candidate { name: "reduce.lanes", operation: "reduce", prepare: reduce }];

fn reduce(p: &Problem<'_>) -> Prepared {
    let o = op::<Reduce>(p)?;
    let kernel = ReduceKernel::new(o.kind, &p.inputs[0], &o.axes, p.isa)?;
    Ok(tasks(kernel, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, c.io.f32(0), c.io.out_f32(0), c.workspace) }
    }))
}
