//! What is done to a result before it leaves the registers' neighbourhood.

use crate::simd::Simd16;

/// Follow-up work of a product or convolution, done while the result is still in the cache: bias, then the other summand,
/// then the rectifier.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a> {
    /// Added to the result: one number per output channel of a convolution, one per column of a matrix product.
    pub bias: Option<&'a [f32]>,
    /// Added to the result: a tensor of its extents, the shortcut of a residual block.
    pub add: Option<&'a [f32]>,
    /// Whether the result passes through `min(max(v, 0), limit)` (NaN stays NaN).
    pub relu: bool,
    /// The rectifier's largest result; infinite if there is none.
    pub limit: f32,
}

impl Default for Epilogue<'_> {
    /// Nothing is done.
    fn default() -> Self {
        Epilogue { bias: None, add: None, relu: false, limit: f32::INFINITY }
    }
}

impl Epilogue<'_> {
    /// The rectifier, if wanted.
    #[inline(always)]
    unsafe fn activate<S: Simd16>(&self, v: S::V) -> S::V {
        // `max` and `min` give their second argument where one is NaN, so a NaN stays.
        // SAFETY: the caller promises that the processor has the set.
        unsafe { if self.relu { S::min(S::splat(self.limit), S::max(S::zero(), v)) } else { v } }
    }
    /// Finishes a row of `len` results of one channel and moves it to its places, `step` apart from `to[at]` on.
    ///
    /// # Safety
    /// Both rows must be valid, those in the other summand too.
    #[inline(always)]
    pub(crate) unsafe fn row<S: Simd16>(
        &self,
        from: *const f32,
        to: *mut f32,
        (at, step): (usize, usize),
        len: usize,
        bias: Option<f32>,
    ) {
        let mut i = 0;
        while i < len {
            let m = (len - i).min(16);
            // SAFETY: the caller promises all rows.
            unsafe {
                let mut v = S::load_up_to(from.add(i), m);
                if let Some(b) = bias {
                    v = S::add(v, S::splat(b));
                }
                if let Some(add) = self.add {
                    let add = add.as_ptr().add(at + i * step);
                    v = S::add(v, if step == 1 { S::load_up_to(add, m) } else { strided::<S>(add, step, m) });
                }
                let v = self.activate::<S>(v);
                if step == 1 {
                    S::store_up_to(to.add(at + i), v, m);
                } else {
                    for (j, &v) in S::lanes(v)[..m].iter().enumerate() {
                        *to.add(at + (i + j) * step) = v;
                    }
                }
            }
            i += m;
        }
    }
    /// Applies itself to `len` elements from `c[at]` on, which are columns `column…` of a row of a matrix product.
    ///
    /// # Safety
    /// The elements must be valid, those of the other summand too.
    #[inline(always)]
    pub(crate) unsafe fn columns<S: Simd16>(&self, c: *mut f32, at: usize, column: usize, len: usize) {
        if self.bias.is_none() && self.add.is_none() && !self.relu {
            return;
        }
        let mut i = 0;
        while i < len {
            let m = (len - i).min(16);
            // SAFETY: the caller promises that the row is valid; the slice of the bias is checked.
            unsafe {
                let c = c.add(at + i);
                let mut v = S::load_up_to(c, m);
                if let Some(bias) = self.bias {
                    v = S::add(v, S::load_up_to(bias[column + i..column + i + m].as_ptr(), m));
                }
                if let Some(add) = self.add {
                    v = S::add(v, S::load_up_to(add.as_ptr().add(at + i), m));
                }
                S::store_up_to(c, self.activate::<S>(v), m);
            }
            i += m;
        }
    }
}

/// `m ≤ 16` elements, `step` apart.
#[inline(always)]
unsafe fn strided<S: Simd16>(from: *const f32, step: usize, m: usize) -> S::V {
    let mut lanes = [0.0; 16];
    // SAFETY: the caller promises the elements; the array has 16.
    unsafe {
        for (i, lane) in lanes.iter_mut().enumerate().take(m) {
            *lane = *from.add(i * step);
        }
        S::load(lanes.as_ptr())
    }
}
