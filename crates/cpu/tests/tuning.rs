//! Kernels that are chosen by the clock compute the same problem, and a remembered choice is the choice.

use gabor_compile::{Backend, CompileOptions, Program, Report};
use gabor_cpu::{CpuBackend, CpuOptions, Tuning};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Padding, Shape, Stream, Tensor, WindowOptions, rng};
use std::sync::Arc;

/// A 3×3 convolution that several algorithms accept.
fn program() -> Program {
    let mut g = Graph::new("conv");
    let x = g.input("x", Shape::batch(&[32, 14, 14]), DType::F32).unwrap();
    let init = Initializer::KaimingNormal { a: 0.0, fan_out: false };
    let w = g.parameter("w", &[32, 32, 3, 3], Parameter::weight(init)).unwrap();
    let window = WindowOptions::new(&[3, 3]).padding(Padding::all(1));
    let y = g.conv(x, w, 1, &window).unwrap();
    g.output("y", y);
    Program::single("conv", g.validate().unwrap())
}

fn random(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(7, 0, key, rng::op::TEST);
    Tensor::f32(shape, (0..shape.iter().product()).map(|_| s.normal() as f32).collect()).unwrap()
}

fn result(options: CpuOptions) -> (Tensor, Report) {
    let backend = CpuBackend::new(options).unwrap();
    let mut run = backend.compile(&program(), &CompileOptions::default()).unwrap();
    run.write("w", &random(&[32, 32, 3, 3], 1)).unwrap();
    run.run(0, 2, &[("x", &random(&[2, 32, 14, 14], 2))]).unwrap();
    (run.output("y").unwrap().to_tensor(), run.report(0, 2).unwrap())
}

#[test]
fn measured_choices_are_remembered() {
    let (by_rule, report) = result(CpuOptions { threads: Some(2), ..Default::default() });
    assert!(report.nodes.iter().all(|n| n.refused.iter().all(|r| !r.1.contains("measured"))));
    let tuning = Arc::new(Tuning::new("here"));
    let options = CpuOptions { threads: Some(2), tune: Some(tuning.clone()), ..Default::default() };
    let (measured, report) = result(options.clone());
    let chosen = |r: &Report| r.nodes.iter().map(|n| n.kernel.clone()).collect::<Vec<_>>();
    let reasons: Vec<&String> = report.nodes.iter().flat_map(|n| &n.refused).map(|r| &r.1).collect();
    assert!(reasons.iter().any(|r| r.starts_with("measured: ")), "{reasons:?}");
    for (a, b) in measured.to_f64().iter().zip(by_rule.to_f64()) {
        assert!((a - b).abs() < 1e-3, "{a} and {b}");
    }
    // What is written and read again decides alike, without measuring; so bits are the same.
    assert!(!tuning.is_empty());
    let read = Arc::new(Tuning::from_text(&tuning.to_text(), "here").unwrap());
    let (again, second) = result(CpuOptions { tune: Some(read), ..options });
    assert_eq!(chosen(&second), chosen(&report));
    assert!(second.nodes.iter().all(|n| n.refused.iter().all(|r| !r.1.starts_with("measured"))));
    assert!(again == measured);
}
