//! The transforms of whole tiles: each matrix along columns, then along rows, without leaving the registers.

use super::transform::{Line, MOST, Tile};
use crate::blocked::layout::LANES;
use crate::simd::Simd16;

/// `Bᵀ d B` of the A x A vectors at `from`, whose rows are `row` floats apart; point i of the result goes to
/// `to + i·step`.
///
/// # Safety
/// The processor must have the set, and all of these vectors be valid.
#[inline(always)]
pub(super) unsafe fn input<S: Simd16, T: Tile>(from: *const f32, row: usize, to: *mut f32, step: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        input_rows::<S, T, 0>(from, row, to, step);
        input_rows::<S, T, 1>(from, row, to, step);
        if T::A > 4 {
            input_rows::<S, T, 2>(from, row, to, step);
        }
        if T::A > 6 {
            input_rows::<S, T, 3>(from, row, to, step);
        }
    }
}

/// Two rows of points: those of zero and infinity (if there is one), or those of a pair ±p, which have most operations in
/// common. All of a tile would not fit the registers.
#[inline(always)]
unsafe fn input_rows<S: Simd16, T: Tile, const PAIR: usize>(from: *const f32, row: usize, to: *mut f32, step: usize) {
    let (a, b) = if PAIR == 0 { (0, (T::A - 1) % 2 * (T::A - 1)) } else { (2 * PAIR - 1, 2 * PAIR) };
    // SAFETY: the caller's promise.
    unsafe {
        let (mut first, mut second) = ([S::zero(); MOST], [S::zero(); MOST]);
        for c in 0..T::A {
            let mut d = [S::zero(); MOST];
            for r in 0..T::A {
                d[r] = S::load(from.add(r * row + c * LANES));
            }
            let p = T::input::<S>(&d);
            (first[c], second[c]) = (p[a], p[b]);
        }
        put::<S, T>(&T::input::<S>(&first), to.add(a * T::A * step), step);
        if b != a {
            put::<S, T>(&T::input::<S>(&second), to.add(b * T::A * step), step);
        }
    }
}

/// Stores the points of a row.
#[inline(always)]
unsafe fn put<S: Simd16, T: Tile>(points: &Line<S>, to: *mut f32, step: usize) {
    for (i, &p) in points.iter().enumerate().take(T::A) {
        // SAFETY: the caller's promise.
        unsafe { S::store(to.add(i * step), p) };
    }
}

/// `Aᵀ p A` of the points at `from + i·step`: rows of outputs.
///
/// # Safety
/// As [`input`].
#[inline(always)]
pub(super) unsafe fn output<S: Simd16, T: Tile>(from: *const f32, step: usize) -> [Line<S>; MOST] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut lines = [[S::zero(); MOST]; MOST];
        if T::M * T::A <= 24 {
            output_rows::<S, T>(from, step, &mut lines, [true; 2]);
        } else {
            // Half of the rows at a time, because all would not fit the registers.
            output_rows::<S, T>(from, step, &mut lines, [true, false]);
            output_rows::<S, T>(from, step, &mut lines, [false, true]);
        }
        lines
    }
}

/// The even rows, the odd rows, or both.
#[inline(always)]
unsafe fn output_rows<S: Simd16, T: Tile>(from: *const f32, step: usize, to: &mut [Line<S>; MOST], wanted: [bool; 2]) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut lines = [[S::zero(); MOST]; MOST];
        for c in 0..T::A {
            let mut p = [S::zero(); MOST];
            for r in 0..T::A {
                p[r] = S::load(from.add((r * T::A + c) * step));
            }
            let y = T::output::<S>(&p);
            for r in 0..T::M {
                lines[r][c] = y[r];
            }
        }
        for r in 0..T::M {
            if wanted[r % 2] {
                to[r] = T::output::<S>(&lines[r]);
            }
        }
    }
}

/// `G g Gᵀ` of the R x R taps in `g`; point i of the result goes to `to + i·step`.
///
/// # Safety
/// As [`input`].
#[inline(always)]
pub(super) unsafe fn filter<S: Simd16, T: Tile>(g: &[Line<S>; MOST], to: *mut f32, step: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut lines = [[S::zero(); MOST]; MOST];
        for c in 0..T::R {
            let mut taps = [S::zero(); MOST];
            for r in 0..T::R {
                taps[r] = g[r][c];
            }
            let p = T::filter::<S>(&taps);
            for r in 0..T::A {
                lines[r][c] = p[r];
            }
        }
        for (r, line) in lines.iter().enumerate().take(T::A) {
            put::<S, T>(&T::filter::<S>(line), to.add(r * T::A * step), step);
        }
    }
}
