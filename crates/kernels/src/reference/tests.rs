use super::*;
use crate::MatMul;
use gabor_tensor::{ConvGeometry, PadMode, Padding, PoolDivisor, Reduction, Stream, Window, WindowOptions, rng::op};

fn random(seed: u64, len: usize) -> Vec<f64> {
    let mut s = Stream::new(seed, 0, 0, op::TEST);
    (0..len).map(|_| s.range(-1.0, 1.0)).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-9 * (1.0 + a.abs() + b.abs()), "{a} and {b}");
}

fn geometry(spatial: &[usize], weight: &[usize], groups: usize, o: WindowOptions) -> ConvGeometry {
    ConvGeometry::new(weight[1] * groups, spatial, weight, groups, &o).unwrap()
}

fn geometries() -> Vec<ConvGeometry> {
    let o = |k: &[usize]| WindowOptions::new(k);
    let pads = |p: &[(usize, usize)]| Padding::Explicit(p.to_vec());
    vec![
        geometry(&[7], &[4, 3, 3], 1, o(&[3]).stride(&[2]).padding(pads(&[(2, 0)]))),
        geometry(&[6, 5], &[4, 2, 3, 2], 2, o(&[3, 2]).dilation(&[2, 1]).padding(pads(&[(1, 2), (0, 3)]))),
        geometry(&[4, 5, 6], &[2, 3, 2, 3, 2], 1, o(&[2, 3, 2]).stride(&[1, 2, 3])),
        geometry(&[8, 8], &[6, 1, 3, 3], 3, o(&[3, 3]).padding(Padding::Same)),
    ]
}

#[test]
fn convolution_of_a_small_example() {
    let g = geometry(&[3, 3], &[1, 1, 2, 2], 1, WindowOptions::new(&[2, 2]));
    let x: Vec<f32> = (1..10).map(|v| v as f32).collect();
    let mut y = [0.0; 4];
    conv(&g, 1, &x, &[1.0, 2.0, 3.0, 4.0], &mut y);
    // 1·1 + 2·2 + 4·3 + 5·4 = 37, each step right adds 10, each step down 30.
    assert_eq!(y, [37.0, 47.0, 67.0, 77.0]);
}

#[test]
fn convolution_equals_unfold_and_product() {
    for g in geometries().into_iter().filter(|g| g.groups == 1) {
        let n = 2;
        let (ckl, ol) = (g.ci * g.window.kernel_len(), g.window.output_len());
        let x = random(1, n * g.ci * g.window.input_len());
        let w = random(2, g.co * ckl);
        let (mut y, mut z) = (vec![0.0; n * g.co * ol], vec![0.0; n * g.co * ol]);
        let mut cols = vec![0.0; n * ckl * ol];
        conv(&g, n, &x, &w, &mut y);
        unfold(&g.window, n, g.ci, &x, &mut cols);
        for b in 0..n {
            let (cols, z) = (&cols[b * ckl * ol..][..ckl * ol], &mut z[b * g.co * ol..][..g.co * ol]);
            matmul(&MatMul::new(g.co, ol, ckl), &w, cols, z);
        }
        y.iter().zip(&z).for_each(|(&a, &b)| close(a, b));
    }
}

#[test]
fn gradients_of_convolution_are_adjoints() {
    for g in geometries() {
        let n = 2;
        let x = random(1, n * g.ci * g.window.input_len());
        let w = random(2, g.weight_shape().iter().product());
        let dy = random(3, n * g.co * g.window.output_len());
        let (mut y, mut dx, mut dw) = (vec![0.0; dy.len()], vec![0.0; x.len()], vec![0.0; w.len()]);
        conv(&g, n, &x, &w, &mut y);
        conv_input_grad(&g, n, &dy, &w, &mut dx);
        conv_filter_grad(&g, n, &x, &dy, &mut dw);
        close(dot(&y, &dy), dot(&x, &dx));
        close(dot(&y, &dy), dot(&w, &dw));
    }
}

