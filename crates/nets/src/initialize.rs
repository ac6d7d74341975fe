//! Drawing the numbers of parameters.

use gabor_graph::{Graph, Initializer};
use gabor_tensor::rng::{name_key, op};
use gabor_tensor::{Data, Stream, Tensor, Weights};

/// Draws every parameter of a graph. A parameter's numbers depend on the seed and its name alone, so neither the order
/// nor the presence of other parameters matters.
///
/// ```
/// use gabor_nets::{Mode, initialize, zoo};
/// let graph = zoo::by_name("lenet5", &Default::default()).unwrap().graph(Mode::Train).unwrap();
/// assert_eq!(initialize(&graph, 7), initialize(&graph, 7));
/// ```
pub fn initialize(graph: &Graph, seed: u64) -> Weights {
    initial_values(graph, seed).collect()
}

/// As [`initialize`], one tensor at a time: for a graph whose parameters should not be in memory twice.
pub fn initial_values(graph: &Graph, seed: u64) -> impl Iterator<Item = (String, Tensor)> + '_ {
    graph.parameters().map(move |(v, p)| {
        let value = graph.value(v);
        let mut stream = Stream::new(seed, 0, name_key(&value.name), op::INIT);
        (value.name.clone(), draw(&p.initializer, &value.ty.shape.at(1), &mut stream))
    })
}

/// Draws one tensor of shape `[out, in, window…]`.
pub fn draw(initializer: &Initializer, shape: &[usize], stream: &mut Stream) -> Tensor {
    let mut tensor = Tensor::zeros(shape, gabor_tensor::DType::F32);
    let (fan_in, fan_out) = fans(shape);
    let Data::F32(data) = tensor.data_mut() else { return tensor };
    let mut uniform = |bound: f64| data.fill_with(|| stream.range(-bound, bound) as f32);
    match *initializer {
        Initializer::Zeros => {}
        Initializer::Ones => data.fill(1.0),
        Initializer::Constant(v) => data.fill(v as f32),
        Initializer::Uniform { low, high } => data.fill_with(|| stream.range(low, high) as f32),
        Initializer::Normal { mean, std } => data.fill_with(|| (mean + std * stream.normal()) as f32),
        Initializer::XavierUniform { gain } => uniform(gain * (6.0 / (fan_in + fan_out)).sqrt()),
        Initializer::XavierNormal { gain } => {
            let std = gain * (2.0 / (fan_in + fan_out)).sqrt();
            data.fill_with(|| (std * stream.normal()) as f32);
        }
        Initializer::KaimingUniform { a } => uniform((6.0 / ((1.0 + a * a) * fan_in)).sqrt()),
        Initializer::KaimingNormal { a, fan_out: out } => {
            let std = (2.0 / ((1.0 + a * a) * if out { fan_out } else { fan_in })).sqrt();
            data.fill_with(|| (std * stream.normal()) as f32);
        }
        Initializer::FanIn { fan } => uniform(1.0 / (fan.max(1) as f64).sqrt()),
        Initializer::Orthogonal { gain } => {
            let rows = shape.first().copied().unwrap_or(1);
            orthogonal(data, rows, gain, stream);
        }
        Initializer::Dirac => {
            uniform(1.0 / fan_in.sqrt());
            dirac(data, shape);
        }
        Initializer::Bilinear => bilinear(data, shape),
    }
    tensor
}

/// Filter `i` passes channel `i` on at the middle of the window (the earlier one of two), for as many as there are.
fn dirac(data: &mut [f32], shape: &[usize]) {
    let &[filters, channels, ref window @ ..] = shape else { return };
    let places: usize = window.iter().product();
    let middle = window.iter().fold(0, |at, &k| at * k + k.saturating_sub(1) / 2);
    for i in 0..filters.min(channels) {
        let filter = &mut data[i * channels * places..][..channels * places];
        filter.fill(0.0);
        if let Some(w) = filter.get_mut(i * places + middle) {
            *w = 1.0;
        }
    }
}

