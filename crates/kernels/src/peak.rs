//! What the machine can do at most: the yardstick of profiles.

use crate::Isa;
use crate::simd::{Kernel, Simd16};

/// Runs `rounds` times 12 independent fused multiply-adds of 16 lanes that touch no memory: 384 floating-point operations a
/// round, as fast as the processor can. Returns a number that depends on all of them.
pub fn multiply_adds(isa: Isa, rounds: usize) -> f32 {
    // SAFETY: the kernel touches no memory.
    unsafe { isa.call(MultiplyAdds { rounds }) }
}

struct MultiplyAdds {
    rounds: usize,
}

impl Kernel for MultiplyAdds {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) -> f32 {
        // SAFETY: no memory is touched; the caller promises the instruction set.
        unsafe {
            let (a, b) = (S::splat(std::hint::black_box(0.5)), S::splat(std::hint::black_box(0.25)));
            // Six sums fill the registers of AVX2; wider sets hold twelve.
            let mut sums = [S::zero(); 12];
            let live = if S::WIDE { 12 } else { 6 };
            for _ in 0..self.rounds * 12 / live {
                for sum in sums.iter_mut().take(live) {
                    *sum = S::fma(*sum, a, b);
                }
            }
            let mut total = S::zero();
            for sum in sums {
                total = S::add(total, sum);
            }
            S::sum(total)
        }
    }
}

/// Sums a slice at the speed of memory.
pub fn read(isa: Isa, from: &[f32]) -> f32 {
    // SAFETY: the kernel reads the slice alone.
    unsafe { isa.call(Read { from }) }
}

struct Read<'a> {
    from: &'a [f32],
}

impl Kernel for Read<'_> {
    type Out = f32;
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) -> f32 {
        // SAFETY: whole groups of four vectors inside the slice.
        unsafe {
            let mut sums = [S::zero(); 4];
            for group in self.from.chunks_exact(64) {
                for (i, sum) in sums.iter_mut().enumerate() {
                    *sum = S::add(*sum, S::load(group.as_ptr().add(16 * i)));
                }
            }
            S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])))
        }
    }
}
