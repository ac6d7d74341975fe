//! What is done to a vector of 16 output channels before it is stored.

use super::layout::LANES;
use crate::simd::Simd16;

/// Follow-up work of a convolution on blocked tensors, done while the result is in registers: bias, then the other
/// summand, then the rectifier.
#[derive(Clone, Copy, Debug)]
pub struct BlockedEpilogue<'a> {
    /// One number per output channel.
    pub bias: Option<&'a [f32]>,
    /// A blocked tensor of the result's extents (the shortcut of a residual block).
    pub add: Option<&'a [f32]>,
    /// Whether the result passes through `min(max(v, 0), limit)` (NaN stays NaN).
    pub relu: bool,
    /// The rectifier's largest result; infinite if there is none.
    pub limit: f32,
}

impl Default for BlockedEpilogue<'_> {
    /// Nothing is done.
    fn default() -> Self {
        BlockedEpilogue { bias: None, add: None, relu: false, limit: f32::INFINITY }
    }
}

impl BlockedEpilogue<'_> {
    /// The bias of a block of channels, zero in lanes that have none.
    #[inline(always)]
    pub(crate) unsafe fn bias_of<S: Simd16>(&self, block: usize) -> S::V {
        // SAFETY: only elements of the slice are read; the caller promises the instruction set.
        unsafe {
            match self.bias {
                Some(b) if block * LANES < b.len() => {
                    let rest = &b[block * LANES..];
                    S::load_up_to(rest.as_ptr(), rest.len().min(LANES))
                }
                _ => S::zero(),
            }
        }
    }
    /// A finished sum whose place in the blocked result is `at` (in floats, checked by the caller against the result's
    /// length, which the other summand has too): bias, other summand, rectifier.
    #[inline(always)]
    pub(crate) unsafe fn finish<S: Simd16>(&self, sum: S::V, bias: S::V, at: usize) -> S::V {
        // SAFETY: the caller's promises.
        unsafe {
            let mut v = S::add(sum, bias);
            if let Some(add) = self.add {
                v = S::add(v, S::load(add.as_ptr().add(at)));
            }
            // `max` and `min` give their second argument where one is NaN, so a NaN stays.
            if self.relu { S::min(S::splat(self.limit), S::max(S::zero(), v)) } else { v }
        }
    }
}
