//! Batch normalisation by channels.

use super::reference::{extents, op};
use super::tasks::tasks;
use crate::kernel::{Candidate, Prepared, Problem};
use gabor_graph::ops::{BatchNorm, BatchNormGrad};
use gabor_kernels::{
    BatchNormGradInputs, BatchNormGradKernel, BatchNormGradOutputs, BatchNormInputs, BatchNormKernel, BatchNormOutputs,
};

/// Rows for normalisation in training and its gradient.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "batch_norm.channels", operation: "batch_norm", prepare: train },
    Candidate { name: "batch_norm_grad.channels", operation: "batch_norm_grad", prepare: gradient },
];

fn train(p: &Problem<'_>) -> Prepared {
    let o = op::<BatchNorm>(p)?;
    let kernel = BatchNormKernel::new(extents(&p.inputs[0], o.eps, o.momentum), p.isa);
    Ok(tasks(kernel, |k, c| {
        let io = c.io;
        let inputs = BatchNormInputs {
            x: io.f32(0),
            gamma: io.f32(1),
            beta: io.f32(2),
            running_mean: io.f32(3),
            running_var: io.f32(4),
        };
        let outputs = BatchNormOutputs {
            y: io.out_f32(0),
            mean: io.out_f32(1),
            inv_std: io.out_f32(2),
            new_running_mean: io.out_f32(3),
            new_running_var: io.out_f32(4),
        };
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, inputs, outputs, c.workspace) }
    }))
}

fn gradient(p: &Problem<'_>) -> Prepared {
    op::<BatchNormGrad>(p)?;
    let kernel = BatchNormGradKernel::new(extents(&p.inputs[1], 0.0, 0.0), p.isa);
    Ok(tasks(kernel, |k, c| {
        let io = c.io;
        let inputs =
            BatchNormGradInputs { dy: io.f32(0), x: io.f32(1), gamma: io.f32(2), mean: io.f32(3), inv_std: io.f32(4) };
        let outputs = BatchNormGradOutputs { dx: io.out_f32(0), dgamma: io.out_f32(1), dbeta: io.out_f32(2) };
        // SAFETY: as in `train`.
        unsafe { k.run(c.phase, c.task, inputs, outputs, c.workspace) }
    }))
}
