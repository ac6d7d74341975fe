//! First layers and moved channels on blocked tensors: a small network and its gradients against the reference.

use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_graph::ops::{Pad, Slice};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, PadMode, Padding, Shape, Stream, Tensor, Unary, WindowOptions, rng::op};
use std::collections::HashMap;

const N: usize = 3;

fn random(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(6, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| s.normal() as f32).collect()).unwrap()
}

/// Two first layers, joined, and a shortcut without parameters as in a residual network for small images.
fn network() -> (Graph, Vec<ValueId>) {
    let mut g = Graph::new("first");
    let x = g.input("x", Shape::batch(&[3, 19, 22]), DType::F32).unwrap();
    let weight = Parameter::weight(Initializer::Zeros);
    let w1 = g.parameter("w1", &[20, 3, 5, 5], weight.clone()).unwrap();
    let w2 = g.parameter("w2", &[32, 3, 3, 3], weight.clone()).unwrap();
    let bias = g.parameter("bias", &[32, 1, 1], weight).unwrap();
    let window = |p: usize| WindowOptions { padding: Padding::all(p), ..Default::default() };
    let a = g.conv(x, w1, 1, &window(2)).unwrap();
    let b = g.conv(x, w2, 1, &window(1)).unwrap();
    let b = g.add(b, bias).unwrap();
    let b = g.unary(Unary::Relu, b).unwrap();
    let mut y = g.concat(&[a, b], 1).unwrap();
    for (axis, end) in [(2, 19), (3, 22)] {
        y = g.add_one(Slice { axis, start: 0, end, step: 2 }, &[y]).unwrap();
    }
    let pads = vec![(0, 0), (6, 7), (0, 0), (0, 0)];
    y = g.add_one(Pad { mode: PadMode::Constant, value: 0.0, pads }, &[y]).unwrap();
    let squares = g.mul(y, y).unwrap();
    let loss = g.mean_all(squares).unwrap();
    let trained = [w1, w2, bias];
    let grads = differentiate(&mut g, loss, &trained).unwrap();
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
    run.run(0, N, &[("x", &random(&[N, 3, 19, 22], 99))]).unwrap();
    run
}

fn parameters(g: &Graph) -> Vec<(String, Tensor)> {
    let value =
        |(i, (v, _)): (usize, (ValueId, _))| (g.value(v).name.clone(), random(&g.shape(v).known().unwrap(), i as u32));
    g.parameters().enumerate().map(value).collect()
}

#[test]
fn first_layers_and_moves_equal_the_reference() {
    let (g, outputs) = network();
    let mut run = compiled(&g, 2);
    let mut bindings: HashMap<ValueId, Tensor> =
        parameters(&g).into_iter().map(|(name, t)| (g.find(&name).unwrap(), t)).collect();
    bindings.insert(g.find("x").unwrap(), random(&[N, 3, 19, 22], 99));
    let want = evaluate(&g, N, &bindings, Precision::F64, &outputs).unwrap();
    for (name, want) in ["y", "d0", "d1", "d2"].iter().zip(want) {
        let want = want.to_f64();
        let scale = want.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
        for (a, b) in run.output(name).unwrap().as_f32().unwrap().iter().zip(want) {
            assert!((f64::from(*a) - b).abs() < 1e-5 * scale, "{name}: {a} and {b}");
        }
    }
    let report = run.report(0, N).unwrap();
    for kernel in ["conv.first", "conv_filter_grad.first", "concat.blocked", "slice.blocked", "pad.blocked"] {
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
