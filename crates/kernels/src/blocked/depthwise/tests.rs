use super::*;
use crate::blocked::{Block, Blocked, BlockedEpilogue, Packing, Unblock};
use crate::check::{Same, integers, run_all, uniform};
use crate::{Isa, SharedMut, Work, reference};
use gabor_tensor::{ConvGeometry, Padding, Stream, WindowOptions, rng::op};

fn packed(p: &impl Packing, from: &[f32]) -> Vec<f32> {
    let mut to = vec![f32::NAN; p.packed_len()];
    let out = SharedMut::new(&mut to);
    // SAFETY: `run_all` keeps tasks apart.
    run_all(p, 0, |phase, task, w, s| unsafe { p.pack(phase, task, from, out, w, s) });
    to
}

fn blocked(extents: &[usize], from: &[f32]) -> Vec<f32> {
    packed(&Block::new(Blocked::new(extents).unwrap(), Isa::PORTABLE), from)
}

fn plain(extents: &[usize], from: &[f32]) -> Vec<f32> {
    let e = Blocked::new(extents).unwrap();
    for (i, v) in from.iter().enumerate() {
        let lane = i / LANES / e.plane % e.blocks() * LANES + i % LANES;
        assert!(lane < e.c || v.to_bits() == 0, "lane {lane} of {} holds {v}", e.c);
    }
    let unblock = Unblock::new(e, Isa::PORTABLE);
    let mut to = vec![f32::NAN; extents.iter().product()];
    let out = SharedMut::new(&mut to);
    // SAFETY: `run_all` keeps tasks apart.
    run_all(&unblock, 0, |_, task, _, scratch| unsafe { unblock.run(task, from, out, scratch) });
    to
}

fn run(k: &DepthwiseKernel, len: usize, from: &[f32], w: &[f32], e: BlockedEpilogue<'_>, order: u64) -> Vec<f32> {
    let w = packed(k.packing(), w);
    let mut to = vec![f32::NAN; len];
    let out = SharedMut::new(&mut to);
    // SAFETY: `run_all` keeps tasks apart.
    run_all(k, order, |_, task, _, _| unsafe { k.run(task, from, &w, e, out) });
    to
}

fn filter_grad(g: &ConvGeometry, n: usize, isa: Isa, x: &[f32], dy: &[f32], order: u64) -> Vec<f32> {
    let k = DepthwiseFilterGradKernel::new(g, n, isa).unwrap();
    let mut dw = vec![f32::NAN; g.weight_shape().iter().product()];
    let out = SharedMut::new(&mut dw);
    // SAFETY: `run_all` keeps tasks and phases apart.
    run_all(&k, order, |phase, task, workspace, _| unsafe { k.run(phase, task, x, dy, out, workspace) });
    dw
}

fn geometry(c: usize, size: usize, input: &[usize], kernel: &[usize], options: &WindowOptions) -> Option<ConvGeometry> {
    ConvGeometry::new(c, input, &[&[c, size], kernel].concat(), c / size, options).ok()
}

/// Geometries that are drawn at random.
fn drawn(count: usize) -> Vec<(ConvGeometry, usize)> {
    let mut s = Stream::new(31, 0, 0, op::TEST);
    let mut list = Vec::new();
    while list.len() < count {
        let rank = [2, 2, 2, 1, 3][s.below(5)];
        let size = [1, 1, 2, 4, 8][s.below(5)];
        let c = size * (1 + s.below(36usize.div_ceil(size)));
        let mut draw = |from: usize, n: usize| -> Vec<usize> { (0..rank).map(|_| from + s.below(n)).collect() };
        let (input, kernel) = (draw(1, [40, 20, 7][rank - 1]), draw(1, if rank == 3 { 3 } else { 7 }));
        let (stride, dilation, before, after) = (draw(1, 3), draw(1, 2), draw(0, 4), draw(0, 4));
        let options = WindowOptions::new(&[])
            .stride(&stride)
            .dilation(&dilation)
            .padding(Padding::Explicit(before.into_iter().zip(after).collect()))
            .ceil_mode(s.below(4) == 0);
        if let Some(g) = geometry(c, size, &input, &kernel, &options) {
            list.push((g, 1 + s.below(3)));
        }
    }
    list
}

/// Layers of real networks.
fn chosen() -> Vec<(ConvGeometry, usize)> {
    let g = |c, size, input: usize, k: usize, stride: usize, n| {
        let options = WindowOptions::new(&[]).stride(&[stride]).padding(Padding::all(k / 2));
        (geometry(c, size, &[input, input], &[k, k], &options).unwrap(), n)
    };
    vec![
        g(32, 1, 112, 3, 1, 1),
        g(64, 1, 56, 3, 2, 2),
        g(40, 1, 28, 5, 2, 2),
        g(96, 1, 14, 5, 1, 3),
        g(96, 1, 14, 7, 1, 1),
        g(176, 1, 7, 3, 1, 2),
        g(64, 4, 28, 3, 1, 2),
        g(32, 8, 14, 3, 2, 1),
    ]
}

