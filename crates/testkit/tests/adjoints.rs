//! ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for linear operations and their adjoints, in 64 bits, over all samples.

use gabor_cpu::reference::Precision;
use gabor_graph::ops::{
    AvgPool, AvgPoolGrad, Conv, ConvFilterGrad, ConvInputGrad, Embed, Fold, MaxPoolGather, MaxUnpool, Pad, PadGrad,
    Slice, Unfold,
};
use gabor_graph::{Fill, FromText, Operation, Problem};
use gabor_tensor::{DType, Shape, Tensor};
use gabor_testkit::{Bindings, fill, normal, reference};

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| a * b).sum()
}

/// The only output of an operation on these tensors.
fn run(operation: impl Operation, inputs: &[&Tensor]) -> Tensor {
    let input = |t: &&Tensor| {
        let dtype = if t.dtype().is_float() { DType::F32 } else { t.dtype() };
        (Shape::fixed(t.shape()), dtype, Fill::Normal)
    };
    let problem = Problem { inputs: inputs.iter().map(input).collect(), n: 1, ..Problem::new(operation) };
    reference(&problem, &inputs.iter().map(|t| (*t).clone()).collect(), Precision::F64).unwrap().remove(0)
}

/// Checks `⟨op(x), y⟩ = ⟨x, adjoint(y)⟩` in input `place` of every sample, with the other inputs as they are.
fn check<O: FromText>(place: usize, adjoint: impl Fn(&O, &Bindings, &Tensor) -> Tensor) {
    for problem in O::samples() {
        let op = (&*problem.operation as &dyn std::any::Any).downcast_ref::<O>().expect("its own sample");
        let x = fill(&problem, 21);
        let ax = reference(&problem, &x, Precision::F64).unwrap().remove(0);
        let y = normal(ax.shape(), 22);
        let aty = adjoint(op, &x, &y);
        let (left, right) = (dot(&ax, &y), dot(&x[place], &aty));
        assert!((left - right).abs() < 1e-9 * (1.0 + left.abs()), "{}: {left} and {right}", problem.to_text());
    }
}

#[test]
fn convolution_and_its_two_gradients() {
    check::<Conv>(0, |op, x, y| run(ConvInputGrad { geometry: op.geometry.clone() }, &[y, &x[1]]));
    check::<Conv>(1, |op, x, y| run(ConvFilterGrad { geometry: op.geometry.clone() }, &[&x[0], y]));
    check::<ConvInputGrad>(0, |op, x, y| run(Conv { geometry: op.geometry.clone() }, &[y, &x[1]]));
}

#[test]
fn pooling() {
    check::<AvgPool>(0, |op, _, y| run(AvgPoolGrad { window: op.window.clone(), divisor: op.divisor }, &[y]));
    check::<MaxPoolGather>(0, |op, x, y| run(MaxUnpool { window: op.window.clone() }, &[y, &x[1]]));
}

#[test]
fn columns_padding_and_slices() {
    check::<Unfold>(0, |op, _, y| run(Fold { window: op.window.clone() }, &[y]));
    check::<Slice>(0, |op, x, y| {
        let op = Embed { axis: op.axis, start: op.start, step: op.step, len: x[0].shape()[op.axis] };
        run(op, &[y])
    });
    for problem in PadGrad::samples() {
        let op = (&*problem.operation as &dyn std::any::Any).downcast_ref::<PadGrad>().expect("its own sample");
        let dy = fill(&problem, 21);
        let folded = reference(&problem, &dy, Precision::F64).unwrap().remove(0);
        let x = normal(folded.shape(), 22);
        let padded = run(Pad { mode: op.mode, value: 0.0, pads: op.pads.clone() }, &[&x]);
        let (left, right) = (dot(&folded, &x), dot(&dy[0], &padded));
        assert!((left - right).abs() < 1e-9 * (1.0 + left.abs()), "{}: {left} and {right}", problem.to_text());
    }
}
