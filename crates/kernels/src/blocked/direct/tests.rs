use super::*;
use crate::blocked::{Block, Packing, Unblock};
use crate::check::{Same, integers, run_all, uniform};
use crate::reference;
use gabor_tensor::{Padding, Stream, rng::op};

/// Blocked form of a plain tensor.
fn block(e: Blocked, x: &[f32]) -> Vec<f32> {
    let mut to = vec![f32::NAN; e.len()];
    let (kernel, out) = (Block::new(e, Isa::best()), SharedMut::new(&mut to));
    // SAFETY: `run_all` keeps tasks apart, here and below.
    run_all(&kernel, 0, |p, t, w, s| unsafe { kernel.pack(p, t, x, out, w, s) });
    to
}

/// Plain form of a blocked tensor, whose lanes beyond the last channel must be zero.
fn unblock(e: Blocked, x: &[f32]) -> Vec<f32> {
    for (i, v) in x.iter().enumerate() {
        assert!(i / 16 / e.plane % e.blocks() * 16 + i % 16 < e.c || v.to_bits() == 0, "a lane without a channel");
    }
    let mut to = vec![f32::NAN; e.n * e.c * e.plane];
    let (kernel, out) = (Unblock::new(e, Isa::best()), SharedMut::new(&mut to));
    // SAFETY: as above.
    run_all(&kernel, 0, |_, t, _, scratch| unsafe { kernel.run(t, x, out, scratch) });
    to
}

fn run(k: &BlockedConvKernel, x: &[f32], w: &[f32], e: BlockedEpilogue<'_>, order: u64) -> Vec<f32> {
    let packing = k.packing();
    let mut packed = vec![f32::NAN; packing.packed_len()];
    let out = SharedMut::new(&mut packed);
    // SAFETY: as above.
    run_all(&packing, order, |p, t, m, s| unsafe { packing.pack(p, t, w, out, m, s) });
    let mut y = vec![f32::NAN; k.target.span()];
    let out = SharedMut::new(&mut y);
    // SAFETY: as above.
    run_all(k, order, |p, t, m, s| unsafe { k.run(p, t, x, &packed, e, out, m, s) });
    y
}

/// Random geometries of few channels and those of networks.
fn problems(count: usize) -> Vec<(ConvGeometry, usize)> {
    let g = |ci: usize, co: usize, input: &[usize], k: usize, s: usize, p: usize, groups: usize| {
        let weight = [&[co, ci / groups], &vec![k; input.len()][..]].concat();
        let o = WindowOptions::new(&[]).stride(&[s]).padding(Padding::all(p));
        ConvGeometry::new(ci, input, &weight, groups, &o).unwrap()
    };
    let mut list = vec![
        (g(64, 64, &[14, 14], 3, 1, 1, 1), 1),
        (g(40, 72, &[7, 7], 3, 1, 1, 1), 5),
        (g(17, 33, &[19, 19], 3, 1, 1, 1), 2),
        (g(64, 130, &[28, 28], 1, 1, 0, 1), 1),
        (g(70, 48, &[15, 13], 1, 2, 0, 1), 3),
        (g(32, 64, &[29, 29], 3, 2, 1, 1), 1),
        (g(16, 32, &[27, 27], 5, 1, 2, 1), 1),
        (g(24, 16, &[30, 30], 7, 2, 3, 1), 1),
        (g(19, 16, &[40, 40], 11, 4, 2, 1), 1),
        (g(64, 64, &[9, 9], 3, 1, 1, 4), 3),
        (g(96, 64, &[9, 10], 3, 2, 1, 2), 2),
        (g(32, 32, &[3000], 9, 1, 4, 1), 1),
        (g(16, 16, &[6, 12, 12], 3, 1, 1, 1), 2),
        (g(288, 40, &[5, 5], 3, 1, 1, 1), 1),
        (g(400, 40, &[2, 2], 1, 1, 0, 1), 20),
    ];
    let mut s = Stream::new(17, 0, 0, op::TEST);
    while list.len() < count {
        let rank = [2, 2, 2, 2, 2, 2, 1, 3][s.below(8)];
        let groups = [1, 1, 1, 1, 2, 3][s.below(6)];
        let mut channels = || if groups == 1 { 1 + s.below(50) } else { groups * 16 * (1 + s.below(2)) };
        let (ci, co) = (channels(), channels());
        let extent = if rank == 3 { 7 } else { 20 };
        let mut draw = |from: usize, n: usize| -> Vec<usize> { (0..rank).map(|_| from + s.below(n)).collect() };
        let (input, kernel) = (draw(1, extent), draw(1, 5));
        let (stride, dilation, before, after) = (draw(1, 3), draw(1, 2), draw(0, 3), draw(0, 3));
        let options = WindowOptions::new(&kernel)
            .stride(&stride)
            .dilation(&dilation)
            .padding(Padding::Explicit(before.into_iter().zip(after).collect()))
            .ceil_mode(s.below(4) == 0);
        let weight = [&[co, ci / groups], &kernel[..]].concat();
        let n = 1 + s.below(3);
        if let Ok(g) = ConvGeometry::new(ci, &input, &weight, groups, &options)
            && g.macs() * (n as u64) < 2_000_000
        {
            list.push((g, n));
        }
    }
    list
}

