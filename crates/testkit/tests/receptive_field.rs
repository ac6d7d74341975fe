//! Receptive fields against the support of real gradients.

use gabor_compile::differentiate;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, ReceptiveField, ValueId, receptive_field};
use gabor_tensor::{DType, Dim, PadMode, Padding, Shape, Tensor, WindowOptions};
use proptest::prelude::*;
use std::collections::HashMap;

/// A graph over `x [n, 1, extent]` whose weights are all ones, so that no gradient cancels.
struct Net {
    g: Graph,
    x: ValueId,
}

impl Net {
    fn new(extent: &[usize]) -> Net {
        let mut g = Graph::new("net");
        let x = g.input("x", Shape::batch(&[&[1], extent].concat()), DType::F32).unwrap();
        Net { g, x }
    }
    fn conv(&mut self, x: ValueId, kernel: &[usize], o: &WindowOptions) -> ValueId {
        let ci = self.g.shape(x).0[1].at(0);
        let w = self.g.full(&[&[1, ci], kernel].concat(), 1.0);
        self.g.conv(x, w, 1, o).unwrap()
    }
    /// First and last element of x with a gradient other than zero, for element `at` of the value `y`, in one dimension.
    fn support(&mut self, y: ValueId) -> Vec<Option<(usize, usize)>> {
        let shape = self.g.shape(y).clone();
        let mask = self.g.input("mask", shape.clone(), DType::F32).unwrap();
        let one = self.g.mul(y, mask).unwrap();
        let loss = self.g.sum_all(one).unwrap();
        let dx = differentiate(&mut self.g, loss, &[self.x]).unwrap()[0].unwrap();
        let x_shape = self.g.shape(self.x).at(1);
        let len: usize = x_shape.iter().product();
        let places = shape.at(1)[2..].iter().product::<usize>();
        (0..places)
            .map(|at| {
                let mut m = vec![0.0; shape.len_at(1)];
                m[at] = 1.0;
                let bindings = HashMap::from([
                    (self.x, Tensor::f64(&x_shape, vec![1.0; len]).unwrap()),
                    (mask, Tensor::f64(&shape.at(1), m).unwrap()),
                ]);
                let dx = evaluate(&self.g, 1, &bindings, Precision::F64, &[dx]).unwrap()[0].to_f64();
                let first = dx.iter().position(|&d| d != 0.0)?;
                Some((first, dx.iter().rposition(|&d| d != 0.0)?))
            })
            .collect()
    }
    /// Every field lies around its support, and ends where it ends if it lies inside the input.
    fn check(&mut self, y: ValueId) -> ReceptiveField {
        let n = self.g.shape(self.x).0[2].at(0) as isize;
        let field = receptive_field(&self.g, self.x, y).unwrap()[0];
        for (o, support) in self.support(y).into_iter().enumerate() {
            let start = field.start + (o * field.jump) as isize;
            let end = start + field.size as isize;
            let Some((first, last)) = support else { continue };
            let (first, last) = (first as isize, last as isize);
            assert!(start <= first && last < end, "{o}: {first}..={last} is not in {start}..{end}");
            if start >= 0 && end <= n {
                assert_eq!((first, last), (start, end - 1), "element {o}");
            }
        }
        field
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn chains(
        n in 20usize..32,
        layers in prop::collection::vec((1usize..4, 1usize..3, 1usize..3, 0usize..3, 0usize..3, any::<bool>()), 1..4),
    ) {
        let mut net = Net::new(&[n]);
        let mut y = net.x;
        for (k, s, d, before, after, pool) in layers {
            let o = WindowOptions::new(&[k]).stride(&[s]).dilation(&[d]);
            let o = o.padding(Padding::Explicit(vec![(before, after)]));
            let extent = net.g.shape(y).0[2].at(0);
            if o.resolve(&[extent]).is_err() {
                continue;
            }
            y = if pool { net.g.avg_pool(y, &o).unwrap() } else { net.conv(y, &[k], &o) };
        }
        net.check(y);
    }
}

#[test]
fn two_dimensions_and_the_lectures_stack_of_three() {
    let mut net = Net::new(&[16, 20]);
    let mut y = net.x;
    for _ in 0..3 {
        y = net.conv(y, &[3, 3], &WindowOptions::default());
    }
    // Three 3×3 convolutions see what one 7×7 sees (lecture 002, VGG).
    let field = receptive_field(&net.g, net.x, y).unwrap();
    assert_eq!(field, [ReceptiveField { size: 7, jump: 1, start: 0 }; 2]);
}

#[test]
fn a_residual_block_sees_what_its_wider_branch_sees() {
    let mut net = Net::new(&[24]);
    let o = WindowOptions::new(&[3]).padding(Padding::Same);
    let a = net.conv(net.x, &[3], &o);
    let a = net.g.relu(a).unwrap();
    let a = net.conv(a, &[3], &o);
    let y = net.g.add(a, net.x).unwrap();
    assert_eq!(net.check(y), ReceptiveField { size: 5, jump: 1, start: -2 });
}

#[test]
fn an_inception_module_and_a_strided_slice() {
    let mut net = Net::new(&[30]);
    let wide = net.conv(net.x, &[5], &WindowOptions::new(&[5]).padding(Padding::Same));
    let x = net.x;
    let narrow = net.conv(x, &[1], &WindowOptions::default());
    let joined = net.g.concat(&[wide, narrow], 1).unwrap();
    let every_second = net.g.slice(joined, 2, 1, 30, 2).unwrap();
    let y = net.conv(every_second, &[2], &WindowOptions::default());
    assert_eq!(net.check(y), ReceptiveField { size: 7, jump: 2, start: -1 });
}

#[test]
fn a_shuffle_of_channels_keeps_places() {
    let mut net = Net::new(&[20]);
    let o = WindowOptions::new(&[3]).padding(Padding::Same);
    let (a, b) = (net.conv(net.x, &[3], &o), net.conv(net.x, &[1], &WindowOptions::default()));
    let joined = net.g.concat(&[a, b], 1).unwrap();
    let of = |extents: &[usize]| Shape::batch(extents);
    let split = net.g.reshape(joined, &of(&[2, 1, 20])).unwrap();
    let turned = net.g.transpose(split, &[0, 2, 1, 3]).unwrap();
    let shuffled = net.g.reshape(turned, &of(&[2, 20])).unwrap();
    let y = net.conv(shuffled, &[3], &o);
    assert_eq!(net.check(y), ReceptiveField { size: 5, jump: 1, start: -2 });
    // Where places change, all is seen.
    let moved = net.g.transpose(joined, &[0, 2, 1]).unwrap();
    assert_eq!(receptive_field(&net.g, net.x, moved).unwrap()[0].jump, 0);
}

#[test]
fn padding_of_its_own() {
    let mut net = Net::new(&[24]);
    let padded = net.g.pad_spatial(net.x, PadMode::Constant, &[(2, 1)]).unwrap();
    let y = net.conv(padded, &[4], &WindowOptions::new(&[4]).stride(&[3]));
    assert_eq!(net.check(y), ReceptiveField { size: 4, jump: 3, start: -2 });
}

#[test]
fn global_pooling_linear_layers_and_gates_see_everything() {
    let mut net = Net::new(&[12]);
    let a = net.conv(net.x, &[3], &WindowOptions::new(&[3]).padding(Padding::Same));
    let pooled = net.g.global_avg_pool(a).unwrap();
    let gate = net.g.sigmoid(pooled).unwrap();
    let gated = net.g.mul(a, gate).unwrap();
    let all = ReceptiveField { size: 14, jump: 0, start: -1 };
    assert_eq!(net.check(gated), all);
    let flat = net.g.flatten(a).unwrap();
    let w = net.g.full(&[4, 12], 1.0);
    let y = net.g.linear(flat, w, None).unwrap();
    assert_eq!(receptive_field(&net.g, net.x, y).unwrap(), [all]);
}

#[test]
fn derived_operations_are_looked_into() {
    let mut net = Net::new(&[18]);
    let o = WindowOptions::new(&[3]).stride(&[2]);
    let a = net.g.lp_pool(net.x, 2.0, &o).unwrap();
    let b = net.g.hard_swish(a).unwrap();
    let c = net.g.local_response_norm(b, 5, 1e-4, 0.75, 1.0).unwrap();
    let y = net.g.linf_pool(c, &o).unwrap();
    let field = receptive_field(&net.g, net.x, y).unwrap()[0];
    assert_eq!(field, ReceptiveField { size: 7, jump: 4, start: 0 });
}

#[test]
fn no_dependence_and_no_spatial_axes_are_errors() {
    let mut g = Graph::new("net");
    let x = g.input("x", Shape::batch(&[1, 8]), DType::F32).unwrap();
    let v = g.input("v", Shape(vec![Dim::Batch(1), Dim::Fixed(3)]), DType::F32).unwrap();
    assert_eq!(receptive_field(&g, x, v).unwrap_err().to_string(), "v: does not depend on x");
    let e = receptive_field(&g, v, x).unwrap_err().to_string();
    assert!(e.starts_with("v: a value [n, 3] where [n, c, spatial…]"), "{e}");
}
