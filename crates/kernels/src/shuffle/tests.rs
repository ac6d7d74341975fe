use super::*;
use crate::check::{run_all, uniform};
use crate::{Isa, SharedMut, reference};
use gabor_tensor::{PadMode, Stream, rng::op};

/// What tasks in several orders write, which must be the same.
fn strided(kernel: impl Fn(Isa) -> StridedKernel, x: &[f32], want: &[f32]) {
    for (order, isa) in Isa::available().into_iter().enumerate() {
        let k = kernel(isa);
        let mut y = vec![7.0; want.len()];
        let to = SharedMut::new(&mut y);
        // SAFETY: tasks of one kernel.
        run_all(&k, order as u64, |_, task, _, _| unsafe { k.run(task, x, to) });
        assert!(y == want, "{k:?} {isa}");
    }
}

#[test]
fn permutations_equal_the_reference() {
    let mut cases = vec![
        (vec![300, 400], vec![1, 0]),
        (vec![17, 33], vec![1, 0]),
        (vec![9, 30, 31, 3], vec![0, 3, 1, 2]),
        (vec![4, 40, 50], vec![0, 2, 1]),
        (vec![40, 50, 60], vec![1, 0, 2]),
        (vec![70_000], vec![0]),
        (vec![], vec![]),
        (vec![3, 0, 2], vec![2, 1, 0]),
    ];
    let mut s = Stream::new(3, 0, 0, op::TEST);
    for _ in 0..60 {
        let rank = 1 + s.below(5);
        let shape: Vec<usize> = (0..rank).map(|_| 1 + s.below(9)).collect();
        let mut perm: Vec<usize> = (0..rank).collect();
        s.shuffle(&mut perm);
        cases.push((shape, perm));
    }
    for (shape, perm) in cases {
        let x = uniform(1, shape.iter().product());
        let mut want = vec![7.0; x.len()];
        reference::transpose(&x, &shape, &perm, &mut want);
        strided(|isa| StridedKernel::transpose(&shape, &perm, isa).unwrap(), &x, &want);
    }
}

#[test]
fn repetitions_and_slices_equal_the_reference() {
    let cases: [(&[usize], &[usize]); 7] = [
        (&[], &[100_000]),
        (&[5], &[7, 5]),
        (&[64, 1], &[64, 1000]),
        (&[3, 1, 1], &[2, 3, 200, 300]),
        (&[2, 1, 4], &[2, 3, 4]),
        (&[1, 6, 1, 5], &[3, 6, 2, 5]),
        (&[2, 3], &[2, 3]),
    ];
    for (from, to) in cases {
        let x = uniform(1, from.iter().product());
        let mut want = vec![7.0; to.iter().product()];
        reference::broadcast_to(&x, from, to, &mut want);
        strided(|isa| StridedKernel::broadcast(from, to, isa).unwrap(), &x, &want);
    }
    let shape = [4, 30, 20];
    let x = uniform(1, 2400);
    for (starts, steps, y_shape) in [
        ([0, 3, 0], [1, 1, 1], [4, 20, 20]),
        ([1, 29, 19], [1, -2, -1], [3, 15, 20]),
        ([0, 0, 1], [2, 3, 4], [2, 10, 5]),
    ] {
        let mut want = vec![7.0; y_shape.iter().product()];
        reference::slice(&x, &shape, &starts, &steps, &y_shape, &mut want);
        strided(|isa| StridedKernel::slice(&shape, &starts, &steps, &y_shape, isa).unwrap(), &x, &want);
    }
    let beyond = StridedKernel::slice(&[4], &[2], &[1], &[3], Isa::best()).unwrap_err();
    assert_eq!(beyond, "elements 2 to 4 of 4");
}

