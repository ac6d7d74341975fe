//! A single window over the whole plane.

use crate::blocked::layout::LANES;
use crate::simd::{Kernel, Simd16};
use gabor_tensor::{Axis, Window};

/// Whether the one window takes in every element of the plane.
pub(super) fn covers(window: &Window) -> bool {
    let all = |a: &Axis| a.output == 1 && a.dilation == 1 && a.kernel >= a.input + a.pad_begin;
    window.axes().iter().all(all)
}

/// Vectors whose sums run side by side.
const CHAINS: usize = 8;

/// The sum of a plane's vectors times a number.
pub(super) struct Mean {
    pub from: *const f32,
    pub to: *mut f32,
    pub pixels: usize,
    pub scale: f32,
}

impl Kernel for Mean {
    type Out = ();
    /// `pixels` vectors lie at `from`, one at `to`.
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        // SAFETY: the contract; never beyond the plane.
        unsafe {
            let mut sums = [S::zero(); CHAINS];
            let mut i = 0;
            while i + CHAINS <= self.pixels {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = S::add(*sum, S::load(self.from.add((i + j) * LANES)));
                }
                i += CHAINS;
            }
            while i < self.pixels {
                sums[0] = S::add(sums[0], S::load(self.from.add(i * LANES)));
                i += 1;
            }
            for half in [4, 2, 1] {
                for j in 0..half {
                    sums[j] = S::add(sums[j], sums[j + half]);
                }
            }
            S::store(self.to, S::mul(sums[0], S::splat(self.scale)));
        }
    }
}

/// One vector times a number, to all pixels of a plane.
pub(super) struct Spread {
    pub from: *const f32,
    pub to: *mut f32,
    pub pixels: usize,
    pub scale: f32,
}

impl Kernel for Spread {
    type Out = ();
    /// One vector lies at `from`, `pixels` at `to`.
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        // SAFETY: the contract.
        unsafe {
            let v = S::mul(S::load(self.from), S::splat(self.scale));
            for i in 0..self.pixels {
                S::store(self.to.add(i * LANES), v);
            }
        }
    }
}
