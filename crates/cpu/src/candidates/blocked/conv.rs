//! Direct convolution and its input gradient.

use super::{FollowUp, convolution, epilogue};
use crate::candidates::reference::op;
use crate::candidates::tasks::{Call, spreading, tasks};
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_graph::ops::ConvInputGrad;
use gabor_kernels::blocked::direct::BlockedConvKernel;
use std::sync::Arc;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.direct", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.direct", operation: "fused_conv", prepare: forward },
    Candidate { name: "conv_input_grad.direct", operation: "conv_input_grad", prepare: input_grad },
];

/// Channels that are read, and that are computed, from which plain inputs are worth their reorder.
const READ: usize = 8;
const COMPUTED: usize = 12;
/// Products of an output, from which fewer channels are; not in training, where gradients are reordered too.
const PRODUCTS: usize = 100;

/// Products, most of them with padding, for each one that counts, at which other ways to the input gradient are better.
const PADDED: usize = 4;

fn forward(p: &Problem<'_>) -> Prepared {
    let (g, follow_up) = convolution(p)?;
    let read = if p.fixed[1] && g.ci * g.window.kernel_len() >= PRODUCTS { g.ci.max(READ) } else { g.ci };
    accept(p, read, g.co)?;
    Ok(conv(BlockedConvKernel::forward(g, p.inputs[0][0], p.isa)?, follow_up))
}

fn input_grad(p: &Problem<'_>) -> Prepared {
    let g = &op::<ConvInputGrad>(p)?.geometry;
    accept(p, g.co, g.ci)?;
    let w = &g.window;
    let (input, strides) = (w.input_len(), w.axes().iter().map(|a| a.stride).product::<usize>());
    if input > PADDED * w.output_len().saturating_mul(strides) {
        return Err(format!("{input} inputs of {} outputs: most products would be with padding", w.output_len()));
    }
    Ok(conv(BlockedConvKernel::input_grad(g, p.inputs[0][0], p.isa)?, None))
}

fn accept(p: &Problem<'_>, read: usize, computed: usize) -> Result<(), String> {
    if !p.any_blocked() && (read < READ || computed < COMPUTED) {
        return Err(format!(
            "{read} to {computed} channels in plain order; from {READ} to {COMPUTED} on they are reordered"
        ));
    }
    Ok(())
}

fn conv(kernel: BlockedConvKernel, follow_up: FollowUp) -> Box<dyn crate::Kernel> {
    let reads = vec![Order::Blocked, Order::Packed(Arc::new(kernel.packing())), Order::Plain, Order::Blocked];
    let run = move |k: &BlockedConvKernel, c: Call<'_>| {
        let (x, w, y, end) = (c.io.f32(0), c.io.f32(1), c.io.out_f32(0), epilogue(c.io, follow_up));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, x, w, end, y, c.workspace, c.scratch) }
    };
    // The other summand lies as the result does.
    let run = match follow_up {
        Some((true, _)) => tasks(kernel, run),
        _ => spreading(kernel, BlockedConvKernel::spread, run),
    };
    ordered(run, reads, true)
}
