//! Copies between any two regular arrangements: permutations, repetitions, slices.

use crate::memory::copy;
use crate::shared::MOST_TASKS;
use crate::simd::{Kernel, Simd16};
use crate::split::{ELEMENTS, share, tasks};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::strides_of;

/// A dimension of the output: its extent, and the step in the input that belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Dim {
    len: usize,
    step: isize,
}

/// A prepared copy: element `[i, j, …]` of the row-major output is element `start + i·step₀ + j·step₁ + …` of the input.
#[derive(Clone, Debug)]
pub struct StridedKernel {
    start: isize,
    /// The outer dimensions of units of work.
    outer: Vec<Dim>,
    form: Form,
    /// Least lengths of the input and the output.
    lengths: (usize, usize),
    units: usize,
    isa: Isa,
    tasks: [usize; 1],
}

/// What a unit of work is.
#[derive(Clone, Copy, Debug)]
enum Form {
    /// A piece of a row whose elements lie side by side in the input too, are all the same, or have any step.
    Row { len: usize, step: isize, piece: usize },
    /// Sixteen rows that lie side by side in the input, as columns `step` apart, and `pitch` apart in the output.
    Columns { rows: usize, pitch: usize, len: usize, step: isize, at: usize },
}

/// Most dimensions that are left when neighbours are taken as one.
const MOST: usize = 8;

impl StridedKernel {
    /// Prepares a transposition: dimension `d` of y is dimension `perm[d]` of x, which has shape `shape`.
    ///
    /// # Errors
    /// The reason, if there are too many dimensions.
    pub fn transpose(shape: &[usize], perm: &[usize], isa: Isa) -> Result<Self, String> {
        let own = strides_of(shape);
        let dims = perm.iter().map(|&p| Dim { len: shape[p], step: own[p] as isize }).collect();
        Self::new(0, dims, shape.iter().product(), isa)
    }
    /// Prepares a repetition from shape `from` to shape `to` by NumPy's rule.
    ///
    /// # Errors
    /// The reason, if there are too many dimensions.
    pub fn broadcast(from: &[usize], to: &[usize], isa: Isa) -> Result<Self, String> {
        let (own, lead) = (strides_of(from), to.len() - from.len());
        let step = |i: usize| if i < lead || from[i - lead] == 1 { 0 } else { own[i - lead] as isize };
        let dims = to.iter().enumerate().map(|(i, &len)| Dim { len, step: step(i) }).collect();
        Self::new(0, dims, from.iter().product(), isa)
    }
    /// Prepares a slice, as [`reference::slice`](crate::reference::slice) defines it.
    ///
    /// # Errors
    /// The reason, if there are too many dimensions or an index lies outside x.
    pub fn slice(
        shape: &[usize],
        starts: &[usize],
        steps: &[isize],
        y_shape: &[usize],
        isa: Isa,
    ) -> Result<Self, String> {
        let own = strides_of(shape);
        let start: usize = starts.iter().zip(&own).map(|(a, s)| a * s).sum();
        let dims = (0..shape.len()).map(|d| Dim { len: y_shape[d], step: steps[d] * own[d] as isize }).collect();
        Self::new(start as isize, dims, shape.iter().product(), isa)
    }

    fn new(start: isize, dims: Vec<Dim>, x_len: usize, isa: Isa) -> Result<Self, String> {
        let y_len = dims.iter().map(|d| d.len).product();
        if y_len > 0 {
            let reach =
                |sign: isize| -> isize { dims.iter().map(|d| (d.len as isize - 1) * (d.step * sign).max(0)).sum() };
            let (least, most) = (start - reach(-1), start + reach(1));
            if least < 0 || most >= x_len as isize {
                return Err(format!("elements {least} to {most} of {x_len}"));
            }
        }
        let mut outer: Vec<Dim> = Vec::new();
        for d in dims.into_iter().filter(|d| d.len != 1) {
            match outer.last_mut() {
                Some(last) if last.step == d.step * d.len as isize => *last = Dim { len: last.len * d.len, ..d },
                _ => outer.push(d),
            }
        }
        if outer.len() > MOST {
            return Err(format!("{} dimensions, at most {MOST}", outer.len()));
        }
        let last = outer.pop().unwrap_or(Dim { len: 1, step: 1 });
        let beside = outer.iter().position(|d| d.step == 1);
        let (form, pieces) = match beside {
            Some(at) if last.step != 0 && last.step != 1 => {
                let pitch = outer[at + 1..].iter().map(|d| d.len).product::<usize>() * last.len;
                let rows = outer[at].len;
                outer[at] = Dim { len: rows.div_ceil(16), step: 16 };
                (Form::Columns { rows, pitch, len: last.len, step: last.step, at }, 1)
            }
            _ => {
                let rows: usize = outer.iter().map(|d| d.len).product();
                let piece = if rows >= MOST_TASKS { last.len } else { last.len.min(ELEMENTS) };
                (Form::Row { len: last.len, step: last.step, piece }, last.len.div_ceil(piece.max(1)))
            }
        };
        let units = outer.iter().map(|d| d.len).product::<usize>() * pieces;
        let tasks = [if y_len == 0 { 0 } else { tasks(y_len, units) }];
        Ok(StridedKernel { start, outer, form, lengths: (x_len, y_len), units, isa, tasks })
    }

