//! Rows become columns, 16 × 16 elements at a time.

use crate::simd::Simd16;

/// Rows of memory: the first element, and the distance from one row to the next.
#[derive(Clone, Copy)]
pub(crate) struct Rows<P> {
    pub start: P,
    pub step: usize,
}

/// `rows × columns` elements (16 of each at most) become `columns × rows`; of each new row `stored` elements are written,
/// zeros behind those that are there.
///
/// # Safety
/// The elements of both sides must be valid and must not overlap.
#[inline(always)]
pub(crate) unsafe fn turn<S: Simd16>(
    from: Rows<*const f32>,
    (rows, columns): (usize, usize),
    to: Rows<*mut f32>,
    stored: usize,
) {
    // Whole squares have code of their own, with numbers that the compiler knows: rows side by side in memory would
    // otherwise be copied to the stack by a call.
    // SAFETY: the caller's promise.
    unsafe {
        let mut v = [S::zero(); 16];
        if rows == 16 && columns == 16 && stored == 16 {
            for r in 0..16 {
                v[r] = S::load(from.start.add(r * from.step));
            }
            let v = S::transpose(v);
            for c in 0..16 {
                S::store(to.start.add(c * to.step), v[c]);
            }
        } else {
            for r in 0..rows {
                v[r] = S::load_up_to(from.start.add(r * from.step), columns);
            }
            let v = S::transpose(v);
            for c in 0..columns {
                S::store_up_to(to.start.add(c * to.step), v[c], stored);
            }
        }
    }
}
