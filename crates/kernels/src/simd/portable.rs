//! Sixteen lanes as an array.

use super::{Kernel, Simd16};

#[derive(Clone, Copy)]
pub(crate) struct Portable;

type V = [f32; 16];

#[inline(always)]
fn zip(a: V, b: V, f: impl Fn(f32, f32) -> f32) -> V {
    std::array::from_fn(|i| f(a[i], b[i]))
}
#[inline(always)]
fn zip_bits(a: V, b: V, f: impl Fn(u32, u32) -> u32) -> V {
    std::array::from_fn(|i| f32::from_bits(f(a[i].to_bits(), b[i].to_bits())))
}

impl Simd16 for Portable {
    type V = V;
    type M = [bool; 16];
    const WIDE: bool = false;

    unsafe fn call<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: every processor has this set; the rest is the caller's promise.
        unsafe { kernel.run::<Self>() }
    }
    #[inline(always)]
    unsafe fn splat(v: f32) -> V {
        [v; 16]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> V {
        // SAFETY: the caller promises 16 readable elements.
        unsafe { p.cast::<V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: the caller promises 16 writable elements.
        unsafe { p.cast::<V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, m: usize) -> V {
        let mut v = [0.0; 16];
        // SAFETY: the caller promises `m` readable elements, and m < 16.
        unsafe { std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), m) };
        v
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: V, m: usize) {
        // SAFETY: the caller promises `m` writable elements, and m < 16.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, m) };
    }
    #[inline(always)]
    unsafe fn add(a: V, b: V) -> V {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(a: V, b: V) -> V {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(a: V, b: V) -> V {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(a: V, b: V) -> V {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn fma(a: V, b: V, c: V) -> V {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn sqrt(a: V) -> V {
        a.map(f32::sqrt)
    }
    #[inline(always)]
    unsafe fn max(a: V, b: V) -> V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn min(a: V, b: V) -> V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    unsafe fn gt(a: V, b: V) -> [bool; 16] {
        std::array::from_fn(|i| a[i] > b[i])
    }
    #[inline(always)]
    unsafe fn eq(a: V, b: V) -> [bool; 16] {
        std::array::from_fn(|i| a[i] == b[i])
    }
    #[inline(always)]
    unsafe fn is_nan(a: V) -> [bool; 16] {
        a.map(f32::is_nan)
    }
    #[inline(always)]
    unsafe fn select(m: [bool; 16], a: V, b: V) -> V {
        std::array::from_fn(|i| if m[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn and(a: V, b: V) -> V {
        zip_bits(a, b, |a, b| a & b)
    }
    #[inline(always)]
    unsafe fn or(a: V, b: V) -> V {
        zip_bits(a, b, |a, b| a | b)
    }
    #[inline(always)]
    unsafe fn xor(a: V, b: V) -> V {
        zip_bits(a, b, |a, b| a ^ b)
    }
    #[inline(always)]
    unsafe fn add_int(a: V, b: V) -> V {
        zip_bits(a, b, u32::wrapping_add)
    }
    #[inline(always)]
    unsafe fn sub_int(a: V, b: V) -> V {
        zip_bits(a, b, u32::wrapping_sub)
    }
    #[inline(always)]
    unsafe fn to_exponent(a: V) -> V {
        a.map(|v| f32::from_bits(v.to_bits() << 23))
    }
    #[inline(always)]
    unsafe fn from_exponent(a: V) -> V {
        a.map(|v| f32::from_bits(v.to_bits() >> 23))
    }
}
