//! The padded input rows of a block of outputs.

use crate::memory::{copy_step, whole, zero};
use crate::simd::Simd16;
use gabor_tensor::Axis;

/// The input of a first layer: `[n, ci, spatial…]` in plain order.
#[derive(Clone, Copy, Debug)]
pub enum Pixels<'a> {
    /// Numbers as they are.
    Floats(&'a [f32]),
    /// Bytes `v` of channel `c` that stand for `v · scale[c] + shift[c]` (one rounding). Padding is 0 after that.
    Bytes {
        /// The bytes.
        values: &'a [u8],
        /// Factor per channel.
        scale: &'a [f32],
        /// Summand per channel.
        shift: &'a [f32],
    },
}

impl Pixels<'_> {
    /// Panics if there are fewer than `planes` planes of `len` pixels, or numbers for fewer than `channels` channels.
    pub(super) fn check(&self, planes: usize, len: usize, channels: usize) {
        match self {
            Pixels::Floats(x) => assert!(x.len() >= planes * len),
            Pixels::Bytes { values, scale, shift } => {
                assert!(values.len() >= planes * len && scale.len() >= channels && shift.len() >= channels);
            }
        }
    }
    /// The `len` pixels from `at` on, which belong to channel `c`, as numbers: in place, or in `line`.
    #[inline(always)]
    unsafe fn read<S: Simd16>(&self, at: usize, c: usize, len: usize, line: *mut f32) -> *const f32 {
        // SAFETY: the caller promises that the pixels exist and that there is room for them.
        unsafe {
            let (values, scale, shift) = match self {
                Pixels::Floats(x) => return x.as_ptr().add(at),
                Pixels::Bytes { values, scale, shift } => (values, S::splat(scale[c]), S::splat(shift[c])),
            };
            for (i, bytes) in values[at..at + len].chunks(16).enumerate() {
                let mut v = [0.0; 16];
                for (v, &b) in v.iter_mut().zip(bytes) {
                    *v = f32::from(b);
                }
                S::store_up_to(line.add(i * 16), S::fma(S::load(v.as_ptr()), scale, shift), bytes.len());
            }
            line
        }
    }
}

/// A part of the outputs of an image: `from[d]..from[d] + len[d]` in depth, height, width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Region {
    pub from: [usize; 3],
    pub len: [usize; 3],
}

/// How the outputs of all images are cut into blocks, and how the band of a block lies in memory:
/// `[channel][depth][height][remainder][pitch]`, where a row may be split by the remainder of its coordinate modulo the
/// stride, so that neighbouring outputs read neighbouring elements.
#[derive(Clone, Debug)]
pub(super) struct Band {
    pub axes: [Axis; 3],
    pub channels: usize,
    pub n: usize,
    /// Number of blocks per dimension.
    pub blocks: [usize; 3],
    /// Distance in the input between neighbours of a stored row: the stride, or 1.
    step: usize,
    /// The remainders that taps use.
    remainders: Vec<usize>,
    /// Rows of the largest block: depth, height.
    rows: [usize; 2],
    /// Elements of a stored row of the largest block.
    count: usize,
    pitch: usize,
}

/// Outputs of a row from which on it is cut.
const LONG: usize = 1024;

