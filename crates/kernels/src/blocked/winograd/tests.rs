use super::*;
use crate::blocked::{Block, Blocked, BlockedEpilogue, Packing, Unblock};
use crate::check::{Same, run_all, uniform};
use crate::{Isa, SharedMut, reference};
use gabor_tensor::{ConvGeometry, Padding, Stream, WindowOptions, rng::op};

fn geometry(ci: usize, co: usize, input: [usize; 2], k: usize, pads: [(usize, usize); 2]) -> ConvGeometry {
    let o = WindowOptions::new(&[]).padding(Padding::Explicit(pads.to_vec()));
    ConvGeometry::new(ci, &input, &[co, ci, k, k], 1, &o).unwrap()
}

/// The packed form of a tensor.
fn packed(p: &impl Packing, from: &[f32], order: u64) -> Vec<f32> {
    let mut to = vec![0.0; p.packed_len()];
    let out = SharedMut::new(&mut to);
    // SAFETY: `run_all` keeps tasks apart.
    run_all(p, order, |phase, task, w, s| unsafe { p.pack(phase, task, from, out, w, s) });
    to
}

fn blocked(shape: &[usize], v: &[f32]) -> Vec<f32> {
    packed(&Block::new(Blocked::new(shape).unwrap(), Isa::PORTABLE), v, 0)
}

/// The result of a kernel in plain order; lanes beyond the channels must be zero.
fn run(
    kernel: &WinogradConvKernel,
    [from, to]: [&[usize]; 2],
    x: &[f32],
    w: &[f32],
    epilogue: BlockedEpilogue<'_>,
    order: u64,
) -> Vec<f32> {
    let (x, u, e) = (blocked(from, x), packed(&kernel.packing(), w, order), Blocked::new(to).unwrap());
    let mut y = vec![f32::NAN; e.len()];
    let out = SharedMut::new(&mut y);
    run_all(kernel, order, |phase, task, workspace, scratch| {
        // SAFETY: `run_all` keeps phases apart and gives every call its own scratch.
        unsafe { kernel.run(phase, task, &x, &u, epilogue, out, workspace, scratch) }
    });
    let mut plain = vec![f32::NAN; to.iter().product()];
    let unblock = Unblock::new(e, Isa::PORTABLE);
    let out = SharedMut::new(&mut plain);
    // SAFETY: as above.
    run_all(&unblock, 0, |_, task, _, scratch| unsafe { unblock.run(task, &y, out, scratch) });
    let again = blocked(to, &plain);
    assert!(y.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()), "lanes beyond the channels are not zero");
    plain
}

/// Root mean square of the difference in units of that of the wanted numbers.
fn error(got: &[f32], want: &[f64]) -> f64 {
    let sum = |i: &mut dyn Iterator<Item = f64>| i.map(|v| v * v).sum::<f64>();
    assert_eq!(got.len(), want.len());
    let (d, w) = (sum(&mut got.iter().zip(want).map(|(&g, w)| g as f64 - w)), sum(&mut want.iter().copied()));
    (d / w).sqrt()
}

fn wide(v: &[f32]) -> Vec<f64> {
    v.iter().map(|&v| v as f64).collect()
}

/// Forward and input gradient against the reference.
fn check(g: &ConvGeometry, n: usize, tiles: &[WinogradTile], seed: u64) {
    for &tile in tiles {
        check_forward(g, n, tile, seed);
        check_input_grad(g, n, tile, seed);
    }
}

