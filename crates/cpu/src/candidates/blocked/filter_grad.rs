//! The filter gradient of direct convolution.

use crate::candidates::reference::op;
use crate::candidates::tasks::tasks;
use crate::kernel::{Candidate, Order, Prepared, Problem, Stored, ordered};
use gabor_graph::ops::ConvFilterGrad;
use gabor_kernels::blocked::BlockedFilterGradKernel;

/// Rows of this area.
pub const TABLE: &[Candidate] =
    &[Candidate { name: "conv_filter_grad.blocked", operation: "conv_filter_grad", prepare: filter_grad }];

/// Channels of x and of dy from which their reorders pay.
const MANY: usize = 16;
/// Sums of a tile, in vectors, that hide the time which one addition takes.
const SUMS: usize = 4;

fn filter_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvFilterGrad>(p)?.geometry;
    let plain = p.stored.iter().filter(|&&s| s == Stored::Plain).count();
    if plain == 2 && (g.ci < MANY || g.co < MANY) {
        return Err(format!("{} and {} channels in plain order; from {MANY} on they are reordered", g.ci, g.co));
    }
    if p.stored[0] == Stored::Plain && g.ci * g.co.div_ceil(16) < SUMS {
        return Err(format!("{} input channels in plain order and {} filters: few sums at a time", g.ci, g.co));
    }
    let kernel = tasks(BlockedFilterGradKernel::new(g, p.inputs[0][0], p.isa)?, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, c.io.f32(0), c.io.f32(1), c.io.out_f32(0), c.workspace, c.scratch) }
    });
    Ok(ordered(kernel, vec![Order::Blocked, Order::Blocked], false))
}
