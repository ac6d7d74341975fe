use super::*;
use crate::blocked::{Block, Blocked, Packing};
use crate::check::{Same, integers, run_all, uniform};
use crate::reference::conv_filter_grad;
use gabor_tensor::{Padding, Stream, WindowOptions, rng::op};

const TILES: [WinogradTile; 2] = [WinogradTile::F2, WinogradTile::F4];

fn geometry(ci: usize, co: usize, input: [usize; 2], k: usize, padding: [(usize, usize); 2]) -> Option<ConvGeometry> {
    let o = WindowOptions::new(&[]).padding(Padding::Explicit(padding.to_vec()));
    ConvGeometry::new(ci, &input, &[co, ci, k, k], 1, &o).ok()
}

/// Plain to blocked.
fn blocked(extents: &[usize], x: &[f32]) -> Vec<f32> {
    let e = Blocked::new(extents).unwrap();
    let block = Block::new(e, Isa::PORTABLE);
    let mut to = vec![f32::NAN; e.len()];
    let shared = SharedMut::new(&mut to);
    // SAFETY: `run_all` keeps tasks apart.
    run_all(&block, 0, |p, t, w, s| unsafe { block.pack(p, t, x, shared, w, s) });
    to
}

/// The gradient by a kernel, from plain tensors.
fn run(k: &WinogradFilterGradKernel, g: &ConvGeometry, n: usize, x: &[f32], dy: &[f32], order: u64) -> Vec<f32> {
    let (x, dy) = (blocked(&g.input_shape(n), x), blocked(&g.output_shape(n), dy));
    let mut dw = vec![f32::NAN; g.weight_shape().iter().product()];
    let to = SharedMut::new(&mut dw);
    // SAFETY: `run_all` keeps tasks and phases apart.
    run_all(k, order, |phase, task, w, s| unsafe { k.run(phase, task, &x, &dy, to, w, s) });
    dw
}

/// Root of the mean square error over that of the values.
fn error(got: &[f32], want: &[f32]) -> f64 {
    let sum = |f: &dyn Fn(f64, f64) -> f64| got.iter().zip(want).map(|(&a, &b)| f(a as f64, b as f64)).sum::<f64>();
    (sum(&|a, b| (a - b) * (a - b)) / sum(&|_, b| b * b).max(1e-30)).sqrt()
}

/// Compares all instruction sets, orders and ways to cut with the reference. F(2x2, 3x3) is exact on integers.
fn compare(g: &ConvGeometry, n: usize, seed: u64) {
    let (lx, ly) = (n * g.ci * g.window.input_len(), n * g.co * g.window.output_len());
    let (x, dy) = (integers(seed, lx), integers(seed + 1, ly));
    let mut want = vec![0f32; g.weight_shape().iter().product()];
    conv_filter_grad(g, n, &x, &dy, &mut want);
    for tile in TILES {
        for plan in [Plan::new(g, n, tile), Plan::with(g, n, tile, true, 7), Plan::with(g, n, tile, false, 9)] {
            let mut same = Same::new();
            for isa in Isa::available() {
                let k = WinogradFilterGradKernel::with(g, n, tile, isa, plan.clone());
                let got = run(&k, g, n, &x, &dy, seed % 3);
                match (tile, k.taps) {
                    (WinogradTile::F2, 3) => assert_eq!(got, want, "{isa} {g} n={n} {plan:?}"),
                    _ => assert!(error(&got, &want) < 5e-6, "{isa} {g} n={n} {plan:?}"),
                }
                let bits: Vec<u32> = got.iter().map(|v| v.to_bits()).collect();
                assert!(same.holds(isa, &bits), "{isa} {g} n={n} {plan:?}");
            }
        }
    }
}

