//! The first layer with a stride, through cells of pixels and Winograd's algorithm: asked before its direct kernels.

use super::first::{accept, sizes};
use super::{convolution, epilogue, winograd, winograd_filter_grad};
use crate::candidates::reference::op;
use crate::candidates::tasks::tasks;
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_graph::ops::{ConvFilterGrad, ConvInputGrad};
use gabor_kernels::blocked::cells::{Cells, CellsConvKernel, CellsFilterGradKernel, CellsInputGradKernel};
use gabor_kernels::blocked::winograd::WinogradTile;
use gabor_tensor::ConvGeometry;
use std::sync::Arc;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.cells", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.cells", operation: "fused_conv", prepare: forward },
    Candidate { name: "conv_filter_grad.cells", operation: "conv_filter_grad", prepare: filter_grad },
    Candidate { name: "conv_input_grad.cells", operation: "conv_input_grad", prepare: input_grad },
];

fn forward(p: &Problem<'_>) -> Prepared {
    let (g, follow_up) = convolution(p)?;
    accept(p, g)?;
    let kernel = CellsConvKernel::forward(g, p.inputs[0][0], tile(p, g)?, p.isa)?;
    let filters = Order::Packed(Arc::new(kernel.packing()));
    let kernel = tasks(kernel, move |k, c| {
        let (x, u, y, end) = (c.io.f32(0), c.io.f32(1), c.io.out_f32(0), epilogue(c.io, follow_up));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, x, u, end, y, c.workspace, c.scratch) }
    });
    Ok(ordered(kernel, vec![Order::Plain, filters, Order::Plain, Order::Blocked], true))
}

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvFilterGrad>(p)?.geometry;
    accept(p, g)?;
    let n = p.inputs[0][0];
    let tile = winograd_filter_grad::tile(p, g, |tile| CellsFilterGradKernel::advantage(g, n, tile))?;
    let kernel = CellsFilterGradKernel::new(g, n, tile, p.isa)?;
    let kernel = tasks(kernel, |k, c| {
        let (x, dy, dw) = (c.io.f32(0), c.io.f32(1), c.io.out_f32(0));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, x, dy, dw, c.workspace, c.scratch) }
    });
    Ok(ordered(kernel, vec![Order::Plain, Order::Blocked], false))
}

fn input_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvInputGrad>(p)?.geometry;
    sizes(g)?;
    let kernel = CellsInputGradKernel::new(g, p.inputs[0][0], tile(p, g)?, p.isa)?;
    let filters = Order::Packed(Arc::new(kernel.packing()));
    let kernel = tasks(kernel, |k, c| {
        let (dy, u, dx) = (c.io.f32(0), c.io.f32(1), c.io.out_f32(0));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, dy, u, dx, c.workspace, c.scratch) }
    });
    Ok(ordered(kernel, vec![Order::Blocked, filters], false))
}

fn tile(p: &Problem<'_>, g: &ConvGeometry) -> Result<WinogradTile, String> {
    let cells = Cells::new(g)?;
    winograd::tile(p, g, |n, fixed| cells.tile(n, fixed))
}
