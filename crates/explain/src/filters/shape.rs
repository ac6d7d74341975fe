//! The shapes that are fitted, with their derivatives.

use super::FilterKind;
use libm::{cos, exp, sin};
use std::f64::consts::PI;

/// Numbers of a shape, in this order: x₀, y₀, ln σ, θ, ln γ, ln λ, ψ.
pub type Numbers = [f64; 7];
pub const X: usize = 0;
pub const Y: usize = 1;
pub const SIGMA: usize = 2;
pub const THETA: usize = 3;
pub const GAMMA: usize = 4;
pub const LAMBDA: usize = 5;
pub const PSI: usize = 6;

/// Which numbers a kind has that a filter of this size can determine. Of small filters the centre is taken for given, and
/// their stretch. A filter of one row has no direction: its shapes lie along x.
pub fn free(kind: FilterKind, [h, w]: [usize; 2]) -> Vec<usize> {
    let small = h.min(w);
    let mut all = Vec::new();
    if h == 1 {
        all.extend((w >= 4).then_some(X));
        all.push(SIGMA);
        all.extend([LAMBDA, PSI].into_iter().filter(|_| kind == FilterKind::Gabor));
        return all;
    }
    if small >= 4 {
        all.extend([X, Y]);
    }
    all.push(SIGMA);
    let oriented = |all: &mut Vec<usize>, stretched: bool| {
        all.push(THETA);
        if stretched {
            all.push(GAMMA);
        }
    };
    match kind {
        FilterKind::Gabor => {
            oriented(&mut all, small >= 5);
            all.extend([LAMBDA, PSI]);
        }
        FilterKind::Step | FilterKind::Ridge => oriented(&mut all, small >= 5),
        FilterKind::Gaussian | FilterKind::ColourBlob if small >= 5 => oriented(&mut all, true),
        _ => {}
    }
    all
}

/// The value of a shape at a place, and what it changes with each number.
pub fn value(kind: FilterKind, n: &Numbers, x: f64, y: f64, d: &mut Numbers) -> f64 {
    let (sin_t, cos_t) = (sin(n[THETA]), cos(n[THETA]));
    value_at(kind, n, [x, y], [sin_t, cos_t, exp(-2.0 * n[SIGMA]), exp(2.0 * n[GAMMA])], d)
}

/// As [`value`], with `[sin θ, cos θ, 1/σ², γ²]` computed beforehand.
pub fn value_at(
    kind: FilterKind,
    n: &Numbers,
    [x, y]: [f64; 2],
    [sin_t, cos_t, inverse, stretch]: [f64; 4],
    d: &mut Numbers,
) -> f64 {
    let (dx, dy) = (x - n[X], y - n[Y]);
    if kind == FilterKind::CentreSurround {
        let q = (dx * dx + dy * dy) * inverse / 2.0;
        let e = exp(-q);
        let slope = -(2.0 - q) * e;
        *d = [0.0; 7];
        (d[X], d[Y], d[SIGMA]) = (slope * -dx * inverse, slope * -dy * inverse, slope * -2.0 * q);
        return (1.0 - q) * e;
    }
    let (u, v) = (dx * cos_t + dy * sin_t, dy * cos_t - dx * sin_t);
    let e = exp(-(u * u + stretch * v * v) * inverse / 2.0);
    let (eu, ev) = (-u * inverse * e, -stretch * v * inverse * e);
    let (e_sigma, e_gamma) = ((u * u + stretch * v * v) * inverse * e, -stretch * v * v * inverse * e);
    // The carrier: its value, by u, by ln σ, by ln λ, by ψ.
    let (h, hu, h_sigma, h_lambda, h_psi) = match kind {
        FilterKind::Gabor => {
            let omega = 2.0 * PI * exp(-n[LAMBDA]);
            let (s, c) = (sin(omega * u - n[PSI]), cos(omega * u - n[PSI]));
            (c, -omega * s, 0.0, omega * u * s, s)
        }
        FilterKind::Step => {
            let i = inverse.sqrt();
            (u * i, i, -u * i, 0.0, 0.0)
        }
        FilterKind::Ridge => (1.0 - u * u * inverse, -2.0 * u * inverse, 2.0 * u * u * inverse, 0.0, 0.0),
        _ => (1.0, 0.0, 0.0, 0.0, 0.0),
    };
    let (gu, gv) = (hu * e + h * eu, h * ev);
    d[X] = -gu * cos_t + gv * sin_t;
    d[Y] = -gu * sin_t - gv * cos_t;
    d[SIGMA] = h * e_sigma + h_sigma * e;
    d[THETA] = gu * v - gv * u;
    d[GAMMA] = h * e_gamma;
    d[LAMBDA] = h_lambda * e;
    d[PSI] = h_psi * e;
    h * e
}

/// A Gabor filter of `size` rows and columns about its middle: `sigma`, `theta` and `psi` in radians, `lambda` in pixels,
/// `gamma` how much shorter it is along its stripes. As OpenCV's `getGaborKernel`.
pub fn gabor([rows, columns]: [usize; 2], sigma: f64, theta: f64, lambda: f64, gamma: f64, psi: f64) -> Vec<f64> {
    let n = [0.0, 0.0, libm::log(sigma), theta, libm::log(gamma), libm::log(lambda), psi];
    let mut d = [0.0; 7];
    let (my, mx) = ((rows as f64 - 1.0) / 2.0, (columns as f64 - 1.0) / 2.0);
    (0..rows * columns)
        .map(|i| value(FilterKind::Gabor, &n, (i % columns) as f64 - mx, (i / columns) as f64 - my, &mut d))
        .collect()
}
