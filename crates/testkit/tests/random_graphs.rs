//! Random small graphs: the CPU executable, fused and unfused, over several runs and batch sizes, against the reference.

use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{Binary, DType, Dim, Padding, Reduction, Shape, Stream, Tensor, Unary, WindowOptions, rng::op};
use std::collections::HashMap;

const GRAPHS: u64 = 400;

fn pick<T: Copy>(s: &mut Stream, of: &[T]) -> T {
    of[s.below(of.len())]
}

/// Later values more often than early ones, so that chains arise, but any value may be read again.
fn some(s: &mut Stream, values: &[ValueId]) -> ValueId {
    let recent = values.len().saturating_sub(4);
    if s.below(2) == 0 { values[recent + s.below(values.len() - recent)] } else { pick(s, values) }
}

/// Values of bounded size, by functions that are continuous, so that rounding stays rounding.
fn grow(g: &mut Graph, s: &mut Stream, values: &[ValueId], round: usize) -> Option<ValueId> {
    let x = some(s, values);
    let shape = g.shape(x).clone();
    let rank = shape.rank();
    match s.below(13) {
        0 | 1 => {
            let f = pick(s, &[Unary::Neg, Unary::Abs, Unary::Sigmoid, Unary::Tanh, Unary::Relu, Unary::Sin]);
            g.unary(f, x).ok()
        }
        2..=4 => {
            let f = pick(s, &[Binary::Add, Binary::Sub, Binary::Mul, Binary::Max, Binary::Min]);
            let fits: Vec<ValueId> =
                values.iter().copied().filter(|&v| g.shape(v).broadcast(&shape).is_some()).collect();
            let y = some(s, &fits);
            let y = g.binary(f, x, y).ok()?;
            if f == Binary::Mul { g.unary(Unary::Tanh, y).ok() } else { Some(y) }
        }
        5 => {
            let c = pick(s, &[0.0, 1.0, -0.5]);
            if s.below(2) == 0 { g.scale(x, c).ok() } else { g.shift(x, c).ok() }
        }
        6 if rank > 0 => {
            let axes: Vec<usize> = (0..rank).filter(|_| s.below(2) == 0).collect();
            let r = g.reduce(pick(s, &[Reduction::Mean, Reduction::Max]), x, &axes).ok()?;
            if s.below(2) == 0 { g.broadcast(r, &shape).ok() } else { Some(r) }
        }
        7 if rank == 2 => {
            let Dim::Fixed(k) = shape.0[1] else { return None };
            let fits =
                |v: &ValueId| g.shape(*v).rank() == 2 && g.shape(*v).0[1] == Dim::Fixed(k) && !g.shape(*v).is_batched();
            let fits: Vec<ValueId> = values.iter().copied().filter(fits).collect();
            let w = if fits.is_empty() { weight(g, s, &[3, k], round) } else { some(s, &fits) };
            let y = g.matmul(x, w, false, true).ok()?;
            let co = g.shape(y).0[1].fixed()?;
            let y = if s.below(2) == 0 {
                let b = weight(g, s, &[co], round + 100);
                g.add(y, b).ok()?
            } else {
                y
            };
            g.unary(pick(s, &[Unary::Relu, Unary::Tanh]), y).ok()
        }
        8 if rank == 4 => {
            let (ci, h) = (shape.0[1].fixed()?, shape.0[2].fixed()?);
            let k = pick(s, &[1, 3]).min(h);
            let co = pick(s, &[1, 4]);
            let w = weight(g, s, &[co, ci, k, k], round);
            let options = WindowOptions { padding: Padding::all(s.below(2)), ..Default::default() };
            let y = g.conv(x, w, 1, &options).ok()?;
            let co = g.shape(y).0[1].fixed()?;
            let y = if s.below(2) == 0 {
                let b = weight(g, s, &[co, 1, 1], round + 100);
                g.add(y, b).ok()?
            } else {
                y
            };
            g.unary(pick(s, &[Unary::Relu, Unary::Tanh]), y).ok()
        }
        9 if rank > 1 => g.flatten(x).ok(),
        10 if rank > 0 => {
            let mut wide = shape.clone();
            wide.0.insert(pick(s, &[1, rank]), Dim::Fixed(1));
            g.reshape(x, &wide).ok().filter(|_| wide.rank() < 5)
        }
        11 if rank == 4 => g.max_pool(x, &WindowOptions::new(&[2, 2])).ok(),
        12 if rank > 1 => {
            let mut perm: Vec<usize> = (0..rank).collect();
            if s.below(3) > 0 {
                perm[1..].reverse()
            }
            g.transpose(x, &perm).ok()
        }
        _ => None,
    }
}

fn weight(g: &mut Graph, s: &mut Stream, shape: &[usize], round: usize) -> ValueId {
    if s.below(4) == 0 {
        return g.constant(random(s, shape));
    }
    g.parameter(&format!("w{round}"), shape, Parameter::weight(Initializer::Zeros)).unwrap()
}

fn random(s: &mut Stream, shape: &[usize]) -> Tensor {
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| 0.5 * s.normal() as f32).collect()).unwrap()
}

