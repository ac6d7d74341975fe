//! The filter gradient in blocks of channels: inside the backend against the reference, and where it leaves small
//! problems to the plain kernels.

mod common;

use common::Case;
use gabor_compile::CompileOptions;
use gabor_graph::Graph;
use gabor_graph::ops::ConvFilterGrad;
use gabor_tensor::{ConvGeometry, DType, Padding, Shape, WindowOptions};

fn geometry(ci: usize, co: usize, kernel: usize, stride: usize, groups: usize) -> ConvGeometry {
    let o = WindowOptions::new(&[]).stride(&[stride]).padding(Padding::all(kernel / 2));
    ConvGeometry::new(ci, &[13, 18], &[co, ci / groups, kernel, kernel], groups, &o).unwrap()
}

/// Runs one filter gradient of three images: the kernel's name; the result is compared with the reference.
fn run(geometry: ConvGeometry) -> String {
    let n = 3;
    let mut g = Graph::new("filter gradient");
    let shapes = [geometry.input_shape(n), geometry.output_shape(n)];
    let inputs = ["x", "dy"].map(|name| {
        let shape = &shapes[usize::from(name == "dy")];
        g.input(name, Shape::batch(&shape[1..]), DType::F32).unwrap()
    });
    let dw = g.add_one(ConvFilterGrad { geometry }, &inputs).unwrap();
    g.output("dw", dw);
    let case = Case::new(g, n, 1.0);
    let mut run = case.run(2, &CompileOptions::default());
    case.check(&*run, 1e-5);
    case.kernels(&mut *run).into_iter().find(|k| k.contains("filter_grad")).unwrap()
}

#[test]
fn many_channels_are_summed_in_blocks() {
    for g in [geometry(40, 72, 1, 1, 1), geometry(32, 24, 3, 2, 1), geometry(64, 32, 5, 2, 2)] {
        assert_eq!(run(g.clone()), "conv_filter_grad.blocked", "{g}");
    }
}

#[test]
fn few_channels_in_plain_order_are_not_reordered() {
    for g in [geometry(8, 6, 3, 2, 1), geometry(24, 10, 1, 1, 1)] {
        assert_eq!(run(g.clone()), "conv_filter_grad.bands", "{g}");
    }
}
