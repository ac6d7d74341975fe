//! The fit: one shape times one number per channel, by Levenberg and Marquardt on the shape's numbers, the channels' numbers
//! solved for in every step (variable projection, Golub and Pereyra 1973, in Kaufman's form).

use super::FilterKind;
use super::shape::{GAMMA, LAMBDA, Numbers, PSI, SIGMA, THETA, X, Y, free, value, value_at};
use super::start::Start;
use gabor_tensor::symmetric_eigen;
use libm::{cos, exp, log, sin, sqrt};
use std::f64::consts::PI;

/// Explained part below which a fit is weak, and from which on it is good.
const WEAK: f64 = 0.5;
const GOOD: f64 = 0.8;
/// Steps of a fit.
const STEPS: usize = 40;
/// An unexplained part below this does not tell kinds apart.
const NOISE: f64 = 1e-4;
/// A spot is of a colour if at least so much of its channels' numbers is not common to all.
const COLOURED: f64 = 0.5;

/// Numbers of a shape, `None` where its kind or the filter's size has none: the meanings are those of [`FilterFit`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ShapeNumbers {
    /// Column and row of the middle, from the filter's own.
    pub centre: Option<[f64; 2]>,
    /// Direction across the stripes, in degrees.
    pub orientation: Option<f64>,
    /// Pixels from stripe to stripe.
    pub wavelength: Option<f64>,
    /// Phase ψ in degrees.
    pub phase: Option<f64>,
    /// Deviation of the envelope across the stripes, in pixels.
    pub sigma: Option<f64>,
    /// γ: how many times shorter the envelope is along the stripes.
    pub aspect: Option<f64>,
}

/// A filter as the nearest shape of a known kind. Numbers that the filter does not determine are `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterFit {
    /// The kind.
    pub kind: FilterKind,
    /// Part of the filter's squares that the shape explains, from 0 to 1.
    pub r2: f64,
    /// Column and row of the middle, from the filter's own.
    pub centre: Option<[f64; 2]>,
    /// Direction across the stripes, from 0 below 180 degrees, clockwise from the x axis.
    pub orientation: Option<f64>,
    /// Pixels from stripe to stripe.
    pub wavelength: Option<f64>,
    /// Phase ψ in degrees, from -180 to 180.
    pub phase: Option<f64>,
    /// Deviation of the envelope across the stripes, in pixels.
    pub sigma: Option<f64>,
    /// γ: how many times shorter the envelope is along the stripes.
    pub aspect: Option<f64>,
    /// The numbers of the shape as it was fitted, whether the filter determines them or not.
    pub shape: ShapeNumbers,
    /// One number per channel: the shape's share of each.
    pub channels: Vec<f64>,
    /// The fitted shape in the layout of the filter `[channels, h, w]`; empty without a fit.
    pub values: Vec<f32>,
}

impl FilterFit {
    /// How well the shape describes the filter, in a word: `weak` where it explains less than half of the squares, `good` from
    /// four fifths on, else `fair`; nothing of a dead filter and of one that is not made of numbers.
    pub fn word(&self) -> &'static str {
        match self.r2 {
            _ if matches!(self.kind, FilterKind::Dead | FilterKind::NotFinite) => "",
            r2 if r2 < WEAK => "weak",
            r2 if r2 < GOOD => "fair",
            _ => "good",
        }
    }
    /// Whether less than half of the filter's squares are explained: the nearest shape, but not a near one.
    pub fn is_weak(&self) -> bool {
        self.word() == "weak"
    }
}

/// One kind's best fit.
struct Found {
    kind: FilterKind,
    numbers: Numbers,
    rest: f64,
    score: f64,
}

/// Channels by places, and the matrix of their products by places.
struct Filter<'a> {
    planes: Vec<&'a [f64]>,
    size: [usize; 2],
    energy: f64,
}

