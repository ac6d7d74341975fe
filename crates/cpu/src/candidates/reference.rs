//! The last row of every table: the readable kernels, in one task.
//!
//! For operations that only move data, and for those that no network spends its time in, they are the final choice.

use crate::kernel::{Candidate, Io, Prepared, Problem, whole};
pub(super) use crate::reference::{along, extents, product};
use gabor_graph::Operation;
use gabor_graph::ops::*;
use gabor_kernels::reference as kernels;
use gabor_tensor::DType;

macro_rules! table {
    ($($operation:literal => $prepare:expr),* $(,)?) => {
        /// One row per primitive.
        pub const TABLE: &[Candidate] = &[$(Candidate {
            name: concat!($operation, ".reference"),
            operation: $operation,
            prepare: $prepare,
        }),*];
    };
}

table! {
    "conv" => conv,
    "conv_input_grad" => conv_input_grad,
    "conv_filter_grad" => conv_filter_grad,
    "matmul" => matmul,
    "unfold" => unfold,
    "fold" => fold,
    "max_pool" => max_pool,
    "max_unpool" => max_unpool,
    "max_pool_gather" => max_pool_gather,
    "avg_pool" => avg_pool,
    "avg_pool_grad" => avg_pool_grad,
    "unary" => unary,
    "binary" => binary,
    "reduce" => reduce,
    "broadcast" => broadcast,
    "transpose" => transpose,
    "concat" => concat,
    "slice" => slice,
    "embed" => embed,
    "pad" => pad,
    "pad_grad" => pad_grad,
    "softmax" => softmax,
    "log_softmax" => log_softmax,
    "batch_norm" => batch_norm,
    "batch_norm_grad" => batch_norm_grad,
    "gather" => gather,
    "scatter_add" => scatter_add,
    "one_hot" => one_hot,
    "cast" => cast,
    "random_uniform" => random_uniform,
    "size" => size,
}

/// Why a candidate refuses an operation of another type than its name says: a user's own.
pub(super) const OTHER: &str = "another operation of the same name";

/// The operation as its type.
pub(super) fn op<O: Operation + Clone>(p: &Problem<'_>) -> Result<O, String> {
    p.op::<O>().cloned().ok_or_else(|| OTHER.to_string())
}

/// Output `i`, whole: a kernel in one task is the only one that writes it.
pub(super) fn out<'a>(io: &Io<'a>, i: usize) -> &'a mut [f32] {
    let o = io.out_f32(i);
    // SAFETY: one task writes all of the output, and each output is taken once.
    unsafe { o.part(0, o.len()) }
}

fn out_i32<'a>(io: &Io<'a>, i: usize) -> &'a mut [i32] {
    let o = io.out_i32(i);
    // SAFETY: as in `out`.
    unsafe { o.part(0, o.len()) }
}

fn planes(shape: &[usize]) -> usize {
    shape.iter().take(2).product()
}

fn conv(p: &Problem<'_>) -> Prepared {
    let (g, n) = (op::<Conv>(p)?.geometry, p.inputs[0][0]);
    Ok(whole(move |io| kernels::conv(&g, n, io.f32(0), io.f32(1), out(io, 0))))
}
fn conv_input_grad(p: &Problem<'_>) -> Prepared {
    let (g, n) = (op::<ConvInputGrad>(p)?.geometry, p.inputs[0][0]);
    Ok(whole(move |io| kernels::conv_input_grad(&g, n, io.f32(0), io.f32(1), out(io, 0))))
}
fn conv_filter_grad(p: &Problem<'_>) -> Prepared {
    let (g, n) = (op::<ConvFilterGrad>(p)?.geometry, p.inputs[0][0]);
    Ok(whole(move |io| kernels::conv_filter_grad(&g, n, io.f32(0), io.f32(1), out(io, 0))))
}

