//! Winograd convolution: a small network and its gradients against the reference.

use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, Shape, Stream, Tensor, Unary, WindowOptions, rng::op};
use std::collections::HashMap;

const N: usize = 2;

fn random(shape: &[usize], scale: f64, key: u32) -> Tensor {
    let mut s = Stream::new(8, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| (scale * s.normal()) as f32).collect()).unwrap()
}

/// A residual block of two convolutions, the second with a window of 5x5.
fn network() -> (Graph, Vec<ValueId>) {
    let mut g = Graph::new("block");
    let x = g.input("x", Shape::batch(&[40, 13, 18]), DType::F32).unwrap();
    let weight = Parameter::weight(Initializer::Zeros);
    let w1 = g.parameter("w1", &[40, 40, 3, 3], weight.clone()).unwrap();
    let w2 = g.parameter("w2", &[40, 40, 5, 5], weight.clone()).unwrap();
    let bias = g.parameter("bias", &[40, 1, 1], weight).unwrap();
    let window = |p: usize| WindowOptions { padding: Padding::all(p), ..Default::default() };
    let y = g.conv(x, w1, 1, &window(1)).unwrap();
    let y = g.add(y, bias).unwrap();
    let y = g.unary(Unary::Relu, y).unwrap();
    let y = g.conv(y, w2, 1, &window(2)).unwrap();
    let y = g.add(y, bias).unwrap();
    let y = g.add(y, x).unwrap();
    let y = g.unary(Unary::Relu, y).unwrap();
    let squares = g.mul(y, y).unwrap();
    let loss = g.mean_all(squares).unwrap();
    let grads = differentiate(&mut g, loss, &[w1, w2, bias]).unwrap();
    let mut outputs = vec![y];
    g.output("y", y);
    for (i, d) in grads.into_iter().enumerate() {
        let d = d.unwrap();
        g.output(format!("d{i}"), d);
        outputs.push(d);
    }
    (g, outputs)
}

fn compiled(g: &Graph, threads: usize) -> Box<dyn Executable> {
    let backend = CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() }).unwrap();
    let program = Program::single("step", g.clone().validate().unwrap());
    let mut run = backend.compile(&program, &CompileOptions::default()).unwrap();
    for (name, value) in parameters(g) {
        run.write(&name, &value).unwrap();
    }
    run.run(0, N, &[("x", &random(&[N, 40, 13, 18], 1.0, 99))]).unwrap();
    run
}

fn parameters(g: &Graph) -> Vec<(String, Tensor)> {
    let value = |(i, (v, _)): (usize, (ValueId, _))| {
        (g.value(v).name.clone(), random(&g.shape(v).known().unwrap(), 0.05, i as u32))
    };
    g.parameters().enumerate().map(value).collect()
}

#[test]
fn winograd_equals_the_reference() {
    let (g, outputs) = network();
    let mut run = compiled(&g, 2);
    let mut bindings: HashMap<ValueId, Tensor> =
        parameters(&g).into_iter().map(|(name, t)| (g.find(&name).unwrap(), t)).collect();
    bindings.insert(g.find("x").unwrap(), random(&[N, 40, 13, 18], 1.0, 99));
    let want = evaluate(&g, N, &bindings, Precision::F64, &outputs).unwrap();
    for (name, want) in ["y", "d0", "d1", "d2"].iter().zip(want) {
        let want = want.to_f64();
        let scale = want.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
        for (a, b) in run.output(name).unwrap().as_f32().unwrap().iter().zip(want) {
            assert!((f64::from(*a) - b).abs() < 2e-5 * scale, "{name}: {a} and {b}");
        }
    }
    let report = run.report(0, N).unwrap();
    for kernel in ["fused_conv.winograd", "conv_input_grad.winograd"] {
        assert!(report.nodes.iter().any(|n| n.kernel == kernel), "{kernel} of {:?}", report.nodes);
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (g, _) = network();
    let (one, three) = (compiled(&g, 1), compiled(&g, 3));
    for name in ["y", "d0", "d1", "d2"] {
        assert!(one.output(name).unwrap().as_f32().unwrap() == three.output(name).unwrap().as_f32().unwrap(), "{name}");
    }
}
