//! Direct convolutions on blocked tensors in a small network: values and gradients against the reference.

use gabor_compile::{Backend, CompileOptions, Program, differentiate};
use gabor_cpu::CpuBackend;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, Shape, Stream, Tensor, WindowOptions, rng::op};
use std::collections::HashMap;

fn random(shape: &[usize], key: u32, scale: f64) -> Tensor {
    let mut s = Stream::new(7, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| (scale * s.normal()) as f32).collect()).unwrap()
}

/// Convolution with bias and rectifier.
fn conv(g: &mut Graph, x: ValueId, weight: [usize; 4], groups: usize, window: &WindowOptions) -> ValueId {
    let name = format!("conv{}", g.parameters().count());
    g.scope(&name);
    let p = Parameter::weight(Initializer::Zeros);
    let w = g.parameter(&format!("{name}.weight"), &weight, p.clone()).unwrap();
    let b = g.parameter(&format!("{name}.bias"), &[weight[0]], p).unwrap();
    let y = g.conv(x, w, groups, window).unwrap();
    let shape = g.shape(y).clone();
    let b = g.per_channel(b, &shape).unwrap();
    let y = g.add(y, b).unwrap();
    g.relu(y).unwrap()
}

#[test]
fn a_network_of_direct_convolutions_equals_the_reference() {
    let o = || WindowOptions::new(&[]);
    let all = |p: usize| Padding::all(p);
    let mut g = Graph::new("direct");
    let x = g.input("x", Shape::batch(&[20, 17, 13]), DType::F32).unwrap();
    let y = conv(&mut g, x, [32, 20, 1, 1], 1, &o());
    let y = conv(&mut g, y, [64, 16, 3, 3], 2, &o().padding(all(1)));
    let y = conv(&mut g, y, [24, 64, 3, 3], 1, &o().stride(&[2]).padding(all(1)));
    let short = conv(&mut g, y, [24, 24, 1, 1], 1, &o());
    let y = conv(&mut g, short, [24, 24, 2, 3], 1, &o().padding(Padding::Explicit(vec![(0, 1), (2, 0)])));
    let y = g.add(y, short).unwrap();
    let y = conv(&mut g, y, [5, 24, 3, 3], 1, &o().dilation(&[2]));
    g.output("y", y);
    let inference = g.clone();
    let square = g.mul(y, y).unwrap();
    let loss = g.mean_all(square).unwrap();
    let mut wanted = vec![x];
    wanted.extend(g.parameters().map(|p| p.0));
    let grads = differentiate(&mut g, loss, &wanted).unwrap();
    for (i, d) in grads.iter().enumerate() {
        g.output(format!("d{i}"), d.unwrap());
    }

    for (g, name) in [(inference, "fused_conv.direct"), (g, "conv_input_grad.direct")] {
        let program = Program::single("step", g.clone().validate().unwrap());
        let mut run = CpuBackend::default().compile(&program, &CompileOptions::default()).unwrap();
        let image = random(&[3, 20, 17, 13], 0, 1.0);
        let mut bindings = HashMap::from([(x, image.clone())]);
        for (i, (v, _)) in g.parameters().enumerate() {
            let t = random(&g.shape(v).known().unwrap(), 1 + i as u32, 0.1);
            run.write(&g.value(v).name, &t).unwrap();
            bindings.insert(v, t);
        }
        run.run(0, 3, &[("x", &image)]).unwrap();
        let outputs: Vec<ValueId> = g.outputs().iter().map(|o| o.1).collect();
        let want = evaluate(&g, 3, &bindings, Precision::F64, &outputs).unwrap();
        for ((name, _), want) in g.outputs().iter().zip(want) {
            let want = want.to_f64();
            let scale = want.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
            for (a, b) in run.output(name).unwrap().as_f32().unwrap().iter().zip(want) {
                assert!((f64::from(*a) - b).abs() < 1e-5 * scale, "{name}: {a} and {b}");
            }
        }
        let report = run.report(0, 3).unwrap();
        let kernels: Vec<&str> = report.nodes.iter().map(|n| n.kernel.as_str()).collect();
        assert!(kernels.contains(&name), "{name} is not among {kernels:?}");
    }
}
