//! Resizing as Pillow does it: separable, antialiased (the filter widens with the reduction), 8-bit result after each
//! pass, the width first and the height second. (Pillow 13 exchanges the passes where the height shrinks much more than
//! the width; up to 12, and where the aspect ratio is kept, the order is this one.)
//!
//! Passes of smooth filters run in `fast_image_resize`, whose fixed-point coefficients have 15 bits: within one level of
//! Pillow, and the same bits on every instruction set. What that cannot do is computed here, step by step as Pillow does,
//! with 22 bits: [`Filter::Nearest`] and [`Filter::Box`] jump, so that a rounding in the 16th digit decides which pixel is
//! taken; and a level lost in the first pass of [`Filter::Bicubic`] or [`Filter::Lanczos`], whose weights are partly
//! negative, may become two in the second, so that their first pass is computed here.

use super::Filter;
use gabor_resize::{Resize, Resizer, Smooth};
use std::ops::Range;

/// Fraction bits of the coefficients computed here: 32 − 8 (pixel) − 2 (overshoot of the filters).
const FRACTION: u32 = 22;

/// One axis of a resize: `extent` input pixels from `from` on become `output` pixels, of which `wanted` are computed.
#[derive(Clone)]
pub(crate) struct Axis {
    /// Pixels of the source.
    pub input: usize,
    /// Where the part begins, in source pixels; within the source.
    pub from: f64,
    /// Its length, in source pixels; ends within the source.
    pub extent: f64,
    /// Pixels that the part becomes.
    pub output: usize,
    /// The ones that are computed.
    pub wanted: Range<usize>,
}

impl Axis {
    /// A whole axis.
    pub fn whole(input: usize, output: usize, wanted: Range<usize>) -> Self {
        Axis { input, from: 0.0, extent: input as f64, output, wanted }
    }
    fn scale(&self) -> f64 {
        self.extent / self.output as f64
    }
    /// Whether pixels are only taken over, and from which on.
    fn copied(&self) -> Option<usize> {
        (self.extent == self.output as f64 && self.from.fract() == 0.0).then(|| self.from as usize + self.wanted.start)
    }
    /// The source pixels that the wanted ones are made of, with a filter of that reach.
    fn read(&self, reach: f64) -> Range<usize> {
        if let Some(first) = self.copied() {
            return first..first + self.wanted.len();
        }
        let (scale, reach) = (self.scale(), reach * self.scale().max(1.0));
        let centre = |o: usize| self.from + (o as f64 + 0.5) * scale;
        let first = (centre(self.wanted.start) - reach).floor().max(0.0) as usize;
        let last = (centre(self.wanted.end.max(1) - 1) + reach).ceil().max(1.0) as usize;
        first.min(self.input - 1)..last.min(self.input)
    }
    /// The part that becomes the wanted pixels, in a source cut to pixels from `first` on, `input` of them.
    fn part(&self, first: usize, input: usize) -> (f64, f64) {
        let start = (self.from - first as f64 + self.wanted.start as f64 * self.scale()).max(0.0);
        (start, (self.wanted.len() as f64 * self.scale()).min(input as f64 - start))
    }
}

