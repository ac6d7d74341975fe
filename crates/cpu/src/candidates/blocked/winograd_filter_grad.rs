//! The filter gradient by Winograd's algorithm, asked before the direct kernel.

use super::winograd::STRICT;
use crate::candidates::reference::op;
use crate::candidates::tasks::tasks;
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_graph::ops::ConvFilterGrad;
use gabor_kernels::blocked::winograd::{WinogradFilterGradKernel, WinogradTile};
use gabor_tensor::ConvGeometry;

/// Rows of this area.
pub const TABLE: &[Candidate] =
    &[Candidate { name: "conv_filter_grad.winograd", operation: "conv_filter_grad", prepare: filter_grad }];

/// How many times faster it must be expected to be.
const GAIN: f64 = 1.15;

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvFilterGrad>(p)?.geometry;
    let n = p.inputs[0][0];
    let tile = tile(p, g, |tile| WinogradFilterGradKernel::advantage(g, n, tile))?;
    let run = tasks(WinogradFilterGradKernel::new(g, n, tile, p.isa)?, |k, c| {
        let (x, dy, dw) = (c.io.f32(0), c.io.f32(1), c.io.out_f32(0));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, x, dy, dw, c.workspace, c.scratch) }
    });
    Ok(ordered(run, vec![Order::Blocked, Order::Blocked], false))
}

/// The algorithm that is asked for, else the one that is expected to be so many times faster than direct sums, if that is
/// worth it.
pub(super) fn tile(
    p: &Problem<'_>,
    g: &ConvGeometry,
    advantage: impl Fn(WinogradTile) -> f64,
) -> Result<WinogradTile, String> {
    if p.strict {
        return Err(STRICT.into());
    }
    if let Some(tile) = p.winograd {
        return Ok(tile);
    }
    let (f2, f4) = (advantage(WinogradTile::F2), advantage(WinogradTile::F4));
    let (gain, best) = if f2 > f4 { (f2, WinogradTile::F2) } else { (f4, WinogradTile::F4) };
    // What it does not do at all the kernel says itself.
    if gain > 0.0 && gain < GAIN {
        let n = p.inputs[0][0];
        return Err(format!("{gain:.2} times the speed of direct sums over {n} images, less than {GAIN}: {g}"));
    }
    Ok(best)
}