fn check_forward(g: &ConvGeometry, n: usize, tile: WinogradTile, seed: u64) {
    let (x, y) = (g.input_shape(n), g.output_shape(n));
    let [lx, ly, lw] = [&x, &y, &g.weight_shape()].map(|s| s.iter().product());
    let (vx, vw) = (uniform(seed, lx), uniform(seed + 2, lw));
    let (bias, add) = (uniform(seed + 3, g.co), uniform(seed + 4, ly));
    let mut want = vec![0.0; ly];
    reference::conv(g, n, &wide(&vx), &wide(&vw), &mut want);
    for (i, v) in want.iter_mut().enumerate() {
        *v = (*v + bias[i / g.window.output_len() % g.co] as f64 + add[i] as f64).max(0.0);
    }
    let add = blocked(&y, &add);
    let epilogue = BlockedEpilogue { bias: Some(&bias), add: Some(&add), relu: true, ..Default::default() };
    compare(g, n, tile, &want, |isa, order| {
        let kernel = WinogradConvKernel::forward(g, n, tile, isa).unwrap();
        run(&kernel, [&x, &y], &vx, &vw, epilogue, (order + seed) % 4)
    });
}

fn check_input_grad(g: &ConvGeometry, n: usize, tile: WinogradTile, seed: u64) {
    let (x, y) = (g.input_shape(n), g.output_shape(n));
    let [lx, ly, lw] = [&x, &y, &g.weight_shape()].map(|s| s.iter().product());
    let (vy, vw) = (uniform(seed + 1, ly), uniform(seed + 2, lw));
    let mut want = vec![0.0; lx];
    reference::conv_input_grad(g, n, &wide(&vy), &wide(&vw), &mut want);
    compare(g, n, tile, &want, |isa, order| {
        let kernel = WinogradConvKernel::input_grad(g, n, tile, isa).unwrap();
        run(&kernel, [&y, &x], &vy, &vw, BlockedEpilogue::default(), (order + seed) % 4)
    });
}

/// All instruction sets, orders and threads must give the same bits.
fn compare(g: &ConvGeometry, n: usize, tile: WinogradTile, want: &[f64], run: impl Fn(Isa, u64) -> Vec<f32>) {
    let mut same = Same::new();
    for (order, isa) in Isa::available().into_iter().enumerate() {
        let got = run(isa, order as u64);
        let e = error(&got, want);
        let bound = if g.window.kernel()[0] == 3 { 5e-6 } else { 2e-5 };
        assert!(e < bound, "{tile:?} {g} n={n} {isa}: error {e}");
        assert!(same.holds(isa, &[got]), "{tile:?} {g} n={n}: bits of {isa}");
    }
}

#[test]
fn geometries() {
    let mut s = Stream::new(5, 0, 0, op::TEST);
    for seed in 0..20 {
        let mut draw = |from: usize, n: usize| from + s.below(n);
        let k = [3, 4, 5][draw(0, 3)];
        let pads = [(draw(0, k), draw(0, k)), (draw(0, k), draw(0, k))];
        let g = geometry(draw(16, 40), draw(16, 60), [draw(k, 14), draw(k, 14)], k, pads);
        let n = draw(1, 3);
        check(&g, n, &[WinogradTile::F2, WinogradTile::F4], seed);
    }
}

#[test]
fn strides_of_two() {
    let mut s = Stream::new(6, 0, 0, op::TEST);
    for seed in 0..10 {
        let mut draw = |from: usize, n: usize| from + s.below(n);
        let o = WindowOptions::new(&[]).stride(&[2]);
        let o = o.padding(Padding::Explicit(vec![(draw(0, 3), draw(0, 3)), (draw(0, 3), draw(0, 3))]));
        let (ci, co, n) = (16 * draw(1, 3), draw(12, 60), draw(1, 3));
        let g = ConvGeometry::new(ci, &[draw(3, 24), draw(3, 24)], &[co, ci, 3, 3], 1, &o).unwrap();
        check_forward(&g, n, WinogradTile::F4, seed);
        for refused in [
            WinogradConvKernel::forward(&g, n, WinogradTile::F2, Isa::best()),
            WinogradConvKernel::input_grad(&g, n, WinogradTile::F4, Isa::best()),
        ] {
            assert!(refused.unwrap_err().contains("stride"));
        }
    }
}

