//! Concatenation, slices, padding.

use crate::candidates::reference::op;
use crate::candidates::tasks::tasks;
use crate::kernel::{Candidate, Order, Prepared, Problem, ordered};
use gabor_graph::ops::{Concat, Embed, Pad, PadGrad, Slice};
use gabor_kernels::blocked::shuffle::BlockedMove;
use gabor_tensor::PadMode;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "concat.blocked", operation: "concat", prepare: concat },
    Candidate { name: "slice.blocked", operation: "slice", prepare: slice },
    Candidate { name: "embed.blocked", operation: "embed", prepare: embed },
    Candidate { name: "pad.blocked", operation: "pad", prepare: pad },
    Candidate { name: "pad_grad.blocked", operation: "pad_grad", prepare: pad_grad },
];

fn concat(p: &Problem<'_>) -> Prepared {
    let axis = op::<Concat>(p)?.axis;
    if axis != 1 {
        return Err(format!("along axis {axis}, not the channels"));
    }
    blocked(p, BlockedMove::concat(&p.inputs, p.isa))
}

fn slice(p: &Problem<'_>) -> Prepared {
    let o = op::<Slice>(p)?;
    blocked(p, BlockedMove::slice(&p.inputs[0], o.axis, o.start, o.step, p.outputs[0][o.axis], p.isa))
}

fn embed(p: &Problem<'_>) -> Prepared {
    let o = op::<Embed>(p)?;
    blocked(p, BlockedMove::embed(&p.inputs[0], o.axis, o.start, o.step, o.len, p.isa))
}

fn pad(p: &Problem<'_>) -> Prepared {
    let o = op::<Pad>(p)?;
    blocked(p, BlockedMove::pad(o.mode, o.value as f32, &p.inputs[0], &o.pads, p.isa))
}

fn pad_grad(p: &Problem<'_>) -> Prepared {
    let o = op::<PadGrad>(p)?;
    if o.mode != PadMode::Constant {
        return Err(format!("mode {} adds elements up", o.mode));
    }
    blocked(p, BlockedMove::crop(&p.inputs[0], &o.pads, p.isa))
}

/// Follows the inputs: where they are plain, plain kernels move fewer elements.
fn blocked(p: &Problem<'_>, kernel: Result<BlockedMove, String>) -> Prepared {
    if !p.any_blocked() {
        return Err("no input is blocked".into());
    }
    let kernel = tasks(kernel?, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, &|i| c.io.f32(i), c.io.out_f32(0)) }
    });
    Ok(ordered(kernel, vec![Order::Blocked; p.inputs.len()], true))
}
