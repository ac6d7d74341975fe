//! Feature maps in blocked order at the ends of a graph: the same bits as in plain order, without reorders.

mod common;

use common::random;
use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate_with};
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Padding, Shape, Tensor, WindowOptions};

/// Channels to blocks of 16, by definition; `back` for the reverse.
fn reordered(t: &Tensor, back: bool) -> Tensor {
    let (shape, from) = (t.shape().to_vec(), t.as_f32().unwrap());
    let (c, plane) = (shape[1], shape[2] * shape[3]);
    let mut to = vec![0.0; from.len()];
    for i in 0..from.len() {
        let (n, channel, pixel) = (i / plane / c, i / plane % c, i % plane);
        let blocked = ((n * c / 16 + channel / 16) * plane + pixel) * 16 + channel % 16;
        let (source, target) = if back { (blocked, i) } else { (i, blocked) };
        to[target] = from[source];
    }
    Tensor::f32(&shape, to).unwrap()
}

/// A convolution from 32 to 64 channels with a pooling, and from 3 to 20, with the gradients of inputs and filters.
fn graph() -> Graph {
    let mut g = Graph::new("ends");
    let window = WindowOptions { padding: Padding::all(1), ..Default::default() };
    for (name, ci, co) in [("a", 32, 64), ("b", 3, 20)] {
        let x = g.input(&format!("{name}.x"), Shape::batch(&[ci, 12, 10]), DType::F32).unwrap();
        let weight = Parameter::weight(Initializer::Zeros);
        let w = g.parameter(&format!("{name}.w"), &[co, ci, 3, 3], weight).unwrap();
        let y = g.conv(x, w, 1, &window).unwrap();
        let y = g.max_pool(y, &WindowOptions::new(&[2, 2]).stride(&[2])).unwrap();
        let dy = g.input(&format!("{name}.dy"), Shape::batch(&[co, 6, 5]), DType::F32).unwrap();
        let found = differentiate_with(&mut g, &[(y, dy)], &[x, w], &|_, _| Ok(None)).unwrap();
        g.output(format!("{name}.y"), y);
        // Reshaped values are made in plain order.
        let flat = g.reshape(y, &Shape::batch(&[co * 30])).unwrap();
        let map = g.reshape(flat, &Shape::batch(&[co, 6, 5])).unwrap();
        g.output(format!("{name}.map"), map);
        for (d, of) in found.into_iter().zip(["dx", "dw"]) {
            g.output(format!("{name}.{of}"), d.unwrap());
        }
    }
    g
}

#[test]
fn blocked_ends_give_the_same_bits_without_reorders() {
    let (g, n) = (graph(), 2);
    let run = |blocked_ends: bool| -> (Box<dyn Executable>, Vec<String>) {
        let options = CpuOptions { blocked_ends, threads: Some(2), ..Default::default() };
        let program = Program::single("ends", g.clone().validate().unwrap());
        let mut run = CpuBackend::new(options).unwrap().compile(&program, &CompileOptions::default()).unwrap();
        for (v, _) in g.parameters() {
            run.write(&g.value(v).name, &random(&g.shape(v).at(n), 1.0, v.0)).unwrap();
        }
        let given = |v| {
            let (t, name) = (random(&g.shape(v).at(n), 1.0, v.0), g.value(v).name.as_str());
            (name, if blocked_ends && name.starts_with('a') { reordered(&t, false) } else { t })
        };
        let inputs: Vec<(&str, Tensor)> = g.inputs().map(given).collect();
        let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, t)| (*name, t)).collect();
        run.run(0, n, &inputs).unwrap();
        let kernels = run.report(0, n).unwrap().nodes.into_iter().map(|r| format!("{} {}", r.kernel, r.node)).collect();
        (run, kernels)
    };
    let ((plain, with), (blocked, without)) = (run(false), run(true));
    for (name, _) in g.outputs() {
        let [a, b] = [&plain, &blocked].map(|r| r.output(name).unwrap().to_tensor());
        assert!(a == if matches!(name.as_str(), "a.y" | "a.dx" | "a.map") { reordered(&b, true) } else { b }, "{name}");
    }
    // Those of the three channels and of the twenty stay: blocks would leave gaps.
    let reorders = |all: &[String]| -> usize {
        all.iter().filter(|k| k.starts_with("reorder.blocked") || k.starts_with("reorder.plain")).count()
    };
    assert!(reorders(&with) >= reorders(&without) + 2, "{with:?} {without:?}");
    assert!(without.iter().all(|k| !["a.x → blocked", "a.dy → blocked"].iter().any(|r| k.contains(r))), "{without:?}");
}
