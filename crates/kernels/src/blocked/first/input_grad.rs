//! The input gradient.
//!
//! dx has few channels, so its lanes are neighbouring pixels of a row: for them dy is turned from blocks of channels into
//! rows, once per block of outputs. With a stride s the pixels of one remainder modulo s use the same taps and read
//! neighbouring elements of dy; they are summed together and put in their places afterwards.

use super::CHANNELS;
use crate::blocked::Blocked;
use crate::memory::{LINE, Pieces, whole};
use crate::shared::{MOST_TASKS, TASK};
use crate::simd::{Kernel, Simd16};
use crate::split::share;
use crate::turn::{Rows, turn};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{Axis, ConvGeometry};

/// Floats of the rows of dy of a block: they stay in the second cache.
const BAND: usize = 96 * 1024;
/// Most floats of such rows, where windows reach so far that even those of one row of dx are many.
const LARGEST: usize = 2 << 20;
/// Pixels of a row from which on it is cut.
const LONG: usize = 1024;
/// Most combinations of remainders: strides beyond are refused.
const REMAINDERS: usize = 4096;

/// A prepared input gradient of a convolution of less than 16 input channels: dy `[n, co, output…]`, blocked, and filters
/// `[co, ci, kernel…]` in plain order to dx `[n, ci, input…]` in plain order.
///
/// Every sum runs over output channels and taps in order with fused multiply-adds. Products with what lies outside dy are
/// part of it: a NaN or an infinity among the weights may show at the border too.
#[derive(Clone, Debug)]
pub struct FirstInputGradKernel {
    isa: Isa,
    axes: [Axis; 3],
    n: usize,
    ci: usize,
    source: Blocked,
    /// How many blocks the rows and the columns of dx are cut into.
    blocks: [usize; 2],
    /// How far before its own position a pixel reads dy, per dimension.
    before: [usize; 3],
    /// Rows of a band and floats of a row.
    rows: usize,
    pitch: usize,
    /// For each remainder of depth, height and width, the taps that reach such pixels.
    taps: Vec<Vec<Tap>>,
    phases: [usize; 1],
}

/// A tap: its place in a plane of the filter, and how many floats before the pixel's own its dy lies in the band.
#[derive(Clone, Copy, Debug)]
struct Tap {
    weight: usize,
    back: usize,
}