    /// Runs one task: reads `x`, writes its part of `y`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch `y` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], y: SharedMut<'_, f32>) {
        assert!(x.len() >= self.lengths.0 && y.len() >= self.lengths.1);
        // SAFETY: lengths are checked; tasks write disjoint elements; the rest is the caller's promise.
        unsafe { self.isa.call(Run { kernel: self, task, x: x.as_ptr(), y: y.as_ptr() }) }
    }
}

impl Work for StridedKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

struct Run<'a> {
    kernel: &'a StridedKernel,
    task: usize,
    x: *const f32,
    y: *mut f32,
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let k = self.kernel;
        let units = share(self.task, k.tasks[0], k.units);
        // SAFETY: `new` checked that all steps stay inside the input; units are parts of the output.
        unsafe {
            match k.form {
                Form::Row { len, step, piece } => {
                    let pieces = len.div_ceil(piece);
                    let mut walk = Walk::new(&k.outer, units.start / pieces);
                    for unit in units {
                        let (row, from) = (unit / pieces, unit % pieces * piece);
                        let count = piece.min(len - from);
                        let x = self.x.offset(k.start + walk.offset + from as isize * step);
                        row_of::<S>(x, step, self.y.add(row * len + from), count);
                        if from + count == len {
                            walk.next(&k.outer);
                        }
                    }
                }
                Form::Columns { rows, pitch, len, step, at } => {
                    let mut walk = Walk::new(&k.outer, units.start);
                    for _ in units {
                        let first = walk.at[at] * 16;
                        let mut to = 0;
                        for (d, dim) in k.outer.iter().enumerate() {
                            to = to * if d == at { rows } else { dim.len } + if d == at { first } else { walk.at[d] };
                        }
                        let (x, y) = (self.x.offset(k.start + walk.offset), self.y.add(to * len));
                        columns::<S>(x, step, y, pitch, (rows - first).min(16), len);
                        walk.next(&k.outer);
                    }
                }
            }
        }
    }
}

/// A place in the outer dimensions.
struct Walk {
    at: [usize; MOST],
    offset: isize,
}

impl Walk {
    #[inline(always)]
    fn new(dims: &[Dim], mut unit: usize) -> Self {
        let mut walk = Walk { at: [0; MOST], offset: 0 };
        for (d, dim) in dims.iter().enumerate().rev() {
            walk.at[d] = unit % dim.len;
            walk.offset += walk.at[d] as isize * dim.step;
            unit /= dim.len;
        }
        walk
    }
    #[inline(always)]
    fn next(&mut self, dims: &[Dim]) {
        for (d, dim) in dims.iter().enumerate().rev() {
            self.at[d] += 1;
            self.offset += dim.step;
            if self.at[d] < dim.len {
                return;
            }
            self.offset -= self.at[d] as isize * dim.step;
            self.at[d] = 0;
        }
    }
}

/// A row of the output.
#[inline(always)]
unsafe fn row_of<S: Simd16>(x: *const f32, step: isize, y: *mut f32, len: usize) {
    // SAFETY: the caller promises both rows.
    unsafe {
        match step {
            1 => copy::<S>(x, y, len),
            0 => {
                let v = S::splat(*x);
                let mut i = 0;
                while i + 16 <= len {
                    S::store(y.add(i), v);
                    i += 16;
                }
                if i < len {
                    S::store_part(y.add(i), v, len - i);
                }
            }
            _ => {
                for i in 0..len {
                    *y.add(i) = *x.offset(i as isize * step);
                }
            }
        }
    }
}

/// `rows ≤ 16` rows of the output from columns of the input.
#[inline(always)]
unsafe fn columns<S: Simd16>(x: *const f32, step: isize, y: *mut f32, pitch: usize, rows: usize, len: usize) {
    // SAFETY: the caller promises rows and columns.
    unsafe {
        let mut i = 0;
        while i < len {
            let m = (len - i).min(16);
            let mut v = [S::zero(); 16];
            for j in 0..m {
                v[j] = S::load_up_to(x.offset((i + j) as isize * step), rows);
            }
            let v = S::transpose(v);
            for r in 0..rows {
                S::store_up_to(y.add(r * pitch + i), v[r], m);
            }
            i += m;
        }
    }
}