impl Filter<'_> {
    /// The shape and its derivatives by the free numbers at every place, and each channel's share of the shape.
    fn evaluate(&self, kind: FilterKind, n: &Numbers, free: &[usize], room: &mut Room) -> f64 {
        let [h, w] = self.size;
        let constants = [sin(n[THETA]), cos(n[THETA]), exp(-2.0 * n[SIGMA]), exp(2.0 * n[GAMMA])];
        let mut d = [0.0; 7];
        let mut norm = 0.0;
        for i in 0..h * w {
            let at = [(i % w) as f64 - (w as f64 - 1.0) / 2.0, (i / w) as f64 - (h as f64 - 1.0) / 2.0];
            let g = value_at(kind, n, at, constants, &mut d);
            room.shape[i] = g;
            norm += g * g;
            for (j, &k) in free.iter().enumerate() {
                room.slopes[j * h * w + i] = d[k];
            }
        }
        let norm = sqrt(norm).max(1e-150);
        room.shape.iter_mut().for_each(|g| *g /= norm);
        room.slopes.iter_mut().for_each(|s| *s /= norm);
        let mut explained = 0.0;
        for (share, plane) in room.shares.iter_mut().zip(&self.planes) {
            *share = plane.iter().zip(&room.shape).map(|(a, b)| a * b).sum();
            explained += *share * *share;
        }
        (self.energy - explained).max(0.0)
    }
}

/// Working room, so that steps allocate nothing.
struct Room {
    shape: Vec<f64>,
    slopes: Vec<f64>,
    shares: Vec<f64>,
    normal: Vec<f64>,
    solved: Vec<f64>,
    step: Vec<f64>,
    right: Vec<f64>,
}

/// The kind nearest to a filter `[channels, h, w]`, by the explained part with a penalty for every number of a shape
/// (Schwarz 1978). `layer` is the largest norm of the layer's filters, beside which a filter may be dead. `None` for a filter
/// too small to show a shape (fewer than 3 rows or columns, or 5 in one row) or of other extents than its number of values. A filter of one
/// row is one along a line: it has no direction and no second side, so that a spot with its surround is a ridge.
pub fn nearest(values: &[f32], channels: usize, [h, w]: [usize; 2], layer: f64) -> Option<FilterFit> {
    let places = h * w;
    let line = h == 1;
    let small = if line { w < 5 } else { h < 3 || w < 3 };
    if small || channels == 0 || values.len() != channels * places {
        return None;
    }
    let wide: Vec<f64> = values.iter().map(|&v| f64::from(v)).collect();
    let energy: f64 = wide.iter().map(|v| v * v).sum();
    let none = |kind| FilterFit {
        kind,
        r2: 0.0,
        centre: None,
        orientation: None,
        wavelength: None,
        phase: None,
        sigma: None,
        aspect: None,
        shape: ShapeNumbers::default(),
        channels: Vec::new(),
        values: Vec::new(),
    };
    if !energy.is_finite() {
        return Some(none(FilterKind::NotFinite));
    }
    if energy == 0.0 || sqrt(energy) < 1e-5 * layer {
        return Some(none(FilterKind::Dead));
    }
    let filter = Filter { planes: wide.chunks_exact(places).collect(), size: [h, w], energy };
    let mixed = strongest(&filter);
    let start = Start::new(&mixed, [h, w]);
    let mut room = Room {
        shape: vec![0.0; places],
        slopes: vec![0.0; 7 * places],
        shares: vec![0.0; channels],
        normal: vec![0.0; 49],
        solved: vec![0.0; 49],
        step: vec![0.0; 7],
        right: vec![0.0; 7],
    };
    let kinds =
        [FilterKind::Gaussian, FilterKind::CentreSurround, FilterKind::Step, FilterKind::Ridge, FilterKind::Gabor];
    let count = places as f64;
    let found = kinds.into_iter().filter_map(|kind| {
        let free = free(kind, [h, w]);
        // As many numbers as places explain anything, and three places do not tell a wave from a line.
        let small = if line { w } else { h.min(w) };
        let twice = line && kind == FilterKind::CentreSurround;
        if free.len() + 2 >= places || (kind == FilterKind::Gabor && small < 4) || twice {
            return None;
        }
        let fits = start.of(kind).into_iter().map(|n| descend(&filter, kind, n, &free, &mut room));
        let (numbers, rest) = fits.min_by(|a, b| a.1.total_cmp(&b.1))?;
        // What has a surround must show it: without one it is a spot by another name.
        if two_signs(kind) && !shows_both(kind, &numbers, [h, w]) {
            return None;
        }
        let score = count * log((rest / energy).max(NOISE)) + (free.len() + 1) as f64 * log(count);
        Some(Found { kind, numbers, rest, score })
    });
    let best = found.min_by(|a, b| a.score.total_cmp(&b.score))?;
    let r2 = 1.0 - best.rest / energy;
    Some(described(&filter, &best, r2, &mut room))
}

