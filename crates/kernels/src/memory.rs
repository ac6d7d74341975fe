//! Copies through vectors.

use crate::simd::Simd16;

/// Number of `f32` of a cache line: pieces of scratch memory start on one.
pub(crate) const LINE: usize = 16;

/// `n` rounded up to whole vectors.
pub(crate) fn whole(n: usize) -> usize {
    n.next_multiple_of(16)
}

/// Hands out pieces of a scratch buffer, each starting on a cache line.
pub(crate) struct Pieces<'a>(&'a mut [f32]);

impl<'a> Pieces<'a> {
    /// From a buffer that has [`LINE`] elements more than its pieces, each rounded up to whole lines, together.
    pub(crate) fn new(scratch: &'a mut [f32]) -> Self {
        let skip = scratch.as_ptr().align_offset(LINE * 4).min(scratch.len());
        Pieces(&mut scratch[skip..])
    }
    /// The next piece.
    pub(crate) fn take(&mut self, len: usize) -> &'a mut [f32] {
        let all = std::mem::take(&mut self.0);
        let (piece, rest) = all.split_at_mut(whole(len));
        self.0 = rest;
        piece
    }
}

/// Copies `len` elements.
///
/// # Safety
/// Both ranges must be valid and must not overlap.
#[inline(always)]
pub(crate) unsafe fn copy<S: Simd16>(from: *const f32, to: *mut f32, len: usize) {
    let mut i = 0;
    // SAFETY: never beyond `len`; the rest is the caller's promise.
    unsafe {
        while i + 16 <= len {
            S::store(to.add(i), S::load(from.add(i)));
            i += 16;
        }
        if i < len {
            S::store_part(to.add(i), S::load_part(from.add(i), len - i), len - i);
        }
    }
}

/// Copies every `step`-th of the elements at `from`, `len` of them.
///
/// # Safety
/// The `(len - 1)·step + 1` elements at `from` and the `len` at `to` must be valid and must not overlap.
#[inline(always)]
pub(crate) unsafe fn copy_step<S: Simd16>(from: *const f32, step: usize, to: *mut f32, len: usize) {
    // SAFETY: never beyond what the caller promises.
    unsafe {
        if step == 1 {
            return copy::<S>(from, to, len);
        }
        let mut i = 0;
        if step == 2 {
            while i < len {
                let m = (len - i).min(16);
                let need = 2 * m - 1;
                let a = S::load_up_to(from.add(2 * i), need.min(16));
                let b = if need > 16 { S::load_part(from.add(2 * i + 16), need - 16) } else { S::zero() };
                S::store_up_to(to.add(i), S::even(a, b), m);
                i += m;
            }
        }
        while i < len {
            *to.add(i) = *from.add(i * step);
            i += 1;
        }
    }
}

/// Sets `len` elements to zero.
///
/// # Safety
/// The range must be valid.
#[inline(always)]
pub(crate) unsafe fn zero<S: Simd16>(to: *mut f32, len: usize) {
    let mut i = 0;
    // SAFETY: never beyond `len`; the rest is the caller's promise.
    unsafe {
        while i + 16 <= len {
            S::store(to.add(i), S::zero());
            i += 16;
        }
        if i < len {
            S::store_part(to.add(i), S::zero(), len - i);
        }
    }
}

/// Asks for a cache line that will be read soon. The address need not be valid.
#[inline(always)]
pub(crate) fn prefetch(p: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch of any address is harmless, and every such processor has it.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T1 }>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}
