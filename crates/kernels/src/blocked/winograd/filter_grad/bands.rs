//! Transforms of a run of tiles of one block of channels: from planes to points.

use super::super::transform::{Line, MOST, Tile};
use super::product::prefetch;
use crate::simd::Simd16;

/// Most tiles of a run, so that its half transformed rows stay in the first-level cache.
pub(super) const RUN: usize = 16;

/// Floats of memory that a transform needs.
pub(super) const BAND: usize = MOST * (RUN * 4 + 4) * 16;

/// Blocks of a plane as a factor of the products: the matrix that is applied from both sides.
///
/// # Safety
/// The processor must have the instruction set.
#[allow(clippy::missing_safety_doc)]
pub(super) trait Side<T: Tile> {
    /// Rows and columns of a tile.
    const EXTENT: usize;
    /// From as many numbers to points.
    unsafe fn apply<S: Simd16>(d: &Line<S>) -> Line<S>;
}

/// The inputs: tiles overlap.
pub(super) struct Input;

impl<T: Tile> Side<T> for Input {
    const EXTENT: usize = T::A;
    #[inline(always)]
    unsafe fn apply<S: Simd16>(d: &Line<S>) -> Line<S> {
        // SAFETY: the caller's promise.
        unsafe { T::input::<S>(d) }
    }
}

/// The gradients of outputs.
pub(super) struct Output;

impl<T: Tile> Side<T> for Output {
    const EXTENT: usize = T::M;
    #[inline(always)]
    unsafe fn apply<S: Simd16>(d: &Line<S>) -> Line<S> {
        // SAFETY: the caller's promise.
        unsafe { T::spread::<S>(d) }
    }
}

/// A plane of vectors.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    pub start: *const f32,
    pub height: usize,
    pub width: usize,
}

/// Where points go: point `i` of tile `t` to `start + i·step + 16·t`.
#[derive(Clone, Copy)]
pub(super) struct Points {
    pub start: *mut f32,
    pub step: usize,
}

/// Points of `tiles` tiles that lie side by side, the first of which begins at row `y`, column `x` (perhaps in the
/// padding). Beyond the plane all is zero.
///
/// # Safety
/// The plane and the places of the points must be valid, `band` must hold [`BAND`] floats.
#[inline(always)]
pub(super) unsafe fn transform<S: Simd16, T: Tile, D: Side<T>>(
    plane: Plane,
    [y, x]: [isize; 2],
    tiles: usize,
    band: *mut f32,
    to: Points,
) {
    let columns = (tiles - 1) * T::M + D::EXTENT;
    let zeros = [0f32; 16];
    // Rows beyond the plane are read from one vector of zeros again and again.
    let mut from = [(zeros.as_ptr(), 0); MOST];
    for r in 0..D::EXTENT {
        let row = y + r as isize;
        if row >= 0 && (row as usize) < plane.height {
            from[r] = (plane.start.wrapping_add(row as usize * plane.width * 16), 16);
        }
    }
    // SAFETY: only columns inside the plane are read; the rest is the caller's promise.
    unsafe {
        for c in 0..columns {
            let column = x + c as isize;
            let mut d = [S::zero(); MOST];
            if column >= 0 && (column as usize) < plane.width {
                for r in 0..D::EXTENT {
                    d[r] = S::load(from[r].0.add(from[r].1 * column as usize));
                }
                d = D::apply::<S>(&d);
            }
            for i in 0..T::A {
                S::store(band.add((i * columns + c) * 16), d[i]);
            }
        }
        for i in 0..T::A {
            for t in 0..tiles {
                let mut d = [S::zero(); MOST];
                for j in 0..D::EXTENT {
                    d[j] = S::load(band.add((i * columns + t * T::M + j) * 16));
                }
                let p = D::apply::<S>(&d);
                for j in 0..T::A {
                    let to = to.start.add((i * T::A + j) * to.step + t * 16);
                    // The next run's points lie behind this one's; so many streams no processor foresees.
                    prefetch(to.wrapping_add(tiles * 16));
                    S::store(to, p[j]);
                }
            }
        }
    }
}
