//! Algorithms for tiles of a plane.

use super::square;
use super::transform::{F4, Line, MOST, Tile, line};
use super::transform5::Finite;
use crate::blocked::layout::LANES;
use crate::simd::Simd16;
use std::marker::PhantomData;

/// An algorithm for tiles of two dimensions.
///
/// # Safety
/// Every function demands that the processor has the instruction set, and that all vectors are valid.
#[allow(clippy::missing_safety_doc)]
pub(super) trait Tiling: Copy + 'static {
    /// Rows and columns of outputs.
    const OUTPUTS: [usize; 2];
    /// Rows and columns of the inputs of a channel.
    const INPUTS: [usize; 2];
    /// Rows and columns of the taps of a channel.
    const TAPS: [usize; 2];
    /// From an output to the next, in inputs.
    const STRIDE: usize;

    /// The points of the inputs at `from`, whose rows are `row` floats apart; point i goes to `to + i·step`.
    unsafe fn input<S: Simd16>(from: *const f32, row: usize, to: *mut f32, step: usize);
    /// The outputs of the points at `from + i·step`, row by row.
    unsafe fn output<S: Simd16>(from: *const f32, step: usize) -> [Line<S>; MOST];
    /// The points of the taps in `g`; point i goes to `to + i·step`.
    unsafe fn filter<S: Simd16>(g: &[Line<S>; MOST], to: *mut f32, step: usize);
}

/// F(m × m, r × r): the same in both dimensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Square<T>(PhantomData<T>);

impl<T: Tile> Tiling for Square<T> {
    const OUTPUTS: [usize; 2] = [T::M; 2];
    const INPUTS: [usize; 2] = [T::A; 2];
    const TAPS: [usize; 2] = [T::R; 2];
    const STRIDE: usize = 1;

    #[inline(always)]
    unsafe fn input<S: Simd16>(from: *const f32, row: usize, to: *mut f32, step: usize) {
        // SAFETY: the caller's promise, here and in all that follow.
        unsafe { square::input::<S, T>(from, row, to, step) }
    }
    #[inline(always)]
    unsafe fn output<S: Simd16>(from: *const f32, step: usize) -> [Line<S>; MOST] {
        // SAFETY: as above.
        unsafe { square::output::<S, T>(from, step) }
    }
    #[inline(always)]
    unsafe fn filter<S: Simd16>(g: &[Line<S>; MOST], to: *mut f32, step: usize) {
        // SAFETY: as above.
        unsafe { square::filter::<S, T>(g, to, step) }
    }
}

/// Windows of 3 × 3 with a stride of 2, one row of taps after the other, which is a channel of its own to be summed over.
///
/// Along a row the outer taps meet even columns and the middle one odd columns, so that four outputs need 5 products by
/// F(4, 2) instead of 8, and 4 with the same middle tap: 9 instead of 12. Rows stay as they are: the transforms of four
/// times as many channels would cost what more of them save.
#[derive(Clone, Copy, Debug)]
pub(super) struct Strided;

impl Strided {
    /// Rows of taps.
    pub const ROWS: usize = 3;
    /// Points of a tile: those of even columns first.
    pub const POINTS: usize = 9;
    /// Points of a filter: the odd columns share one.
    pub const FILTER_POINTS: usize = 6;
}

/// F(4, 2) at the points 0, ±1/√2, ±√2.
type Outer = Finite<F4>;

impl Tiling for Strided {
    const OUTPUTS: [usize; 2] = [1, 4];
    const INPUTS: [usize; 2] = [1, 9];
    const TAPS: [usize; 2] = [1, 3];
    const STRIDE: usize = 2;

    #[inline(always)]
    unsafe fn input<S: Simd16>(from: *const f32, _row: usize, to: *mut f32, step: usize) {
        // SAFETY: as above.
        unsafe {
            let at = |i: usize| S::load(from.add(i * LANES));
            let even = Outer::input::<S>(&line::<S, 5>([at(0), at(2), at(4), at(6), at(8)]));
            for (i, &v) in even.iter().enumerate().take(5) {
                S::store(to.add(i * step), v);
            }
            for i in 0..4 {
                S::store(to.add((5 + i) * step), at(2 * i + 1));
            }
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd16>(from: *const f32, step: usize) -> [Line<S>; MOST] {
        // SAFETY: as above.
        unsafe {
            let at = |i: usize| S::load(from.add(i * step));
            let even = Outer::output::<S>(&line::<S, 5>([at(0), at(1), at(2), at(3), at(4)]));
            let mut lines = [[S::zero(); MOST]; MOST];
            for i in 0..4 {
                lines[0][i] = S::add(even[i], at(5 + i));
            }
            lines
        }
    }
    #[inline(always)]
    unsafe fn filter<S: Simd16>(g: &[Line<S>; MOST], to: *mut f32, step: usize) {
        // SAFETY: as above.
        unsafe {
            let outer = Outer::filter::<S>(&line::<S, 2>([g[0][0], g[0][2]]));
            for (i, &v) in outer.iter().enumerate().take(5) {
                S::store(to.add(i * step), v);
            }
            S::store(to.add(5 * step), g[0][1]);
        }
    }
}
