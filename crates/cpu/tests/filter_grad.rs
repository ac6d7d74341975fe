//! The filter gradient in blocks of channels: inside the backend against the reference, and where it leaves small
//! problems to the plain kernels.

use gabor_compile::{Backend, CompileOptions, Program};
use gabor_cpu::CpuBackend;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::Graph;
use gabor_graph::ops::ConvFilterGrad;
use gabor_tensor::{ConvGeometry, DType, Padding, Shape, Stream, Tensor, WindowOptions, rng::op};
use std::collections::HashMap;

fn random(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(5, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| s.normal() as f32).collect()).unwrap()
}

fn geometry(ci: usize, co: usize, kernel: usize, stride: usize, groups: usize) -> ConvGeometry {
    let o = WindowOptions::new(&[]).stride(&[stride]).padding(Padding::all(kernel / 2));
    ConvGeometry::new(ci, &[13, 18], &[co, ci / groups, kernel, kernel], groups, &o).unwrap()
}

/// Runs one filter gradient of three images: the kernel's name; the result is compared with the reference.
fn run(geometry: ConvGeometry) -> String {
    let n = 3;
    let mut g = Graph::new("filter gradient");
    let shapes = [geometry.input_shape(n), geometry.output_shape(n)];
    let inputs = ["x", "dy"].map(|name| {
        let shape = &shapes[usize::from(name == "dy")];
        g.input(name, Shape::batch(&shape[1..]), DType::F32).unwrap()
    });
    let dw = g.add_one(ConvFilterGrad { geometry }, &inputs).unwrap();
    g.output("dw", dw);
    let [x, dy] = [random(&shapes[0], 0), random(&shapes[1], 1)];
    let bindings = HashMap::from([(inputs[0], x.clone()), (inputs[1], dy.clone())]);
    let want = evaluate(&g, n, &bindings, Precision::F64, &[dw]).unwrap().remove(0).to_f64();
    let program = Program::single("program", g.validate().unwrap());
    let mut run = CpuBackend::default().compile(&program, &CompileOptions::default()).unwrap();
    run.run(0, n, &[("x", &x), ("dy", &dy)]).unwrap();
    let scale = want.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
    for (a, b) in run.output("dw").unwrap().as_f32().unwrap().iter().zip(want) {
        assert!((f64::from(*a) - b).abs() < 1e-5 * scale, "{a} and {b}");
    }
    run.report(0, n).unwrap().nodes.into_iter().map(|n| n.kernel).find(|k| k.contains("filter_grad")).unwrap()
}

#[test]
fn many_channels_are_summed_in_blocks() {
    for g in [geometry(40, 72, 1, 1, 1), geometry(32, 24, 3, 2, 1), geometry(64, 32, 5, 2, 2)] {
        assert_eq!(run(g.clone()), "conv_filter_grad.blocked", "{g}");
    }
}

#[test]
fn few_channels_in_plain_order_are_not_reordered() {
    for g in [geometry(8, 6, 3, 2, 1), geometry(24, 10, 1, 1, 1)] {
        assert_eq!(run(g.clone()), "conv_filter_grad.bands", "{g}");
    }
}
