//! Batch normalisation by channels.

use super::reference::{extents, op};
use super::tasks::tasks;
use crate::kernel::{Candidate, Io, Prepared, Problem};
use gabor_compile::fused::{Activation, FusedBatchNorm, FusedBatchNormGrad};
use gabor_graph::ops::{BatchNorm, BatchNormGrad};
use gabor_kernels::{
    BatchNormGradInputs, BatchNormGradKernel, BatchNormGradOutputs, BatchNormInputs, BatchNormKernel, BatchNormOutputs,
    FusedBatchNormGradKernel, FusedBatchNormKernel, Rectified,
};

/// Rows for normalisation in training and its gradient.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "batch_norm.channels", operation: "batch_norm", prepare: train },
    Candidate { name: "batch_norm_grad.channels", operation: "batch_norm_grad", prepare: gradient },
    Candidate { name: "fused_batch_norm.channels", operation: "fused_batch_norm", prepare: fused_train },
    Candidate { name: "fused_batch_norm_grad.channels", operation: "fused_batch_norm_grad", prepare: fused_gradient },
];

fn inputs<'a>(io: &Io<'a>) -> (BatchNormInputs<'a>, BatchNormOutputs<'a>) {
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
    (inputs, outputs)
}

fn train(p: &Problem<'_>) -> Prepared {
    let o = op::<BatchNorm>(p)?;
    let kernel = BatchNormKernel::new(extents(&p.inputs[0], o.eps, o.momentum), p.isa);
    Ok(tasks(kernel, |k, c| {
        let (inputs, outputs) = inputs(c.io);
        // SAFETY: the contract of the call is the kernel's, here and below.
        unsafe { k.run(c.phase, c.task, inputs, outputs, c.workspace) }
    }))
}

/// The limit of the rectifier, if there is one.
pub(super) fn rectifier(activation: Activation) -> Option<f32> {
    activation.rectifies().then(|| activation.limit())
}

fn fused_train(p: &Problem<'_>) -> Prepared {
    let o = op::<FusedBatchNorm>(p)?;
    let kernel =
        FusedBatchNormKernel::new(extents(&p.inputs[0], o.eps, o.momentum), o.add, rectifier(o.activation), p.isa);
    Ok(tasks(kernel, move |k, c| {
        let (inputs, outputs) = inputs(c.io);
        let add = o.add.then(|| c.io.f32(5));
        // SAFETY: as in `train`.
        unsafe { k.run((c.phase, c.task), inputs, add, outputs, c.workspace, c.scratch) }
    }))
}

fn gradients<'a>(io: &Io<'a>) -> (BatchNormGradInputs<'a>, BatchNormGradOutputs<'a>) {
    let inputs =
        BatchNormGradInputs { dy: io.f32(0), x: io.f32(1), gamma: io.f32(2), mean: io.f32(3), inv_std: io.f32(4) };
    (inputs, BatchNormGradOutputs { dx: io.out_f32(0), dgamma: io.out_f32(1), dbeta: io.out_f32(2) })
}

fn gradient(p: &Problem<'_>) -> Prepared {
    op::<BatchNormGrad>(p)?;
    let kernel = BatchNormGradKernel::new(extents(&p.inputs[1], 0.0, 0.0), p.isa);
    Ok(tasks(kernel, |k, c| {
        let (inputs, outputs) = gradients(c.io);
        // SAFETY: as in `train`.
        unsafe { k.run(c.phase, c.task, inputs, outputs, c.workspace) }
    }))
}

fn fused_gradient(p: &Problem<'_>) -> Prepared {
    let o = op::<FusedBatchNormGrad>(p)?;
    let kernel = FusedBatchNormGradKernel::new(extents(&p.inputs[1], 0.0, 0.0), o.add, o.activation.limit(), p.isa);
    Ok(tasks(kernel, move |k, c| {
        let (inputs, outputs) = gradients(c.io);
        let mask = c.io.f32(5);
        let mask = if o.add { Rectified::Output(mask, c.io.out_f32(3)) } else { Rectified::Shift(mask) };
        // SAFETY: as in `train`.
        unsafe { k.run((c.phase, c.task), inputs, mask, outputs, c.workspace, c.scratch) }
    }))
}
