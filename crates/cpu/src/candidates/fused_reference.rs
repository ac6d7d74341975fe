//! The last rows for fused operations: the parts one after the other, in one task.

use super::reference::{op, out, product};
use crate::kernel::{Candidate, Prepared, Problem, whole};
use gabor_compile::fused::{Activation, FusedConv, FusedMap, FusedMatMul, FusedProductMap, MapProgram, Step};
use gabor_graph::ops::MatMul;
use gabor_kernels::reference as kernels;
use gabor_tensor::strides_of;

/// One row per fused operation.
pub const TABLE: &[Candidate] = &[
    Candidate { name: "fused_conv.reference", operation: "fused_conv", prepare: conv },
    Candidate { name: "fused_matmul.reference", operation: "fused_matmul", prepare: matmul },
    Candidate { name: "fused_map.reference", operation: "fused_map", prepare: map },
    Candidate { name: "fused_product_map.reference", operation: "fused_product_map", prepare: product_map },
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
    let elements = Elements::new(op::<FusedMap>(p)?.program, &p.inputs, &p.outputs[0]);
    Ok(whole(move |io| {
        let inputs: Vec<&[f32]> = (0..io.inputs()).map(|i| io.f32(i)).collect();
        elements.run(&inputs, (0..io.outputs()).map(|o| out(io, o)).collect());
    }))
}

fn product_map(p: &Problem<'_>) -> Prepared {
    let o = op::<FusedProductMap>(p)?;
    let inner = MatMul { transpose_a: o.transpose_a, transpose_b: false };
    let product = product(&inner, &p.inputs[0], &p.inputs[1]);
    let shapes: Vec<Vec<usize>> = [&p.outputs[0]].into_iter().chain(&p.inputs[2..]).cloned().collect();
    let elements = Elements::new(o.program, &shapes, &p.outputs[0]);
    Ok(whole(move |io| {
        let mut y = vec![0.0; product.m * product.n];
        kernels::matmul(&product, io.f32(0), io.f32(1), &mut y);
        let inputs: Vec<&[f32]> = [&y[..]].into_iter().chain((2..io.inputs()).map(|i| io.f32(i))).collect();
        elements.run(&inputs, (0..io.outputs()).map(|o| out(io, o)).collect());
    }))
}

/// An element-wise program, element by element.
struct Elements {
    program: MapProgram,
    shape: Vec<usize>,
    strides: Vec<Vec<usize>>,
}

impl Elements {
    fn new(program: MapProgram, inputs: &[Vec<usize>], shape: &[usize]) -> Self {
        let strides = inputs.iter().map(|s| broadcast_strides(s, shape)).collect();
        Elements { program, shape: shape.to_vec(), strides }
    }
    fn run(&self, inputs: &[&[f32]], mut outputs: Vec<&mut [f32]>) {
        let own = strides_of(&self.shape);
        let mut values = vec![0f32; self.program.steps.len()];
        for e in 0..self.shape.iter().product() {
            for (i, step) in self.program.steps.iter().enumerate() {
                values[i] = match *step {
                    Step::Input(k) => {
                        let axes = own.iter().zip(&self.shape).zip(&self.strides[k]);
                        inputs[k][axes.map(|((o, s), t)| e / o % s * t).sum::<usize>()]
                    }
                    Step::Constant(c) => c as f32,
                    Step::Unary(f, a) => f.eval(values[a]),
                    Step::Binary(f, a, b) => f.eval(values[a], values[b]),
                };
            }
            for (y, &s) in outputs.iter_mut().zip(&self.program.outputs) {
                y[e] = values[s];
            }
        }
    }
}