impl FirstInputGradKernel {
    /// Prepares the input gradient of `n` images.
    ///
    /// # Errors
    /// Groups, 16 or more input channels, more than three spatial dimensions, strides of more than 4,096 remainders, windows
    /// that reach over more than 8 MiB of dy.
    pub fn new(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, String> {
        let axes = super::axes_of(g)?;
        let remainders = axes.iter().try_fold(1usize, |p, a| p.checked_mul(a.stride)).unwrap_or(usize::MAX);
        if remainders > REMAINDERS {
            return Err(format!("strides of {remainders} remainders, at most {REMAINDERS}"));
        }
        let source = Blocked { n, c: g.co, plane: g.window.output_len() };
        let [d, h, w] = axes.map(|a| a.input);
        let before = axes.map(|a| (a.kernel - 1) * a.dilation / a.stride);
        let wide = w.div_ceil(LONG);
        let columns = before[2] + 16 + w.div_ceil(wide).div_ceil(axes[2].stride);
        // An odd number of cache lines: rows fall into different sets.
        let pitch = (columns.div_ceil(16) | 1) * 16;
        let fit = (BAND / (g.co * (before[0] + 1) * pitch)).saturating_sub(before[1] + 2).max(1) * axes[1].stride;
        let work = g.macs().saturating_mul(n as u64) / (16 * TASK as u64);
        let wanted = work.clamp(1, MOST_TASKS as u64) as usize;
        // Blocks share rows of dy with their neighbours, so they are not made too low.
        let low = axes[1].stride * before[1].max(1) * 3;
        let each = wanted.div_ceil((n * d * wide).max(1)).min(h.div_ceil(low));
        let blocks = [h.div_ceil(fit).next_multiple_of(each).min(h), wide];
        let rows = before[1] + 2 + (h.div_ceil(blocks[0]) - 1) / axes[1].stride;
        let phases = [wanted.min(n * d * blocks[0] * blocks[1])];
        let band = [before[0] + 1, rows, pitch].iter().try_fold(g.co, |p, &v| p.checked_mul(v));
        if band.is_none_or(|b| b > LARGEST) {
            return Err(format!("more than {LARGEST} floats of dy for a row of dx"));
        }
        let mut k =
            FirstInputGradKernel { isa, axes, n, ci: g.ci, source, blocks, before, rows, pitch, taps: vec![], phases };
        k.taps = k.all_taps();
        Ok(k)
    }
    /// The taps by remainders of depth, height and width.
    fn all_taps(&self) -> Vec<Vec<Tap>> {
        let [d, h, w] = self.axes;
        let mut all = vec![Vec::new(); d.stride * h.stride * w.stride];
        for kd in 0..d.kernel {
            for kh in 0..h.kernel {
                for kw in 0..w.kernel {
                    let at = [kd * d.dilation, kh * h.dilation, kw * w.dilation];
                    let [ed, eh, ew] = std::array::from_fn(|i| at[i] / self.axes[i].stride);
                    let of = self.remainder(at);
                    let weight = (kd * h.kernel + kh) * w.kernel + kw;
                    all[of].push(Tap { weight, back: (ed * self.rows + eh) * self.pitch + ew });
                }
            }
        }
        all
    }
    /// The number of the remainders of coordinates in padded dx.
    fn remainder(&self, at: [usize; 3]) -> usize {
        let r: [usize; 3] = std::array::from_fn(|i| at[i] % self.axes[i].stride);
        (r[0] * self.axes[1].stride + r[1]) * self.axes[2].stride + r[2]
    }
    /// Floats of a channel of a band.
    fn channel(&self) -> usize {
        (self.before[0] + 1) * self.rows * self.pitch
    }
    /// Floats that sums of a row of one remainder take.
    fn line(&self) -> usize {
        whole(self.axes[2].input.div_ceil(self.blocks[1]).div_ceil(self.axes[2].stride))
    }
    /// Runs one task: reads blocked `dy` and the plain filters, writes its part of `dx`.
    ///
    /// # Safety
    /// Tasks may run at the same time; nothing else may touch `dx` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, dy: &[f32], w: &[f32], dx: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let [input, kernel]: [usize; 2] =
            [self.axes.iter().map(|a| a.input).product(), self.axes.iter().map(|a| a.kernel).product()];
        assert!(dy.len() >= self.source.len() && w.len() >= self.source.c * self.ci * kernel);
        assert!(dx.len() >= self.n * self.ci * input && scratch.len() >= self.scratch_len());
        let run = Run { k: self, task, dy: dy.as_ptr(), w: w.as_ptr(), dx: dx.as_ptr(), kernel, scratch };
        // SAFETY: lengths are checked; blocks write disjoint parts of dx; the rest is the caller's promise.
        unsafe { self.isa.call(run) }
    }
}

impl Work for FirstInputGradKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn scratch_len(&self) -> usize {
        LINE + self.source.c * self.channel() + self.ci * self.axes[2].stride * self.line()
    }
}

struct Run<'a> {
    k: &'a FirstInputGradKernel,
    task: usize,
    dy: *const f32,
    w: *const f32,
    dx: *mut f32,
    /// Elements of a plane of a filter.
    kernel: usize,
    scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let k = self.k;
        let mut memory = Pieces::new(self.scratch);
        let band = memory.take(k.source.c * k.channel()).as_mut_ptr();
        let lines = memory.take(k.ci * k.axes[2].stride * k.line()).as_mut_ptr();
        let ([d, h, w], [high, wide]) = (k.axes.map(|a| a.input), k.blocks);
        for unit in share(self.task, k.phases[0], k.n * d * high * wide) {
            let (rows, columns) = (share(unit / wide % high, high, h), share(unit % wide, wide, w));
            let (image, depth) = (unit / (wide * high * d), unit / (wide * high) % d);
            let corner = [depth, rows.start, columns.start];
            let block = Block { k, image, corner, width: columns.len(), band, lines };
            // SAFETY: the contract of `FirstInputGradKernel::run`; scratch is as long as `scratch_len` says.
            unsafe {
                block.fill::<S>(self.dy);
                for row in rows {
                    block.sum::<S>(row, self.w, self.kernel);
                    for c in 0..k.ci {
                        let plane = ((image * k.ci + c) * d + depth) * h + row;
                        block.place::<S>(c, self.dx.add(plane * w + columns.start));
                    }
                }
            }
        }
    }
}

