//! The geometry of a band: which source elements it holds and where each tap finds its own.

use crate::memory::{copy_step, zero};
use crate::simd::Simd16;
use gabor_tensor::{Axis, Rule, Window};

/// One dimension of a lattice: outputs `first + t·step` for `t < count`, and the source elements that they need.
#[derive(Clone, Debug)]
pub(crate) struct LatticeAxis {
    /// Extent of the source.
    pub source: usize,
    /// Distance in the source between neighbours of a band.
    pub source_step: usize,
    /// Source coordinate of element 0 of a band's remainder 0 (may lie in the padding).
    pub base: isize,
    /// The remainders that taps use: each is a band of its own.
    pub remainders: Vec<usize>,
    /// For each tap of this dimension: its index in the kernel, the index of its remainder, its offset in the band.
    pub taps: Vec<(usize, usize, usize)>,
    /// Number of outputs.
    pub count: usize,
    /// The first output.
    pub first: usize,
    /// Distance between outputs.
    pub step: usize,
    /// Elements that a band is longer than its outputs.
    pub reach: usize,
}

impl LatticeAxis {
    /// The forward pass: output `o` takes input `o·stride + k·dilation − pad` from tap `k`.
    fn forward(a: &Axis) -> Self {
        let mut remainders = Vec::new();
        let taps = (0..a.kernel)
            .map(|k| {
                let r = k * a.dilation % a.stride;
                let at = remainders.iter().position(|&x| x == r).unwrap_or_else(|| {
                    remainders.push(r);
                    remainders.len() - 1
                });
                (k, at, k * a.dilation / a.stride)
            })
            .collect();
        LatticeAxis {
            source: a.input,
            source_step: a.stride,
            base: -(a.pad_begin as isize),
            remainders,
            taps,
            count: a.output,
            first: 0,
            step: 1,
            reach: (a.kernel - 1) * a.dilation / a.stride,
        }
    }
    /// The input gradient: input `i` takes output `(i + pad − k·dilation) / stride` from those taps `k` for which this
    /// is a whole number; inputs with the same remainder modulo the stride share their taps.
    fn backward(a: &Axis, remainder: usize) -> Self {
        let own: Vec<(usize, usize)> = (0..a.kernel)
            .filter(|k| k * a.dilation % a.stride == remainder)
            .map(|k| (k, k * a.dilation / a.stride))
            .collect();
        let reach = own.iter().map(|t| t.1).max().unwrap_or(0);
        let lowest = own.iter().map(|t| t.1).min().unwrap_or(0);
        // Input `i = (u0 + t)·stride + remainder − pad` for t ≥ 0 are the inputs of this remainder.
        let u0 = a.pad_begin.saturating_sub(remainder).div_ceil(a.stride);
        let first = u0 * a.stride + remainder - a.pad_begin;
        LatticeAxis {
            source: a.output,
            source_step: 1,
            base: u0 as isize - reach as isize,
            remainders: vec![0],
            taps: own.iter().map(|&(k, shift)| (k, 0, reach - shift)).collect(),
            count: a.input.saturating_sub(first).div_ceil(a.stride),
            first,
            step: a.stride,
            reach: reach - lowest,
        }
    }
}

/// A lattice of outputs in three dimensions (missing ones have extent 1) and its taps.
#[derive(Clone, Debug)]
pub(crate) struct Lattice {
    /// Depth, height, width.
    pub axes: [LatticeAxis; 3],
    /// For each tap: its flat index in the kernel, the flat index of its remainder, its offsets in the band.
    pub taps: Vec<(usize, usize, [usize; 3])>,
}

