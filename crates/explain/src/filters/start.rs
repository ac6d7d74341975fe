//! Where a fit begins: from the strongest waves of a filter, its energy's middle and its peak.

use super::FilterKind;
use super::shape::{GAMMA, LAMBDA, Numbers, PSI, SIGMA, THETA, X, Y};
use libm::{atan2, cos, log, sin, sqrt};
use std::f64::consts::PI;

/// Directions and lengths of the waves that are tried.
const ANGLES: usize = 16;
const WAVES: usize = 10;

/// What is known of a filter's strongest channel mix before a fit: `h · w` numbers, coordinates from its middle.
pub struct Start<'a> {
    pub plane: &'a [f64],
    pub size: [usize; 2],
    /// Middle of the energy, and its spread.
    pub middle: [f64; 2],
    pub spread: f64,
    /// Place of the largest number.
    pub peak: [f64; 2],
    /// Strongest waves: direction and length, the strongest first.
    pub waves: Vec<(f64, f64)>,
}

impl<'a> Start<'a> {
    pub fn new(plane: &'a [f64], [h, w]: [usize; 2]) -> Self {
        let at = |i: usize| [(i % w) as f64 - (w as f64 - 1.0) / 2.0, (i / w) as f64 - (h as f64 - 1.0) / 2.0];
        let energy: f64 = plane.iter().map(|v| v * v).sum::<f64>().max(f64::MIN_POSITIVE);
        let mean =
            |f: &dyn Fn([f64; 2]) -> f64| plane.iter().enumerate().map(|(i, v)| v * v * f(at(i))).sum::<f64>() / energy;
        let middle = [mean(&|p| p[0]), mean(&|p| p[1])];
        let spread = sqrt(mean(&|p| (p[0] - middle[0]).powi(2) + (p[1] - middle[1]).powi(2))).max(0.5);
        let peak = (0..plane.len()).fold(0, |b, i| if plane[i].abs() > plane[b].abs() { i } else { b });
        Start { plane, size: [h, w], middle, spread, peak: at(peak), waves: waves(plane, [h, w]) }
    }

    /// Numbers to begin a fit of that kind with.
    pub fn of(&self, kind: FilterKind) -> Vec<Numbers> {
        let mut all = Vec::new();
        let mut put = |at: [f64; 2], sigma: f64, theta: f64, rest: [f64; 3]| {
            let mut n = [0.0; 7];
            (n[X], n[Y], n[SIGMA], n[THETA]) = (at[0], at[1], log(sigma.max(0.45)), theta);
            (n[GAMMA], n[LAMBDA], n[PSI]) = (rest[0], rest[1], rest[2]);
            all.push(n);
        };
        let spread = self.spread;
        match kind {
            FilterKind::Gabor => {
                for &(theta, length) in self.waves.iter().take(3) {
                    let (s, c) = (sin(theta), cos(theta));
                    let (re, im) = wave(self.plane, self.size, 2.0 * PI / length, theta, self.middle);
                    // Squares fall off twice as fast as the envelope.
                    for stretch in [1.0, 0.6] {
                        put(self.middle, spread * stretch, atan2(s, c), [0.0, log(length), atan2(im, re)]);
                    }
                }
            }
            FilterKind::Step | FilterKind::Ridge => {
                let first = self.waves.first().map_or(0.0, |w| w.0);
                for (i, at) in [self.middle, self.middle, self.middle, self.middle, self.peak].into_iter().enumerate() {
                    for sigma in [spread * 0.55, spread] {
                        put(at, sigma, first + (i % 4) as f64 * PI / 4.0, [0.0; 3]);
                    }
                }
            }
            _ => {
                for at in [self.middle, self.peak] {
                    for sigma in [spread * 0.4, spread, spread * 2.0] {
                        put(at, sigma, 0.3, [0.0; 3]);
                    }
                }
            }
        }
        all
    }
}

/// The part of a plane that goes as a wave about a place: with the cosine, and with the sine.
fn wave(plane: &[f64], [h, w]: [usize; 2], omega: f64, theta: f64, about: [f64; 2]) -> (f64, f64) {
    let (kx, ky) = (omega * cos(theta), omega * sin(theta));
    let along = |n: usize, k: f64, from: f64| -> Vec<(f64, f64)> {
        let at = |i: usize| k * (i as f64 - (n as f64 - 1.0) / 2.0 - from);
        (0..n).map(|i| (cos(at(i)), sin(at(i)))).collect()
    };
    let (xs, ys) = (along(w, kx, about[0]), along(h, ky, about[1]));
    let (mut re, mut im) = (0.0, 0.0);
    for (row, (cy, sy)) in plane.chunks_exact(w).zip(&ys) {
        let (mut a, mut b) = (0.0, 0.0);
        for (v, (cx, sx)) in row.iter().zip(&xs) {
            a += v * cx;
            b += v * sx;
        }
        re += a * cy - b * sy;
        im += b * cy + a * sy;
    }
    (re, im)
}

/// Waves that a plane holds most of, each stronger than its neighbours on the grid.
fn waves(plane: &[f64], size: [usize; 2]) -> Vec<(f64, f64)> {
    let longest = 2.5 * size[0].max(size[1]) as f64;
    let length = |j: usize| 2.0 * libm::pow(longest / 2.0, j as f64 / (WAVES - 1) as f64);
    let angle = |i: usize| i as f64 * PI / ANGLES as f64;
    // Along a single row there is one direction.
    let angles = if size[0] == 1 { 1 } else { ANGLES };
    let power: Vec<f64> = (0..angles * WAVES)
        .map(|i| {
            let (re, im) = wave(plane, size, 2.0 * PI / length(i % WAVES), angle(i / WAVES), [0.0; 2]);
            re * re + im * im
        })
        .collect();
    let mut best: Vec<usize> = (0..power.len())
        .filter(|&i| {
            let (a, j) = (i / WAVES, i % WAVES);
            let around = [(angles + a - 1) % angles, (a + 1) % angles];
            let mut near = around.iter().map(|a| a * WAVES + j).collect::<Vec<_>>();
            near.extend((j > 0).then(|| i - 1));
            near.extend((j + 1 < WAVES).then(|| i + 1));
            near.iter().all(|&n| power[i] >= power[n])
        })
        .collect();
    best.sort_by(|&a, &b| power[b].total_cmp(&power[a]).then(a.cmp(&b)));
    best.iter().map(|&i| (angle(i / WAVES), length(i % WAVES))).collect()
}