#[test]
fn several_spans_and_parts() {
    for (ci, co, size, n) in [(16, 32, 40, 2), (64, 32, 24, 3), (160, 16, 13, 1)] {
        let g = geometry(ci, co, [size, size + 1], 3, [(1, 1); 2]);
        check(&g, n, &[WinogradTile::F4], 3);
    }
    let g = geometry(32, 48, [30, 26], 3, [(1, 1); 2]);
    check(&g, 2, &[WinogradTile::F2], 3);
}

/// Errors of a layer as networks have them: Gaussian weights, rectified inputs.
#[test]
fn errors() {
    for (k, bounds) in [(3, [1.5e-6, 5e-6]), (4, [5e-6, 2e-5]), (5, [2e-5; 2])] {
        let g = geometry(256, 32, [12, 12], k, [(k / 2, k / 2); 2]);
        let mut s = Stream::new(17, 0, 0, op::TEST);
        let mut normal =
            |scale: f64, len: usize| -> Vec<f32> { (0..len).map(|_| (scale * s.normal()) as f32).collect() };
        let x: Vec<f32> = normal(1.0, 256 * 144).into_iter().map(|v| v.max(0.0)).collect();
        let w = normal((2.0 / (256 * k * k) as f64).sqrt(), 32 * 256 * k * k);
        let mut want = vec![0.0; 32 * g.window.output_len()];
        reference::conv(&g, 1, &wide(&x), &wide(&w), &mut want);
        for (tile, bound) in [WinogradTile::F2, WinogradTile::F4].into_iter().zip(bounds) {
            let kernel = WinogradConvKernel::forward(&g, 1, tile, Isa::best()).unwrap();
            let shapes = [&g.input_shape(1)[..], &g.output_shape(1)];
            let got = run(&kernel, shapes, &x, &w, BlockedEpilogue::default(), 0);
            let e = error(&got, &want);
            assert!(e < bound, "{tile:?} {k}x{k}: error {e:.1e}");
        }
    }
}

#[test]
fn choices() {
    let best = |c: usize, size: usize, n: usize, fixed: bool| {
        winograd_tile(&geometry(c, c, [size, size], 3, [(1, 1); 2]), n, fixed)
    };
    let strided = |c: usize, size: usize, n: usize| {
        let o = WindowOptions::new(&[]).stride(&[2]).padding(Padding::all(1));
        winograd_tile(&ConvGeometry::new(c, &[size; 2], &[c, c, 3, 3], 1, &o).unwrap(), n, true)
    };
    assert_eq!(strided(128, 56, 16), Some(WinogradTile::F4));
    assert_eq!(strided(24, 56, 16), None, "blocks are not whole");
    // Large planes, few pixels of many channels, and even fewer with a filter that changes in every run.
    assert_eq!(best(64, 56, 1, true), Some(WinogradTile::F4));
    assert_eq!(best(512, 7, 1, true), Some(WinogradTile::F2));
    assert_eq!(best(512, 4, 1, false), None);
    assert_eq!(best(512, 7, 16, false), Some(WinogradTile::F4));
    assert_eq!(best(8, 56, 1, true), None);
}

#[test]
fn refused() {
    let o = WindowOptions::new(&[]).stride(&[3]);
    let strided = ConvGeometry::new(32, &[9, 9], &[32, 32, 3, 3], 1, &o).unwrap();
    let unequal = ConvGeometry::new(32, &[9, 9], &[32, 32, 3, 5], 1, &WindowOptions::new(&[])).unwrap();
    let line = ConvGeometry::new(32, &[9], &[32, 32, 3], 1, &WindowOptions::new(&[])).unwrap();
    let few = geometry(8, 32, [9, 9], 3, [(1, 1); 2]);
    for (g, why) in [(strided, "stride"), (unequal, "3x3"), (line, "dimensions"), (few, "at least 12")] {
        let e = WinogradConvKernel::forward(&g, 1, WinogradTile::F4, Isa::best()).unwrap_err();
        assert!(e.contains(why), "{e}");
    }
}
