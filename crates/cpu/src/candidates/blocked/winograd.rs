//! Winograd convolution and its gradients, asked before the direct kernels.

use super::{FollowUp, convolution, epilogue};
use crate::candidates::reference::op;
use crate::candidates::tasks::{Call, spreading, tasks};
use crate::kernel::{Candidate, Kernel, Order, Prepared, Problem, ordered};
use gabor_graph::ops::ConvInputGrad;
use gabor_kernels::blocked::winograd::{WinogradConvKernel, WinogradTile, winograd_tile};
use gabor_tensor::ConvGeometry;
use std::sync::Arc;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.winograd", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.winograd", operation: "fused_conv", prepare: forward },
    Candidate { name: "conv_input_grad.winograd", operation: "conv_input_grad", prepare: input_grad },
];

fn forward(p: &Problem<'_>) -> Prepared {
    let (g, follow_up) = convolution(p)?;
    let tile = tile(p, g, |n, fixed| winograd_tile(g, n, fixed))?;
    Ok(conv(WinogradConvKernel::forward(g, p.inputs[0][0], tile, p.isa)?, follow_up))
}

fn input_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvInputGrad>(p)?.geometry;
    let tile = tile(p, g, |n, fixed| winograd_tile(g, n, fixed))?;
    Ok(conv(WinogradConvKernel::input_grad(g, p.inputs[0][0], tile, p.isa)?, None))
}

/// The algorithm that is asked for, else the best by an estimate for so many images and a filter that is fixed or not, if
/// any is worth it.
pub(super) fn tile(
    p: &Problem<'_>,
    g: &ConvGeometry,
    estimate: impl FnOnce(usize, bool) -> Option<WinogradTile>,
) -> Result<WinogradTile, String> {
    if p.strict {
        return Err(STRICT.into());
    }
    if let Some(tile) = p.winograd {
        return Ok(tile);
    }
    let (n, fixed) = (p.inputs[0][0], p.fixed[1]);
    estimate(n, fixed).ok_or_else(|| format!("direct convolution of {n} images is faster: {g}"))
}

/// Why a strict plan has none of it.
pub(super) const STRICT: &str = "Winograd's rounding errors are larger, and the plan is strict";

fn conv(kernel: WinogradConvKernel, follow_up: FollowUp) -> Box<dyn Kernel> {
    let reads = vec![Order::Blocked, Order::Packed(Arc::new(kernel.packing())), Order::Plain, Order::Blocked];
    let run = move |k: &WinogradConvKernel, c: Call<'_>| {
        let (x, u, y, end) = (c.io.f32(0), c.io.f32(1), c.io.out_f32(0), epilogue(c.io, follow_up));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, x, u, end, y, c.workspace, c.scratch) }
    };
    // The other summand lies as the result does.
    let run = match follow_up {
        Some((true, _)) => tasks(kernel, run),
        _ => spreading(kernel, WinogradConvKernel::spread, run),
    };
    ordered(run, reads, true)
}
