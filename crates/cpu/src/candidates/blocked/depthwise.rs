//! Depthwise and grouped convolution.

use super::super::reference::op;
use super::super::tasks::tasks;
use super::{FollowUp, convolution, epilogue};
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_graph::ops::{ConvFilterGrad, ConvInputGrad};
use gabor_kernels::blocked::depthwise::{DepthwiseFilterGradKernel, DepthwiseKernel};
use gabor_tensor::ConvGeometry;
use std::sync::Arc;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.depthwise", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.depthwise", operation: "fused_conv", prepare: forward },
    Candidate { name: "conv_input_grad.depthwise", operation: "conv_input_grad", prepare: input_grad },
    Candidate { name: "conv_filter_grad.depthwise", operation: "conv_filter_grad", prepare: filter_grad },
];

/// Fewer channels would leave most lanes of a vector empty; then only what lies in blocks already stays there.
const CHANNELS: usize = 8;

fn accept(p: &Problem<'_>, g: &ConvGeometry) -> Result<(), String> {
    if g.groups == 1 {
        return Err("a single group".into());
    }
    if g.ci < CHANNELS && !p.any_blocked() {
        return Err(format!("{} channels, less than {CHANNELS}", g.ci));
    }
    Ok(())
}

fn forward(p: &Problem<'_>) -> Prepared {
    let (g, follow_up) = convolution(p)?;
    accept(p, g)?;
    let kernel = DepthwiseKernel::forward(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(conv(kernel, follow_up))
}

fn input_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvInputGrad>(p)?.geometry;
    accept(p, g)?;
    let kernel = DepthwiseKernel::input_grad(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    Ok(conv(kernel, None))
}

fn conv(kernel: DepthwiseKernel, follow_up: FollowUp) -> Box<dyn crate::Kernel> {
    let reads = vec![Order::Blocked, Order::Packed(Arc::new(kernel.packing().clone())), Order::Plain, Order::Blocked];
    let run = tasks(kernel, move |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, c.io.f32(0), c.io.f32(1), epilogue(c.io, follow_up), c.io.out_f32(0)) }
    });
    ordered(run, reads, true)
}

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvFilterGrad>(p)?.geometry;
    accept(p, g)?;
    let kernel = DepthwiseFilterGradKernel::new(g, p.inputs[0][0], p.isa).map_err(|r| r.to_string())?;
    let run = tasks(kernel, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, c.io.f32(0), c.io.f32(1), c.io.out_f32(0), c.workspace) }
    });
    Ok(ordered(run, vec![Order::Blocked; 2], false))
}
