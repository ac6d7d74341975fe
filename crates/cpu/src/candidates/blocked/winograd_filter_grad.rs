//! The filter gradient by Winograd's algorithm, asked before the direct kernel.

use crate::kernel::{Candidate, Io, Kernel, Order, Prepared, Problem, ordered};
use gabor_graph::ops::ConvFilterGrad;
use gabor_kernels::blocked::winograd::{WinogradFilterGradKernel, WinogradTile};
use gabor_kernels::{SharedMut, Work};

/// Rows of this area.
pub const TABLE: &[Candidate] =
    &[Candidate { name: "conv_filter_grad.winograd", operation: "conv_filter_grad", prepare: filter_grad }];

/// How many times faster it must be expected to be.
const GAIN: f64 = 1.15;

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &p.op::<ConvFilterGrad>().ok_or("another operation of the same name")?.geometry;
    if p.strict {
        return Err("Winograd's rounding errors are larger, and the plan is strict".into());
    }
    let n = p.inputs[0][0];
    let gain = |tile| WinogradFilterGradKernel::advantage(g, n, tile);
    let (f2, f4) = (gain(WinogradTile::F2), gain(WinogradTile::F4));
    let (gain, tile) = if f2 > f4 { (f2, WinogradTile::F2) } else { (f4, WinogradTile::F4) };
    let kernel = WinogradFilterGradKernel::new(g, n, tile, p.isa)?;
    if gain < GAIN {
        return Err(format!("{gain:.2} times the speed of direct sums over {n} images, less than {GAIN}: {g}"));
    }
    Ok(ordered(Box::new(FilterGrad { kernel }), vec![Order::Blocked, Order::Blocked], false))
}

struct FilterGrad {
    kernel: WinogradFilterGradKernel,
}

impl Kernel for FilterGrad {
    fn work(&self) -> &dyn Work {
        &self.kernel
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        // SAFETY: the caller's contract is the kernel's.
        unsafe { self.kernel.run(phase, task, io.f32(0), io.f32(1), io.out_f32(0), w, scratch) }
    }
}
