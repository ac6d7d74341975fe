use super::*;
use crate::check::{Same, run_all, uniform};
use crate::reference;

const CASES: &[(&[usize], usize)] = &[
    (&[1, 1], 1),
    (&[64, 10], 1),
    (&[5, 16], 1),
    (&[300, 1000], 1),
    (&[7, 33], 0),
    (&[3, 21, 5, 7], 1),
    (&[2, 5, 90, 91], 1),
    (&[40], 0),
    (&[0, 4], 1),
];

#[test]
fn softmax_equals_the_reference() {
    for (i, &(shape, axis)) in CASES.iter().enumerate() {
        let len = shape.iter().product();
        let mut x: Vec<f32> = uniform(i as u64, len).iter().map(|v| v * 20.0).collect();
        let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        if len > 100 {
            x.iter_mut().step_by(len / 3).zip(special).for_each(|(x, v)| *x = v);
        }
        for log in [false, true] {
            let mut want = vec![7.0; len];
            if log {
                reference::log_softmax(&x, shape, axis, &mut want);
            } else {
                reference::softmax(&x, shape, axis, &mut want);
            }
            let mut same = Same::new();
            for (order, isa) in Isa::available().into_iter().enumerate() {
                let k = SoftmaxKernel::new(shape, axis, log, isa);
                let mut y = vec![7.0; len];
                let to = SharedMut::new(&mut y);
                // SAFETY: tasks of one kernel.
                run_all(&k, order as u64, |_, task, _, scratch| unsafe { k.run(task, &x, to, scratch) });
                for (a, b) in y.iter().zip(&want) {
                    // Differences from the maximum are rounded, to 2e-6 below 32, and the exponential feels that.
                    let tolerance = if log { 1e-6 * b.abs() + 2e-6 } else { 4e-6 * b.abs() + 1e-37 };
                    let close = a == b || (a - b).abs() <= tolerance || (a.is_nan() && b.is_nan());
                    assert!(close, "{log} {shape:?} {isa}: {a} and {b}");
                }
                let bits: Vec<u32> = y.iter().map(|v| if v.is_nan() { 0 } else { v.to_bits() }).collect();
                assert!(same.holds(isa, &bits), "{log} {shape:?} {isa}");
            }
        }
    }
}

#[test]
fn a_line_of_minus_infinity_is_nan() {
    let k = SoftmaxKernel::new(&[1, 20], 1, false, Isa::best());
    let mut y = [7.0; 20];
    // SAFETY: a single task.
    unsafe { k.run(0, &[f32::NEG_INFINITY; 20], SharedMut::new(&mut y), &mut []) };
    assert!(y.iter().all(|v| v.is_nan()));
}