/// Whether a kind has parts of both signs wherever its middle lies.
fn two_signs(kind: FilterKind) -> bool {
    matches!(kind, FilterKind::Gabor | FilterKind::Ridge | FilterKind::CentreSurround)
}

/// Whether the weaker sign of a shape has at least a tenth of the other's sum within the filter.
fn shows_both(kind: FilterKind, n: &Numbers, [h, w]: [usize; 2]) -> bool {
    let mut d = [0.0; 7];
    let (mut above, mut below) = (0.0, 0.0);
    for i in 0..h * w {
        let (x, y) = ((i % w) as f64 - (w as f64 - 1.0) / 2.0, (i / w) as f64 - (h as f64 - 1.0) / 2.0);
        let g = value(kind, n, x, y, &mut d);
        if g > 0.0 { above += g } else { below -= g }
    }
    below.min(above) > 0.1 * below.max(above)
}

/// The mix of channels that holds most of a filter.
fn strongest(f: &Filter<'_>) -> Vec<f64> {
    let c = f.planes.len();
    if c == 1 {
        return f.planes[0].to_vec();
    }
    // Of very many channels the one with the largest weights stands for all: a matrix of their products would cost more
    // than the fit, and this is where the fit begins, not where it ends.
    if c > 64 {
        let strong = (0..c).max_by(|&a, &b| norm(f.planes[a]).total_cmp(&norm(f.planes[b]))).unwrap_or(0);
        return f.planes[strong].to_vec();
    }
    let mut products = vec![0.0; c * c];
    for i in 0..c {
        for j in 0..c {
            products[i * c + j] = f.planes[i].iter().zip(f.planes[j]).map(|(a, b)| a * b).sum();
        }
    }
    let weights = symmetric_eigen(&products, c).swap_remove(0).1;
    let mut out = vec![0.0; f.planes[0].len()];
    for (plane, a) in f.planes.iter().zip(weights) {
        out.iter_mut().zip(*plane).for_each(|(o, v)| *o += a * v);
    }
    out
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum()
}

/// Numbers held where they mean something: the middle near the filter, σ and λ between half a pixel and its size.
fn hold(n: &mut Numbers, [h, w]: [usize; 2]) {
    let side = h.max(w) as f64;
    n[X] = n[X].clamp(-(w as f64) / 2.0, w as f64 / 2.0);
    n[Y] = n[Y].clamp(-(h as f64) / 2.0, h as f64 / 2.0);
    n[SIGMA] = n[SIGMA].clamp(log(0.4), log(2.0 * side));
    n[GAMMA] = n[GAMMA].clamp(log(0.2), log(5.0));
    n[LAMBDA] = n[LAMBDA].clamp(log(2.0), log(4.0 * side));
}

/// From one start down to the nearest least sum of squares.
fn descend(f: &Filter<'_>, kind: FilterKind, mut n: Numbers, free: &[usize], room: &mut Room) -> (Numbers, f64) {
    // What a small filter does not determine stays in the middle, and without a direction.
    for (k, value) in [(X, 0.0), (Y, 0.0), (GAMMA, 0.0), (THETA, 0.0)] {
        if !free.contains(&k) {
            n[k] = value;
        }
    }
    hold(&mut n, f.size);
    let (p, places) = (free.len(), f.size[0] * f.size[1]);
    let mut damping = 1e-2;
    let mut rest = f.evaluate(kind, &n, free, room);
    for _ in 0..STEPS {
        normal_equations(f, p, places, room);
        let mut better = false;
        for _ in 0..6 {
            let mut to = n;
            if solve(room, p, damping) {
                for (j, &k) in free.iter().enumerate() {
                    to[k] += room.step[j].clamp(-1.0, 1.0);
                }
                hold(&mut to, f.size);
                let after = f.evaluate(kind, &to, free, room);
                if after < rest {
                    better = rest - after > 1e-7 * f.energy.min(rest.max(1e-3 * f.energy));
                    (n, rest) = (to, after);
                    damping = (damping * 0.3).max(1e-9);
                    break;
                }
            }
            damping *= 6.0;
        }
        if !better {
            break;
        }
    }
    (n, rest)
}

