//! Resizing as Pillow does it: separable, antialiased (the filter widens with the reduction), 8-bit result after each
//! pass, coefficients in 22-bit fixed point. Integers after the coefficients, so the same bits everywhere. The width
//! changes first and the height second, the order of Pillow up to version 12; later versions choose the order by the
//! sizes, which moves a level by about one.

use super::Filter;
use std::ops::Range;

/// Fraction bits of the coefficients: 32 − 8 (pixel) − 2 (overshoot of the filters).
const FRACTION: u32 = 22;

/// The filter's weight at distance `x`, and its reach.
fn kernel(filter: Filter) -> (fn(f64) -> f64, f64) {
    fn triangle(x: f64) -> f64 {
        (1.0 - x.abs()).max(0.0)
    }
    /// Keys' cubic convolution with a = −1/2.
    fn cubic(x: f64) -> f64 {
        const A: f64 = -0.5;
        let x = x.abs();
        if x < 1.0 {
            ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
        } else if x < 2.0 {
            (((x - 5.0) * x + 8.0) * x - 4.0) * A
        } else {
            0.0
        }
    }
    fn sinc(x: f64) -> f64 {
        let x = x * std::f64::consts::PI;
        if x == 0.0 { 1.0 } else { libm::sin(x) / x }
    }
    fn lanczos(x: f64) -> f64 {
        if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
    }
    match filter {
        Filter::Nearest => (|_| 1.0, 0.5),
        Filter::Bilinear => (triangle, 1.0),
        Filter::Bicubic => (cubic, 2.0),
        Filter::Lanczos => (lanczos, 3.0),
    }
}

/// For each wanted output position: the first input position and its weights.
#[derive(Default)]
struct Taps {
    spans: Vec<(usize, Range<usize>)>,
    weights: Vec<i32>,
    float: Vec<f64>,
}

impl Taps {
    /// Computes the weights of outputs `wanted` of `output`, for `input` positions.
    fn compute(&mut self, filter: Filter, input: usize, output: usize, wanted: Range<usize>) {
        self.spans.clear();
        self.weights.clear();
        let scale = input as f64 / output as f64;
        if filter == Filter::Nearest {
            // Added up step by step, as Pillow does, so that ties at pixel borders fall alike.
            let mut at = 0.5 * scale;
            for o in 0..wanted.end {
                if o >= wanted.start {
                    let i = self.weights.len();
                    self.weights.push(1 << FRACTION);
                    self.spans.push(((at as usize).min(input - 1), i..i + 1));
                }
                at += scale;
            }
            return;
        }
        let (weight, reach) = kernel(filter);
        let widen = scale.max(1.0);
        let reach = reach * widen;
        for o in wanted {
            let centre = (o as f64 + 0.5) * scale;
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let last = ((centre + reach + 0.5) as usize).min(input).max(first + 1);
            self.float.clear();
            self.float.extend((first..last).map(|i| weight((i as f64 - centre + 0.5) / widen)));
            let sum: f64 = self.float.iter().sum();
            let one = f64::from(1u32 << FRACTION) / if sum == 0.0 { 1.0 } else { sum };
            let at = self.weights.len();
            self.weights.extend(self.float.iter().map(|w| (w * one).round() as i32));
            self.spans.push((first, at..self.weights.len()));
        }
    }
}

/// Memory that resizing reuses.
#[derive(Default)]
pub(crate) struct Buffers {
    taps: Taps,
    between: Vec<u8>,
    line: Vec<i32>,
}

fn round(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

/// Resizes `src` (h × w × C) to `to` = (height, width) and writes rows × columns of `window` into `out`.
pub(crate) fn resize<const C: usize>(
    src: &[u8],
    (h, w): (usize, usize),
    to: (usize, usize),
    window: (Range<usize>, Range<usize>),
    filter: Filter,
    buffers: &mut Buffers,
    out: &mut Vec<u8>,
) {
    let (rows, columns) = window;
    let ow = columns.len();
    let Buffers { taps, between, line } = buffers;
    // Pass along the rows. Only the source rows that the second pass reads are computed.
    let (first, last) = if to.0 == h {
        (rows.start, rows.end)
    } else {
        taps.compute(filter, h, to.0, rows.clone());
        let last = taps.spans.iter().map(|s| s.0 + s.1.len()).max();
        (taps.spans.first().map_or(0, |s| s.0), last.unwrap_or(0))
    };
    let rows_in = &src[first * w * C..last * w * C];
    between.clear();
    if to.1 == w {
        for row in rows_in.chunks_exact(w * C) {
            between.extend_from_slice(&row[columns.start * C..columns.end * C]);
        }
    } else {
        taps.compute(filter, w, to.1, columns);
        for row in rows_in.chunks_exact(w * C) {
            let pixels = row.as_chunks::<C>().0;
            for (x, at) in &taps.spans {
                let weights = &taps.weights[at.clone()];
                let mut sums = [1i32 << (FRACTION - 1); C];
                for (p, &k) in pixels[*x..*x + weights.len()].iter().zip(weights) {
                    for c in 0..C {
                        sums[c] += i32::from(p[c]) * k;
                    }
                }
                between.extend(sums.map(round));
            }
        }
    }
    // Pass along the columns, on whole rows at a time.
    out.clear();
    if to.0 == h {
        out.extend_from_slice(between);
        return;
    }
    taps.compute(filter, h, to.0, rows);
    let stride = ow * C;
    line.clear();
    line.resize(stride, 0);
    for (y, at) in &taps.spans {
        line.fill(1 << (FRACTION - 1));
        for (i, &k) in taps.weights[at.clone()].iter().enumerate() {
            let row = &between[(y - first + i) * stride..][..stride];
            for (s, &p) in line.iter_mut().zip(row) {
                *s += i32::from(p) * k;
            }
        }
        out.extend(line.iter().map(|&s| round(s)));
    }
}
