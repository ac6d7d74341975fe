//! Sums over pixels and images.

use crate::candidates::reference::op;
use crate::candidates::tasks::tasks;
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_graph::ops::Reduce;
use gabor_kernels::blocked::Blocked;
use gabor_kernels::blocked::reduce::BlockedReduceKernel;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[Candidate { name: "reduce.blocked", operation: "reduce", prepare: reduce }];

/// To one number per channel, or per channel of each image.
fn reduce(p: &Problem<'_>) -> Prepared {
    let (o, shape) = (op::<Reduce>(p)?, &p.inputs[0]);
    if !p.any_blocked() {
        return Err("the input does not lie in blocked order".into());
    }
    let images = o.axes.first() == Some(&0);
    let pixels: Vec<usize> = (2..shape.len()).collect();
    let e = Blocked::new(shape).filter(|_| o.axes[usize::from(images)..] == pixels[..]);
    let e = e.ok_or_else(|| format!("axes {:?} of {shape:?} are not the pixels, or these and the images", o.axes))?;
    let kernel = BlockedReduceKernel::new(o.kind, e, images, p.isa)?;
    let kernel = tasks(kernel, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, c.io.f32(0), c.io.out_f32(0), c.workspace) }
    });
    Ok(ordered(kernel, vec![Order::Blocked], false))
}
