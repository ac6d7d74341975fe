//! First layers and moved channels on blocked tensors: a small network and its gradients against the reference.

mod common;

use common::{Case, with_gradients};
use gabor_graph::ops::{Pad, Slice};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, PadMode, Padding, Shape, Unary, WindowOptions};

/// Two first layers, joined, and a shortcut without parameters as in a residual network for small images.
fn network() -> Case {
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
    with_gradients(&mut g, y, &[w1, w2, bias, x]);
    Case::new(g, 3, 1.0)
}

#[test]
fn first_layers_and_moves_equal_the_reference() {
    let first = ["conv.first", "conv_filter_grad.first", "conv_input_grad.first"];
    network().check_with(&[&first[..], &["concat.blocked", "slice.blocked", "pad.blocked"]].concat(), 1e-5);
}

#[test]
fn bits_do_not_depend_on_threads() {
    network().check_threads();
}
