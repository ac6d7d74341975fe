//! Joining all vectors under a window: maxima and sums.

use super::strips;
use crate::SharedMut;
use crate::blocked::layout::LANES;
use crate::blocked::slide::{Phase, RUN, Slide, Vector, pixel};
use crate::simd::{Kernel, Simd16};
use std::marker::PhantomData;

/// How vectors are joined.
pub(super) trait Fold {
    /// What no vector at all gives.
    fn empty() -> &'static Vector;
    /// A vector of the source; `scale` belongs to its pixel.
    #[inline(always)]
    unsafe fn enter<S: Simd16>(v: S::V, _scale: *const f32) -> S::V {
        v
    }
    /// A result and one more vector.
    unsafe fn join<S: Simd16>(a: S::V, b: S::V) -> S::V;
    /// What is stored; `scale` belongs to the target's pixel.
    #[inline(always)]
    unsafe fn leave<S: Simd16>(v: S::V, _scale: *const f32) -> S::V {
        v
    }
}

/// A task: targets are what [`Slide`] says of sources.
pub(super) struct Run<'a, F> {
    pub slide: &'a Slide,
    /// Images times blocks of channels.
    pub planes: usize,
    pub task: usize,
    pub tasks: usize,
    pub from: &'a [f32],
    pub to: SharedMut<'a, f32>,
    /// A number for each window, if the fold wants it.
    pub scales: &'a [f32],
    pub fold: PhantomData<F>,
}

/// What the tiles of a row share.
struct Row<'a, F> {
    slide: &'a Slide,
    t: usize,
    source: *const f32,
    to: *mut f32,
    scales: *const f32,
    fold: PhantomData<F>,
}

impl<F: Fold> Kernel for Run<'_, F> {
    type Out = ();
    /// The slices have whole planes; scales, if the fold reads them, a whole plane of windows.
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let slide = self.slide;
        for (plane, rows) in strips(self.task, self.tasks, self.planes, slide.targets.rows) {
            for t in rows {
                // SAFETY: rows and planes lie inside the slices; this task owns row `t` of the plane.
                unsafe {
                    let row = Row::<F> {
                        slide,
                        t,
                        source: self.from.as_ptr().add(plane * slide.sources.len() * LANES),
                        to: self.to.as_ptr().add(plane * slide.targets.len() * LANES),
                        scales: self.scales.as_ptr(),
                        fold: PhantomData,
                    };
                    for phase in &slide.phases {
                        let most = match phase.stride {
                            1 if S::WIDE => 8,
                            _ if S::WIDE => 4,
                            _ => 2,
                        };
                        let mut t = 0;
                        while t < phase.count {
                            let (n, _) = phase.tile(t, most);
                            match (n, phase.stride) {
                                (8, 1) if S::WIDE => row.tile::<S, 8, 1>(phase, t),
                                (7, 1) if S::WIDE => row.tile::<S, 7, 1>(phase, t),
                                (4, 1) if S::WIDE => row.tile::<S, 4, 1>(phase, t),
                                (4, 2) if S::WIDE => row.tile::<S, 4, 2>(phase, t),
                                (2, 1) if !S::WIDE => row.tile::<S, 2, 1>(phase, t),
                                (2, 2) if !S::WIDE => row.tile::<S, 2, 2>(phase, t),
                                _ => {
                                    for t in t..t + n {
                                        row.tile::<S, 1, 1>(phase, t);
                                    }
                                }
                            }
                            t += n;
                        }
                    }
                }
            }
        }
    }
}

impl<F: Fold> Row<'_, F> {
    /// `P` targets of a phase whose sources lie `STEP` apart.
    #[inline(always)]
    unsafe fn tile<S: Simd16, const P: usize, const STEP: usize>(&self, phase: &Phase, t: usize) {
        // SAFETY: the contract of `Run`.
        unsafe {
            let mut out = [S::load(F::empty().0.as_ptr()); P];
            for (i, run) in phase.runs.iter().enumerate() {
                let column = (t * phase.stride) as isize + run.offset;
                let v = match run.taps {
                    1 => self.taps::<S, P, STEP, 1>(column),
                    2 => self.taps::<S, P, STEP, 2>(column),
                    3 => self.taps::<S, P, STEP, 3>(column),
                    _ => self.taps::<S, P, STEP, RUN>(column),
                };
                for p in 0..P {
                    out[p] = if i == 0 { v[p] } else { F::join::<S>(out[p], v[p]) };
                }
            }
            for (p, &v) in out.iter().enumerate() {
                let at = self.t * self.slide.targets.columns + phase.first + (t + p) * phase.step;
                S::store(self.to.add(at * LANES), F::leave::<S>(v, self.scales.wrapping_add(at)));
            }
        }
    }
    /// The join of `K` neighbouring columns of all rows, for each of `P` targets.
    #[inline(always)]
    unsafe fn taps<S: Simd16, const P: usize, const STEP: usize, const K: usize>(&self, column: isize) -> [S::V; P] {
        let columns = self.slide.sources.columns;
        // SAFETY: as `tile`; only sources inside their row are read.
        unsafe {
            let mut joined = [S::zero(); 12];
            let meets = self.slide.meets(self.t);
            let first = meets.first().map_or(Place { row: 0, columns: 0 }, |m| Place { row: m.row, columns });
            for (j, joined) in joined.iter_mut().enumerate().take((P - 1) * STEP + K) {
                *joined = self.vector::<S>(&first, column + j as isize);
            }
            for meet in meets.iter().skip(1) {
                let place = Place { row: meet.row, columns };
                for (j, joined) in joined.iter_mut().enumerate().take((P - 1) * STEP + K) {
                    *joined = F::join::<S>(*joined, self.vector::<S>(&place, column + j as isize));
                }
            }
            let mut out = [S::zero(); P];
            for (p, out) in out.iter_mut().enumerate() {
                *out = joined[p * STEP];
                for k in 1..K {
                    *out = F::join::<S>(*out, joined[p * STEP + k]);
                }
            }
            out
        }
    }
    /// The vector of a source, as it enters; beside its row the one that is empty.
    #[inline(always)]
    unsafe fn vector<S: Simd16>(&self, place: &Place, column: isize) -> S::V {
        let row = place.row * self.slide.sources.columns;
        let scale = if (column as usize) < place.columns { row + column as usize } else { 0 };
        // SAFETY: the row is one of the plane; only pixels inside it are read.
        unsafe {
            let from = pixel(self.source.add(row * LANES), column, place.columns, F::empty());
            F::enter::<S>(S::load(from), self.scales.wrapping_add(scale))
        }
    }
}

/// A row of sources and how many of its columns there are.
struct Place {
    row: usize,
    columns: usize,
}
