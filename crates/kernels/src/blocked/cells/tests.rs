use super::*;
use crate::blocked::{Blocked, BlockedEpilogue, Packing};
use crate::check::{Same, run_all, uniform};
use crate::{Isa, SharedMut, reference};
use gabor_tensor::{Padding, Stream, rng::op};

fn geometry(ci: usize, co: usize, input: [usize; 2], k: [usize; 2], s: usize, p: usize) -> ConvGeometry {
    let o = WindowOptions::new(&[]).stride(&[s]).padding(Padding::all(p));
    ConvGeometry::new(ci, &input, &[co, ci, k[0], k[1]], 1, &o).unwrap()
}

/// First layers of real networks on smaller pictures, then geometries that are drawn at random.
fn problems() -> Vec<(ConvGeometry, usize)> {
    let mut list = vec![
        (geometry(3, 64, [64, 67], [11, 11], 4, 2), 3),
        (geometry(3, 96, [35, 35], [11, 11], 4, 0), 1),
        (geometry(3, 64, [47, 53], [7, 7], 2, 3), 2),
        (geometry(3, 16, [28, 28], [5, 5], 2, 2), 5),
        (geometry(4, 40, [20, 31], [3, 5], 4, 1), 2),
        (geometry(3, 32, [30, 30], [3, 3], 2, 1), 2),
    ];
    let mut s = Stream::new(71, 0, 0, op::TEST);
    while list.len() < 24 {
        let side = [2, 4][s.below(2)];
        let mut draw = |from: usize, n: usize| from + s.below(n);
        let (ci, k) = (draw(3, 2), [draw(1, 5 * side), draw(1, 5 * side)]);
        let (input, pads) = ([draw(1, 40), draw(1, 40)], [(draw(0, 6), draw(0, 6)), (draw(0, 6), draw(0, 6))]);
        let o = WindowOptions::new(&[]).stride(&[side]).padding(Padding::Explicit(pads.to_vec()));
        if let Ok(g) = ConvGeometry::new(ci, &input, &[draw(12, 30), ci, k[0], k[1]], 1, &o) {
            list.push((g, draw(1, 3)));
        }
    }
    list
}

/// Plain order to blocked order and back, by definition.
fn index(e: Blocked, i: usize) -> usize {
    let (pixel, c, n) = (i % e.plane, i / e.plane % e.c, i / e.plane / e.c);
    e.start(n, c / 16) + pixel * 16 + c % 16
}
fn blocked(e: Blocked, x: &[f32]) -> Vec<f32> {
    let mut to = vec![0.0; e.len()];
    x.iter().enumerate().for_each(|(i, &v)| to[index(e, i)] = v);
    to
}
fn plain(e: Blocked, x: &[f32]) -> Vec<f32> {
    (0..e.n * e.c * e.plane).map(|i| x[index(e, i)]).collect()
}

fn packed(packing: &CellsFilter, w: &[f32], order: u64) -> Vec<f32> {
    let mut packed = vec![f32::NAN; packing.packed_len()];
    let to = SharedMut::new(&mut packed);
    // SAFETY: `run_all` gives every call its own scratch and keeps phases apart, here and below.
    run_all(packing, order, |p, t, work, s| unsafe { packing.pack(p, t, w, to, work, s) });
    packed
}

fn output(g: &ConvGeometry, n: usize) -> Blocked {
    Blocked { n, c: g.co, plane: g.window.output_len() }
}

/// Root of the mean square of the difference over that of the values.
fn error(is: &[f32], want: &[f64]) -> f64 {
    let square: f64 = want.iter().map(|w| w * w).sum();
    let difference: f64 = is.iter().zip(want).map(|(&a, w)| (f64::from(a) - w).powi(2)).sum();
    if square == 0.0 { difference } else { (difference / square).sqrt() }
}

