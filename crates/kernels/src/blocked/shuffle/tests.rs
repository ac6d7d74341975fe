use super::*;
use crate::blocked::Blocked;
use crate::check::{run_all, uniform};
use crate::{Isa, SharedMut, Work, reference};
use gabor_tensor::{PadMode, Stream, rng::op};

/// Plain order to blocked order, by definition.
fn blocked(shape: &[usize], x: &[f32]) -> Vec<f32> {
    let e = Blocked::new(shape).unwrap();
    let mut to = vec![0.0; e.len()];
    for (i, &v) in x.iter().enumerate() {
        let (pixel, c, n) = (i % e.plane, i / e.plane % e.c, i / e.plane / e.c);
        to[e.start(n, c / 16) + pixel * 16 + c % 16] = v;
    }
    to
}

fn bits(v: &[f32]) -> Vec<u32> {
    v.iter().map(|v| v.to_bits()).collect()
}

/// Runs on every instruction set, in another order each.
fn check(kernel: impl Fn(Isa) -> BlockedMove, inputs: &[Vec<f32>], shape: &[usize], want: &[f32]) {
    let want = bits(&blocked(shape, want));
    for (order, isa) in Isa::available().into_iter().enumerate() {
        let k = kernel(isa);
        let mut y = vec![f32::NAN; want.len()];
        let to = SharedMut::new(&mut y);
        // SAFETY: tasks of one kernel.
        run_all(&k, order as u64, |_, task, _, _| unsafe { k.run(task, &|i| &inputs[i], to) });
        assert!(bits(&y) == want, "{shape:?} {isa}");
    }
}

/// Numbers that must be moved as they are.
fn numbers(seed: u64, shape: &[usize]) -> Vec<f32> {
    let mut x = uniform(seed, shape.iter().product());
    if let Some(v) = x.first_mut() {
        *v = f32::NAN;
    }
    if let Some(v) = x.last_mut() {
        *v = -0.0;
    }
    x
}

#[test]
fn channels_are_joined_and_parted() {
    let cases: [(&[usize], &[usize]); 9] = [
        (&[16, 32, 16], &[2, 5, 7]),
        (&[64, 128, 32, 32], &[2, 14, 14]),
        (&[24, 12, 12], &[1, 9, 9]),
        (&[1, 2, 3, 4, 5, 6, 7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], &[2, 3, 3]),
        (&[40, 3], &[1, 50, 50]),
        (&[17, 16], &[3, 1]),
        (&[5, 7], &[2]),
        (&[20], &[1, 3, 4, 5]),
        (&[33, 31], &[1, 4, 60, 60]),
    ];
    for (parts, rest) in cases {
        let with = |c: usize| [&rest[..1], &[c], &rest[1..]].concat();
        let shapes: Vec<Vec<usize>> = parts.iter().map(|&c| with(c)).collect();
        let plain: Vec<Vec<f32>> = shapes.iter().enumerate().map(|(i, s)| numbers(i as u64, s)).collect();
        let list: Vec<(&[f32], &[usize])> = plain.iter().zip(&shapes).map(|(x, s)| (&x[..], &s[..])).collect();
        let full = with(parts.iter().sum());
        let mut y = vec![7.0; full.iter().product()];
        reference::concat(&list, 1, &mut y);
        let inputs: Vec<Vec<f32>> = plain.iter().zip(&shapes).map(|(x, s)| blocked(s, x)).collect();
        check(|isa| BlockedMove::concat(&shapes, isa).unwrap(), &inputs, &full, &y);
        // Its gradient: every part is a slice of the whole.
        let y = vec![blocked(&full, &y)];
        let mut at = 0;
        for (x, shape) in plain.iter().zip(&shapes) {
            check(|isa| BlockedMove::slice(&full, 1, at, 1, shape[1], isa).unwrap(), &y, shape, x);
            at += shape[1];
        }
    }
}

#[test]
fn slices_and_their_adjoints_equal_the_reference() {
    let mut s = Stream::new(4, 0, 0, op::TEST);
    for _ in 0..80 {
        let rank = 2 + s.below(4);
        let shape: Vec<usize> = (0..rank).map(|d| 1 + s.below(if d == 1 { 50 } else { 9 })).collect();
        let (axis, step) = (s.below(rank), 1 + s.below(3));
        let start = s.below(shape[axis]);
        let mut small = shape.clone();
        small[axis] = 1 + s.below((shape[axis] - start).div_ceil(step));
        let (mut starts, mut steps) = (vec![0; rank], vec![1; rank]);
        (starts[axis], steps[axis]) = (start, step as isize);
        let x = numbers(1, &shape);
        let mut want = vec![7.0; small.iter().product()];
        reference::slice(&x, &shape, &starts, &steps, &small, &mut want);
        let kernel = |isa| BlockedMove::slice(&shape, axis, start, step, small[axis], isa).unwrap();
        check(kernel, &[blocked(&shape, &x)], &small, &want);
        let dy = uniform(2, want.len());
        let mut want = vec![7.0; x.len()];
        reference::embed(&dy, &small, &starts, &steps, &shape, &mut want);
        let kernel = |isa| BlockedMove::embed(&small, axis, start, step, shape[axis], isa).unwrap();
        check(kernel, &[blocked(&small, &dy)], &shape, &want);
    }
}

#[test]
fn padding_and_its_removal_equal_the_reference() {
    for &mode in PadMode::ALL {
        for (shape, pads) in [
            (vec![2, 16, 8, 8], vec![(0, 0), (8, 8), (0, 0), (0, 0)]),
            (vec![2, 16, 8, 8], vec![(0, 0), (16, 16), (0, 0), (0, 0)]),
            (vec![1, 20, 5, 6], vec![(0, 0), (0, 0), (1, 2), (3, 1)]),
            (vec![2, 33, 4], vec![(0, 0), (3, 2), (1, 2)]),
            (vec![1, 64, 40, 40], vec![(0, 0), (0, 0), (1, 1), (1, 1)]),
            (vec![2, 10], vec![(0, 0), (1, 2)]),
            (vec![1, 18, 3, 4, 5], vec![(0, 0), (0, 0), (1, 1), (0, 2), (2, 0)]),
        ] {
            let x = numbers(1, &shape);
            let padded: Vec<usize> = shape.iter().zip(&pads).map(|(n, (a, b))| n + a + b).collect();
            for value in [0.0, 0.5] {
                let mut want = vec![7.0; padded.iter().product()];
                reference::pad(mode, value, &x, &shape, &pads, &mut want);
                let kernel = |isa| BlockedMove::pad(mode, value, &shape, &pads, isa).unwrap();
                check(kernel, &[blocked(&shape, &x)], &padded, &want);
                let from = [blocked(&padded, &want)];
                check(|isa| BlockedMove::crop(&padded, &pads, isa).unwrap(), &from, &shape, &x);
            }
        }
    }
}

#[test]
fn large_moves_are_cut_and_others_refused() {
    let shapes = vec![vec![1, 24, 56, 56], vec![1, 40, 56, 56]];
    assert!(BlockedMove::concat(&shapes, Isa::best()).unwrap().phases()[0] > 4);
    assert_eq!(BlockedMove::crop(&[5], &[(1, 1)], Isa::best()).unwrap_err(), "1 dimensions, not two to five");
    assert!(BlockedMove::concat(&[], Isa::best()).is_err());
}
