//! NEON: four registers of 4 lanes.

use super::{Kernel, Simd16};
use std::arch::aarch64::*;

#[derive(Clone, Copy)]
pub(crate) struct Neon;

type V = [float32x4_t; 4];
type M = [uint32x4_t; 4];

/// Methods whose body is one expression of intrinsics per register `i`.
macro_rules! by_register {
    ($($name:ident($($a:ident: $t:ty),*) -> $r:ty = |$i:ident| $body:expr;)*) => { $(
        #[inline(always)]
        unsafe fn $name($($a: $t),*) -> $r {
            // SAFETY: the caller promises that the processor has NEON.
            unsafe {
                let one = |$i: usize| $body;
                [one(0), one(1), one(2), one(3)]
            }
        }
    )* };
}

#[inline(always)]
unsafe fn u(v: float32x4_t) -> uint32x4_t {
    // SAFETY: every aarch64 processor that Rust's standard targets mean has NEON.
    unsafe { vreinterpretq_u32_f32(v) }
}
#[inline(always)]
unsafe fn f(v: uint32x4_t) -> float32x4_t {
    // SAFETY: as above.
    unsafe { vreinterpretq_f32_u32(v) }
}

impl Simd16 for Neon {
    type V = V;
    type M = M;
    const WIDE: bool = false;

    unsafe fn call<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: as this function.
        unsafe { kernel.run::<Self>() }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: the caller promises 16 writable elements.
        unsafe {
            for (i, q) in v.into_iter().enumerate() {
                vst1q_f32(p.add(4 * i), q);
            }
        }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, m: usize) -> V {
        let mut a = [0f32; 16];
        // SAFETY: the caller promises `m` readable elements, and m < 16.
        unsafe {
            std::ptr::copy_nonoverlapping(p, a.as_mut_ptr(), m);
            Self::load(a.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: V, m: usize) {
        // SAFETY: the caller promises `m` writable elements, and m < 16.
        unsafe { std::ptr::copy_nonoverlapping(Self::lanes(v).as_ptr(), p, m) };
    }
    by_register! {
        splat(v: f32) -> V = |_i| vdupq_n_f32(v);
        load(p: *const f32) -> V = |i| vld1q_f32(p.add(4 * i));
        add(a: V, b: V) -> V = |i| vaddq_f32(a[i], b[i]);
        sub(a: V, b: V) -> V = |i| vsubq_f32(a[i], b[i]);
        mul(a: V, b: V) -> V = |i| vmulq_f32(a[i], b[i]);
        div(a: V, b: V) -> V = |i| vdivq_f32(a[i], b[i]);
        fma(a: V, b: V, c: V) -> V = |i| vfmaq_f32(c[i], a[i], b[i]);
        sqrt(a: V) -> V = |i| vsqrtq_f32(a[i]);
        max(a: V, b: V) -> V = |i| vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i]);
        min(a: V, b: V) -> V = |i| vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i]);
        gt(a: V, b: V) -> M = |i| vcgtq_f32(a[i], b[i]);
        eq(a: V, b: V) -> M = |i| vceqq_f32(a[i], b[i]);
        is_nan(a: V) -> M = |i| vmvnq_u32(vceqq_f32(a[i], a[i]));
        select(m: M, a: V, b: V) -> V = |i| vbslq_f32(m[i], a[i], b[i]);
        and(a: V, b: V) -> V = |i| f(vandq_u32(u(a[i]), u(b[i])));
        or(a: V, b: V) -> V = |i| f(vorrq_u32(u(a[i]), u(b[i])));
        xor(a: V, b: V) -> V = |i| f(veorq_u32(u(a[i]), u(b[i])));
        add_int(a: V, b: V) -> V = |i| f(vaddq_u32(u(a[i]), u(b[i])));
        sub_int(a: V, b: V) -> V = |i| f(vsubq_u32(u(a[i]), u(b[i])));
        to_exponent(a: V) -> V = |i| f(vshlq_n_u32::<23>(u(a[i])));
        from_exponent(a: V) -> V = |i| f(vshrq_n_u32::<23>(u(a[i])));
    }
}