/// A block of dx: some rows of some columns.
#[derive(Clone, Copy)]
struct Block<'a> {
    k: &'a FirstInputGradKernel,
    image: usize,
    /// Its first pixel.
    corner: [usize; 3],
    /// Pixels of its rows.
    width: usize,
    band: *mut f32,
    lines: *mut f32,
}

impl Block<'_> {
    /// Coordinates of the block in padded dx, and there in units of the stride.
    fn padded(&self, dim: usize, at: usize) -> (usize, usize) {
        let a = &self.k.axes[dim];
        (at + a.pad_begin, (at + a.pad_begin) / a.stride)
    }
    /// The first element of dy that the band holds in a dimension; it may lie before dy.
    fn origin(&self, dim: usize) -> isize {
        self.padded(dim, self.corner[dim]).1 as isize - self.k.before[dim] as isize
    }
    /// Of the row's pixels with remainder `r`: the first, counted in strides, and their number.
    fn pixels(&self, r: usize) -> (usize, usize) {
        let (a, from) = (&self.k.axes[2], self.padded(2, self.corner[2]).0);
        let count = |to: usize| (to + a.stride - 1 - r) / a.stride;
        (count(from), count(from + self.width) - count(from))
    }

    /// Turns the dy that the block needs into rows of pixels; what lies outside dy becomes zero.
    #[inline(always)]
    unsafe fn fill<S: Simd16>(&self, dy: *const f32) {
        let k = self.k;
        let [od, oh, ow] = k.axes.map(|a| a.output);
        let start = self.origin(2);
        let low = (-start).clamp(0, k.pitch as isize) as usize;
        let high = (ow as isize - start).clamp(low as isize, k.pitch as isize) as usize;
        for block in 0..k.source.blocks() {
            let lanes = (k.source.c - block * 16).min(16);
            for (vd, vh) in (0..=k.before[0]).flat_map(|d| (0..k.rows).map(move |h| (d, h))) {
                let (id, ih) = (self.origin(0) + vd as isize, self.origin(1) + vh as isize);
                let inside = (0..od as isize).contains(&id) && (0..oh as isize).contains(&ih);
                // SAFETY: rows are inside the band, source coordinates are checked.
                unsafe {
                    let row = |c: usize| self.band.add((block * 16 + c) * k.channel() + (vd * k.rows + vh) * k.pitch);
                    let (low, high) = if inside { (low, high) } else { (k.pitch, k.pitch) };
                    // Whole vectors of zeros at both ends; pixels are written over them.
                    for c in 0..lanes {
                        for v in 0..low.div_ceil(16) {
                            S::store(row(c).add(v * 16), S::zero());
                        }
                        for v in 1..=(k.pitch - high).div_ceil(16) {
                            S::store(row(c).add(k.pitch - v * 16), S::zero());
                        }
                    }
                    if low == high {
                        continue;
                    }
                    let line = (id as usize * oh + ih as usize) * ow;
                    let from = dy.add(k.source.start(self.image, block) + line * 16);
                    let mut i = low;
                    while i < high {
                        let m = (high - i).min(16);
                        let pixels = Rows { start: from.offset((start + i as isize) * 16), step: 16 };
                        turn::<S>(pixels, (m, lanes), Rows { start: row(0).add(i), step: k.channel() }, m);
                        i += m;
                    }
                }
            }
        }
    }

    /// The sums of a row of dx, by channel and remainder.
    #[inline(always)]
    unsafe fn sum<S: Simd16>(&self, row: usize, w: *const f32, kernel: usize) {
        let k = self.k;
        let ((depth, _), (height, at)) = (self.padded(0, self.corner[0]), self.padded(1, row));
        let down = (k.before[0] * k.rows) as isize + at as isize - self.origin(1);
        for r in 0..k.axes[2].stride {
            let (first, count) = self.pixels(r);
            let taps = &k.taps[k.remainder([depth, height, r])];
            let x = down * k.pitch as isize + first as isize - self.origin(2);
            for c in (0..k.ci).step_by(4) {
                // SAFETY: the contract of `FirstInputGradKernel::run`: the band has what the taps of these pixels reach.
                unsafe {
                    let to = self.lines.add((c * k.axes[2].stride + r) * k.line());
                    let sums = Sums { k, taps, x: self.band.offset(x), w: w.add(c * kernel), kernel, to };
                    let vectors = count.div_ceil(16);
                    match k.ci - c {
                        1 => sums.deal::<S, 1>(vectors),
                        2 => sums.deal::<S, 2>(vectors),
                        3 => sums.deal::<S, 3>(vectors),
                        _ => sums.deal::<S, 4>(vectors),
                    }
                }
            }
        }
    }

    /// Puts the sums of a channel into a row of dx.
    #[inline(always)]
    unsafe fn place<S: Simd16>(&self, c: usize, to: *mut f32) {
        let (k, from) = (self.k, self.padded(2, self.corner[2]).0);
        let step = k.axes[2].stride;
        for r in 0..step {
            let (first, count) = self.pixels(r);
            // SAFETY: the pixels of a remainder begin in the row and are as many as it has.
            unsafe {
                let line = self.lines.add((c * step + r) * k.line());
                let mut to = to.wrapping_add(first * step + r - from);
                for i in 0..count {
                    *to = *line.add(i);
                    to = to.wrapping_add(step);
                }
            }
        }
    }
}

