//! Products, normalisation, softmax, reductions.

use super::Row;
use super::cx::Cx;
use super::writer::{float, int, ints};
use crate::onnx::proto::elem;
use gabor_graph::ops::{
    BatchNormInference, InstanceNorm, LayerNorm, LocalResponseNorm, LogSoftmax, MatMul, Reduce, Size, Softmax,
};
use gabor_tensor::{Reduction, Rule};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("matmul", matmul),
    ("softmax", |c| {
        let axis = c.op::<Softmax>()?.axis;
        c.done("Softmax", vec![int("axis", axis as i64)]);
        Ok(())
    }),
    ("log_softmax", |c| {
        let axis = c.op::<LogSoftmax>()?.axis;
        c.done("LogSoftmax", vec![int("axis", axis as i64)]);
        Ok(())
    }),
    ("batch_norm_inference", |c| {
        let eps = c.op::<BatchNormInference>()?.eps;
        c.done("BatchNormalization", vec![float("epsilon", eps)]);
        Ok(())
    }),
    ("instance_norm", |c| {
        let eps = c.op::<InstanceNorm>()?.eps;
        c.done("InstanceNormalization", vec![float("epsilon", eps)]);
        Ok(())
    }),
    ("layer_norm", |c| {
        let &LayerNorm { dims, eps } = c.op::<LayerNorm>()?;
        c.done("LayerNormalization", vec![int("axis", -(dims as i64)), float("epsilon", eps)]);
        Ok(())
    }),
    ("local_response_norm", |c| {
        let &LocalResponseNorm { size, alpha, beta, k } = c.op::<LocalResponseNorm>()?;
        let attributes = vec![int("size", size as i64), float("alpha", alpha), float("beta", beta), float("bias", k)];
        c.done("LRN", attributes);
        Ok(())
    }),
    ("reduce", reduce),
    ("size", size),
];

/// `op(a) · op(b)` of two matrices with an optional bias, under the name `y`.
pub(super) fn gemm(c: &mut Cx<'_>, m: &MatMul, bias: Option<&str>, y: &str) {
    let (a, b) = (c.x(0), c.x(1));
    if !m.transpose_a && !m.transpose_b && bias.is_none() {
        c.emit_to("MatMul", &[&a, &b], vec![], y);
        return;
    }
    let mut attributes = Vec::new();
    if m.transpose_a {
        attributes.push(int("transA", 1));
    }
    if m.transpose_b {
        attributes.push(int("transB", 1));
    }
    let inputs: Vec<&str> = [a.as_str(), b.as_str()].into_iter().chain(bias).collect();
    c.emit_to("Gemm", &inputs, attributes, y);
}

fn matmul(c: &mut Cx<'_>) -> Result<(), Rule> {
    let m = c.op::<MatMul>()?.clone();
    let y = c.y(0);
    if c.shape(0).rank() == 2 {
        gemm(c, &m, None, &y);
        return Ok(());
    }
    let (mut a, mut b) = (c.x(0), c.x(1));
    for (x, turn) in [(&mut a, m.transpose_a), (&mut b, m.transpose_b)] {
        if turn {
            *x = c.emit("Transpose", &[x], vec![ints("perm", vec![0, 2, 1])]);
        }
    }
    c.emit_to("MatMul", &[&a, &b], vec![], &y);
    Ok(())
}

fn reduce(c: &mut Cx<'_>) -> Result<(), Rule> {
    let op = c.op::<Reduce>()?;
    let (kind, axes): (_, Vec<i64>) = (op.kind, op.axes.iter().map(|&a| a as i64).collect());
    let (x, y) = (c.x(0), c.y(0));
    match kind {
        // Axes became an input of the sum at opset 13, of the others at 18.
        Reduction::Sum => {
            let axes = c.ints(&axes);
            c.emit_to("ReduceSum", &[&x, &axes], vec![int("keepdims", 1)], &y);
        }
        Reduction::Mean => c.emit_to("ReduceMean", &[&x], vec![ints("axes", axes), int("keepdims", 1)], &y),
        Reduction::Max => c.emit_to("ReduceMax", &[&x], vec![ints("axes", axes), int("keepdims", 1)], &y),
    }
    Ok(())
}

fn size(c: &mut Cx<'_>) -> Result<(), Rule> {
    let axes: Vec<usize> = c.op::<Size>()?.axes.clone();
    let (x, y) = (c.x(0), c.y(0));
    let all = c.emit("Shape", &[&x], vec![]);
    let axes = c.ints(&axes.iter().map(|&a| a as i64).collect::<Vec<_>>());
    let some = c.emit("Gather", &[&all, &axes], vec![int("axis", 0)]);
    let product = c.emit("ReduceProd", &[&some], vec![int("keepdims", 0)]);
    c.emit_to("Cast", &[&product], vec![int("to", elem::FLOAT)], &y);
    Ok(())
}
