use super::*;
use crate::check::{Same, run_all, uniform};
use crate::reference;

/// Extents with one and several parts, short planes, odd channels and planes of one element.
const CASES: &[(usize, usize, usize)] = &[
    (1, 1, 1),
    (1, 3, 1),
    (5, 37, 1),
    (9000, 10, 1),
    (300, 500, 1),
    (4, 3, 2),
    (7, 40, 9),
    (2, 5, 16),
    (64, 6, 100),
    (3, 70, 49),
    (2, 1, 40_000),
    (1, 2, 70_000),
    (40, 3, 784),
];

fn bits(v: &[Vec<f32>]) -> Vec<u32> {
    v.iter().flatten().map(|v| v.to_bits()).collect()
}

fn close(name: &str, got: &[f32], want: &[f32]) {
    let scale = want.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (a, b) in got.iter().zip(want) {
        assert!((a - b).abs() <= 2e-6 * scale, "{name}: {a} and {b}");
    }
}

#[test]
fn statistics_and_gradients_equal_the_reference() {
    for (i, &(n, c, s)) in CASES.iter().enumerate() {
        let p = BatchNorm { n, c, s, eps: 1e-5, momentum: 0.1 };
        let len = n * c * s;
        // A mean far from zero, to try the cancellation.
        let x: Vec<f32> = uniform(i as u64, len).iter().map(|v| v + 100.0 * (i % 3) as f32).collect();
        let (dy, vectors) = (uniform(99, len), [1, 2, 3, 4].map(|k| uniform(k, c)));
        let [gamma, beta, running_mean, running_var] = &vectors;
        let mut want = [len, c, c, c, c].map(|l| vec![0.0; l]);
        let [y, mean, inv_std, new_running_mean, new_running_var] = &mut want;
        let out = reference::BatchNormOut { y, mean, inv_std, new_running_mean, new_running_var };
        reference::batch_norm_train(&p, &x, gamma, beta, running_mean, running_var, out);
        let (mean, inv_std) = (want[1].clone(), want[2].clone());
        let mut want_grad = [len, c, c].map(|l| vec![0.0; l]);
        let [dx, dgamma, dbeta] = &mut want_grad;
        reference::batch_norm_grad(&p, &dy, &x, gamma, &mean, &inv_std, dx, dgamma, dbeta);
        let mut same = Same::new();
        for (order, isa) in Isa::available().into_iter().enumerate() {
            let mut got = want.iter().map(|v| vec![7.0; v.len()]).collect::<Vec<_>>();
            let o: Vec<_> = got.iter_mut().map(|v| SharedMut::new(v)).collect();
            let outputs =
                BatchNormOutputs { y: o[0], mean: o[1], inv_std: o[2], new_running_mean: o[3], new_running_var: o[4] };
            let inputs = BatchNormInputs { x: &x, gamma, beta, running_mean, running_var };
            let k = BatchNormKernel::new(p, isa);
            // SAFETY: `run_all` keeps the phases apart.
            run_all(&k, order as u64, |phase, task, w, _| unsafe { k.run(phase, task, inputs, outputs, w) });
            let mut grad = want_grad.iter().map(|v| vec![7.0; v.len()]).collect::<Vec<_>>();
            let o: Vec<_> = grad.iter_mut().map(|v| SharedMut::new(v)).collect();
            let outputs = BatchNormGradOutputs { dx: o[0], dgamma: o[1], dbeta: o[2] };
            let inputs = BatchNormGradInputs { dy: &dy, x: &x, gamma, mean: &mean, inv_std: &inv_std };
            let k = BatchNormGradKernel::new(p, isa);
            // SAFETY: as above.
            run_all(&k, order as u64, |phase, task, w, _| unsafe { k.run(phase, task, inputs, outputs, w) });
            got.append(&mut grad);
            for (j, (got, want)) in got.iter().zip(want.iter().chain(&want_grad)).enumerate() {
                close(&format!("output {j} of {p:?} {isa}"), got, want);
            }
            let all = bits(&got);
            assert!(same.holds(isa, &all), "{p:?} {isa}");
        }
    }
}

#[test]
fn a_constant_channel_has_no_variance() {
    let p = BatchNorm { n: 3, c: 1, s: 50, eps: 1e-5, momentum: 0.1 };
    let k = BatchNormKernel::new(p, Isa::best());
    let (x, one) = (vec![1e6f32; 150], [1.0]);
    let (mut y, mut rest) = (vec![7.0; 150], [[7.0]; 4]);
    let [mean, inv_std, new_running_mean, new_running_var] = &mut rest;
    let outputs = BatchNormOutputs {
        y: SharedMut::new(&mut y),
        mean: SharedMut::new(mean),
        inv_std: SharedMut::new(inv_std),
        new_running_mean: SharedMut::new(new_running_mean),
        new_running_var: SharedMut::new(new_running_var),
    };
    let inputs = BatchNormInputs { x: &x, gamma: &one, beta: &one, running_mean: &one, running_var: &one };
    // SAFETY: a single task.
    unsafe { k.run(0, 0, inputs, outputs, SharedMut::new(&mut [])) };
    assert!(y.iter().all(|&v| v == 1.0), "{y:?}");
    assert_eq!(rest, [[1e6], [(1.0 / 1e-5f64.sqrt()) as f32], [0.9 + 1e5], [0.9]]);
}