#[test]
fn products_of_transposed_matrices_agree() {
    let (a, b) = (random(1, 2 * 3 * 4), random(2, 2 * 4 * 5));
    let mut want = vec![0.0; 30];
    matmul(&MatMul { batch: 2, ..MatMul::new(3, 5, 4) }, &a, &b, &mut want);
    let (mut at, mut bt) = (a.clone(), b.clone());
    transpose(&a, &[2, 3, 4], &[0, 2, 1], &mut at);
    transpose(&b, &[2, 4, 5], &[0, 2, 1], &mut bt);
    for (ta, tb) in [(false, true), (true, false), (true, true)] {
        let p = MatMul { batch: 2, transpose_a: ta, transpose_b: tb, ..MatMul::new(3, 5, 4) };
        let mut c = vec![0.0; 30];
        matmul(&p, if ta { &at } else { &a }, if tb { &bt } else { &b }, &mut c);
        assert_eq!(c, want);
    }
}

fn window(o: WindowOptions, input: &[usize]) -> Window {
    o.resolve(input).unwrap()
}

#[test]
fn max_pool_finds_the_first_largest_and_nan_wins() {
    let w = window(WindowOptions::new(&[2, 2]).stride(&[2, 2]), &[2, 6]);
    let x = [1.0, 3.0, f32::NAN, 9.0, f32::NEG_INFINITY, f32::NEG_INFINITY, 3.0, 2.0, 1.0, f32::NAN]
        .into_iter()
        .chain([f32::NEG_INFINITY; 2])
        .collect::<Vec<_>>();
    let (mut y, mut switches) = ([0.0; 3], [0; 3]);
    max_pool(&w, 1, &x, &mut y, &mut switches);
    assert_eq!(switches, [1, 2, 4]);
    assert!(y[0] == 3.0 && y[1].is_nan() && y[2] == f32::NEG_INFINITY);
}

#[test]
fn a_window_wholly_in_padding_has_no_switch() {
    let w = window(WindowOptions::new(&[1]).padding(Padding::all(1)), &[2]);
    let (mut y, mut switches) = ([0.0; 4], [0; 4]);
    max_pool(&w, 1, &[5.0f32, 6.0], &mut y, &mut switches);
    assert_eq!((y, switches), ([f32::NEG_INFINITY, 5.0, 6.0, f32::NEG_INFINITY], [-1, 0, 1, -1]));
    let mut dx = [0.0f32; 2];
    max_unpool(&w, 1, &[1.0, 2.0, 3.0, 4.0], &switches, &mut dx);
    assert_eq!(dx, [2.0, 3.0]);
    max_pool_gather(&w, 1, &[5.0f32, 6.0], &switches, &mut y);
    assert_eq!(y, [0.0, 5.0, 6.0, 0.0]);
}

/// PyTorch: `avg_pool1d([1, 2, 3, 4, 5], 3, stride 2, padding 1, ceil_mode)` = 1, 3, 3 with padding counted and
/// 1.5, 3, 4.5 without.
#[test]
fn divisors_of_average_pooling() {
    let w = window(WindowOptions::new(&[3]).stride(&[2]).padding(Padding::all(1)).ceil_mode(true), &[5]);
    let x = [1.0f32, 2.0, 3.0, 4.0, 5.0];
    let mut y = [0.0; 3];
    for (divisor, want) in [
        (PoolDivisor::CountIncludePad, [1.0, 3.0, 3.0]),
        (PoolDivisor::CountExcludePad, [1.5, 3.0, 4.5]),
        (PoolDivisor::One, [3.0, 9.0, 9.0]),
    ] {
        avg_pool(&w, 1, divisor, &x, &mut y);
        assert_eq!(y, want, "{divisor}");
    }
    // In ceil mode the last window reaches over the padding: what lies beyond never counts.
    let w = window(WindowOptions::new(&[2]).stride(&[2]).ceil_mode(true), &[5]);
    avg_pool(&w, 1, PoolDivisor::CountIncludePad, &x, &mut y);
    assert_eq!(y, [1.5, 3.5, 5.0]);
}

