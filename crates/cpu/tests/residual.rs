//! Residual blocks at inference: one kernel per convolution.

use gabor_compile::fused::{Activation, FusedConv};
use gabor_compile::{Backend, CompileOptions, Program};
use gabor_cpu::CpuBackend;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, Shape, Stream, Tensor, Unary, WindowOptions, rng::op};
use std::collections::HashMap;

fn random(shape: &[usize], key: u32, positive: bool) -> Tensor {
    let mut s = Stream::new(5, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    let number = |v: f64| if positive { v.abs() + 0.5 } else { v };
    Tensor::f32(shape, (0..len).map(|_| number(s.normal()) as f32).collect()).unwrap()
}

/// Convolution and batch normalisation with fixed statistics.
fn conv_norm(g: &mut Graph, name: &str, x: ValueId, kernel: usize, co: usize) -> ValueId {
    g.scope(name);
    let state = Parameter::state(Initializer::Zeros);
    let ci = g.shape(x).known().map_or_else(|| g.shape(x).at(1)[1], |s| s[1]);
    let w = g.parameter(&format!("{name}.weight"), &[co, ci, kernel, kernel], state.clone()).unwrap();
    let p =
        ["gamma", "beta", "mean", "var"].map(|p| g.parameter(&format!("{name}.{p}"), &[co], state.clone()).unwrap());
    let options = WindowOptions { padding: Padding::all(kernel / 2), ..Default::default() };
    let y = g.conv(x, w, 1, &options).unwrap();
    g.batch_norm_inference(y, p, 1e-5).unwrap()
}

#[test]
fn shortcuts_and_rectifiers_become_part_of_the_convolution() {
    let mut g = Graph::new("blocks");
    let x = g.input("x", Shape::batch(&[3, 9, 7]), DType::F32).unwrap();
    let y = conv_norm(&mut g, "stem", x, 3, 6);
    let y = g.relu6(y).unwrap();
    // The shortcut is a value, then another convolution, then the block's own input without a rectifier.
    let z = conv_norm(&mut g, "a", y, 3, 6);
    let z = g.add(z, y).unwrap();
    let y = g.unary(Unary::Relu, z).unwrap();
    let shortcut = conv_norm(&mut g, "shortcut", y, 1, 10);
    let z = conv_norm(&mut g, "b", y, 3, 10);
    let z = g.add(shortcut, z).unwrap();
    let y = g.unary(Unary::Relu, z).unwrap();
    let z = conv_norm(&mut g, "c", y, 1, 10);
    let y = g.add(y, z).unwrap();
    g.output("y", y);

    let program = Program::single("infer", g.clone().validate().unwrap());
    let mut run = CpuBackend::default().compile(&program, &CompileOptions::default()).unwrap();
    let image = random(&[2, 3, 9, 7], 0, false);
    let mut bindings = HashMap::from([(x, image.clone())]);
    for (i, (v, _)) in g.parameters().enumerate() {
        let value = g.value(v);
        let t = random(&g.shape(v).known().unwrap(), 1 + i as u32, value.name.ends_with("var"));
        run.write(&value.name, &t).unwrap();
        bindings.insert(v, t);
    }
    run.run(0, 2, &[("x", &image)]).unwrap();
    let want = evaluate(&g, 2, &bindings, Precision::F64, &[y]).unwrap()[0].to_f64();
    let scale = want.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
    for (a, b) in run.output("y").unwrap().as_f32().unwrap().iter().zip(want) {
        assert!((f64::from(*a) - b).abs() < 1e-5 * scale, "{a} and {b}");
    }

    let report = run.report(0, 2).unwrap();
    let convs: Vec<_> = report.graph.nodes().iter().filter_map(|n| n.op::<FusedConv>()).collect();
    let did: Vec<_> = convs.iter().map(|c| (c.geometry.window.kernel()[0], c.add, c.activation)).collect();
    let (none, relu, relu6) = (Activation::None, Activation::Relu, Activation::Relu6);
    assert_eq!(did, [(3, false, relu6), (3, true, relu), (1, false, none), (3, true, relu), (1, true, none)]);
    let during = report.nodes.iter().filter(|n| !n.prepared).count();
    assert_eq!(during, 5, "{:?}", report.nodes);
}