fn random_graph(s: &mut Stream) -> Graph {
    let mut g = Graph::new("random");
    let plane = pick(s, &[3, 4]);
    let mut values = vec![
        g.input("x", Shape::batch(&[2, plane, plane]), DType::F32).unwrap(),
        g.input("y", Shape::batch(&[6]), DType::F32).unwrap(),
        g.input("z", Shape::scalar(), DType::F32).unwrap(),
    ];
    // Several of equal shape, so that updates can cross.
    for i in 0..3 {
        values.push(g.parameter(&format!("p{i}"), &[4, 6], Parameter::weight(Initializer::Zeros)).unwrap());
    }
    values.push(g.parameter("q", &[2, 1, 1], Parameter::weight(Initializer::Zeros)).unwrap());
    for round in 0..6 + s.below(18) {
        if let Some(v) = grow(&mut g, s, &values, round)
            && g.shape(v).len_at(5) < 4000
        {
            values.push(v);
        }
    }
    for i in 0..1 + s.below(4) {
        let v = some(s, &values);
        g.output(format!("out{i}"), v);
    }
    let parameters: Vec<ValueId> = g.parameters().map(|p| p.0).collect();
    for p in parameters {
        let fits: Vec<ValueId> = g.value_ids().filter(|&v| g.ty(v) == g.ty(p)).collect();
        match s.below(3) {
            0 => {}
            1 => {
                let v = some(s, &fits);
                g.update(p, v).unwrap();
            }
            _ => {
                let v = some(s, &fits);
                let a = g.scale(p, 0.75).unwrap();
                let b = g.scale(v, 0.25).unwrap();
                let v = g.add(a, b).unwrap();
                g.update(p, v).unwrap();
            }
        }
    }
    g
}

fn compare(what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!(got.shape(), want.shape(), "{what}");
    let (got, want) = (got.to_f64(), want.to_f64());
    let scale = want.iter().fold(1.0f64, |m, v| m.max(v.abs()));
    for (i, (a, b)) in got.iter().zip(&want).enumerate() {
        let near = (a - b).abs() <= 1e-4 * scale;
        assert!(near, "{what}[{i}]: {a} and {b}");
    }
}

fn check(seed: u64, backends: &[(CpuBackend, bool)]) {
    let mut s = Stream::new(seed, 0, 0, op::TEST);
    let g = random_graph(&mut s);
    let valid = g.clone().validate().unwrap();
    for (backend, fuse) in backends {
        let program = Program::single("random", valid.clone());
        let mut run = backend.compile(&program, &CompileOptions { fuse: *fuse, ..Default::default() }).unwrap();
        let mut bindings: HashMap<ValueId, Tensor> = HashMap::new();
        for (v, _) in g.parameters() {
            let t = random(&mut s, &g.shape(v).known().unwrap());
            run.write(&g.value(v).name, &t).unwrap();
            bindings.insert(v, t);
        }
        for (step, n) in [2, 2, 5, 1, 2].into_iter().enumerate() {
            one_run(&g, &mut *run, &mut bindings, &mut s, n, &format!("graph {seed}, fuse {fuse}, run {step}, n {n}"));
        }
    }
}

fn one_run(
    g: &Graph,
    run: &mut dyn Executable,
    bindings: &mut HashMap<ValueId, Tensor>,
    s: &mut Stream,
    n: usize,
    place: &str,
) {
    let inputs: Vec<(String, ValueId, Tensor)> =
        g.inputs().map(|v| (g.value(v).name.clone(), v, random(s, &g.shape(v).at(n)))).collect();
    let given: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, _, t)| (name.as_str(), t)).collect();
    run.run(0, n, &given).unwrap_or_else(|e| panic!("{place}: {e}"));
    bindings.extend(inputs.iter().map(|(_, v, t)| (*v, t.clone())));
    let wanted: Vec<ValueId> = g.outputs().iter().map(|o| o.1).chain(g.updates().iter().map(|u| u.1)).collect();
    let want = evaluate(g, n, bindings, Precision::F64, &wanted).unwrap();
    let (outputs, updates) = want.split_at(g.outputs().len());
    for ((name, _), want) in g.outputs().iter().zip(outputs) {
        compare(&format!("{place}: {name} in\n{}", g.to_text()), &run.output(name).unwrap().to_tensor(), want);
    }
    for (&(p, _), want) in g.updates().iter().zip(updates) {
        let got = run.read(&g.value(p).name).unwrap();
        compare(&format!("{place}: new {} in\n{}", g.value(p).name, g.to_text()), &got, want);
        // What was computed is the next start, so that rounding does not add up.
        bindings.insert(p, got);
    }
    for (p, _) in g.parameters() {
        let got = run.read(&g.value(p).name).unwrap();
        assert!(bindings[&p] == got, "{place}: {} changed", g.value(p).name);
    }
}

#[test]
fn the_executable_equals_the_reference() {
    let backend = |threads| CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() }).unwrap();
    let backends = [(backend(2), true), (backend(1), false)];
    (0..GRAPHS).for_each(|seed| check(seed, &backends));
}
