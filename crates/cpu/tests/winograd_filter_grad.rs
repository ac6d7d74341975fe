//! The filter gradient by Winograd's algorithm in a training step, against the reference.

use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, Shape, Stream, Tensor, WindowOptions, rng::op};

const N: usize = 4;
const X: [usize; 3] = [24, 18, 15];

fn random(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(8, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| s.normal() as f32).collect()).unwrap()
}

/// A convolution and the gradient of the mean of its squares.
fn network() -> (Graph, ValueId) {
    let mut g = Graph::new("step");
    let x = g.input("x", Shape::batch(&X), DType::F32).unwrap();
    let w = g.parameter("w", &[40, 24, 3, 3], Parameter::weight(Initializer::Zeros)).unwrap();
    let window = WindowOptions { padding: Padding::Explicit(vec![(1, 1), (0, 2)]), ..Default::default() };
    let y = g.conv(x, w, 1, &window).unwrap();
    let squares = g.mul(y, y).unwrap();
    let loss = g.mean_all(squares).unwrap();
    let dw = differentiate(&mut g, loss, &[w]).unwrap()[0].unwrap();
    g.output("dw", dw);
    (g, dw)
}

fn inputs() -> (Tensor, Tensor) {
    (random(&[&[N], &X[..]].concat(), 0), random(&[40, 24, 3, 3], 1))
}

fn run(threads: usize, strict: bool) -> Box<dyn Executable> {
    let backend = CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() }).unwrap();
    let program = Program::single("step", network().0.validate().unwrap());
    let mut run = backend.compile(&program, &CompileOptions { strict, ..Default::default() }).unwrap();
    let (x, w) = inputs();
    run.write("w", &w).unwrap();
    run.run(0, N, &[("x", &x)]).unwrap();
    run
}

#[test]
fn equals_the_reference() {
    let (g, dw) = network();
    let (x, w) = inputs();
    let bindings = [(g.find("x").unwrap(), x), (g.find("w").unwrap(), w)].into();
    let want = evaluate(&g, N, &bindings, Precision::F64, &[dw]).unwrap()[0].to_f64();
    let scale = want.iter().fold(0f64, |m, v| m.max(v.abs()));
    let (one, three) = (run(1, false), run(3, false));
    assert!(one.output("dw").unwrap().as_f32().unwrap() == three.output("dw").unwrap().as_f32().unwrap());
    for (a, b) in one.output("dw").unwrap().as_f32().unwrap().iter().zip(want) {
        assert!((f64::from(*a) - b).abs() < 1e-5 * scale, "{a} and {b}");
    }
    for (mut run, used) in [(run(1, true), false), (one, true)] {
        let kernels = run.report(0, N).unwrap().nodes;
        assert_eq!(kernels.iter().any(|n| n.kernel == "conv_filter_grad.winograd"), used, "{kernels:?}");
    }
}