#[test]
fn equals_the_reference() {
    let mut s = Stream::new(5, 0, 0, op::TEST);
    let mut seed = 0;
    while seed < 30 {
        let [ci, co] = [0, 1].map(|_| 1 + s.below(if seed % 4 == 0 { 90 } else { 40 }));
        let most = if seed % 4 == 0 { 9 } else { 20 };
        let input = [0, 1].map(|_| 1 + s.below(most));
        let k = [3, 4, 5][s.below(3)];
        let padding = [0, 1].map(|_| (s.below(k), s.below(k)));
        let n = 1 + s.below(3);
        if let Some(g) = geometry(ci, co, input, k, padding)
            && g.macs() * (n as u64) < 6_000_000
        {
            seed += 1;
            compare(&g, n, seed);
        }
    }
}

#[test]
fn long_rows_and_every_tail_of_channels() {
    for (ci, co, input) in [(16, 16, [5, 150]), (17, 31, [4, 66]), (1, 1, [3, 3]), (3, 112, [6, 6]), (80, 48, [7, 7])] {
        compare(&geometry(ci, co, input, 3, [(1, 1), (1, 1)]).unwrap(), 2, 7);
    }
}

#[test]
fn is_precise() {
    for (n, c, extent, k) in [(4, 32, 28, 3), (2, 96, 14, 3), (32, 16, 16, 3), (4, 24, 17, 4), (4, 24, 17, 5)] {
        let g = geometry(c, c, [extent; 2], k, [(1, 1), (1, 1)]).unwrap();
        let (x, dy) = (uniform(1, n * c * extent * extent), uniform(2, n * c * extent * extent));
        let mut want = vec![0f32; c * c * k * k];
        conv_filter_grad(&g, n, &x, &dy, &mut want);
        for (tile, most) in TILES.into_iter().zip(if k == 3 { [1.5e-6, 5e-6] } else { [5e-6, 2e-5] }) {
            let k = WinogradFilterGradKernel::new(&g, n, tile, Isa::best()).unwrap();
            let e = error(&run(&k, &g, n, &x, &dy, 1), &want);
            assert!(e < most, "{e:e} for {tile:?} {g} n={n}");
        }
    }
}

#[test]
fn says_what_it_does_not_do() {
    let refuses = |weight: &[usize], groups: usize, o: WindowOptions| {
        let g = ConvGeometry::new(weight[1] * groups, &[9, 9], weight, groups, &o).unwrap();
        assert_eq!(WinogradFilterGradKernel::advantage(&g, 1, WinogradTile::F4), 0.0);
        WinogradFilterGradKernel::new(&g, 1, WinogradTile::F4, Isa::best()).unwrap_err()
    };
    let o = || WindowOptions::new(&[]);
    assert_eq!(refuses(&[4, 4, 7, 7], 1, o()), "kernel 7, stride 1, dilation 1, not 3, 4 or 5, 1, 1");
    assert_eq!(refuses(&[4, 4, 3, 3], 1, o().stride(&[2])), "kernel 3, stride 2, dilation 1, not 3, 4 or 5, 1, 1");
    assert_eq!(refuses(&[4, 4, 3, 3], 2, o()), "2 spatial dimensions and 2 groups, not 2 and 1");
    assert_eq!(refuses(&[4, 4, 3, 3], 1, o().padding(Padding::all(3))), "padding 3 and 3, not less than 3");
    let large = geometry(2048, 2048, [4, 4], 3, [(1, 1), (1, 1)]).unwrap();
    let refused = WinogradFilterGradKernel::new(&large, 1, WinogradTile::F4, Isa::best()).unwrap_err();
    assert_eq!(refused, "sums of 576 MiB, more than 256");
}

#[test]
fn expects_to_win_where_it_does() {
    let gain = |c: usize, extent: usize, n: usize| {
        let g = geometry(c, c, [extent; 2], 3, [(1, 1), (1, 1)]).unwrap();
        WinogradFilterGradKernel::advantage(&g, n, WinogradTile::F4)
    };
    assert!(gain(256, 56, 4) > 3.0 && gain(64, 56, 16) > 2.5 && gain(16, 32, 128) > 1.2);
    assert!(gain(512, 7, 1) < 1.3 && gain(3, 224, 1) < 1.6);
}