#[test]
fn concatenation_and_padding_equal_the_reference() {
    for axis in 0..3 {
        let shapes: Vec<Vec<usize>> = [3, 1, 200]
            .map(|e| [[5, 30, 7][..axis].to_vec(), vec![e], [5, 30, 7][axis + 1..].to_vec()].concat())
            .to_vec();
        let inputs: Vec<Vec<f32>> =
            shapes.iter().enumerate().map(|(i, s)| uniform(i as u64, s.iter().product())).collect();
        let list: Vec<(&[f32], &[usize])> = inputs.iter().zip(&shapes).map(|(x, s)| (&x[..], &s[..])).collect();
        let mut want = vec![7.0; inputs.iter().map(Vec::len).sum()];
        reference::concat(&list, axis, &mut want);
        let k = ConcatKernel::new(&shapes, axis);
        let mut y = vec![7.0; want.len()];
        let to = SharedMut::new(&mut y);
        // SAFETY: tasks of one kernel.
        run_all(&k, 1, |_, task, _, _| unsafe { k.run(task, |i| &inputs[i], to) });
        assert!(y == want, "{axis}");
    }
    for &mode in PadMode::ALL {
        for (shape, pads) in [
            (vec![3, 4, 5], vec![(0, 0), (1, 3), (2, 1)]),
            (vec![6], vec![(5, 4)]),
            (vec![40, 50, 40], vec![(0, 0), (1, 1), (1, 1)]),
        ] {
            let x = uniform(1, shape.iter().product());
            let len = shape.iter().zip(&pads).map(|(n, (a, b))| n + a + b).product();
            let (mut want, mut y) = (vec![7.0; len], vec![7.0; len]);
            reference::pad(mode, 0.5, &x, &shape, &pads, &mut want);
            let k = PadKernel::new(mode, 0.5, &shape, &pads).unwrap();
            let to = SharedMut::new(&mut y);
            // SAFETY: as above.
            run_all(&k, 1, |_, task, _, _| unsafe { k.run(task, &x, to) });
            assert!(y == want, "{mode:?} {shape:?}");
        }
    }
}

#[test]
fn labels_bytes_and_random_numbers_equal_the_reference() {
    let labels: Vec<i32> = (0..9000).map(|i| i % 14 - 2).collect();
    let (mut want, mut y) = (vec![7.0; 90_000], vec![7.0; 90_000]);
    reference::one_hot(&labels, 10, &mut want);
    let k = OneHotKernel::new(9000, 10);
    let to = SharedMut::new(&mut y);
    // SAFETY: tasks of one kernel, here and below.
    run_all(&k, 1, |_, task, _, _| unsafe { k.run(task, &labels, to) });
    assert!(y == want);
    for isa in Isa::available() {
        let bytes: Vec<u8> = (0..90_000).map(|i| (i * 7 % 256) as u8).collect();
        let integers: Vec<i32> = (0..90_000).map(|i| i * 20_011 - 1_000_000_000).collect();
        let k = CastKernel::new(90_000, isa);
        let mut y = vec![7.0; 90_000];
        let to = SharedMut::new(&mut y);
        // SAFETY: as above.
        run_all(&k, 1, |_, task, _, _| unsafe { k.run(task, &bytes, f32::from, to) });
        assert!(y.iter().zip(&bytes).all(|(y, x)| *y == f32::from(*x)));
        let to = SharedMut::new(&mut y);
        // SAFETY: as above.
        run_all(&k, 1, |_, task, _, _| unsafe { k.run(task, &integers, |v| v as f32, to) });
        assert!(y.iter().zip(&integers).all(|(y, x)| *y == *x as f32));
        for len in [1, 63, 90_000] {
            let (mut want, mut y) = (vec![7.0f32; len], vec![7.0; len]);
            reference::random_uniform(0x1234_5678_9abc_def0, 77, 1 << 40, &mut want);
            let k = RandomUniformKernel::new(len, 77, isa);
            let to = SharedMut::new(&mut y);
            // SAFETY: as above.
            run_all(&k, 1, |_, task, _, _| unsafe { k.run(task, 0x1234_5678_9abc_def0, 1 << 40, to) });
            assert!(y == want, "{len} {isa}");
        }
    }
}
