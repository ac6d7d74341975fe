//! Direct convolutions on blocked tensors in a small network: values and gradients against the reference.

mod common;

use common::{Case, with_gradients};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Padding, Shape, WindowOptions};

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
    let mut inference = g.clone();
    inference.output("y", y);
    let mut wanted = vec![x];
    wanted.extend(g.parameters().map(|p| p.0));
    with_gradients(&mut g, y, &wanted);
    Case::new(inference, 3, 0.1).check_with(&["fused_conv.direct"], 1e-5);
    Case::new(g, 3, 0.1).check_with(&["conv_input_grad.direct"], 1e-5);
}