impl Lattice {
    fn new(axes: [LatticeAxis; 3], kernel: [usize; 3]) -> Self {
        let mut taps = Vec::new();
        for &(kd, rd, od) in &axes[0].taps {
            for &(kh, rh, oh) in &axes[1].taps {
                for &(kw, rw, ow) in &axes[2].taps {
                    let k = (kd * kernel[1] + kh) * kernel[2] + kw;
                    let r = (rd * axes[1].remainders.len() + rh) * axes[2].remainders.len() + rw;
                    taps.push((k, r, [od, oh, ow]));
                }
            }
        }
        taps.sort_unstable();
        Lattice { axes, taps }
    }
    /// The lattice of the forward pass.
    pub(crate) fn forward(window: &Window) -> Result<Self, Rule> {
        let axes = three(window)?;
        Ok(Self::new(axes.map(|a| LatticeAxis::forward(&a)), axes.map(|a| a.kernel)))
    }
    /// The lattices of the input gradient, one per combination of remainders; together they cover the input once.
    pub(crate) fn backward(window: &Window) -> Result<Vec<Self>, Rule> {
        let [d, h, w] = three(window)?;
        let mut list = Vec::new();
        for rd in 0..d.stride {
            for rh in 0..h.stride {
                for rw in 0..w.stride {
                    let axes = [(d, rd), (h, rh), (w, rw)].map(|(a, r)| LatticeAxis::backward(&a, r));
                    let lattice = Self::new(axes, [d.kernel, h.kernel, w.kernel]);
                    if lattice.axes.iter().all(|a| a.count > 0) {
                        list.push(lattice);
                    }
                }
            }
        }
        Ok(list)
    }
    /// Number of remainder bands per channel.
    pub(crate) fn bands(&self) -> usize {
        self.axes.iter().map(|a| a.remainders.len()).product()
    }
    /// Extents of a band that serves `outputs[d]` outputs per dimension.
    pub(crate) fn extents(&self, outputs: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|d| outputs[d] + self.axes[d].reach)
    }
}

/// The window in three dimensions.
pub(crate) fn three(window: &Window) -> Result<[Axis; 3], Rule> {
    let one = Axis { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
    let axes = window.axes();
    if axes.len() > 3 {
        return Err(Rule::new(format!("{} spatial dimensions", axes.len())).right("at most 3"));
    }
    let mut all = [one; 3];
    all[3 - axes.len()..].copy_from_slice(axes);
    Ok(all)
}

/// A part of the outputs: `from[d]..from[d] + len[d]` per dimension of the lattice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub from: [usize; 3],
    pub len: [usize; 3],
}

/// Copies one source plane into the bands of a region; what lies outside the source becomes zero.
///
/// `extents` are those of a band, at least what the region needs; the bands of the remainders follow one another.
///
/// # Safety
/// `plane` must hold the source's extents, `to` all bands.
#[inline(always)]
pub(crate) unsafe fn fill_bands<S: Simd16>(
    lattice: &Lattice,
    region: Region,
    extents: [usize; 3],
    plane: *const f32,
    to: *mut f32,
) {
    let [d, h, w] = &lattice.axes;
    let [ld, lh, lw] = lattice.extents(region.len);
    let mut band = to;
    for &rd in &d.remainders {
        for &rh in &h.remainders {
            for &rw in &w.remainders {
                // The row's elements that exist: `low..high` of `lw`.
                let start = w.base + ((region.from[2] * w.source_step) + rw) as isize;
                let step = w.source_step as isize;
                let low = (((-start).max(0) + step - 1) / step).min(lw as isize) as usize;
                let high = (((w.source as isize - start).max(0) + step - 1) / step).min(lw as isize) as usize;
                let high = high.max(low);
                for vd in 0..ld {
                    let id = d.base + ((region.from[0] + vd) * d.source_step + rd) as isize;
                    for vh in 0..lh {
                        let ih = h.base + ((region.from[1] + vh) * h.source_step + rh) as isize;
                        // SAFETY: rows are inside the band; source coordinates are checked.
                        unsafe {
                            let row = band.add((vd * extents[1] + vh) * extents[2]);
                            let inside = (0..d.source as isize).contains(&id) && (0..h.source as isize).contains(&ih);
                            if !inside || low == high {
                                zero::<S>(row, lw);
                                continue;
                            }
                            let from = (id as usize * h.source + ih as usize) * w.source;
                            let at = (start + low as isize * step) as usize;
                            zero::<S>(row, low);
                            copy_step::<S>(plane.add(from + at), w.source_step, row.add(low), high - low);
                            zero::<S>(row.add(high), lw - high);
                        }
                    }
                }
                band = band.wrapping_add(extents[0] * extents[1] * extents[2]);
            }
        }
    }
}
