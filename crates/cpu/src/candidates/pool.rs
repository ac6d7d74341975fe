//! Pooling by planes.

use super::reference::op;
use super::tasks::tasks;
use crate::kernel::{Candidate, Prepared, Problem};
use gabor_graph::ops::{AvgPool, AvgPoolGrad, MaxPool, MaxPoolGather, MaxUnpool};
use gabor_kernels::{
    AvgPoolGradKernel, AvgPoolKernel, MaxPoolGatherKernel, MaxPoolKernel, MaxPoolValuesKernel, MaxUnpoolKernel,
};

/// Rows for the poolings and their adjoints.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "max_pool.planes", operation: "max_pool", prepare: max_pool },
    Candidate { name: "max_unpool.planes", operation: "max_unpool", prepare: max_unpool },
    Candidate { name: "max_pool_gather.planes", operation: "max_pool_gather", prepare: max_pool_gather },
    Candidate { name: "avg_pool.planes", operation: "avg_pool", prepare: avg_pool },
    Candidate { name: "avg_pool_grad.planes", operation: "avg_pool_grad", prepare: avg_pool_grad },
];

/// Images times channels.
fn planes(p: &Problem<'_>) -> usize {
    p.inputs[0].iter().take(2).product()
}

fn max_pool(p: &Problem<'_>) -> Prepared {
    let window = &op::<MaxPool>(p)?.window;
    if !p.read[1] {
        return Ok(tasks(MaxPoolValuesKernel::new(window, planes(p), p.isa)?, |k, c| {
            // SAFETY: the contract of the call is the kernel's.
            unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0), c.scratch) }
        }));
    }
    let kernel = MaxPoolKernel::new(window, planes(p), p.isa)?;
    Ok(tasks(kernel, |k, c| {
        // SAFETY: as above.
        unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0), c.io.out_i32(1), c.scratch) }
    }))
}

fn max_unpool(p: &Problem<'_>) -> Prepared {
    let kernel = MaxUnpoolKernel::new(&op::<MaxUnpool>(p)?.window, planes(p), p.isa);
    Ok(tasks(kernel, |k, c| {
        // SAFETY: as in `max_pool`.
        unsafe { k.run(c.task, c.io.f32(0), c.io.i32(1), c.io.out_f32(0)) }
    }))
}

fn max_pool_gather(p: &Problem<'_>) -> Prepared {
    let kernel = MaxPoolGatherKernel::new(&op::<MaxPoolGather>(p)?.window, planes(p));
    Ok(tasks(kernel, |k, c| {
        // SAFETY: as in `max_pool`.
        unsafe { k.run(c.task, c.io.f32(0), c.io.i32(1), c.io.out_f32(0)) }
    }))
}

fn avg_pool(p: &Problem<'_>) -> Prepared {
    let o = op::<AvgPool>(p)?;
    let kernel = AvgPoolKernel::new(&o.window, planes(p), o.divisor, p.isa)?;
    Ok(tasks(kernel, |k, c| {
        // SAFETY: as in `max_pool`.
        unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0), c.scratch) }
    }))
}

fn avg_pool_grad(p: &Problem<'_>) -> Prepared {
    let o = op::<AvgPoolGrad>(p)?;
    let kernel = AvgPoolGradKernel::new(&o.window, planes(p), o.divisor, p.isa)?;
    Ok(tasks(kernel, |k, c| {
        // SAFETY: as in `max_pool`.
        unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0), c.scratch) }
    }))
}
