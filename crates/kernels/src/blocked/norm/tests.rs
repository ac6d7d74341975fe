use super::*;
use crate::blocked::Blocked;
use crate::check::{Same, run_all, uniform};
use crate::reference::{self, BatchNorm, BatchNormOut};
use crate::{Isa, SharedMut};

/// Images, channels, pixels: one and several parts, tails of blocks and of pixels, planes of one pixel.
const CASES: &[(usize, usize, usize)] = &[
    (1, 1, 1),
    (1, 19, 1),
    (5, 37, 1),
    (300, 130, 1),
    (7, 40, 9),
    (2, 5, 16),
    (3, 140, 49),
    (40, 20, 100),
    (2, 5, 7001),
    (1, 33, 4100),
    (9, 64, 800),
];

fn blocked(e: Blocked, x: &[f32]) -> Vec<f32> {
    let mut to = vec![0.0; e.len()];
    for (i, &v) in x.iter().enumerate() {
        to[place(e, i)] = v;
    }
    to
}

/// Where element `i` of the plain tensor lies.
fn place(e: Blocked, i: usize) -> usize {
    let (image, c, pixel) = (i / e.plane / e.c, i / e.plane % e.c, i % e.plane);
    e.start(image, c / 16) + pixel * 16 + c % 16
}

/// A copy that begins on a cache line, as results in an arena do, and where it begins.
fn aligned(data: &[f32]) -> (Vec<f32>, usize) {
    let mut v = vec![f32::NAN; data.len() + 16];
    let from = v.as_ptr().align_offset(64);
    v[from..from + data.len()].copy_from_slice(data);
    (v, from)
}

/// Checks against the plain right answer, and that lanes beyond the channels are zero.
fn check(name: &str, e: Blocked, got: &[f32], want: &[f32]) {
    let scale = want.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (i, &w) in want.iter().enumerate() {
        let v = got[place(e, i)];
        assert!((v - w).abs() <= 3e-6 * scale, "{name}: {v} and {w}");
    }
    for (i, v) in got.iter().enumerate() {
        let (block, lane) = (i / (e.plane * 16) % e.blocks(), i % 16);
        assert!(block * 16 + lane < e.c || v.to_bits() == 0, "{name}: {v} beyond the channels");
    }
}

fn close(name: &str, got: &[f32], want: &[f32]) {
    let scale = want.iter().fold(1e-3f32, |m, v| m.max(v.abs()));
    for (v, w) in got.iter().zip(want) {
        assert!((v - w).abs() <= 3e-6 * scale, "{name}: {v} and {w}");
    }
}

/// A problem and its right answers, plain.
struct Case {
    e: Blocked,
    p: BatchNorm,
    x: Vec<f32>,
    add: Option<Vec<f32>>,
    /// The limit of the rectifier, if there is one.
    relu: Option<f32>,
    dy: Vec<f32>,
    vectors: [Vec<f32>; 4],
    /// y, mean, 1/std, running mean and variance.
    forward: [Vec<f32>; 5],
    /// dx, dγ, dβ, and the gradient before the rectifier.
    backward: [Vec<f32>; 4],
}

impl Case {
    fn new(i: usize, (n, c, s): (usize, usize, usize), add: bool, relu: Option<f32>) -> Case {
        let (p, len) = (BatchNorm { n, c, s, eps: 1e-5, momentum: 0.1 }, n * c * s);
        // A mean far from zero, to try the cancellation.
        let x: Vec<f32> = uniform(i as u64, len).iter().map(|v| v + 50.0 * (i % 3) as f32).collect();
        let add = add.then(|| uniform(98, len));
        let (mut dy, vectors) = (uniform(99, len), [1, 2, 3, 4].map(|k| uniform(k, c)));
        let mut forward = [len, c, c, c, c].map(|l| vec![0.0; l]);
        let [y, mean, inv_std, new_running_mean, new_running_var] = &mut forward;
        let out = BatchNormOut { y, mean, inv_std, new_running_mean, new_running_var };
        reference::batch_norm_train(&p, &x, &vectors[0], &vectors[1], &vectors[2], &vectors[3], out);
        for i in 0..len {
            let v = forward[0][i] + add.as_ref().map_or(0.0, |a| a[i]);
            // So near a corner rounding decides, and no gradient can tell.
            dy[i] = if relu.is_some_and(|l| v.abs() < 1e-4 || (v - l).abs() < 1e-4) { 0.0 } else { dy[i] };
            forward[0][i] = relu.map_or(v, |limit| v.max(0.0).min(limit));
        }
        let masked =
            dy.iter().zip(&forward[0]).map(|(&d, &y)| if relu.is_some_and(|l| y <= 0.0 || y >= l) { 0.0 } else { d });
        let masked: Vec<f32> = masked.collect();
        let mut backward = [len, c, c].map(|l| vec![0.0; l]);
        let [dx, dgamma, dbeta] = &mut backward;
        let (mean, inv_std) = (&forward[1], &forward[2]);
        reference::batch_norm_grad(&p, &masked, &x, &vectors[0], mean, inv_std, dx, dgamma, dbeta);
        let [dx, dgamma, dbeta] = backward;
        let e = Blocked { n, c, plane: s };
        Case { e, p, x, add, relu, dy, vectors, forward, backward: [dx, dgamma, dbeta, masked] }
    }