/// Tents over the window of channel `i` to channel `i`, zeros elsewhere.
fn bilinear(data: &mut [f32], shape: &[usize]) {
    let [ci, co, window @ ..] = shape else { return };
    let len: usize = window.iter().product();
    // A tent over k places falls from its middle, (k - 1) / 2, to zero in ⌈k / 2⌉ steps.
    let tent = |k: usize, at: usize| 1.0 - (at as f64 - (k as f64 - 1.0) / 2.0).abs() / k.div_ceil(2) as f64;
    let filter: Vec<f32> = (0..len)
        .map(|i| {
            let (mut rest, mut value) = (i, 1.0);
            for &k in window.iter().rev() {
                value *= tent(k, rest % k);
                rest /= k;
            }
            value as f32
        })
        .collect();
    for c in 0..*ci.min(co) {
        data[(c * co + c) * len..][..len].copy_from_slice(&filter);
    }
}

/// Fan-in and fan-out of a weight `[out, in, window…]`. A vector counts as `[len, len]`, a number as `[1, 1]`.
fn fans(shape: &[usize]) -> (f64, f64) {
    match shape {
        [] => (1.0, 1.0),
        [len] => (*len as f64, *len as f64),
        [out, inp, window @ ..] => {
            let w: usize = window.iter().product();
            ((inp * w) as f64, (out * w) as f64)
        }
    }
}