/// JᵀJ and Jᵀr of the residuals by the free numbers: the shape's slopes, less their part along the shape.
fn normal_equations(f: &Filter<'_>, p: usize, places: usize, room: &mut Room) {
    for j in 0..p {
        let slope = &mut room.slopes[j * places..][..places];
        let along: f64 = slope.iter().zip(&room.shape).map(|(a, b)| a * b).sum();
        slope.iter_mut().zip(&room.shape).for_each(|(s, g)| *s -= along * g);
    }
    let size = norm(&room.shares);
    for i in 0..p {
        let a = &room.slopes[i * places..][..places];
        for j in 0..=i {
            let b = &room.slopes[j * places..][..places];
            let dot = size * a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            (room.normal[i * p + j], room.normal[j * p + i]) = (dot, dot);
        }
        // The slopes are at right angles to the shape, so that the residual may be the filter itself.
        room.right[i] = f
            .planes
            .iter()
            .zip(&room.shares)
            .map(|(plane, s)| s * plane.iter().zip(a).map(|(v, d)| v * d).sum::<f64>())
            .sum();
    }
}

/// `(JᵀJ + damping · its diagonal) · step = Jᵀr` by Cholesky; whether it can be solved.
fn solve(room: &mut Room, p: usize, damping: f64) -> bool {
    room.solved[..p * p].copy_from_slice(&room.normal[..p * p]);
    let largest = (0..p).map(|i| room.normal[i * p + i]).fold(0.0, f64::max);
    for i in 0..p {
        room.solved[i * p + i] += damping * room.normal[i * p + i] + 1e-9 * largest + f64::MIN_POSITIVE;
    }
    if !cholesky(&mut room.solved, p) {
        return false;
    }
    room.step[..p].copy_from_slice(&room.right[..p]);
    substitute(&room.solved, p, &mut room.step);
    room.step[..p].iter().all(|s| s.is_finite())
}

fn cholesky(a: &mut [f64], p: usize) -> bool {
    for i in 0..p {
        for j in 0..=i {
            let mut sum = a[i * p + j];
            for k in 0..j {
                sum -= a[i * p + k] * a[j * p + k];
            }
            if i == j {
                if sum.is_nan() || sum <= 0.0 {
                    return false;
                }
                a[i * p + i] = sqrt(sum);
            } else {
                a[i * p + j] = sum / a[j * p + j];
            }
        }
    }
    true
}

fn substitute(l: &[f64], p: usize, x: &mut [f64]) {
    for i in 0..p {
        for k in 0..i {
            x[i] -= l[i * p + k] * x[k];
        }
        x[i] /= l[i * p + i];
    }
    for i in (0..p).rev() {
        for k in i + 1..p {
            x[i] -= l[k * p + i] * x[k];
        }
        x[i] /= l[i * p + i];
    }
}

/// Deviations of the free numbers by the curvature at the best fit; infinite where there is none.
fn deviations(f: &Filter<'_>, best: &Found, free: &[usize], room: &mut Room) -> Numbers {
    let (p, places) = (free.len(), f.size[0] * f.size[1]);
    f.evaluate(best.kind, &best.numbers, free, room);
    normal_equations(f, p, places, room);
    let mut out = [f64::INFINITY; 7];
    // Channels are fitted too; a filter has at least one place more than numbers.
    let left = (f.planes.len() * (places - 1)).saturating_sub(p).max(1) as f64;
    let variance = (best.rest / left).max(1e-12 * f.energy);
    room.solved[..p * p].copy_from_slice(&room.normal[..p * p]);
    // Directions without any curvature get an enormous deviation instead of none.
    let largest = (0..p).map(|i| room.normal[i * p + i]).fold(0.0, f64::max);
    (0..p).for_each(|i| room.solved[i * p + i] += 1e-12 * largest + f64::MIN_POSITIVE);
    if !cholesky(&mut room.solved, p) {
        return out;
    }
    for (j, &k) in free.iter().enumerate() {
        let mut unit = [0.0; 7];
        unit[j] = 1.0;
        substitute(&room.solved, p, &mut unit[..p]);
        out[k] = sqrt((unit[j] * variance).max(0.0));
    }
    out
}