impl Band {
    /// Blocks of at least `wanted` in all, if rows suffice, and of at most `most` outputs or one row. `split` says
    /// whether rows are split by remainders.
    pub(super) fn new(axes: [Axis; 3], channels: usize, n: usize, split: bool, wanted: usize, most: usize) -> Self {
        let [d, h, w] = axes.map(|a| a.output);
        let wide = w.div_ceil(LONG);
        let high = h.div_ceil((most / w.min(LONG)).max(1));
        // Where images are too few, an equal number of blocks of each.
        let each = wanted.div_ceil((n * d * wide).max(1));
        let blocks = [d, high.next_multiple_of(each).min(h), wide];
        let a = axes[2];
        let step = if split { a.stride } else { 1 };
        let mut remainders: Vec<usize> = (0..a.kernel).map(|k| k * a.dilation % step).collect();
        remainders.sort_unstable();
        remainders.dedup();
        let largest = |i: usize| axes[i].output.div_ceil(blocks[i]);
        let reach = |i: usize| (largest(i) - 1) * axes[i].stride + axes[i].reach();
        let count = reach(2).div_ceil(step);
        // An odd number of cache lines: rows fall into different sets.
        let pitch = (count.div_ceil(16) | 1) * 16;
        Band { axes, channels, n, blocks, step, remainders, rows: [reach(0), reach(1)], count, pitch }
    }
    /// Number of blocks of all images.
    pub(super) fn units(&self) -> usize {
        self.n * self.blocks.iter().product::<usize>()
    }
    /// The image and the outputs of a block.
    pub(super) fn unit(&self, unit: usize) -> (usize, Region) {
        let [bd, bh, bw] = self.blocks;
        let at = [unit / (bw * bh) % bd, unit / bw % bh, unit % bw];
        let start = |i: usize, b: usize| self.axes[i].output * b / self.blocks[i];
        let from = std::array::from_fn(|i| start(i, at[i]));
        (unit / (bd * bh * bw), Region { from, len: std::array::from_fn(|i| start(i, at[i] + 1) - from[i]) })
    }
    /// Number of `f32` of a band.
    pub(super) fn len(&self) -> usize {
        self.channels * self.rows[0] * self.row_at(1, 0)
    }
    /// Number of `f32` of the memory that [`Band::fill`] wants for itself.
    pub(super) fn line_len(&self) -> usize {
        whole(self.count * self.step)
    }
    /// Where the input row of depth `d` and height `h` of a channel starts.
    fn row_at(&self, d: usize, h: usize) -> usize {
        (d * self.rows[1] + h) * self.remainders.len() * self.pitch
    }
    /// Where the first pixel of a row of outputs of the region starts; tap offsets are added.
    pub(super) fn start(&self, d: usize, h: usize) -> usize {
        self.row_at(d * self.axes[0].stride, h * self.axes[1].stride)
    }
    /// Distance between neighbouring outputs of a row.
    pub(super) fn pixel_step(&self) -> usize {
        self.axes[2].stride / self.step
    }
    /// For each channel and tap, in the order of a filter's elements: its offset.
    pub(super) fn offsets(&self) -> Vec<usize> {
        let [d, h, w] = self.axes;
        let mut list = Vec::with_capacity(self.channels * d.kernel * h.kernel * w.kernel);
        for c in 0..self.channels {
            for kd in 0..d.kernel {
                for kh in 0..h.kernel {
                    let row = self.row_at(c * self.rows[0] + kd * d.dilation, kh * h.dilation);
                    list.extend((0..w.kernel).map(|kw| {
                        let at = kw * w.dilation;
                        let of = self.remainders.iter().position(|&r| r == at % self.step).unwrap_or(0);
                        row + of * self.pitch + at / self.step
                    }));
                }
            }
        }
        list
    }

    /// Copies what a region needs of an image; what lies outside the image becomes zero.
    ///
    /// # Safety
    /// The input must have the image (see [`Pixels::check`]); `to` must have room for [`Band::len`] elements and `line`
    /// for [`Band::line_len`].
    #[inline(always)]
    pub(super) unsafe fn fill<S: Simd16>(
        &self,
        x: &Pixels<'_>,
        image: usize,
        region: Region,
        to: *mut f32,
        line: *mut f32,
    ) {
        let [d, h, w] = &self.axes;
        let reach = |i: usize| (region.len[i] - 1) * self.axes[i].stride + self.axes[i].reach();
        let origin = |i: usize| (region.from[i] * self.axes[i].stride) as isize - self.axes[i].pad_begin as isize;
        // Elements `low..high` of a padded row are in the image.
        let (start, len) = (origin(2), reach(2));
        let low = ((-start).max(0) as usize).min(len);
        let high = ((w.input as isize - start).max(0) as usize).clamp(low, len);
        for c in 0..self.channels {
            for vd in 0..reach(0) {
                for vh in 0..reach(1) {
                    let (id, ih) = (origin(0) + vd as isize, origin(1) + vh as isize);
                    let inside = (0..d.input as isize).contains(&id) && (0..h.input as isize).contains(&ih);
                    // SAFETY: rows are inside the band, source coordinates are checked.
                    unsafe {
                        let row = to.add(self.row_at(c * self.rows[0] + vd, vh));
                        if !inside || low == high {
                            zero::<S>(row, self.remainders.len() * self.pitch);
                            continue;
                        }
                        let plane = (image * self.channels + c) * d.input + id as usize;
                        let from = (plane * h.input + ih as usize) * w.input;
                        let at = (start + low as isize) as usize;
                        let x = x.read::<S>(from + at, c, high - low, line);
                        for (i, &r) in self.remainders.iter().enumerate() {
                            // Of this remainder, elements `first..last` are in the image.
                            let [first, last, end] = [low, high, len].map(|v| v.saturating_sub(r).div_ceil(self.step));
                            let to = row.add(i * self.pitch);
                            zero::<S>(to, first);
                            every::<S>(x.add(r + first * self.step - low), self.step, to.add(first), last - first);
                            zero::<S>(to.add(last), end - last);
                        }
                    }
                }
            }
        }
    }
}

/// Every `step`-th of the elements at `from`, `len` of them.
///
/// # Safety
/// As [`copy_step`].
#[inline(always)]
unsafe fn every<S: Simd16>(from: *const f32, step: usize, to: *mut f32, len: usize) {
    let mut i = 0;
    // SAFETY: 64 elements from one that has 16 successors are inside; the rest is the caller's promise.
    unsafe {
        while step == 4 && i + 16 < len {
            let from = from.add(i * 4);
            let two = |at: usize| S::even(S::load(from.add(at)), S::load(from.add(at + 16)));
            S::store(to.add(i), S::even(two(0), two(32)));
            i += 16;
        }
        copy_step::<S>(from.add(i * step), step, to.add(i), len - i);
    }
}