/// Fills a matrix of `rows` rows with orthonormal rows (or columns, where there are more rows than columns), times
/// `gain`: Gram–Schmidt on normal vectors, each step done twice so that rounding does not spoil it. Its triangular
/// factor has a positive diagonal, so the result is uniform over the orthogonal matrices.
fn orthogonal(data: &mut [f32], rows: usize, gain: f64, stream: &mut Stream) {
    let cols = data.len() / rows.max(1);
    let (count, len) = (rows.min(cols), rows.max(cols));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut v: Vec<f64> = (0..len).map(|_| stream.normal()).collect();
        let before = norm(&v);
        for _ in 0..2 {
            for b in &basis {
                let dot: f64 = v.iter().zip(b).map(|(x, y)| x * y).sum();
                v.iter_mut().zip(b).for_each(|(x, y)| *x -= dot * y);
            }
        }
        let after = norm(&v);
        // A vector that lies in the span of the others (it never does in practice) is drawn again.
        if after > 1e-9 * before {
            v.iter_mut().for_each(|x| *x /= after);
            basis.push(v);
        }
    }
    for (i, x) in data.iter_mut().enumerate() {
        let (r, c) = (i / cols, i % cols);
        *x = (gain * if rows <= cols { basis[r][c] } else { basis[c][r] }) as f32;
    }
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_graph::Parameter;

    fn drawn(i: Initializer, shape: &[usize]) -> Vec<f64> {
        draw(&i, shape, &mut Stream::new(3, 0, 1, op::TEST)).to_f64()
    }
    /// Mean, deviation and largest magnitude.
    fn moments(v: &[f64]) -> (f64, f64, f64) {
        let m = v.iter().sum::<f64>() / v.len() as f64;
        let var = v.iter().map(|x| (x - m) * (x - m)).sum::<f64>() / v.len() as f64;
        (m, var.sqrt(), v.iter().fold(0.0, |a, x| a.max(x.abs())))
    }

    #[test]
    fn moments_are_as_published() {
        // Fan-in 32·9 = 288, fan-out 64·9 = 576, 18,432 numbers.
        let shape = [64, 32, 3, 3];
        let cases = [
            (Initializer::Uniform { low: -0.1, high: 0.3 }, 0.1, 0.4 / 12f64.sqrt(), 0.3),
            (Initializer::Normal { mean: 0.5, std: 0.2 }, 0.5, 0.2, f64::INFINITY),
            (Initializer::XavierUniform { gain: 2.0 }, 0.0, 2.0 * (2.0 / 864f64).sqrt(), 2.0 * (6.0 / 864f64).sqrt()),
            (Initializer::XavierNormal { gain: 1.0 }, 0.0, (2.0 / 864f64).sqrt(), f64::INFINITY),
            (Initializer::KaimingUniform { a: 0.0 }, 0.0, (2.0 / 288f64).sqrt(), (6.0 / 288f64).sqrt()),
            (Initializer::KaimingUniform { a: 5f64.sqrt() }, 0.0, (1.0 / 864f64).sqrt(), 1.0 / 288f64.sqrt()),
            (Initializer::KaimingNormal { a: 0.0, fan_out: false }, 0.0, (2.0 / 288f64).sqrt(), f64::INFINITY),
            (Initializer::KaimingNormal { a: 1.0, fan_out: true }, 0.0, (1.0 / 576f64).sqrt(), f64::INFINITY),
            (Initializer::FanIn { fan: 25 }, 0.0, 0.2 / 3f64.sqrt(), 0.2),
        ];
        for (i, mean, std, bound) in cases {
            let (m, s, most) = moments(&drawn(i.clone(), &shape));
            assert!((m - mean).abs() < 0.04 * std, "{i}: mean {m}, expected {mean}");
            assert!((s / std - 1.0).abs() < 0.02, "{i}: deviation {s}, expected {std}");
            assert!(most <= bound + 1e-6, "{i}: {most} beyond {bound}");
        }
        assert!(drawn(Initializer::Ones, &[5]).iter().all(|&x| x == 1.0));
        assert!(drawn(Initializer::Constant(0.25), &[5]).iter().all(|&x| x == 0.25));
        assert!(drawn(Initializer::Zeros, &[5]).iter().all(|&x| x == 0.0));
    }

    #[test]
    fn dirac_passes_channels_on() {
        // Five filters on three channels: three are the identity, two are drawn.
        let v = drawn(Initializer::Dirac, &[5, 3, 3, 2]);
        for (i, filter) in v.chunks(18).enumerate() {
            let ones: Vec<usize> = (0..18).filter(|&k| filter[k] != 0.0).collect();
            match i {
                // The middle row of three, the earlier column of two.
                0..3 => assert_eq!((&ones[..], filter[6 * i + 2]), (&[6 * i + 2][..], 1.0)),
                _ => assert!(ones.len() == 18 && filter.iter().all(|w| w.abs() <= 1.0 / 18f64.sqrt())),
            }
        }
    }

    #[test]
    fn orthogonal_rows_or_columns() {
        for shape in [[6, 4, 3], [40, 4, 3], [12, 4, 3]] {
            let (rows, cols) = (shape[0], 12);
            let v = drawn(Initializer::Orthogonal { gain: 2.0 }, &shape);
            let at = |i: usize, k: usize| if rows <= cols { v[i * cols + k] } else { v[k * cols + i] };
            for i in 0..rows.min(cols) {
                for j in 0..rows.min(cols) {
                    let dot: f64 = (0..rows.max(cols)).map(|k| at(i, k) * at(j, k)).sum();
                    let want = if i == j { 4.0 } else { 0.0 };
                    assert!((dot - want).abs() < 1e-5, "{shape:?}: row {i} · row {j} = {dot}");
                }
            }
        }
    }

    #[test]
    fn bilinear_filters_interpolate() {
        // A window of 4 at stride 2: 1/4 3/4 3/4 1/4 in each dimension.
        let t = draw(&Initializer::Bilinear, &[2, 2, 4, 4], &mut Stream::new(3, 0, 1, op::TEST)).to_f64();
        let one = [0.25, 0.75, 0.75, 0.25];
        for (i, v) in t.iter().enumerate() {
            let (channels, y, x) = (i / 16, i / 4 % 4, i % 4);
            let want = if channels == 0 || channels == 3 { one[y] * one[x] } else { 0.0 };
            assert_eq!(*v, want, "{i}");
        }
        let odd = draw(&Initializer::Bilinear, &[1, 1, 3], &mut Stream::new(3, 0, 1, op::TEST)).to_f64();
        assert_eq!(odd, [0.5, 1.0, 0.5]);
    }

    #[test]
    fn numbers_depend_on_seed_and_name_alone() {
        let w = || Parameter::weight(Initializer::Normal { mean: 0.0, std: 1.0 });
        let mut a = Graph::new("a");
        a.parameter("first", &[3, 4], w()).unwrap();
        a.parameter("second", &[5], w()).unwrap();
        let mut b = Graph::new("b");
        b.parameter("second", &[5], w()).unwrap();
        let (wa, wb) = (initialize(&a, 9), initialize(&b, 9));
        assert_eq!(wa.get("second"), wb.get("second"));
        assert_ne!(wa.get("second"), initialize(&a, 10).get("second"));
        assert_ne!(wa.get("first").unwrap().to_f64()[..5], wa.get("second").unwrap().to_f64()[..]);
    }
}