/// The best fit in the words of [`FilterFit`].
fn described(f: &Filter<'_>, best: &Found, r2: f64, room: &mut Room) -> FilterFit {
    let free = free(best.kind, f.size);
    let off = deviations(f, best, &free, room);
    f.evaluate(best.kind, &best.numbers, &free, room);
    let values: Vec<f32> = room.shares.iter().flat_map(|s| room.shape.iter().map(move |g| (s * g) as f32)).collect();
    let mut channels = room.shares.clone();
    let mut n = best.numbers;
    let mut kind = best.kind;
    // A shape and its negative are one; the strongest channel is positive, and ψ says the rest.
    let strongest = channels.iter().copied().fold(0.0, |m: f64, v| if v.abs() > m.abs() { v } else { m });
    if strongest < 0.0 && kind == FilterKind::Gabor {
        channels.iter_mut().for_each(|c| *c = -*c);
        n[PSI] += PI;
    }
    // A spot is named by its narrow side.
    if kind == FilterKind::Gaussian && n[GAMMA] > 0.0 {
        n[SIGMA] -= n[GAMMA];
        n[GAMMA] = -n[GAMMA];
        n[THETA] += PI / 2.0;
    }
    let turns = (n[THETA] / PI).floor();
    n[THETA] -= turns * PI;
    if turns.rem_euclid(2.0) == 1.0 {
        // Turned by half a circle, a wave runs the other way and a step is its negative.
        n[PSI] = -n[PSI];
        if kind == FilterKind::Step {
            channels.iter_mut().for_each(|c| *c = -*c);
        }
    }
    let grey = channels.iter().sum::<f64>() / channels.len() as f64;
    let coloured = channels.iter().map(|c| (c - grey).powi(2)).sum::<f64>() / norm(&channels).max(f64::MIN_POSITIVE);
    if kind == FilterKind::Gaussian && f.size[0] > 1 && channels.len() == 3 && coloured > COLOURED * COLOURED {
        kind = FilterKind::ColourBlob;
    }
    let side = f.size[0].max(f.size[1]) as f64;
    // A number is told if it is known to a third of its size (angles to a sixth of a turn), and did not end at a bound.
    let known = |k: usize, most: f64| free.contains(&k) && off[k] < most;
    let ratio = |k: usize| known(k, 0.35).then(|| exp(n[k]));
    let inside = |v: Option<f64>, low: f64, high: f64| v.filter(|v| (low * 1.001..high * 0.999).contains(v));
    // A round envelope has no orientation.
    let round = matches!(kind, FilterKind::Gaussian | FilterKind::ColourBlob) && n[GAMMA].abs() < 0.15;
    let degrees = |a: f64| a * 180.0 / PI;
    let psi = n[PSI] - 2.0 * PI * ((n[PSI] + PI) / (2.0 * PI)).floor();
    let has = |k: usize, v: f64| free.contains(&k).then_some(v);
    let shape = ShapeNumbers {
        centre: has(X, n[X]).map(|x| [x, n[Y]]),
        orientation: has(THETA, degrees(n[THETA])).filter(|_| !round),
        wavelength: has(LAMBDA, exp(n[LAMBDA])),
        phase: has(PSI, degrees(psi)),
        sigma: has(SIGMA, exp(n[SIGMA])),
        aspect: has(GAMMA, exp(n[GAMMA])),
    };
    FilterFit {
        kind,
        r2,
        centre: (known(X, 0.25 * side) && (f.size[0] == 1 || known(Y, 0.25 * side))).then_some([n[X], n[Y]]),
        orientation: (known(THETA, PI / 9.0) && !round).then(|| degrees(n[THETA])),
        wavelength: inside(ratio(LAMBDA), 2.0, 4.0 * side),
        phase: known(PSI, PI / 6.0).then(|| degrees(psi)),
        sigma: inside(ratio(SIGMA), 0.4, 2.0 * side),
        aspect: inside(ratio(GAMMA), 0.2, 5.0),
        shape,
        channels,
        values,
    }
}