fn matmul(p: &Problem<'_>) -> Prepared {
    let product = product(&op::<MatMul>(p)?, &p.inputs[0], &p.inputs[1]);
    Ok(whole(move |io| kernels::matmul(&product, io.f32(0), io.f32(1), out(io, 0))))
}
fn unfold(p: &Problem<'_>) -> Prepared {
    let (w, n, c) = (op::<Unfold>(p)?.window, p.inputs[0][0], p.inputs[0][1]);
    Ok(whole(move |io| kernels::unfold(&w, n, c, io.f32(0), out(io, 0))))
}
fn fold(p: &Problem<'_>) -> Prepared {
    let (w, n, c) = (op::<Fold>(p)?.window, p.outputs[0][0], p.outputs[0][1]);
    Ok(whole(move |io| kernels::fold(&w, n, c, io.f32(0), out(io, 0))))
}
fn max_pool(p: &Problem<'_>) -> Prepared {
    let (w, planes) = (op::<MaxPool>(p)?.window, planes(&p.inputs[0]));
    Ok(whole(move |io| kernels::max_pool(&w, planes, io.f32(0), out(io, 0), out_i32(io, 1))))
}
fn max_unpool(p: &Problem<'_>) -> Prepared {
    let (w, planes) = (op::<MaxUnpool>(p)?.window, planes(&p.inputs[0]));
    Ok(whole(move |io| kernels::max_unpool(&w, planes, io.f32(0), io.i32(1), out(io, 0))))
}
fn max_pool_gather(p: &Problem<'_>) -> Prepared {
    let (w, planes) = (op::<MaxPoolGather>(p)?.window, planes(&p.inputs[0]));
    Ok(whole(move |io| kernels::max_pool_gather(&w, planes, io.f32(0), io.i32(1), out(io, 0))))
}
fn avg_pool(p: &Problem<'_>) -> Prepared {
    let (o, planes) = (op::<AvgPool>(p)?, planes(&p.inputs[0]));
    Ok(whole(move |io| kernels::avg_pool(&o.window, planes, o.divisor, io.f32(0), out(io, 0))))
}
fn avg_pool_grad(p: &Problem<'_>) -> Prepared {
    let (o, planes) = (op::<AvgPoolGrad>(p)?, planes(&p.inputs[0]));
    Ok(whole(move |io| kernels::avg_pool_grad(&o.window, planes, o.divisor, io.f32(0), out(io, 0))))
}
fn unary(p: &Problem<'_>) -> Prepared {
    let f = op::<UnaryMap>(p)?.f;
    Ok(whole(move |io| kernels::unary(f, io.f32(0), out(io, 0))))
}
fn binary(p: &Problem<'_>) -> Prepared {
    let (f, a, b) = (op::<BinaryMap>(p)?.f, p.inputs[0].clone(), p.inputs[1].clone());
    Ok(whole(move |io| kernels::binary(f, io.f32(0), &a, io.f32(1), &b, out(io, 0))))
}
fn reduce(p: &Problem<'_>) -> Prepared {
    let (o, shape) = (op::<Reduce>(p)?, p.inputs[0].clone());
    Ok(whole(move |io| kernels::reduce(o.kind, io.f32(0), &shape, &o.axes, out(io, 0))))
}
fn broadcast(p: &Problem<'_>) -> Prepared {
    let (from, to) = (p.inputs[0].clone(), p.outputs[0].clone());
    Ok(whole(move |io| kernels::broadcast_to(io.f32(0), &from, &to, out(io, 0))))
}
fn transpose(p: &Problem<'_>) -> Prepared {
    let (perm, shape) = (op::<Transpose>(p)?.perm, p.inputs[0].clone());
    Ok(whole(move |io| match io.input_type(0) {
        DType::I32 => kernels::transpose(io.i32(0), &shape, &perm, out_i32(io, 0)),
        DType::U8 => {
            let o = io.out_u8(0);
            // SAFETY: one task writes all of the output.
            kernels::transpose(io.u8(0), &shape, &perm, unsafe { o.part(0, o.len()) })
        }
        _ => kernels::transpose(io.f32(0), &shape, &perm, out(io, 0)),
    }))
}
fn concat(p: &Problem<'_>) -> Prepared {
    let (axis, shapes) = (op::<Concat>(p)?.axis, p.inputs.clone());
    // Row-major: every input contributes one run of elements to each outer index.
    let inner: Vec<usize> = shapes.iter().map(|s| s[axis..].iter().product()).collect();
    let outer: usize = shapes[0][..axis].iter().product();
    Ok(whole(move |io| {
        let y = out(io, 0);
        let mut at = 0;
        for o in 0..outer {
            for (i, &run) in inner.iter().enumerate() {
                y[at..at + run].copy_from_slice(&io.f32(i)[o * run..(o + 1) * run]);
                at += run;
            }
        }
    }))
}
fn slice(p: &Problem<'_>) -> Prepared {
    let (o, from, to) = (op::<Slice>(p)?, p.inputs[0].clone(), p.outputs[0].clone());
    let (starts, steps) = along(from.len(), o.axis, o.start, o.step);
    Ok(whole(move |io| kernels::slice(io.f32(0), &from, &starts, &steps, &to, out(io, 0))))
}
fn embed(p: &Problem<'_>) -> Prepared {
    let (o, from, to) = (op::<Embed>(p)?, p.inputs[0].clone(), p.outputs[0].clone());
    let (starts, steps) = along(from.len(), o.axis, o.start, o.step);
    Ok(whole(move |io| {
        let y = out(io, 0);
        y.fill(0.0);
        kernels::embed(io.f32(0), &from, &starts, &steps, &to, y);
    }))
}
fn pad(p: &Problem<'_>) -> Prepared {
    let (o, shape) = (op::<Pad>(p)?, p.inputs[0].clone());
    Ok(whole(move |io| kernels::pad(o.mode, o.value as f32, io.f32(0), &shape, &o.pads, out(io, 0))))
}
fn pad_grad(p: &Problem<'_>) -> Prepared {
    let (o, shape) = (op::<PadGrad>(p)?, p.outputs[0].clone());
    Ok(whole(move |io| {
        let dx = out(io, 0);
        dx.fill(0.0);
        kernels::pad_grad(o.mode, io.f32(0), &shape, &o.pads, dx);
    }))
}
fn softmax(p: &Problem<'_>) -> Prepared {
    let (axis, shape) = (op::<Softmax>(p)?.axis, p.inputs[0].clone());
    Ok(whole(move |io| kernels::softmax(io.f32(0), &shape, axis, out(io, 0))))
}
fn log_softmax(p: &Problem<'_>) -> Prepared {
    let (axis, shape) = (op::<LogSoftmax>(p)?.axis, p.inputs[0].clone());
    Ok(whole(move |io| kernels::log_softmax(io.f32(0), &shape, axis, out(io, 0))))
}

