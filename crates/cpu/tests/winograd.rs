//! Winograd convolution: a small network and its gradients against the reference.

mod common;

use common::{Case, with_gradients};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Padding, Shape, Unary, WindowOptions};

/// A residual block of two convolutions, the second with a window of 5x5.
fn network() -> Case {
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
    with_gradients(&mut g, y, &[w1, w2, bias]);
    Case::new(g, 2, 0.05)
}

#[test]
fn winograd_equals_the_reference() {
    network().check_with(&["fused_conv.winograd", "conv_input_grad.winograd"], 2e-5);
}

#[test]
fn bits_do_not_depend_on_threads() {
    network().check_threads();
}
