//! Batch normalisation.

use crate::candidates::{norm::rectifier, reference::op};
use crate::kernel::{Candidate, Io, Kernel, Order, Prepared, Problem};
use gabor_compile::fused::{FusedBatchNorm, FusedBatchNormGrad};
use gabor_graph::ops::{BatchNorm, BatchNormGrad};
use gabor_kernels::blocked::Blocked;
use gabor_kernels::blocked::norm::{
    BatchNormMask, BlockedBatchNormGradInputs, BlockedBatchNormGradKernel, BlockedBatchNormGradOutputs,
    BlockedBatchNormInputs, BlockedBatchNormKernel, BlockedBatchNormOutputs,
};
use gabor_kernels::{SharedMut, Work};

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "batch_norm.blocked", operation: "batch_norm", prepare: train },
    Candidate { name: "fused_batch_norm.blocked", operation: "fused_batch_norm", prepare: fused_train },
    Candidate { name: "batch_norm_grad.blocked", operation: "batch_norm_grad", prepare: gradient },
    Candidate { name: "fused_batch_norm_grad.blocked", operation: "fused_batch_norm_grad", prepare: fused_gradient },
];

fn extents(p: &Problem<'_>) -> Result<Blocked, String> {
    if !p.any_blocked() {
        return Err("no input lies in blocked order".into());
    }
    Blocked::new(&p.inputs[0]).ok_or_else(|| format!("{} extents", p.inputs[0].len()))
}

fn train(p: &Problem<'_>) -> Prepared {
    let o = op::<BatchNorm>(p)?;
    let work = BlockedBatchNormKernel::new(extents(p)?, o.eps, o.momentum, None, p.isa);
    Ok(Box::new(Train { work, add: false }))
}

fn fused_train(p: &Problem<'_>) -> Prepared {
    let o = op::<FusedBatchNorm>(p)?;
    let work = BlockedBatchNormKernel::new(extents(p)?, o.eps, o.momentum, rectifier(o.activation), p.isa);
    Ok(Box::new(Train { work, add: o.add }))
}

/// The first inputs are feature maps, and so is the one behind the vectors, if it is there; all others are vectors.
fn order(is_map: bool) -> Order {
    if is_map { Order::Blocked } else { Order::Plain }
}

struct Train {
    work: BlockedBatchNormKernel,
    /// Whether there is another summand.
    add: bool,
}

impl Kernel for Train {
    fn work(&self) -> &dyn Work {
        &self.work
    }
    fn reads(&self, i: usize) -> Order {
        order(i == 0 || i == 5)
    }
    fn writes_blocked(&self, i: usize) -> bool {
        i == 0
    }
    fn in_place(&self) -> bool {
        true
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, workspace: SharedMut<'_, f32>, _s: &mut [f32]) {
        let inputs = BlockedBatchNormInputs {
            x: io.address_f32(0),
            gamma: io.address_f32(1),
            beta: io.address_f32(2),
            running_mean: io.address_f32(3),
            running_var: io.address_f32(4),
            add: self.add.then(|| io.address_f32(5)),
        };
        let outputs = BlockedBatchNormOutputs {
            y: io.out_f32(0),
            mean: io.out_f32(1),
            inv_std: io.out_f32(2),
            new_running_mean: io.out_f32(3),
            new_running_var: io.out_f32(4),
        };
        // SAFETY: the contract of the call is the kernel's; addresses are used because an output may lie over an input.
        unsafe { self.work.run(phase, task, inputs, outputs, workspace) }
    }
}

fn gradient(p: &Problem<'_>) -> Prepared {
    op::<BatchNormGrad>(p)?;
    let work = BlockedBatchNormGradKernel::new(extents(p)?, p.isa);
    Ok(Box::new(Gradient { work, mask: Mask::None, limit: f32::INFINITY }))
}

fn fused_gradient(p: &Problem<'_>) -> Prepared {
    let o = op::<FusedBatchNormGrad>(p)?;
    let mask = if o.add { Mask::Output { dadd: p.read[3] } } else { Mask::Shift };
    let work = BlockedBatchNormGradKernel::new(extents(p)?, p.isa);
    Ok(Box::new(Gradient { work, mask, limit: o.activation.limit() }))
}

/// What the sixth input is.
#[derive(Clone, Copy, PartialEq)]
enum Mask {
    /// There is none.
    None,
    /// The shift.
    Shift,
    /// The rectifier's output; `dadd`: something reads the other summand's gradient.
    Output { dadd: bool },
}

struct Gradient {
    work: BlockedBatchNormGradKernel,
    mask: Mask,
    /// The limit of the rectifier.
    limit: f32,
}

impl Kernel for Gradient {
    fn work(&self) -> &dyn Work {
        &self.work
    }
    fn reads(&self, i: usize) -> Order {
        order(i < 2 || i == 5 && self.mask != Mask::Shift)
    }
    fn writes_blocked(&self, i: usize) -> bool {
        i == 0 || i == 3
    }
    fn in_place(&self) -> bool {
        true
    }
    unsafe fn run(&self, phase: usize, task: usize, io: &Io<'_>, workspace: SharedMut<'_, f32>, _s: &mut [f32]) {
        let inputs = BlockedBatchNormGradInputs {
            dy: io.address_f32(0),
            x: io.address_f32(1),
            gamma: io.address_f32(2),
            mean: io.address_f32(3),
            inv_std: io.address_f32(4),
            mask: match self.mask {
                Mask::None => BatchNormMask::None,
                Mask::Shift => BatchNormMask::Shift(io.address_f32(5)),
                Mask::Output { .. } => BatchNormMask::Output(io.address_f32(5)),
            },
            limit: self.limit,
        };
        let outputs = BlockedBatchNormGradOutputs {
            dx: io.out_f32(0),
            dgamma: io.out_f32(1),
            dbeta: io.out_f32(2),
            dadd: (self.mask == Mask::Output { dadd: true }).then(|| io.out_f32(3)),
        };
        // SAFETY: as in `Train`.
        unsafe { self.work.run(phase, task, inputs, outputs, workspace) }
    }
}