/// The filter's weight at distance `x`, and its reach.
fn kernel(filter: Filter) -> (fn(f64) -> f64, f64) {
    fn boxed(x: f64) -> f64 {
        if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 }
    }
    fn triangle(x: f64) -> f64 {
        (1.0 - x.abs()).max(0.0)
    }
    fn hamming(x: f64) -> f64 {
        let x = x.abs();
        if x >= 1.0 { 0.0 } else { sinc(x) * (0.54 + 0.46 * libm::cos(x * std::f64::consts::PI)) }
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
        Filter::Box => (boxed, 0.5),
        Filter::Bilinear => (triangle, 1.0),
        Filter::Hamming => (hamming, 1.0),
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
    fn compute(&mut self, filter: Filter, axis: &Axis) {
        self.spans.clear();
        self.weights.clear();
        let (input, scale, wanted) = (axis.input, axis.scale(), axis.wanted.clone());
        if filter == Filter::Nearest {
            // Added up step by step, as Pillow does, so that ties at pixel borders fall alike.
            let mut at = axis.from + 0.5 * scale;
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
        let (reach, narrow) = (reach * widen, 1.0 / widen);
        for o in wanted {
            let centre = axis.from + (o as f64 + 0.5) * scale;
            let first = ((centre - reach + 0.5).max(0.0) as usize).min(input - 1);
            let last = ((centre + reach + 0.5) as usize).min(input).max(first + 1);
            self.float.clear();
            self.float.extend((first..last).map(|i| weight((i as f64 - centre + 0.5) * narrow)));
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
    resizer: Resizer,
}

fn round(sum: i32) -> u8 {
    (sum >> FRACTION).clamp(0, 255) as u8
}

/// Resizes `src` (rows × columns × C) and writes the wanted rows and columns into `out`.
pub(crate) fn resize<const C: usize>(
    src: &[u8],
    rows: &Axis,
    columns: &Axis,
    filter: Filter,
    buffers: &mut Buffers,
    out: &mut Vec<u8>,
) {
    let smooth = match filter {
        Filter::Nearest | Filter::Box => return exact::<C>(src, rows, columns, filter, buffers, out),
        Filter::Bilinear => Smooth::Bilinear,
        Filter::Hamming => Smooth::Hamming,
        Filter::Bicubic => Smooth::Bicubic,
        Filter::Lanczos => Smooth::Lanczos,
    };
    if let Err(reason) = passes::<C>(src, rows, columns, (smooth, filter), buffers, out) {
        // Extents that fit each other are never refused.
        debug_assert!(false, "{reason}");
        exact::<C>(src, rows, columns, filter, buffers, out);
    }
}

fn passes<const C: usize>(
    src: &[u8],
    rows: &Axis,
    columns: &Axis,
    (smooth, filter): (Smooth, Filter),
    buffers: &mut Buffers,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    // Pass along the rows. Only the source rows that the second pass reads are computed.
    let read = rows.read(kernel(filter).1);
    let Buffers { taps, between, resizer, .. } = buffers;
    let (w, ow) = (columns.input, columns.wanted.len());
    let src = &src[read.start * w * C..read.end * w * C];
    let first: &[u8] = match columns.copied() {
        Some(x) if rows.copied().is_some() => {
            cut::<C>(src, w, x..x + ow, out);
            return Ok(());
        }
        Some(0) if ow == w => src,
        Some(x) => {
            cut::<C>(src, w, x..x + ow, between);
            between
        }
        None => {
            let to = if rows.copied().is_some() { &mut *out } else { &mut *between };
            if matches!(filter, Filter::Bicubic | Filter::Lanczos) {
                across::<C>(src, columns, filter, taps, to);
            } else {
                to.resize(read.len() * ow * C, 0);
                let (left, width) = columns.part(0, w);
                let part = [0.0, left, read.len() as f64, width];
                resizer.run::<C>(&Resize { from: [read.len(), w], part, to: [read.len(), ow] }, smooth, src, to)?;
            }
            if rows.copied().is_some() {
                return Ok(());
            }
            between
        }
    };
    // Pass along the columns.
    out.resize(rows.wanted.len() * ow * C, 0);
    let (top, height) = rows.part(read.start, read.len());
    let part = [top, 0.0, height, ow as f64];
    resizer.run::<C>(&Resize { from: [read.len(), ow], part, to: [rows.wanted.len(), ow] }, smooth, first, out)
}

/// Columns of an image.
fn cut<const C: usize>(src: &[u8], w: usize, columns: Range<usize>, out: &mut Vec<u8>) {
    out.clear();
    for row in src.chunks_exact(w * C) {
        out.extend_from_slice(&row[columns.start * C..columns.end * C]);
    }
}

/// The pass along the rows in coefficients of 22 bits.
fn across<const C: usize>(rows: &[u8], columns: &Axis, filter: Filter, taps: &mut Taps, out: &mut Vec<u8>) {
    taps.compute(filter, columns);
    let (w, ow) = (columns.input, columns.wanted.len());
    out.resize(rows.len() / (w * C) * ow * C, 0);
    for (row, out) in rows.chunks_exact(w * C).zip(out.chunks_exact_mut(ow * C)) {
        let pixels = row.as_chunks::<C>().0;
        for ((x, at), out) in taps.spans.iter().zip(out.as_chunks_mut::<C>().0) {
            let weights = &taps.weights[at.clone()];
            let mut sums = [1i32 << (FRACTION - 1); C];
            for (p, &k) in pixels[*x..*x + weights.len()].iter().zip(weights) {
                for c in 0..C {
                    sums[c] += i32::from(p[c]) * k;
                }
            }
            *out = sums.map(round);
        }
    }
}

/// Both passes in coefficients of 22 bits, as Pillow computes it, pixel by pixel.
fn exact<const C: usize>(
    src: &[u8],
    rows: &Axis,
    columns: &Axis,
    filter: Filter,
    buffers: &mut Buffers,
    out: &mut Vec<u8>,
) {
    let (w, ow) = (columns.input, columns.wanted.len());
    let Buffers { taps, between, line, .. } = buffers;
    let (first, last) = match rows.copied() {
        Some(y) => (y, y + rows.wanted.len()),
        None => {
            taps.compute(filter, rows);
            let last = taps.spans.iter().map(|s| s.0 + s.1.len()).max();
            (taps.spans.first().map_or(0, |s| s.0), last.unwrap_or(0))
        }
    };
    let rows_in = &src[first * w * C..last * w * C];
    if let Some(x) = columns.copied() {
        cut::<C>(rows_in, w, x..x + ow, between);
    } else {
        across::<C>(rows_in, columns, filter, taps, between);
    }
    out.clear();
    if rows.copied().is_some() {
        out.extend_from_slice(between);
        return;
    }
    taps.compute(filter, rows);
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

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_tensor::Stream;
    use gabor_tensor::rng::op;

    const SMOOTH: [Filter; 4] = [Filter::Bilinear, Filter::Hamming, Filter::Bicubic, Filter::Lanczos];

    /// A picture that is half smooth and half the worst that there is: black and white noise.
    fn picture(h: usize, w: usize, c: usize, case: u32) -> Vec<u8> {
        let mut s = Stream::new(1, 0, case, op::TEST);
        let smooth = |i: usize| ((i / c % w) * 3 + (i / c / w) * 5) as u8;
        (0..h * w * c).map(|i| if i % (w * c) < w * c / 2 { smooth(i) } else { [0, 255][s.below(2)] }).collect()
    }
    fn axis(s: &mut Stream, input: usize, output: usize) -> Axis {
        let extent = input as f64 - 0.25 * s.below(4) as f64;
        let start = s.below(output);
        Axis { input, from: 0.0, extent, output, wanted: start..start + 1 + s.below(output - start) }
    }

    #[test]
    fn the_library_computes_what_pillow_does() {
        let (mut a, mut b, mut buffers) = (Vec::new(), Vec::new(), Buffers::default());
        let mut far = 0;
        for case in 0..600 {
            let mut s = Stream::new(2, 0, case, op::TEST);
            let (h, w) = (1 + s.below(60), 1 + s.below(60));
            let rows = axis(&mut s, h, 1 + case as usize % 90);
            let output = 1 + s.below(90);
            let columns = axis(&mut s, w, output);
            let src = picture(h, w, 3, case);
            for filter in SMOOTH {
                resize::<3>(&src, &rows, &columns, filter, &mut buffers, &mut a);
                exact::<3>(&src, &rows, &columns, filter, &mut buffers, &mut b);
                assert_eq!(a.len(), b.len());
                let worst = a.iter().zip(&b).map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
                assert!(worst <= 1, "case {case} {filter:?}: {worst} levels");
                far += usize::from(worst > 0);
                let grey: Vec<u8> = src.iter().step_by(3).copied().collect();
                resize::<1>(&grey, &rows, &columns, filter, &mut buffers, &mut b);
                assert!(a.iter().step_by(3).eq(&b), "case {case} {filter:?}: grey differs from red");
            }
        }
        assert!(far > 0, "the two ways are the same code");
    }

    #[test]
    fn a_window_is_a_part_of_the_whole() {
        let (mut a, mut b, mut buffers) = (Vec::new(), Vec::new(), Buffers::default());
        for case in 0..60 {
            let mut s = Stream::new(3, 0, case, op::TEST);
            let (h, w) = (1 + s.below(60), 1 + s.below(60));
            let src = picture(h, w, 1, case);
            let (rows, columns) = (axis(&mut s, h, 1 + case as usize), axis(&mut s, w, 60 - case as usize));
            let whole = |a: &Axis| Axis { wanted: 0..a.output, ..a.clone() };
            for filter in SMOOTH {
                resize::<1>(&src, &rows, &columns, filter, &mut buffers, &mut a);
                resize::<1>(&src, &whole(&rows), &whole(&columns), filter, &mut buffers, &mut b);
                let part = rows.wanted.clone().flat_map(|y| b[y * columns.output..][columns.wanted.clone()].to_vec());
                let worst = a.iter().zip(part).map(|(a, b)| a.abs_diff(b)).max().unwrap_or(0);
                assert!(worst <= 1, "case {case} {filter:?}: {worst} levels");
            }
        }
    }
}
