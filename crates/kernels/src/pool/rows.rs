//! Input rows, padded and split by the stride.

use crate::memory::{copy_step, whole};
use crate::simd::Simd16;
use gabor_tensor::{Axis, Window};

/// Element `j` of part `r` of a row is element `j·stride + r` of the padded row: tap `k` of window `o` is then element
/// `o + q` of the part of its [`Tap`].
#[derive(Clone, Debug)]
pub(super) struct Rows {
    /// The last axis.
    pub axis: Axis,
    /// Number of input rows of a plane.
    pub inputs: usize,
    /// Number of output rows of a plane.
    pub outputs: usize,
    /// Remainders by the stride that some tap has, one part each.
    parts: Vec<usize>,
    /// Elements between parts.
    pitch: usize,
    /// Taps along the last axis.
    pub taps: Vec<Tap>,
    /// Input rows under each output row, in scan order; row `o` has `starts[o]..starts[o + 1]`.
    rows: Vec<usize>,
    starts: Vec<usize>,
}

/// A tap along the last axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tap {
    /// Where its element of window 0 lies among the parts of a row.
    pub at: usize,
    /// The input element under it at window 0, wrapping below zero.
    pub input: u32,
}

impl Rows {
    pub(super) fn new(window: &Window) -> Self {
        let axes = window.axes();
        // A window has at least one axis; without one the plane is a single element.
        let single = Axis { input: 1, output: 1, kernel: 1, stride: 1, dilation: 1, pad_begin: 0, pad_end: 0 };
        let (&axis, outer) = axes.split_last().unwrap_or((&single, &[]));
        let mut parts = Vec::new();
        let mut at = Vec::new();
        for k in 0..axis.kernel {
            let (q, r) = (k * axis.dilation / axis.stride, k * axis.dilation % axis.stride);
            let part = parts.iter().position(|&p| p == r).unwrap_or(parts.len());
            if part == parts.len() {
                parts.push(r);
            }
            at.push((part, q));
        }
        let most = at.iter().map(|a| a.1).max().unwrap_or(0);
        let pitch = whole(axis.output) + most;
        let input = |k: usize| (k * axis.dilation).wrapping_sub(axis.pad_begin) as u32;
        let taps = at.iter().enumerate().map(|(k, &(part, q))| Tap { at: part * pitch + q, input: input(k) }).collect();
        let (mut rows, mut starts) = (Vec::new(), vec![0]);
        let outputs = outer.iter().map(|a| a.output).product();
        for o in 0..outputs {
            under(outer, o, &mut rows);
            starts.push(rows.len());
        }
        let inputs = outer.iter().map(|a| a.input).product();
        Rows { axis, inputs, outputs, parts, pitch, taps, rows, starts }
    }
    /// The input rows under an output row, in scan order.
    pub(super) fn under(&self, output: usize) -> &[usize] {
        &self.rows[self.starts[output]..self.starts[output + 1]]
    }
    /// Elements of a row split into parts.
    pub(super) fn row_len(&self) -> usize {
        self.parts.len() * self.pitch
    }
    /// The elements of a part that lie in the input: their range, and the input element of the first.
    fn inside(&self, r: usize) -> (usize, usize, usize) {
        let (s, before) = (self.axis.stride, self.axis.pad_begin);
        let first = before.saturating_sub(r).div_ceil(s).min(self.pitch);
        let end = (self.axis.input + before).saturating_sub(r).div_ceil(s).clamp(first, self.pitch);
        (first, end, (first * s + r).saturating_sub(before))
    }
    /// Splits an input row; `value` stands for the padding.
    ///
    /// # Safety
    /// `from` has the row, `to` has [`Rows::row_len`] elements.
    #[inline(always)]
    pub(super) unsafe fn split<S: Simd16>(&self, from: *const f32, value: f32, to: *mut f32) {
        for (p, &r) in self.parts.iter().enumerate() {
            let (first, end, input) = self.inside(r);
            // SAFETY: `inside` keeps to the row and the part.
            unsafe {
                let part = std::slice::from_raw_parts_mut(to.add(p * self.pitch), self.pitch);
                part[..first].fill(value);
                part[end..].fill(value);
                if first < end {
                    copy_step::<S>(from.add(input), self.axis.stride, part.as_mut_ptr().add(first), end - first);
                }
            }
        }
    }
    /// The adjoint of [`Rows::split`] into a row of zeros: puts the elements back, those of the padding are dropped.
    ///
    /// # Safety
    /// As [`Rows::split`].
    #[inline(always)]
    pub(super) unsafe fn join<S: Simd16>(&self, from: *const f32, to: *mut f32) {
        for (p, &r) in self.parts.iter().enumerate() {
            let (first, end, input) = self.inside(r);
            // SAFETY: `inside` keeps to the row and the part.
            unsafe {
                let part = from.add(p * self.pitch);
                if self.axis.stride == 1 {
                    crate::memory::copy::<S>(part.add(first), to.add(input), end - first);
                } else {
                    for j in first..end {
                        *to.add(input + (j - first) * self.axis.stride) = *part.add(j);
                    }
                }
            }
        }
    }
}

/// Appends the flat input rows under output row `o` of the outer axes, in scan order, without those in the padding.
fn under(outer: &[Axis], o: usize, rows: &mut Vec<usize>) {
    let mut list = vec![0];
    let mut inner: usize = outer.iter().map(|a| a.output).product();
    let mut rest = o;
    for a in outer {
        inner /= a.output;
        let at = rest / inner;
        rest %= inner;
        list = (list.iter())
            .flat_map(|&i| (0..a.kernel).filter_map(move |k| Some(i * a.input + a.index(at, k)?)))
            .collect();
    }
    rows.extend(list);
}
