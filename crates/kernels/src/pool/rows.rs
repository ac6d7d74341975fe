//! Input rows, padded and split by the stride.

use crate::memory::{copy, whole, zero};
use crate::simd::Simd16;
use gabor_tensor::{Axis, Window};

/// Most elements of scratch memory.
const MOST: usize = 1 << 26;

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
    /// Elements between parts, whole vectors.
    pub pitch: usize,
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
        // Of a single window the stride does not matter.
        let axis = if axis.output == 1 { Axis { stride: 1, ..axis } } else { axis };
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
        let pitch = whole(axis.output) + whole(most);
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
    /// Whether split rows are of a reasonable size, or why not.
    pub(super) fn check(&self) -> Result<(), String> {
        let sizes = [(self.inputs.max(self.outputs), self.row_len() + self.pitch), (self.pitch, self.axis.stride)];
        match sizes.into_iter().find(|s| s.0.checked_mul(s.1).is_none_or(|len| len > MOST)) {
            Some(s) => Err(format!("{} rows of {} elements in scratch memory, at most {MOST} together", s.0, s.1)),
            None => Ok(()),
        }
    }
    /// Elements of a plane of the input and of the output.
    pub(super) fn lengths(&self) -> (usize, usize) {
        (self.inputs * self.axis.input, self.outputs * self.axis.output)
    }
    /// The input rows under an output row, in scan order.
    pub(super) fn under(&self, output: usize) -> &[usize] {
        &self.rows[self.starts[output]..self.starts[output + 1]]
    }
    /// Elements of a row split into parts.
    pub(super) fn row_len(&self) -> usize {
        self.parts.len() * self.pitch
    }
    /// The windows over each element.
    pub(super) fn over(&self) -> Over {
        let mut lists = vec![Vec::new(); self.inputs];
        for o in 0..self.outputs {
            for &i in self.under(o) {
                lists[i].push(o);
            }
        }
        let (mut rows, mut starts) = (Vec::new(), vec![0]);
        for list in lists {
            rows.extend(list);
            starts.push(rows.len());
        }
        let in_part = |p: usize| self.taps.iter().map(|t| t.at).filter(move |at| at / self.pitch == p);
        let taps: Vec<Vec<usize>> =
            (0..self.parts.len()).map(|p| in_part(p).map(|at| at % self.pitch).collect()).collect();
        let front = whole(taps.iter().flatten().copied().max().unwrap_or(0));
        Over { rows, starts, taps, front, pitch: front + self.pitch }
    }
    /// Elements of the padded row that [`Rows::split`] and [`Rows::join`] work in.
    pub(super) fn padded_len(&self) -> usize {
        self.pitch * self.axis.stride
    }
    /// Elements of an input row that lie under some window's reach.
    pub(super) fn used(&self) -> usize {
        self.axis.input.min(self.padded_len().saturating_sub(self.axis.pad_begin))
    }
    /// Splits an input row. `padded` holds the padding at its ends, and does so again afterwards.
    ///
    /// # Safety
    /// `from` has the row, `padded` [`Rows::padded_len`] and `to` [`Rows::row_len`] elements.
    #[inline(always)]
    pub(super) unsafe fn split<S: Simd16>(&self, from: *const f32, padded: *mut f32, to: *mut f32) {
        // SAFETY: the parts of the row, taken together, are the padded row.
        unsafe {
            copy::<S>(from, padded.add(self.axis.pad_begin), self.used());
            if self.axis.stride == 1 {
                copy::<S>(padded, to, self.pitch);
            } else {
                self.parts_of::<S>(padded, to);
            }
        }
    }
    /// Where the parts of a padded row lie: at `to`, or, if nothing is to be split, in the row itself.
    ///
    /// # Safety
    /// As [`Rows::split`].
    #[inline(always)]
    pub(super) unsafe fn parts_of<S: Simd16>(&self, padded: *const f32, to: *mut f32) -> *const f32 {
        // SAFETY: as in `split`.
        unsafe {
            match self.axis.stride {
                1 => return padded,
                2 => {
                    for j in (0..self.pitch).step_by(16) {
                        let (a, b) = (S::load(padded.add(2 * j)), S::load(padded.add(2 * j + 16)));
                        S::store(to.add(j), S::even(a, b));
                        if self.parts.len() == 2 {
                            S::store(to.add(self.pitch + j), S::odd(a, b));
                        }
                    }
                }
                stride => {
                    for (p, r) in self.parts.iter().enumerate() {
                        for j in 0..self.pitch {
                            *to.add(p * self.pitch + j) = *padded.add(j * stride + r);
                        }
                    }
                }
            }
        }
        to
    }
    /// The adjoint of [`Rows::split`]: puts the elements back, those of the padding are dropped. `padded` holds zeros
    /// where no part has an element, and does so again afterwards.
    ///
    /// # Safety
    /// As [`Rows::split`].
    #[inline(always)]
    pub(super) unsafe fn join<S: Simd16>(&self, from: *const f32, padded: *mut f32, to: *mut f32) {
        // SAFETY: as in `split`.
        unsafe {
            let mut source = padded.cast_const();
            match self.axis.stride {
                1 => source = from,
                2 => {
                    for j in (0..self.pitch).step_by(16) {
                        let odd = if self.parts.len() == 2 { S::load(from.add(self.pitch + j)) } else { S::zero() };
                        let (a, b) = S::interleave(S::load(from.add(j)), odd);
                        S::store(padded.add(2 * j), a);
                        S::store(padded.add(2 * j + 16), b);
                    }
                }
                stride => {
                    for (p, r) in self.parts.iter().enumerate() {
                        for j in 0..self.pitch {
                            *padded.add(j * stride + r) = *from.add(p * self.pitch + j);
                        }
                    }
                }
            }
            copy::<S>(source.add(self.axis.pad_begin.min(self.padded_len())), to, self.used());
            zero::<S>(to.add(self.used()), self.axis.input - self.used());
        }
    }
}

/// The windows over each element of the input: rows of outputs lie `pitch` apart and start behind `front` zeros.
#[derive(Clone, Debug)]
pub(super) struct Over {
    rows: Vec<usize>,
    starts: Vec<usize>,
    /// Per part of an input row, how far before an element the windows over it are.
    pub taps: Vec<Vec<usize>>,
    pub front: usize,
    pub pitch: usize,
}

impl Over {
    /// The output rows over an input row.
    pub(super) fn rows(&self, input: usize) -> &[usize] {
        &self.rows[self.starts[input]..self.starts[input + 1]]
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
