//! Depthwise and grouped convolution and pooling in blocks of channels: values and gradients against the reference.

use gabor_compile::{Backend, CompileOptions, Program, differentiate};
use gabor_cpu::CpuBackend;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, PoolDivisor, Shape, Stream, Tensor, WindowOptions, rng::op};
use std::collections::HashMap;

fn random(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(7, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| s.normal() as f32).collect()).unwrap()
}

fn window(kernel: usize, stride: usize, padding: usize) -> WindowOptions {
    WindowOptions::new(&[kernel]).stride(&[stride]).padding(Padding::all(padding))
}

/// Convolution in groups of `size` channels, with bias and ReLU6.
fn conv(g: &mut Graph, name: &str, x: ValueId, size: usize, kernel: usize, stride: usize) -> ValueId {
    g.scope(name);
    let c = 20;
    let p = Parameter::weight(Initializer::Zeros);
    let w = g.parameter(&format!("{name}.weight"), &[c, size, kernel, kernel], p.clone()).unwrap();
    let b = g.parameter(&format!("{name}.bias"), &[c], p).unwrap();
    let y = g.conv(x, w, c / size, &window(kernel, stride, kernel / 2)).unwrap();
    let shape = g.shape(y).clone();
    let b = g.per_channel(b, &shape).unwrap();
    let y = g.add(y, b).unwrap();
    g.relu6(y).unwrap()
}

#[test]
fn a_network_in_blocks_equals_the_reference() {
    let mut g = Graph::new("blocks");
    let x = g.input("x", Shape::batch(&[20, 17, 13]), DType::F32).unwrap();
    let y = conv(&mut g, "depthwise", x, 1, 3, 1);
    let y = g.max_pool(y, &window(3, 2, 1)).unwrap();
    let y = conv(&mut g, "grouped", y, 4, 3, 1);
    let y = g.avg_pool_with(y, &window(3, 1, 1), PoolDivisor::CountExcludePad).unwrap();
    let y = conv(&mut g, "strided", y, 1, 5, 2);
    let y = g.avg_pool_with(y, &window(2, 1, 0), PoolDivisor::CountIncludePad).unwrap();
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

    for (g, names) in [
        (inference, ["fused_conv.depthwise", "max_pool.blocked", "avg_pool.blocked"]),
        (g, ["max_unpool.blocked", "avg_pool_grad.blocked", "conv_filter_grad.depthwise"]),
    ] {
        let program = Program::single("step", g.clone().validate().unwrap());
        let mut run = CpuBackend::default().compile(&program, &CompileOptions::default()).unwrap();
        let image = random(&[3, 20, 17, 13], 0);
        let mut bindings = HashMap::from([(x, image.clone())]);
        for (i, (v, _)) in g.parameters().enumerate() {
            let t = random(&g.shape(v).known().unwrap(), 1 + i as u32);
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
        for name in names {
            assert!(kernels.contains(&name), "{name} is not among {kernels:?}");
        }
    }
}
