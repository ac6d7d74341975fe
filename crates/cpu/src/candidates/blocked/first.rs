//! The first layer: plain pictures in, blocked feature maps out, and the gradients.

use super::{convolution, epilogue};
use crate::candidates::reference::op;
use crate::candidates::tasks::tasks;
use crate::kernel::{Candidate, Order, Prepared, Problem, Stored, ordered};
use gabor_graph::ops::{ConvFilterGrad, ConvInputGrad};
use gabor_kernels::blocked::first::{FirstConvKernel, FirstFilterGradKernel, FirstInputGradKernel, Pixels};
use gabor_tensor::ConvGeometry;
use std::sync::Arc;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.first", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.first", operation: "fused_conv", prepare: forward },
    Candidate { name: "conv_filter_grad.first", operation: "conv_filter_grad", prepare: filter_grad },
    Candidate { name: "conv_input_grad.first", operation: "conv_input_grad", prepare: input_grad },
];

/// With fewer filters most lanes of a block would be idle.
const FILTERS: usize = 12;

fn forward(p: &Problem<'_>) -> Prepared {
    let (g, follow_up) = convolution(p)?;
    accept(p, g)?;
    let kernel = FirstConvKernel::forward(g, p.inputs[0][0], p.isa)?;
    let filters = Order::Packed(Arc::new(kernel.packing()));
    let kernel = tasks(kernel, move |k, c| {
        let (x, end) = (Pixels::Floats(c.io.f32(0)), epilogue(c.io, follow_up));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, x, c.io.f32(1), end, c.io.out_f32(0), c.scratch) }
    });
    Ok(ordered(kernel, vec![Order::Plain, filters, Order::Plain, Order::Blocked], true))
}

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvFilterGrad>(p)?.geometry;
    accept(p, g)?;
    let kernel = FirstFilterGradKernel::new(g, p.inputs[0][0], p.isa)?;
    let kernel = tasks(kernel, |k, c| {
        let (x, dy, dw) = (Pixels::Floats(c.io.f32(0)), c.io.f32(1), c.io.out_f32(0));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, x, dy, dw, c.workspace, c.scratch) }
    });
    Ok(ordered(kernel, vec![Order::Plain, Order::Blocked], false))
}

/// What a stylised picture or a heat map of pixels asks for, and a transposed convolution that ends in a picture.
fn input_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvInputGrad>(p)?.geometry;
    sizes(g)?;
    let kernel = FirstInputGradKernel::new(g, p.inputs[0][0], p.isa)?;
    let kernel = tasks(kernel, |k, c| {
        let (dy, w, dx) = (c.io.f32(0), c.io.f32(1), c.io.out_f32(0));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, dy, w, dx, c.scratch) }
    });
    Ok(ordered(kernel, vec![Order::Blocked, Order::Plain], false))
}

/// More channels than a picture has are not a first layer: a network so narrow goes on in plain order.
const CHANNELS: usize = 4;

/// Plain pictures, and enough filters.
pub(super) fn accept(p: &Problem<'_>, g: &ConvGeometry) -> Result<(), String> {
    if p.stored[0] == Stored::Blocked {
        return Err("x is blocked already".into());
    }
    sizes(g)
}

pub(super) fn sizes(g: &ConvGeometry) -> Result<(), String> {
    if g.ci > CHANNELS {
        return Err(format!("{} channels, a picture has at most {CHANNELS}", g.ci));
    }
    if g.co < FILTERS {
        return Err(format!("{} filters, at least {FILTERS} fill a block", g.co));
    }
    Ok(())
}
