//! Direct convolution and its input gradient.

use crate::candidates::reference::op;
use crate::candidates::tasks::tasks;
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_compile::fused::{Activation, FusedConv};
use gabor_graph::ops::{Conv, ConvInputGrad};
use gabor_kernels::blocked::BlockedEpilogue;
use gabor_kernels::blocked::direct::BlockedConvKernel;
use std::sync::Arc;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "conv.direct", operation: "conv", prepare: forward },
    Candidate { name: "fused_conv.direct", operation: "fused_conv", prepare: fused },
    Candidate { name: "conv_input_grad.direct", operation: "conv_input_grad", prepare: input_grad },
];

/// Channels that are read, and that are computed, from which plain inputs are worth their reorder.
const READ: usize = 8;
const COMPUTED: usize = 12;

/// Products, most of them with padding, for each one that counts, at which other ways to the input gradient are better.
const PADDED: usize = 4;

fn forward(p: &Problem<'_>) -> Prepared {
    let g = &op::<Conv>(p)?.geometry;
    accept(p, g.ci, g.co)?;
    Ok(conv(BlockedConvKernel::forward(g, p.inputs[0][0], p.isa)?, None))
}

fn fused(p: &Problem<'_>) -> Prepared {
    let o = op::<FusedConv>(p)?;
    accept(p, o.geometry.ci, o.geometry.co)?;
    Ok(conv(BlockedConvKernel::forward(&o.geometry, p.inputs[0][0], p.isa)?, Some((o.add, o.activation))))
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

/// With bias: whether there is another summand, and what is applied last.
fn conv(kernel: BlockedConvKernel, follow_up: Option<(bool, Activation)>) -> Box<dyn crate::Kernel> {
    let reads = vec![Order::Blocked, Order::Packed(Arc::new(kernel.packing())), Order::Plain, Order::Blocked];
    let run = tasks(kernel, move |k, c| {
        let epilogue = follow_up.map_or(BlockedEpilogue::default(), |(add, a)| BlockedEpilogue {
            bias: Some(c.io.f32(2)),
            add: add.then(|| c.io.f32(3)),
            relu: a.rectifies(),
            limit: a.limit(),
        });
        let (x, w, y) = (c.io.f32(0), c.io.f32(1), c.io.out_f32(0));
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.phase, c.task, x, w, epilogue, y, c.workspace, c.scratch) }
    });
    ordered(run, reads, true)
}
