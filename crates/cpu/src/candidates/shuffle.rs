//! Elements that only change place or type, and random ones.

use super::reference::op;
use super::tasks::tasks;
use crate::kernel::{Candidate, Io, Kernel, Prepared, Problem};
use gabor_graph::ops::{Broadcast, Cast, Concat, OneHot, Pad, PadGrad, RandomUniform, Slice, Transpose};
use gabor_kernels::{CastKernel, ConcatKernel, OneHotKernel, PadKernel, RandomUniformKernel, StridedKernel, reference};
use gabor_tensor::{DType, PadMode};

/// Rows for the operations that move elements.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "transpose.strided", operation: "transpose", prepare: transpose },
    Candidate { name: "broadcast.strided", operation: "broadcast", prepare: broadcast },
    Candidate { name: "slice.strided", operation: "slice", prepare: slice },
    Candidate { name: "pad_grad.strided", operation: "pad_grad", prepare: pad_grad },
    Candidate { name: "pad.rows", operation: "pad", prepare: pad },
    Candidate { name: "concat.runs", operation: "concat", prepare: concat },
    Candidate { name: "one_hot.rows", operation: "one_hot", prepare: one_hot },
    Candidate { name: "cast.lanes", operation: "cast", prepare: cast },
    Candidate { name: "random_uniform.blocks", operation: "random_uniform", prepare: random_uniform },
];

fn transpose(p: &Problem<'_>) -> Prepared {
    let (perm, shape) = (op::<Transpose>(p)?.perm, p.inputs[0].clone());
    let kernel = StridedKernel::transpose(&shape, &perm, p.isa)?;
    Ok(tasks(kernel, move |k, c| match c.io.input_type(0) {
        DType::U8 => bytes(c.task, c.io, &shape, &perm),
        // SAFETY: the contract of the call is the kernel's; integers of 32 bits move as floats.
        DType::I32 => unsafe { k.run(c.task, as_floats(c.io.i32(0)), c.io.out_i32(0).as_f32()) },
        // SAFETY: as above.
        _ => unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0)) },
    }))
}

/// The transposition of bytes, by the first task alone.
fn bytes(task: usize, io: &Io<'_>, shape: &[usize], perm: &[usize]) {
    if task == 0 {
        let y = io.out_u8(0);
        // SAFETY: the other tasks do nothing.
        reference::transpose(io.u8(0), shape, perm, unsafe { y.part(0, y.len()) });
    }
}

/// Integers whose bits are taken for floats, which are only copied.
fn as_floats(x: &[i32]) -> &[f32] {
    // SAFETY: equal size and alignment, and any bits are a float.
    unsafe { std::slice::from_raw_parts(x.as_ptr().cast(), x.len()) }
}

fn strided(kernel: StridedKernel) -> Box<dyn Kernel> {
    tasks(kernel, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0)) }
    })
}

fn broadcast(p: &Problem<'_>) -> Prepared {
    op::<Broadcast>(p)?;
    Ok(strided(StridedKernel::broadcast(&p.inputs[0], &p.outputs[0], p.isa)?))
}

fn slice(p: &Problem<'_>) -> Prepared {
    let (o, from) = (op::<Slice>(p)?, &p.inputs[0]);
    let (mut starts, mut steps) = (vec![0; from.len()], vec![1; from.len()]);
    starts[o.axis] = o.start;
    steps[o.axis] = o.step as isize;
    Ok(strided(StridedKernel::slice(from, &starts, &steps, &p.outputs[0], p.isa)?))
}

fn pad_grad(p: &Problem<'_>) -> Prepared {
    let o = op::<PadGrad>(p)?;
    if o.mode != PadMode::Constant {
        return Err(format!("mode {} adds elements up", o.mode));
    }
    let from = &p.inputs[0];
    let starts: Vec<usize> = o.pads.iter().map(|p| p.0).collect();
    Ok(strided(StridedKernel::slice(from, &starts, &vec![1; from.len()], &p.outputs[0], p.isa)?))
}

fn pad(p: &Problem<'_>) -> Prepared {
    let o = op::<Pad>(p)?;
    let kernel = PadKernel::new(o.mode, o.value as f32, &p.inputs[0], &o.pads)?;
    Ok(tasks(kernel, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, c.io.f32(0), c.io.out_f32(0)) }
    }))
}

fn concat(p: &Problem<'_>) -> Prepared {
    let kernel = ConcatKernel::new(&p.inputs, op::<Concat>(p)?.axis);
    Ok(tasks(kernel, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, |i| c.io.f32(i), c.io.out_f32(0)) }
    }))
}

fn one_hot(p: &Problem<'_>) -> Prepared {
    let kernel = OneHotKernel::new(p.inputs[0].iter().product(), op::<OneHot>(p)?.classes);
    Ok(tasks(kernel, |k, c| {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, c.io.i32(0), c.io.out_f32(0)) }
    }))
}

fn cast(p: &Problem<'_>) -> Prepared {
    let to = op::<Cast>(p)?.dtype;
    if to != DType::F32 {
        return Err(format!("only to f32, not to {to}"));
    }
    let kernel = CastKernel::new(p.inputs[0].iter().product(), p.isa);
    Ok(tasks(kernel, |k, c| {
        let y = c.io.out_f32(0);
        // SAFETY: the contract of the call is the kernel's.
        unsafe {
            match c.io.input_type(0) {
                DType::U8 => k.run(c.task, c.io.u8(0), f32::from, y),
                DType::I32 => k.run(c.task, c.io.i32(0), |v| v as f32, y),
                _ => k.run(c.task, c.io.f32(0), |v| v, y),
            }
        }
    }))
}

fn random_uniform(p: &Problem<'_>) -> Prepared {
    let operation = op::<RandomUniform>(p)?.operation;
    let kernel = RandomUniformKernel::new(p.outputs[0].iter().product(), operation, p.isa);
    Ok(tasks(kernel, |k, c| {
        let key = c.io.i32(0);
        let join = |low: i32, high: i32| u64::from(low as u32) | u64::from(high as u32) << 32;
        // SAFETY: the contract of the call is the kernel's.
        unsafe { k.run(c.task, join(key[0], key[1]), join(key[2], key[3]), c.io.out_f32(0)) }
    }))
}