/// What pixels of one row and one remainder sum.
#[derive(Clone, Copy)]
struct Sums<'a> {
    k: &'a FirstInputGradKernel,
    taps: &'a [Tap],
    x: *const f32,
    w: *const f32,
    kernel: usize,
    to: *mut f32,
}

impl Sums<'_> {
    /// Deals vectors of pixels to tiles as evenly as can be, for `C` channels.
    #[inline(always)]
    unsafe fn deal<S: Simd16, const C: usize>(self, vectors: usize) {
        const { assert!(CHANNELS.is_multiple_of(4) && C <= 4) };
        let most = match (S::WIDE, C) {
            (true, 4) => 6,
            (true, _) => 8,
            (false, 1) => 3,
            (false, 2) => 2,
            (false, _) => 1,
        };
        let tiles = vectors.div_ceil(most).max(1);
        for t in 0..tiles {
            let part = share(t, tiles, vectors);
            macro_rules! choose {
                ($($m:literal)*) => {
                    match part.len() {
                        0 => {}
                        // SAFETY: as this function.
                        $($m => unsafe { S::call(Tile::<C, $m> { sums: self, first: part.start * 16 }) },)*
                        m => unreachable!("a tile of {m} vectors"),
                    }
                };
            }
            match (S::WIDE, C) {
                (true, 4) => choose!(1 2 3 4 5 6),
                (true, _) => choose!(1 2 3 4 5 6 7 8),
                (false, 1) => choose!(1 2 3),
                (false, 2) => choose!(1 2),
                (false, _) => choose!(1),
            }
        }
    }
}

/// `X` vectors of pixels of `C` channels.
struct Tile<'a, const C: usize, const X: usize> {
    sums: Sums<'a>,
    first: usize,
}

impl<const C: usize, const X: usize> Kernel for Tile<'_, C, X> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let Sums { k, taps, x, w, kernel, to } = self.sums;
        let (channel, filter) = (k.channel(), k.ci * kernel);
        // SAFETY: the contract of `FirstInputGradKernel::run`: the band has what the taps of these pixels reach, w all
        // filters, the line whole vectors.
        unsafe {
            let mut acc = [[S::zero(); X]; C];
            for o in 0..k.source.c {
                let (x, w) = (x.add(o * channel + self.first), w.add(o * filter));
                for tap in taps {
                    let (x, w) = (x.sub(tap.back), w.add(tap.weight));
                    let mut f = [S::zero(); C];
                    for c in 0..C {
                        f[c] = S::splat(*w.add(c * kernel));
                    }
                    for v in 0..X {
                        let x = S::load(x.add(v * 16));
                        for c in 0..C {
                            acc[c][v] = S::fma(f[c], x, acc[c][v]);
                        }
                    }
                }
            }
            for c in 0..C {
                for v in 0..X {
                    S::store(to.add(c * k.axes[2].stride * k.line() + self.first + v * 16), acc[c][v]);
                }
            }
        }
    }
}