    /// The forward kernel's outputs; with `over` y lies over the other summand.
    fn train(&self, isa: Isa, order: u64, over: bool) -> [Vec<f32>; 5] {
        let (e, k) = (self.e, BlockedBatchNormKernel::new(self.e, self.p.eps, self.p.momentum, self.relu, isa));
        let x = blocked(e, &self.x);
        let add = self.add.as_ref().map(|a| blocked(e, a));
        let (mut room, from) = aligned(add.as_ref().filter(|_| over).unwrap_or(&vec![f32::NAN; e.len()]));
        let mut got = [0, e.c, e.c, e.c, e.c].map(|l| vec![f32::NAN; l]);
        let [_, mean, inv_std, new_running_mean, new_running_var] = got.each_mut().map(|v| SharedMut::new(v));
        let y = SharedMut::new(&mut room[from..from + e.len()]);
        let outputs = BlockedBatchNormOutputs { y, mean, inv_std, new_running_mean, new_running_var };
        let add = add.as_ref().map(|a| if over { y.as_ptr().cast_const() } else { a.as_ptr() } as usize);
        let of =
            [&x, &self.vectors[0], &self.vectors[1], &self.vectors[2], &self.vectors[3]].map(|v| v.as_ptr() as usize);
        run_all(&k, order, |phase, task, w, _| {
            let [x, gamma, beta, running_mean, running_var] = of.map(|a| a as *const f32);
            let add = add.map(|a| a as *const f32);
            let inputs = BlockedBatchNormInputs { x, gamma, beta, running_mean, running_var, add };
            // SAFETY: `run_all` keeps the phases apart.
            unsafe { k.run(phase, task, inputs, outputs, w) }
        });
        got[0] = room[from..from + e.len()].to_vec();
        got
    }

    /// The gradient kernel's outputs; with `over` the gradient of the other summand lies over dy, else that of x.
    fn gradient(&self, isa: Isa, order: u64, over: bool) -> [Vec<f32>; 4] {
        let (e, k) = (self.e, BlockedBatchNormGradKernel::new(self.e, isa));
        let (x, y) = (blocked(e, &self.x), blocked(e, &self.forward[0]));
        let dy = blocked(e, &self.dy);
        let given = self.add.is_some();
        let (mut room, from) = aligned(&dy);
        let mut got = [vec![], vec![f32::NAN; e.c], vec![f32::NAN; e.c], dy];
        let [_, dgamma, dbeta, dadd] = got.each_mut().map(|v| SharedMut::new(v));
        let dx = SharedMut::new(&mut room[from..from + e.len()]);
        let dy = if over && given { dadd } else { dx }.as_ptr() as usize;
        let outputs = BlockedBatchNormGradOutputs { dx, dgamma, dbeta, dadd: given.then_some(dadd) };
        let of = [&x, &self.vectors[0], &self.forward[1], &self.forward[2], &y, &self.vectors[1]]
            .map(|v| v.as_ptr() as usize);
        run_all(&k, order, |phase, task, w, _| {
            let [x, gamma, mean, inv_std, y, beta] = of.map(|a| a as *const f32);
            let mask = match (self.relu.is_some(), given) {
                (false, _) => BatchNormMask::None,
                (true, false) => BatchNormMask::Shift(beta),
                (true, true) => BatchNormMask::Output(y),
            };
            let limit = self.relu.unwrap_or(f32::INFINITY);
            let inputs = BlockedBatchNormGradInputs { dy: dy as *const f32, x, gamma, mean, inv_std, mask, limit };
            // SAFETY: as above.
            unsafe { k.run(phase, task, inputs, outputs, w) }
        });
        got[0] = room[from..from + e.len()].to_vec();
        got
    }
}

fn bits<const N: usize>(v: &[Vec<f32>; N]) -> Vec<u32> {
    v.iter().flatten().map(|v| v.to_bits()).collect()
}

#[test]
fn results_equal_the_reference_and_bits_each_other() {
    for (i, &case) in CASES.iter().enumerate() {
        let (plain, limited) = (Some(f32::INFINITY), Some(0.5));
        for (add, relu) in [(false, None), (false, plain), (true, plain), (false, limited), (true, limited)] {
            let case = Case::new(i, case, add, relu);
            let (e, mut same) = (case.e, Same::new());
            for (order, isa) in Isa::available().into_iter().enumerate() {
                let name = format!("{e:?} {isa}, add {add}, relu {relu:?}");
                let got = case.train(isa, order as u64, order % 2 == 1);
                check(&name, e, &got[0], &case.forward[0]);
                for k in 1..5 {
                    close(&format!("statistic {k} of {name}"), &got[k], &case.forward[k]);
                }
                let grad = case.gradient(isa, order as u64, order % 2 == 0);
                check(&name, e, &grad[0], &case.backward[0]);
                close(&format!("dgamma of {name}"), &grad[1], &case.backward[1]);
                close(&format!("dbeta of {name}"), &grad[2], &case.backward[2]);
                if add {
                    check(&format!("dadd of {name}"), e, &grad[3], &case.backward[3]);
                }
                let all = [bits(&got), bits(&grad)].concat();
                assert!(same.holds(isa, &all), "{name}");
            }
        }
    }
}

#[test]
fn a_constant_channel_has_no_variance() {
    let mut case = Case::new(0, (3, 2, 500), false, None);
    case.x.fill(1e6 + 7.0);
    let [y, mean, inv_std, ..] = case.train(Isa::best(), 0, false);
    check("y", case.e, &y, &[[case.vectors[1][0]; 500], [case.vectors[1][1]; 500]].repeat(3).concat());
    assert_eq!(mean, [1e6 + 7.0; 2]);
    assert_eq!(inv_std, [(1.0 / 1e-5f64.sqrt()) as f32; 2]);
}