#[test]
fn adjoints_of_average_pooling_fold_pad_and_slice() {
    let o = WindowOptions::new(&[3, 2]).stride(&[2, 1]).padding(Padding::all(1)).ceil_mode(true);
    let w = window(o, &[6, 5]);
    let (x, dy) = (random(1, 2 * 30), random(2, 2 * w.output_len()));
    for &divisor in PoolDivisor::ALL {
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        avg_pool(&w, 2, divisor, &x, &mut y);
        avg_pool_grad(&w, 2, divisor, &dy, &mut dx);
        close(dot(&y, &dy), dot(&x, &dx));
    }
    let dc = random(3, 2 * 6 * w.output_len());
    let (mut cols, mut dx) = (vec![0.0; dc.len()], vec![0.0; x.len()]);
    unfold(&w, 1, 2, &x, &mut cols);
    fold(&w, 1, 2, &dc, &mut dx);
    close(dot(&cols, &dc), dot(&x, &dx));
    for &mode in PadMode::ALL {
        let (shape, pads) = ([2, 6, 5], [(0, 1), (3, 0), (7, 2)]);
        let dy = random(4, 3 * 9 * 14);
        let (mut y, mut dx) = (vec![0.0; dy.len()], vec![0.0; x.len()]);
        pad(mode, 0.0, &x, &shape, &pads, &mut y);
        pad_grad(mode, &dy, &shape, &pads, &mut dx);
        close(dot(&y, &dy), dot(&x, &dx));
    }
    let (shape, starts, steps) = ([2, 6, 5], [0, 5, 1], [1, -2, 3]);
    let dy = random(5, 2 * 3 * 2);
    let (mut y, mut dx) = (vec![0.0; 12], vec![0.0; x.len()]);
    slice(&x, &shape, &starts, &steps, &[2, 3, 2], &mut y);
    embed(&dy, &[2, 3, 2], &starts, &steps, &shape, &mut dx);
    close(dot(&y, &dy), dot(&x, &dx));
    assert_eq!(y[1], x[5 * 5 + 4]);
}

#[test]
fn padding_modes() {
    let show = |mode, before, after| {
        let mut y = vec![0.0; 3 + before + after];
        pad(mode, 9.0, &[1.0f32, 2.0, 3.0], &[3], &[(before, after)], &mut y);
        y
    };
    assert_eq!(show(PadMode::Constant, 1, 1), [9.0, 1.0, 2.0, 3.0, 9.0]);
    assert_eq!(show(PadMode::Reflect, 2, 1), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]);
    assert_eq!(show(PadMode::Replicate, 1, 2), [1.0, 1.0, 2.0, 3.0, 3.0, 3.0]);
    assert_eq!(show(PadMode::Circular, 2, 1), [2.0, 3.0, 1.0, 2.0, 3.0, 1.0]);
}

