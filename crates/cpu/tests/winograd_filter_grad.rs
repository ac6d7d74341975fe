//! The filter gradient by Winograd's algorithm in a training step, against the reference.

mod common;

use common::{Case, with_gradients};
use gabor_compile::CompileOptions;
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Padding, Shape, WindowOptions};

/// A convolution and the gradient of the mean of its squares.
fn network() -> Case {
    let mut g = Graph::new("step");
    let x = g.input("x", Shape::batch(&[24, 18, 15]), DType::F32).unwrap();
    let w = g.parameter("w", &[40, 24, 3, 3], Parameter::weight(Initializer::Zeros)).unwrap();
    let window = WindowOptions { padding: Padding::Explicit(vec![(1, 1), (0, 2)]), ..Default::default() };
    let y = g.conv(x, w, 1, &window).unwrap();
    with_gradients(&mut g, y, &[w]);
    Case::new(g, 4, 1.0)
}

#[test]
fn equals_the_reference() {
    let case = network();
    case.check_threads();
    for (strict, used) in [(true, false), (false, true)] {
        let mut run = case.run(1, &CompileOptions { strict, ..Default::default() });
        case.check(&*run, 1e-5);
        let kernels = case.kernels(&mut *run);
        assert_eq!(kernels.iter().any(|k| k == "conv_filter_grad.winograd"), used, "{kernels:?}");
    }
}
