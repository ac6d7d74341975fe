//! A whole training step: plans against the reference, in place updates, threads, prepared weights.

use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Reduction, Shape, Stream, Tensor, Unary, WindowOptions, rng::op};
use std::collections::HashMap;

fn random(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(11, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| 0.3 * s.normal() as f32).collect()).unwrap()
}

/// A small convolutional network with batch norm, cross-entropy and momentum; returns the graph and its parameters.
fn training_step() -> (Graph, Vec<(String, Vec<usize>)>) {
    let mut g = Graph::new("small");
    let x = g.input("images", Shape::batch(&[1, 12, 12]), DType::F32).unwrap();
    let labels = g.input("labels", Shape::batch(&[]), DType::I32).unwrap();
    let lr = g.input("lr", Shape::scalar(), DType::F32).unwrap();
    let mut names = Vec::new();
    let weight = Parameter::weight(Initializer::Zeros);
    let mut parameter = |g: &mut Graph, name: &str, shape: &[usize], p: &Parameter| -> ValueId {
        names.push((name.to_string(), shape.to_vec()));
        g.parameter(name, shape, p.clone()).unwrap()
    };
    let state = Parameter::state(Initializer::Zeros);
    let w1 = parameter(&mut g, "conv1.weight", &[6, 1, 5, 5], &weight);
    let b1 = parameter(&mut g, "conv1.bias", &[6], &weight);
    let w2 = parameter(&mut g, "conv2.weight", &[8, 6, 3, 3], &weight);
    let (gamma, beta) = (parameter(&mut g, "bn.weight", &[8], &weight), parameter(&mut g, "bn.bias", &[8], &weight));
    let rm = parameter(&mut g, "bn.running_mean", &[8], &state);
    let rv = parameter(&mut g, "bn.running_var", &[8], &state);
    let w3 = parameter(&mut g, "fc.weight", &[5, 72], &weight);
    let b3 = parameter(&mut g, "fc.bias", &[5], &weight);

    g.scope("conv1");
    let pad2 = WindowOptions { padding: gabor_tensor::Padding::all(2), ..Default::default() };
    let y = g.conv(x, w1, 1, &pad2).unwrap();
    let shape = g.shape(y).clone();
    let b = g.per_channel(b1, &shape).unwrap();
    let y = g.add(y, b).unwrap();
    let y = g.unary(Unary::Relu, y).unwrap();
    let y = g.max_pool(y, &WindowOptions::new(&[2, 2]).stride(&[2, 2])).unwrap();
    g.scope("conv2");
    let pad1 = WindowOptions { padding: gabor_tensor::Padding::all(1), ..Default::default() };
    let y = g.conv(y, w2, 1, &pad1).unwrap();
    let bn = g.add_node(gabor_graph::ops::BatchNorm { eps: 1e-5, momentum: 0.1 }, &[y, gamma, beta, rm, rv]).unwrap();
    g.update(rm, bn[3]).unwrap();
    g.update(rv, bn[4]).unwrap();
    let y = g.unary(Unary::Relu, bn[0]).unwrap();
    let y = g.avg_pool(y, &WindowOptions::new(&[2, 2]).stride(&[2, 2])).unwrap();
    g.scope("fc");
    let y = g.flatten(y).unwrap();
    let y = g.matmul(y, w3, false, true).unwrap();
    let logits = g.add(y, b3).unwrap();
    g.scope("loss");
    let lp = g.log_softmax(logits, 1).unwrap();
    let t = g.one_hot(labels, 5).unwrap();
    let p = g.mul(lp, t).unwrap();
    let p = g.reduce(Reduction::Sum, p, &[1]).unwrap();
    let p = g.unary(Unary::Neg, p).unwrap();
    let loss = g.mean_all(p).unwrap();
    let trained: Vec<ValueId> = [w1, b1, w2, gamma, beta, w3, b3].to_vec();
    let grads = differentiate(&mut g, loss, &trained).unwrap();
    g.scope("update");
    for (&w, d) in trained.iter().zip(grads) {
        let name = format!("momentum.{}", g.value(w).name);
        let shape = g.shape(w).known().unwrap();
        names.push((name.clone(), shape.clone()));
        let v = g.parameter(&name, &shape, state.clone()).unwrap();
        let a = g.scale(v, 0.9).unwrap();
        let new_v = g.add(a, d.unwrap()).unwrap();
        let step = g.mul(new_v, lr).unwrap();
        let new_w = g.sub(w, step).unwrap();
        g.update(v, new_v).unwrap();
        g.update(w, new_w).unwrap();
    }
    g.output("loss", loss);
    g.output("logits", logits);
    (g, names)
}