#[test]
fn reductions_and_broadcasts() {
    let x: Vec<f32> = (0..12).map(|v| v as f32).collect();
    let mut y = vec![0.0; 2];
    reduce(Reduction::Sum, &x, &[2, 3, 2], &[2, 1], &mut y);
    assert_eq!(y, [15.0, 51.0]);
    reduce(Reduction::Mean, &x, &[2, 3, 2], &[0, 1], &mut y);
    assert_eq!(y, [5.0, 6.0]);
    let mut y = vec![0.0; 3];
    reduce(Reduction::Max, &x, &[2, 3, 2], &[0, 2], &mut y);
    assert_eq!(y, [7.0, 9.0, 11.0]);
    let mut y = vec![0.0; 6];
    binary(gabor_tensor::Binary::Sub, &[1.0f32, 2.0], &[2, 1], &[10.0, 20.0, 30.0], &[3], &mut y);
    assert_eq!(y, [-9.0, -19.0, -29.0, -8.0, -18.0, -28.0]);
    broadcast_to(&[1.0f32, 2.0], &[2, 1], &[2, 3], &mut y);
    assert_eq!(y, [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    let mut y = vec![0.0; 6];
    concat(&[(&[1.0f32, 2.0][..], &[2, 1][..]), (&[3.0, 4.0, 5.0, 6.0], &[2, 2])], 1, &mut y);
    assert_eq!(y, [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
    let mut y = vec![0.0f32; 6];
    one_hot(&[2, -1], 3, &mut y);
    assert_eq!(y, [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
}

#[test]
fn softmax_sums_to_one_and_survives_large_inputs() {
    let x = [1000.0f32, 1001.0, 999.0, -5.0, 0.0, 5.0];
    let (mut y, mut l) = ([0.0; 6], [0.0; 6]);
    softmax(&x, &[2, 3], 1, &mut y);
    log_softmax(&x, &[2, 3], 1, &mut l);
    for (row, logs) in y.chunks(3).zip(l.chunks(3)) {
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        row.iter().zip(logs).for_each(|(p, l)| assert!((p.ln() - l).abs() < 1e-5));
    }
}

/// The gradient against central differences of the forward kernel.
#[test]
fn batch_norm_gradient() {
    let p = BatchNorm { n: 2, c: 3, s: 4, eps: 1e-5, momentum: 0.1 };
    let (x, dy) = (random(1, 24), random(2, 24));
    let (gamma, beta) = (random(3, 3), random(4, 3));
    let loss = |x: &[f64], gamma: &[f64]| {
        let mut y = vec![0.0; 24];
        let (mut a, mut b, mut c, mut d) = ([0.0; 3], [0.0; 3], [0.0; 3], [0.0; 3]);
        let out = BatchNormOut {
            y: &mut y,
            mean: &mut a,
            inv_std: &mut b,
            new_running_mean: &mut c,
            new_running_var: &mut d,
        };
        batch_norm_train(&p, x, gamma, &beta, &[0.0; 3], &[1.0; 3], out);
        (dot(&y, &dy), a, b, c, d)
    };
    let (_, mean, inv_std, new_mean, new_var) = loss(&x, &gamma);
    for c in 0..3 {
        close(new_mean[c], 0.1 * mean[c]);
        let var = 1.0 / (inv_std[c] * inv_std[c]) - 1e-5;
        close(new_var[c], 0.9 + 0.1 * var * 8.0 / 7.0);
    }
    let (mut dx, mut dgamma, mut dbeta) = (vec![0.0; 24], [0.0; 3], [0.0; 3]);
    batch_norm_grad(&p, &dy, &x, &gamma, &mean, &inv_std, &mut dx, &mut dgamma, &mut dbeta);
    let h = 1e-5;
    let differ = |f: &dyn Fn(f64) -> f64| (f(h) - f(-h)) / (2.0 * h);
    for i in 0..24 {
        let d = differ(&|h| {
            let mut x = x.clone();
            x[i] += h;
            loss(&x, &gamma).0
        });
        assert!((d - dx[i]).abs() < 1e-6, "dx[{i}] = {}, differences give {d}", dx[i]);
    }
    for c in 0..3 {
        let d = differ(&|h| {
            let mut gamma = gamma.clone();
            gamma[c] += h;
            loss(&x, &gamma).0
        });
        assert!((d - dgamma[c]).abs() < 1e-6);
    }
}

#[test]
fn random_numbers_depend_on_their_place_only() {
    let (mut a, mut b) = (vec![0.0f32; 10], vec![0.0f64; 7]);
    random_uniform(1, 2, 3, &mut a);
    random_uniform(1, 2, 3, &mut b);
    assert!(a.iter().zip(&b).all(|(&a, &b)| f64::from(a) == b && (0.0..1.0).contains(&b)));
    random_uniform(1, 2, 4, &mut b);
    assert!(a.iter().zip(&b).any(|(&a, &b)| f64::from(a) != b));
}
