//! What is done to a result before it leaves the registers' neighbourhood.

use crate::simd::Simd16;

/// Follow-up work of a product or convolution, done while the result is still in the cache.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epilogue<'a> {
    /// Added to the result: one number per output channel of a convolution, one per column of a matrix product.
    pub bias: Option<&'a [f32]>,
    /// Whether the result passes through `max(v, 0)` (NaN stays NaN).
    pub relu: bool,
}

impl Epilogue<'_> {
    /// The rectifier, if wanted.
    #[inline(always)]
    pub(crate) unsafe fn activate<S: Simd16>(&self, v: S::V) -> S::V {
        // `max` gives its second argument where one is NaN, so a NaN stays.
        // SAFETY: the caller promises that the processor has the set.
        unsafe { if self.relu { S::max(S::zero(), v) } else { v } }
    }
    /// Moves a row of `len` results of one channel to its place.
    #[inline(always)]
    pub(crate) unsafe fn row<S: Simd16>(&self, from: *const f32, to: *mut f32, len: usize, bias: Option<f32>) {
        let mut i = 0;
        while i < len {
            let m = (len - i).min(16);
            // SAFETY: the caller promises both rows.
            unsafe {
                let mut v = S::load_up_to(from.add(i), m);
                if let Some(b) = bias {
                    v = S::add(v, S::splat(b));
                }
                S::store_up_to(to.add(i), self.activate::<S>(v), m);
            }
            i += m;
        }
    }
    /// Applies itself to `len` columns, starting at column `at`, of a row of a matrix product.
    #[inline(always)]
    pub(crate) unsafe fn columns<S: Simd16>(&self, c: *mut f32, at: usize, len: usize) {
        if self.bias.is_none() && !self.relu {
            return;
        }
        let mut i = 0;
        while i < len {
            let m = (len - i).min(16);
            // SAFETY: the caller promises that the row is valid; the slice of the bias is checked.
            unsafe {
                let mut v = S::load_up_to(c.add(i), m);
                if let Some(bias) = self.bias {
                    v = S::add(v, S::load_up_to(bias[at + i..at + i + m].as_ptr(), m));
                }
                S::store_up_to(c.add(i), self.activate::<S>(v), m);
            }
            i += m;
        }
    }
}