fn doubles(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// What the issue of accuracy allows: 5e-6 for 3 taps, 2e-5 for 5, and a little for sums over few products.
fn bound(g: &ConvGeometry) -> f64 {
    if Cells::new(g).unwrap().cells.window.kernel() == [3, 3] { 5e-6 } else { 2e-5 }
}

#[test]
fn all_passes_agree_with_the_reference_on_every_instruction_set() {
    for (i, (g, n)) in problems().into_iter().enumerate() {
        let (x, w) = (uniform(1, n * g.ci * g.window.input_len()), uniform(2, g.weight_shape().iter().product()));
        let (dy, bias) = (uniform(3, n * g.co * g.window.output_len()), uniform(4, g.co));
        let add = uniform(5, dy.len());
        let [x64, w64, dy64] = [&x, &w, &dy].map(|v| doubles(v));
        let mut y = vec![0.0; dy.len()];
        reference::conv(&g, n, &x64, &w64, &mut y);
        let plane = g.window.output_len();
        let want: Vec<f64> =
            (0..y.len()).map(|i| (y[i] + f64::from(bias[i / plane % g.co]) + f64::from(add[i])).max(0.0)).collect();
        let (mut dx, mut dw) = (vec![0.0; x.len()], vec![0.0; w.len()]);
        reference::conv_input_grad(&g, n, &dy64, &w64, &mut dx);
        reference::conv_filter_grad(&g, n, &x64, &dy64, &mut dw);
        let out = output(&g, n);
        let (dy, add) = (blocked(out, &dy), blocked(out, &add));
        for tile in [WinogradTile::F2, WinogradTile::F4] {
            let mut same = [Same::new(), Same::new(), Same::new()];
            for (order, isa) in Isa::available().into_iter().enumerate() {
                let order = order as u64;
                let k = CellsConvKernel::forward(&g, n, tile, isa).unwrap();
                let u = packed(&k.packing(), &w, order);
                let mut y = vec![f32::NAN; out.len()];
                let to = SharedMut::new(&mut y);
                let e = BlockedEpilogue { bias: Some(&bias), add: Some(&add), relu: true, limit: f32::INFINITY };
                // SAFETY: as above, here and below.
                // SAFETY: as above.
                run_all(&k, order, |p, t, work, s| unsafe { k.run(p, t, &x, &u, e, to, work, s) });
                let far = error(&plain(out, &y), &want);
                assert!(far < bound(&g), "{i} {g} {tile:?} {isa}: y is {far:e} off");
                assert!(same[0].holds(isa, &y), "{i} {g} {isa}");
                let k = CellsInputGradKernel::new(&g, n, tile, isa).unwrap();
                let u = packed(&k.packing(), &w, order);
                let mut is = vec![f32::NAN; x.len()];
                let to = SharedMut::new(&mut is);
                // SAFETY: as above.
                run_all(&k, order, |p, t, work, s| unsafe { k.run(p, t, &dy, &u, to, work, s) });
                let far = error(&is, &dx);
                assert!(far < bound(&g), "{i} {g} {tile:?} {isa}: dx is {far:e} off");
                assert!(same[1].holds(isa, &is), "{i} {g} {isa}");
                let k = CellsFilterGradKernel::new(&g, n, tile, isa).unwrap();
                let mut is = vec![f32::NAN; w.len()];
                let to = SharedMut::new(&mut is);
                // SAFETY: as above.
                run_all(&k, order, |p, t, work, s| unsafe { k.run(p, t, &x, &dy, to, work, s) });
                let far = error(&is, &dw);
                assert!(far < bound(&g), "{i} {g} {tile:?} {isa}: dw is {far:e} off");
                assert!(same[2].holds(isa, &is), "{i} {g} {isa}");
            }
        }
    }
}

#[test]
fn first_layers_of_real_networks_go_through_cells_and_small_windows_do_not() {
    let tile = |g: &ConvGeometry| Cells::new(g).ok().and_then(|c| c.tile(4, false));
    assert_eq!(tile(&geometry(3, 64, [224, 224], [11, 11], 4, 2)), Some(WinogradTile::F4));
    assert_eq!(tile(&geometry(3, 64, [224, 224], [7, 7], 2, 3)), Some(WinogradTile::F4));
    assert_eq!(tile(&geometry(3, 32, [224, 224], [3, 3], 2, 1)), None);
    for (g, why) in [
        (geometry(3, 64, [32, 32], [3, 3], 1, 1), "stride"),
        (geometry(3, 64, [32, 32], [3, 3], 3, 1), "stride"),
        (geometry(8, 64, [32, 32], [7, 7], 2, 1), "channels"),
        (geometry(3, 64, [32, 32], [11, 11], 2, 1), "cells"),
    ] {
        assert!(Cells::new(&g).unwrap_err().contains(why));
    }
}
