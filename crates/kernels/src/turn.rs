//! Rows become columns, 16 × 16 elements at a time.

use crate::simd::Simd16;

/// Rows of memory: the first element, and the distance from one row to the next.
#[derive(Clone, Copy)]
pub(crate) struct Rows<P> {
    pub start: P,
    pub step: usize,
}

/// Sixteen calls, written out: of a loop over rows that lie side by side the compiler would make a copy to the stack by a
/// call of `memcpy`.
macro_rules! sixteen {
    ($f:expr) => {{
        let f = $f;
        [f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)]
    }};
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
    // SAFETY: the caller's promise.
    unsafe {
        if rows == 16 && columns == 16 && stored == 16 {
            let v = S::transpose(sixteen!(|r: usize| S::load(from.start.add(r * from.step))));
            let _ = sixteen!(|c: usize| S::store(to.start.add(c * to.step), v[c]));
        } else {
            let mut v = [S::zero(); 16];
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