#[test]
fn forward_and_gradients_equal_the_reference() {
    for (i, (g, n)) in drawn(70).into_iter().chain(chosen()).enumerate() {
        let (xs, ys, ws) = (g.input_shape(n), g.output_shape(n), g.weight_shape());
        let lens = [&xs, &ys, &ws].map(|s| s.iter().product::<usize>());
        let [x, dy, w] = [0, 1, 2].map(|j| integers(i as u64 * 8 + j as u64, lens[j]));
        let (bias, add) = (integers(5, g.co), integers(6, lens[1]));
        let (relu, limit) = (i % 2 == 0, if i % 4 == 0 { 6.0 } else { f32::INFINITY });
        let (mut y, mut dx, mut dw) = (vec![0.0; lens[1]], vec![0.0; lens[0]], vec![0.0; lens[2]]);
        reference::conv(&g, n, &x, &w, &mut y);
        reference::conv_input_grad(&g, n, &dy, &w, &mut dx);
        reference::conv_filter_grad(&g, n, &x, &dy, &mut dw);
        for (j, y) in y.iter_mut().enumerate() {
            let v = *y + bias[j / g.window.output_len() % g.co] + add[j];
            *y = if relu { v.max(0.0).min(limit) } else { v };
        }
        let (x, dy, add) = (blocked(&xs, &x), blocked(&ys, &dy), blocked(&ys, &add));
        let epilogue = BlockedEpilogue { bias: Some(&bias), add: Some(&add), relu, limit };
        for (order, isa) in Isa::available().into_iter().enumerate() {
            let k = DepthwiseKernel::forward(&g, n, isa).unwrap();
            assert_eq!(plain(&ys, &run(&k, dy.len(), &x, &w, epilogue, order as u64)), y, "{g} {isa}");
            let k = DepthwiseKernel::input_grad(&g, n, isa).unwrap();
            assert_eq!(plain(&xs, &run(&k, x.len(), &dy, &w, Default::default(), order as u64)), dx, "{g} {isa}");
            assert_eq!(filter_grad(&g, n, isa, &x, &dy, order as u64), dw, "{g} {isa}");
        }
    }
}

#[test]
fn bits_are_equal_everywhere_and_gradients_are_adjoints() {
    for (i, (g, n)) in drawn(12).into_iter().chain(chosen()).enumerate() {
        let (xs, ys, ws) = (g.input_shape(n), g.output_shape(n), g.weight_shape());
        let lens = [&xs, &ys, &ws].map(|s| s.iter().product::<usize>());
        let [x, dy, w] = [0, 1, 2].map(|j| uniform(i as u64 * 8 + j as u64, lens[j]));
        let (bx, bdy) = (blocked(&xs, &x), blocked(&ys, &dy));
        let all = |isa: Isa, order: u64| {
            let forward = DepthwiseKernel::forward(&g, n, isa).unwrap();
            let back = DepthwiseKernel::input_grad(&g, n, isa).unwrap();
            [
                run(&forward, bdy.len(), &bx, &w, Default::default(), order),
                run(&back, bx.len(), &bdy, &w, Default::default(), order),
                filter_grad(&g, n, isa, &bx, &bdy, order),
            ]
        };
        let first = all(Isa::best(), 0);
        let bits = |v: &[Vec<f32>; 3]| v.iter().flatten().map(|v| v.to_bits()).collect::<Vec<u32>>();
        let mut same = Same::new();
        assert!(same.holds(Isa::best(), &bits(&first)));
        for (order, isa) in Isa::available().into_iter().enumerate() {
            assert!(same.holds(isa, &bits(&all(isa, 1 + order as u64))), "{g} {isa}");
        }
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        let (forward, back, filter) = (dot(&first[0], &bdy), dot(&first[1], &bx), dot(&first[2], &w));
        let size = (lens[1] as f64 * ws[1..].iter().product::<usize>() as f64).sqrt();
        assert!((forward - back).abs() < 1e-5 * size && (forward - filter).abs() < 1e-5 * size, "{g}");
    }
}

#[test]
fn small_planes_of_one_image_are_cut() {
    let options = WindowOptions::new(&[]).padding(Padding::all(1));
    let g = ConvGeometry::new(960, &[7, 7], &[960, 1, 3, 3], 960, &options).unwrap();
    for k in [DepthwiseKernel::forward(&g, 1, Isa::best()), DepthwiseKernel::input_grad(&g, 1, Isa::best())] {
        assert_eq!(k.unwrap().phases(), &[4]);
    }
}

#[test]
fn only_groups_within_vectors() {
    for (ci, co, groups) in [(32, 32, 1), (6, 6, 2), (4, 8, 4)] {
        let options = WindowOptions::new(&[]);
        let g = ConvGeometry::new(ci, &[5, 5], &[co, ci / groups, 3, 3], groups, &options).unwrap();
        let e = DepthwiseKernel::forward(&g, 1, Isa::best()).unwrap_err().to_string();
        assert!(e.contains(&format!("groups of {} input and {} output channels", ci / groups, co / groups)), "{e}");
        assert!(DepthwiseFilterGradKernel::new(&g, 1, Isa::best()).is_err());
    }
}
