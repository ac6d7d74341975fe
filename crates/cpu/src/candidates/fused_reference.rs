//! The last rows for fused operations: the parts one after the other, in one task.

use super::reference::{op, out, product};
use crate::kernel::{Candidate, Prepared, Problem, whole};
use gabor_compile::fused::{Activation, FusedConv, FusedMap, FusedMatMul, Step};
use gabor_graph::ops::MatMul;
use gabor_kernels::reference as kernels;
use gabor_tensor::strides_of;

/// One row per fused operation.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "fused_conv.reference", operation: "fused_conv", prepare: conv },
    Candidate { name: "fused_matmul.reference", operation: "fused_matmul", prepare: matmul },
    Candidate { name: "fused_map.reference", operation: "fused_map", prepare: map },
];

fn finish(y: &mut [f32], summand: impl Fn(usize) -> f32, activation: Activation) {
    for (i, y) in y.iter_mut().enumerate() {
        *y += summand(i);
        if activation.rectifies() {
            *y = y.clamp(0.0, activation.limit());
        }
    }
}

fn conv(p: &Problem<'_>) -> Prepared {
    let (o, n) = (op::<FusedConv>(p)?, p.inputs[0][0]);
    let plane = o.geometry.window.output_len();
    Ok(whole(move |io| {
        let (y, bias) = (out(io, 0), io.f32(2));
        kernels::conv(&o.geometry, n, io.f32(0), io.f32(1), y);
        let add = o.add.then(|| io.f32(3));
        finish(y, |i| bias[i / plane % o.geometry.co] + add.map_or(0.0, |a| a[i]), o.activation);
    }))
}

fn matmul(p: &Problem<'_>) -> Prepared {
    let o = op::<FusedMatMul>(p)?;
    let inner = MatMul { transpose_a: o.transpose_a, transpose_b: o.transpose_b };
    let product = product(&inner, &p.inputs[0], &p.inputs[1]);
    Ok(whole(move |io| {
        let (y, bias) = (out(io, 0), io.f32(2));
        kernels::matmul(&product, io.f32(0), io.f32(1), y);
        finish(y, |i| bias[i % product.n], o.activation);
    }))
}

/// Distance between neighbours of each axis of the output in an input that broadcasts to it.
fn broadcast_strides(from: &[usize], to: &[usize]) -> Vec<usize> {
    let own = strides_of(from);
    let lead = to.len() - from.len();
    (0..to.len()).map(|i| if i < lead || from[i - lead] == 1 { 0 } else { own[i - lead] }).collect()
}

fn map(p: &Problem<'_>) -> Prepared {
    let program = op::<FusedMap>(p)?.program;
    let shape = p.outputs[0].clone();
    let strides: Vec<Vec<usize>> = p.inputs.iter().map(|s| broadcast_strides(s, &shape)).collect();
    let own = strides_of(&shape);
    Ok(whole(move |io| {
        let outputs: Vec<&mut [f32]> = (0..program.outputs.len()).map(|o| out(io, o)).collect();
        let len: usize = shape.iter().product();
        let mut values = vec![0f32; program.steps.len()];
        let mut outputs = outputs;
        for e in 0..len {
            for (i, step) in program.steps.iter().enumerate() {
                values[i] = match *step {
                    Step::Input(k) => {
                        let at =
                            own.iter().zip(&shape).zip(&strides[k]).map(|((o, s), t)| e / o % s * t).sum::<usize>();
                        io.f32(k)[at]
                    }
                    Step::Constant(c) => c as f32,
                    Step::Unary(f, a) => f.eval(values[a]),
                    Step::Binary(f, a, b) => f.eval(values[a], values[b]),
                };
            }
            for (y, &s) in outputs.iter_mut().zip(&program.outputs) {
                y[e] = values[s];
            }
        }
    }))
}
