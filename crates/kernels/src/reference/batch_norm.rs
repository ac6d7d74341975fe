//! Batch normalisation in training, and its gradient. Ioffe & Szegedy, "Batch normalization", 2015.

use gabor_tensor::Real;

/// The extents and constants of a batch normalisation over x `[n, c, s]`, `s` elements per plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Images.
    pub n: usize,
    /// Channels; one mean and one variance each.
    pub c: usize,
    /// Elements of a plane.
    pub s: usize,
    /// Added to the variance before the root.
    pub eps: f64,
    /// Weight of this batch in the running estimates (PyTorch's meaning): `new = (1 − momentum)·old + momentum·batch`.
    pub momentum: f64,
}

/// What [`batch_norm_train`] writes. Everything but `y` is `[c]`.
pub struct BatchNormOut<'a, R> {
    /// The normalised, scaled and shifted input, `[n, c, s]`.
    pub y: &'a mut [R],
    /// Mean of the batch.
    pub mean: &'a mut [R],
    /// `1/√(variance + eps)`, the biased variance of the batch.
    pub inv_std: &'a mut [R],
    /// Running mean after this batch.
    pub new_running_mean: &'a mut [R],
    /// Running variance after this batch (the unbiased variance enters; of a single element, the biased one).
    pub new_running_var: &'a mut [R],
}

/// Normalises each channel by its own mean and variance over images and plane, then scales by `gamma` and shifts by
/// `beta`, as PyTorch does in training: the biased variance normalises, the unbiased one enters the running estimate.
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_train<R: Real>(
    p: &BatchNorm,
    x: &[R],
    gamma: &[R],
    beta: &[R],
    running_mean: &[R],
    running_var: &[R],
    out: BatchNormOut<'_, R>,
) {
    let count = (p.n * p.s) as f64;
    for c in 0..p.c {
        let mean = channel(p, c).map(|i| x[i].to_f64()).sum::<f64>() / count;
        let squares: f64 = channel(p, c).map(|i| (x[i].to_f64() - mean) * (x[i].to_f64() - mean)).sum();
        let var = squares / count;
        let inv_std = 1.0 / (var + p.eps).sqrt();
        for i in channel(p, c) {
            out.y[i] = R::from_f64((x[i].to_f64() - mean) * inv_std * gamma[c].to_f64() + beta[c].to_f64());
        }
        let unbiased = if count > 1.0 { squares / (count - 1.0) } else { var };
        let update = |old: R, new: f64| R::from_f64((1.0 - p.momentum) * old.to_f64() + p.momentum * new);
        out.mean[c] = R::from_f64(mean);
        out.inv_std[c] = R::from_f64(inv_std);
        out.new_running_mean[c] = update(running_mean[c], mean);
        out.new_running_var[c] = update(running_var[c], unbiased);
    }
}

/// The gradients of [`batch_norm_train`] in x, gamma and beta, given what it saved.
///
/// `dβ = Σ dy`, `dγ = Σ dy·x̂`, `dx = γ·inv_std·(dy − dβ/m − x̂·dγ/m)` with `x̂ = (x − mean)·inv_std` and `m = n·s`.
#[allow(clippy::too_many_arguments)]
pub fn batch_norm_grad<R: Real>(
    p: &BatchNorm,
    dy: &[R],
    x: &[R],
    gamma: &[R],
    mean: &[R],
    inv_std: &[R],
    dx: &mut [R],
    dgamma: &mut [R],
    dbeta: &mut [R],
) {
    let m = (p.n * p.s) as f64;
    for c in 0..p.c {
        let (mean, inv_std) = (mean[c].to_f64(), inv_std[c].to_f64());
        let x_hat = |i: usize| (x[i].to_f64() - mean) * inv_std;
        let sum: f64 = channel(p, c).map(|i| dy[i].to_f64()).sum();
        let product: f64 = channel(p, c).map(|i| dy[i].to_f64() * x_hat(i)).sum();
        for i in channel(p, c) {
            let centred = dy[i].to_f64() - sum / m - x_hat(i) * product / m;
            dx[i] = R::from_f64(gamma[c].to_f64() * inv_std * centred);
        }
        dbeta[c] = R::from_f64(sum);
        dgamma[c] = R::from_f64(product);
    }
}

/// The flat indices of one channel's elements.
fn channel(p: &BatchNorm, c: usize) -> impl Iterator<Item = usize> + use<> {
    let (channels, s) = (p.c, p.s);
    (0..p.n).flat_map(move |b| (b * channels + c) * s..(b * channels + c + 1) * s)
}
