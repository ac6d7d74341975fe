//! The filter gradient of direct convolution.

use crate::kernel::{Candidate, Io, Kernel, Order, Prepared, Problem, Stored, ordered};
use gabor_graph::ops::ConvFilterGrad;
use gabor_kernels::blocked::BlockedFilterGradKernel;
use gabor_kernels::{SharedMut, Work};

/// Rows of this area.
pub const TABLE: &[Candidate] =
    &[Candidate { name: "conv_filter_grad.blocked", operation: "conv_filter_grad", prepare: filter_grad }];

/// Channels of x and of dy from which their reorders pay.
const MANY: usize = 16;
/// Sums of a tile, in vectors, that hide the time which one addition takes.
const SUMS: usize = 4;

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &p.op::<ConvFilterGrad>().ok_or("another operation of the same name")?.geometry;
    let plain = p.stored.iter().filter(|&&s| s == Stored::Plain).count();
    if plain == 2 && (g.ci < MANY || g.co < MANY) {
        return Err(format!("{} and {} channels in plain order; from {MANY} on they are reordered", g.ci, g.co));
    }
    if p.stored[0] == Stored::Plain && g.ci * g.co.div_ceil(16) < SUMS {
        return Err(format!("{} input channels in plain order and {} filters: few sums at a time", g.ci, g.co));
    }
    let kernel = BlockedFilterGradKernel::new(g, p.inputs[0][0], p.isa)?;
    Ok(ordered(Box::new(FilterGrad { kernel }), vec![Order::Blocked, Order::Blocked], false))
}

struct FilterGrad {
    kernel: BlockedFilterGradKernel,
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
