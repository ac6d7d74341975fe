//! Depthwise and grouped convolution and pooling in blocks of channels: values and gradients against the reference.

mod common;

use common::{Case, with_gradients};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, PoolDivisor, Shape, WindowOptions};

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
    let mut inference = g.clone();
    inference.output("y", y);
    let mut wanted = vec![x];
    wanted.extend(g.parameters().map(|p| p.0));
    with_gradients(&mut g, y, &wanted);
    let forward = ["fused_conv.depthwise", "max_pool.blocked", "avg_pool.blocked"];
    Case::new(inference, 3, 1.0).check_with(&forward, 1e-5);
    let backward = ["max_unpool.blocked", "avg_pool_grad.blocked", "conv_filter_grad.depthwise"];
    Case::new(g, 3, 1.0).check_with(&backward, 1e-5);
}
