use super::*;
use crate::check::{Same, run_all, uniform};
use crate::reference;

/// Shapes and axes of every form, with one and several parts.
const CASES: &[(&[usize], &[usize])] = &[
    (&[], &[]),
    (&[1, 5, 1], &[0, 2]),
    (&[70_000], &[0]),
    (&[3, 100_000], &[1]),
    (&[64, 10], &[1]),
    (&[400, 300], &[1]),
    (&[64, 10], &[0]),
    (&[5000, 37], &[0]),
    (&[3, 2000, 70], &[0, 1]),
    (&[4, 3, 5, 5], &[0, 2, 3]),
    (&[64, 6, 28, 28], &[0, 2, 3]),
    (&[2, 1, 300, 300], &[0, 2, 3]),
    (&[2, 90, 7, 7], &[2, 3]),
    (&[7, 5, 49], &[1]),
    (&[2, 3000, 49], &[1]),
    (&[64, 300], &[0, 1]),
    (&[1, 8, 1, 9], &[0, 1, 2, 3]),
];

#[test]
fn reductions_equal_the_reference() {
    for (i, &(shape, axes)) in CASES.iter().enumerate() {
        let len: usize = shape.iter().product();
        let count: usize = axes.iter().map(|&d| shape[d]).product();
        let mut x = uniform(i as u64, len);
        if i % 4 == 0 {
            x[len / 2] = f32::NAN;
        }
        for kind in [Reduction::Sum, Reduction::Mean, Reduction::Max] {
            let mut want = vec![7.0; len / count];
            reference::reduce(kind, &x, shape, axes, &mut want);
            let mut same = Same::new();
            for (order, isa) in Isa::available().into_iter().enumerate() {
                let k = ReduceKernel::new(kind, shape, axes, isa).unwrap();
                let mut y = vec![7.0; want.len()];
                let to = SharedMut::new(&mut y);
                // SAFETY: `run_all` keeps the phases apart.
                run_all(&k, order as u64, |phase, task, w, _| unsafe { k.run(phase, task, &x, to, w) });
                for (a, b) in y.iter().zip(&want) {
                    let close = (a - b).abs() <= 1e-6 * b.abs() || (a.is_nan() && b.is_nan());
                    assert!(close, "{kind:?} {shape:?} {axes:?} {isa}: {a} and {b}");
                }
                let bits: Vec<u32> = y.iter().map(|v| if v.is_nan() { 0 } else { v.to_bits() }).collect();
                assert!(same.holds(isa, &bits), "{kind:?} {shape:?} {axes:?} {isa}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let new = |shape: &[usize], axes: &[usize]| ReduceKernel::new(Reduction::Sum, shape, axes, Isa::best());
    assert!(new(&[2, 0], &[1]).is_err());
    let e = new(&[2, 3, 4, 5], &[0, 2]).unwrap_err();
    assert_eq!(e, "kept and reduced dimensions alternate more than twice: [0, 2] of [2, 3, 4, 5]");
}