#[test]
fn integers_are_convolved_exactly() {
    for (i, (g, n)) in problems(90).into_iter().enumerate() {
        let (source, target) =
            (Blocked { n, c: g.ci, plane: g.window.input_len() }, Blocked { n, c: g.co, plane: g.window.output_len() });
        let x = integers(1, n * g.ci * source.plane);
        let w = integers(2, g.weight_shape().iter().product());
        let dy = integers(3, n * g.co * target.plane);
        let (bias, other) = (integers(4, g.co), integers(5, dy.len()));
        let (mut y, mut dx) = (dy.clone(), x.clone());
        reference::conv(&g, n, &x, &w, &mut y);
        reference::conv_input_grad(&g, n, &dy, &w, &mut dx);
        let finished: Vec<f32> =
            (0..y.len()).map(|i| (y[i] + bias[i / target.plane % g.co] + other[i]).clamp(0.0, 100.0)).collect();
        let (x, dy, other) = (block(source, &x), block(target, &dy), block(target, &other));
        let e = BlockedEpilogue { bias: Some(&bias), add: Some(&other), relu: true, limit: 100.0 };
        let sets = Isa::available();
        for isa in [sets[0], sets[i % sets.len()]] {
            let k = BlockedConvKernel::forward(&g, n, isa).unwrap();
            assert!(unblock(target, &run(&k, &x, &w, BlockedEpilogue::default(), 0)) == y, "n={n} {g} {isa}");
            assert!(unblock(target, &run(&k, &x, &w, e, i as u64)) == finished, "epilogue n={n} {g} {isa}");
            let k = BlockedConvKernel::input_grad(&g, n, isa).unwrap();
            let got = run(&k, &dy, &w, BlockedEpilogue::default(), i as u64);
            assert!(unblock(source, &got) == dx, "input gradient n={n} {g} {isa}");
        }
    }
}

#[test]
fn bits_do_not_depend_on_set_or_order() {
    for (g, n) in problems(30) {
        for gradient in [false, true] {
            let mut same = Same::new();
            for (order, isa) in Isa::available().into_iter().enumerate() {
                let k = BlockedConvKernel::new(&g, n, isa, gradient).unwrap();
                let x =
                    block(Blocked { plane: k.source.plane, ..k.source }, &uniform(1, n * k.source.c * k.source.plane));
                let w = uniform(2, g.weight_shape().iter().product());
                let y: Vec<u32> =
                    run(&k, &x, &w, BlockedEpilogue::default(), order as u64).iter().map(|v| v.to_bits()).collect();
                assert!(same.holds(isa, &y), "n={n} {g} {isa} gradient={gradient}");
            }
        }
    }
}

#[test]
fn groups_of_parts_of_blocks_are_refused() {
    let g = ConvGeometry::new(48, &[8, 8], &[48, 24, 3, 3], 2, &WindowOptions::new(&[])).unwrap();
    assert!(BlockedConvKernel::forward(&g, 1, Isa::best()).unwrap_err().contains("24 input and 24 output"));
}