fn start(g: &Graph, names: &[(String, Vec<usize>)], threads: usize, fuse: bool) -> Box<dyn Executable> {
    let backend = CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() }).unwrap();
    let options = CompileOptions { fuse, ..Default::default() };
    let program = Program::single("train", g.clone().validate().unwrap());
    let mut run = backend.compile(&program, &options).unwrap();
    for (i, (name, shape)) in names.iter().enumerate() {
        if !name.starts_with("momentum") {
            run.write(name, &random(shape, i as u32)).unwrap();
        }
    }
    run
}

fn steps(run: &mut dyn Executable, count: usize) -> Vec<f32> {
    let n = 6;
    let lr = Tensor::scalar(0.05);
    (0..count)
        .map(|i| {
            let x = random(&[n, 1, 12, 12], 100 + i as u32);
            let labels = Tensor::i32(&[n], (0..n as i32).map(|k| (k + i as i32) % 5).collect()).unwrap();
            run.run(0, n, &[("images", &x), ("labels", &labels), ("lr", &lr)]).unwrap();
            run.output("loss").unwrap().scalar().unwrap()
        })
        .collect()
}

#[test]
fn a_step_equals_the_reference() {
    let (g, names) = training_step();
    let mut run = start(&g, &names, 2, true);
    let losses = steps(&mut *run, 1);
    let mut bindings: HashMap<ValueId, Tensor> = HashMap::new();
    for (i, (name, shape)) in names.iter().enumerate() {
        let t = if name.starts_with("momentum") { Tensor::zeros(shape, DType::F32) } else { random(shape, i as u32) };
        bindings.insert(g.find(name).unwrap(), t);
    }
    let n = 6;
    bindings.insert(g.find("images").unwrap(), random(&[n, 1, 12, 12], 100));
    let labels = Tensor::i32(&[n], (0..n as i32).map(|k| k % 5).collect()).unwrap();
    bindings.insert(g.find("labels").unwrap(), labels);
    bindings.insert(g.find("lr").unwrap(), Tensor::scalar(0.05));
    let wanted: Vec<ValueId> = g.updates().iter().map(|u| u.1).chain([g.output_value("loss").unwrap()]).collect();
    let expected = evaluate(&g, n, &bindings, Precision::F64, &wanted).unwrap();
    assert!((f64::from(losses[0]) - expected.last().unwrap().to_f64()[0]).abs() < 1e-5);
    for (&(p, _), want) in g.updates().iter().zip(&expected) {
        let name = &g.value(p).name;
        let got = run.read(name).unwrap().to_f64();
        let scale = want.to_f64().iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
        for (a, b) in got.iter().zip(want.to_f64()) {
            assert!((a - b).abs() < 2e-5 * scale, "{name}: {a} and {b}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_threads() {
    let (g, names) = training_step();
    let result = |threads| {
        let mut run = start(&g, &names, threads, true);
        let losses = steps(&mut *run, 4);
        let weights: Vec<Vec<u32>> = (names.iter())
            .map(|(n, _)| run.read(n).unwrap().as_f32().unwrap().iter().map(|v| v.to_bits()).collect())
            .collect();
        (losses.iter().map(|l| l.to_bits()).collect::<Vec<_>>(), weights)
    };
    let one = result(1);
    assert!(one == result(2) && one == result(3) && one == result(4));
}

#[test]
fn fusing_changes_nothing_but_rounding() {
    let (g, names) = training_step();
    let a = steps(&mut *start(&g, &names, 1, true), 5);
    let b = steps(&mut *start(&g, &names, 1, false), 5);
    for (x, y) in a.iter().zip(&b) {
        assert!((x - y).abs() < 2e-6 * x.abs().max(1.0), "{a:?} {b:?}");
    }
    let report = start(&g, &names, 1, true).report(0, 6).unwrap();
    let fused = |rule: &str| report.applied.iter().any(|a| a.rule == rule);
    assert!(fused("fuse bias") && fused("fuse relu") && fused("fuse map") && fused("fold constants"));
    assert!(report.arena_bytes < report.value_bytes);
    // The optimiser's update is one pass per parameter, written where the parameter lies.
    let places: Vec<&String> = report.nodes.iter().flat_map(|n| &n.places).collect();
    assert!(places.iter().filter(|p| p.starts_with("parameter")).count() >= 14, "{places:?}");
}

#[test]
fn folded_weights_follow_their_parameters() {
    let mut g = Graph::new("folded");
    let x = g.input("x", Shape::batch(&[2, 5, 5]), DType::F32).unwrap();
    let p = |g: &mut Graph, name: &str, s: &[usize]| g.parameter(name, s, Parameter::state(Initializer::Ones)).unwrap();
    let w = p(&mut g, "w", &[3, 2, 3, 3]);
    let vectors = ["gamma", "beta", "mean", "var"].map(|n| p(&mut g, n, &[3]));
    let y = g.conv(x, w, 1, &WindowOptions::default()).unwrap();
    let y = g.batch_norm_inference(y, vectors, 1e-5).unwrap();
    g.output("y", y);
    let program = Program::single("infer", g.clone().validate().unwrap());
    let mut run = CpuBackend::default().compile(&program, &CompileOptions::default()).unwrap();
    let image = random(&[3, 2, 5, 5], 7);
    for round in 0..2 {
        let mut bindings = HashMap::from([(x, image.clone())]);
        for (i, v) in [w, vectors[0], vectors[1], vectors[2], vectors[3]].into_iter().enumerate() {
            let mut t = random(&g.shape(v).known().unwrap(), 20 + round * 10 + i as u32);
            if i == 4 {
                t = Tensor::f32(&[3], t.as_f32().unwrap().iter().map(|v| v.abs() + 0.5).collect()).unwrap();
            }
            run.write(&g.value(v).name, &t).unwrap();
            bindings.insert(v, t);
        }
        run.run(0, 3, &[("x", &image)]).unwrap();
        let want = evaluate(&g, 3, &bindings, Precision::F64, &[y]).unwrap();
        let got = run.output("y").unwrap().as_f32().unwrap();
        for (a, b) in got.iter().zip(want[0].to_f64()) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}");
        }
    }
    let report = run.report(0, 3).unwrap();
    assert!(report.nodes.iter().any(|n| n.prepared) && report.applied.iter().any(|a| a.rule == "fold batch norm"));
}

#[test]
fn wrong_inputs_are_named() {
    let (g, names) = training_step();
    let mut run = start(&g, &names, 1, true);
    let x = random(&[2, 1, 12, 12], 0);
    let e = run.run(0, 2, &[("images", &x)]).unwrap_err().to_string();
    assert_eq!(e, "labels: the input i32[n] is missing; given: inputs images");
    let e = run.run(0, 3, &[("images", &x)]).unwrap_err().to_string();
    assert_eq!(e, "images: the input is f32[2, 1, 12, 12]; right would be: f32[3, 1, 12, 12]");
    assert!(run.write("fc.weight", &x).unwrap_err().to_string().contains("right would be: f32[5, 72]"));
}