fn batch_norm(p: &Problem<'_>) -> Prepared {
    let o = op::<BatchNorm>(p)?;
    let e = extents(&p.inputs[0], o.eps, o.momentum);
    Ok(whole(move |io| {
        let to = kernels::BatchNormOut {
            y: out(io, 0),
            mean: out(io, 1),
            inv_std: out(io, 2),
            new_running_mean: out(io, 3),
            new_running_var: out(io, 4),
        };
        kernels::batch_norm_train(&e, io.f32(0), io.f32(1), io.f32(2), io.f32(3), io.f32(4), to);
    }))
}
fn batch_norm_grad(p: &Problem<'_>) -> Prepared {
    op::<BatchNormGrad>(p)?;
    let e = extents(&p.inputs[1], 0.0, 0.0);
    Ok(whole(move |io| {
        let (dx, dgamma, dbeta) = (out(io, 0), out(io, 1), out(io, 2));
        kernels::batch_norm_grad(&e, io.f32(0), io.f32(1), io.f32(2), io.f32(3), io.f32(4), dx, dgamma, dbeta);
    }))
}
fn gather(p: &Problem<'_>) -> Prepared {
    let (axis, shape) = (op::<Gather>(p)?.axis, &p.inputs[0]);
    let (len, inner) = (shape[axis], shape[axis + 1..].iter().product());
    Ok(whole(move |io| kernels::gather(io.f32(0), len, inner, io.i32(1), out(io, 0))))
}
fn scatter_add(p: &Problem<'_>) -> Prepared {
    let (axis, shape) = (op::<ScatterAdd>(p)?.axis, &p.outputs[0]);
    let (len, inner) = (shape[axis], shape[axis + 1..].iter().product());
    Ok(whole(move |io| kernels::scatter_add(io.f32(0), len, inner, io.i32(1), out(io, 0))))
}
fn one_hot(p: &Problem<'_>) -> Prepared {
    let classes = op::<OneHot>(p)?.classes;
    Ok(whole(move |io| {
        let y = out(io, 0);
        y.fill(0.0);
        kernels::one_hot(io.i32(0), classes, y);
    }))
}
fn cast(p: &Problem<'_>) -> Prepared {
    let to = op::<Cast>(p)?.dtype;
    Ok(whole(move |io| {
        let x = |i: usize| match io.input_type(0) {
            DType::U8 => f64::from(io.u8(0)[i]),
            DType::I32 => f64::from(io.i32(0)[i]),
            _ => f64::from(io.f32(0)[i]),
        };
        match to {
            DType::I32 => out_i32(io, 0).iter_mut().enumerate().for_each(|(i, y)| *y = x(i) as i32),
            DType::U8 => {
                let o = io.out_u8(0);
                // SAFETY: one task writes all of the output.
                unsafe { o.part(0, o.len()) }.iter_mut().enumerate().for_each(|(i, y)| *y = x(i) as u8);
            }
            _ => out(io, 0).iter_mut().enumerate().for_each(|(i, y)| *y = x(i) as f32),
        }
    }))
}
fn random_uniform(p: &Problem<'_>) -> Prepared {
    let operation = op::<RandomUniform>(p)?.operation;
    Ok(whole(move |io| {
        let key = io.i32(0);
        let join = |low: i32, high: i32| u64::from(low as u32) | u64::from(high as u32) << 32;
        kernels::random_uniform(join(key[0], key[1]), operation, join(key[2], key[3]), out(io, 0));
    }))
}
fn size(p: &Problem<'_>) -> Prepared {
    let axes = op::<Size>(p)?.axes;
    let size: usize = axes.iter().map(|&a| p.inputs[0][a]).product();
    Ok(whole(move |io| out(io, 0).fill(size as f32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_primitive_has_a_row() {
        for spec in gabor_graph::registry() {
            let sample = (spec.samples)().remove(0);
            let mut g = gabor_graph::Graph::new("test");
            let inputs: Vec<_> = (sample.inputs.iter().enumerate())
                .map(|(i, (s, d, _))| g.input(&format!("x{i}"), s.clone(), *d).unwrap())
                .collect();
            let primitive = sample.operation.decompose(&mut g, &inputs).is_none();
            let row = TABLE.iter().any(|c| c.operation == spec.name);
            assert!(row || !primitive || spec.name == "reshape", "{} has no kernel", spec.name);
        }
    }
}
