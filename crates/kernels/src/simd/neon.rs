//! NEON: four registers of 4 lanes.

use super::quad::{by_register, transpose};
use super::{Kernel, Simd16};
use std::arch::aarch64::*;

#[derive(Clone, Copy)]
pub(crate) struct Neon;

type V = [float32x4_t; 4];
type M = [uint32x4_t; 4];

// A function of its own, so that the registers of a hot loop are not mixed up with those of its surroundings.
#[inline(never)]
unsafe fn call_neon<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: every aarch64 processor that Rust's standard targets mean has NEON; the rest is the caller's promise.
    unsafe { kernel.run::<Neon>() }
}

#[inline(always)]
unsafe fn u(v: float32x4_t) -> uint32x4_t {
    // SAFETY: as above.
    unsafe { vreinterpretq_u32_f32(v) }
}
#[inline(always)]
unsafe fn f(v: uint32x4_t) -> float32x4_t {
    // SAFETY: as above.
    unsafe { vreinterpretq_f32_u32(v) }
}
#[inline(always)]
unsafe fn bytes(v: float32x4_t) -> uint8x16_t {
    // SAFETY: as above.
    unsafe { vreinterpretq_u8_f32(v) }
}

/// The first `m` of 4 lanes from memory (all if there are more), zero in the others.
#[inline(always)]
unsafe fn load_quarter(p: *const f32, m: usize) -> float32x4_t {
    // SAFETY: the caller promises `m` readable elements.
    unsafe {
        let pair = |p| vcombine_f32(vld1_f32(p), vdup_n_f32(0.0));
        match m {
            0 => vdupq_n_f32(0.0),
            1 => vld1q_lane_f32::<0>(p, vdupq_n_f32(0.0)),
            2 => pair(p),
            3 => vld1q_lane_f32::<2>(p.add(2), pair(p)),
            _ => vld1q_f32(p),
        }
    }
}

/// The first `m` of 4 lanes (all if there are more) to memory.
#[inline(always)]
unsafe fn store_quarter(p: *mut f32, v: float32x4_t, m: usize) {
    // SAFETY: the caller promises `m` writable elements.
    unsafe {
        match m {
            0 => {}
            1 => vst1q_lane_f32::<0>(p, v),
            2 => vst1_f32(p, vget_low_f32(v)),
            3 => {
                vst1_f32(p, vget_low_f32(v));
                vst1q_lane_f32::<2>(p.add(2), v);
            }
            _ => vst1q_f32(p, v),
        }
    }
}

impl Simd16 for Neon {
    type V = V;
    type M = M;
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn call<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: as this function.
        unsafe { call_neon(kernel) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: the caller promises 16 writable elements.
        unsafe {
            vst1q_f32(p, v[0]);
            vst1q_f32(p.add(4), v[1]);
            vst1q_f32(p.add(8), v[2]);
            vst1q_f32(p.add(12), v[3]);
        }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: V, m: usize) {
        // SAFETY: the caller promises `m` writable elements.
        unsafe {
            for (i, q) in v.into_iter().enumerate() {
                store_quarter(p.wrapping_add(4 * i), q, m.saturating_sub(4 * i));
            }
        }
    }
    #[inline(always)]
    unsafe fn even(a: V, b: V) -> V {
        // SAFETY: every processor of the architecture has NEON, here and below.
        unsafe { [vuzp1q_f32(a[0], a[1]), vuzp1q_f32(a[2], a[3]), vuzp1q_f32(b[0], b[1]), vuzp1q_f32(b[2], b[3])] }
    }
    #[inline(always)]
    unsafe fn odd(a: V, b: V) -> V {
        // SAFETY: as above.
        unsafe { [vuzp2q_f32(a[0], a[1]), vuzp2q_f32(a[2], a[3]), vuzp2q_f32(b[0], b[1]), vuzp2q_f32(b[2], b[3])] }
    }
    #[inline(always)]
    unsafe fn interleave(a: V, b: V) -> (V, V) {
        // SAFETY: as above.
        unsafe {
            let two = |i: usize| (vzip1q_f32(a[i], b[i]), vzip2q_f32(a[i], b[i]));
            let (p, q, r, s) = (two(0), two(1), two(2), two(3));
            ([p.0, p.1, q.0, q.1], [r.0, r.1, s.0, s.1])
        }
    }
    #[inline(always)]
    unsafe fn permute(a: V, from: V) -> V {
        // A table of the 32 bytes of a half; the three low bits of a lane's number count.
        // SAFETY: as above.
        unsafe {
            let half = |low: usize| uint8x16x2_t(bytes(a[low]), bytes(a[low + 1]));
            let one = |table: uint8x16x2_t, from: float32x4_t| {
                let first = vmulq_n_u32(vandq_u32(u(from), vdupq_n_u32(7)), 0x0404_0404);
                let each = vaddq_u32(first, vdupq_n_u32(0x0302_0100));
                vreinterpretq_f32_u8(vqtbl2q_u8(table, vreinterpretq_u8_u32(each)))
            };
            let (low, high) = (half(0), half(2));
            [one(low, from[0]), one(low, from[1]), one(high, from[2]), one(high, from[3])]
        }
    }
    #[inline(always)]
    unsafe fn transpose(rows: [V; 16]) -> [V; 16] {
        transpose(rows, |r| {
            // SAFETY: as above.
            unsafe {
                let (a, b) = (vtrn1q_f32(r[0], r[1]), vtrn2q_f32(r[0], r[1]));
                let (c, d) = (vtrn1q_f32(r[2], r[3]), vtrn2q_f32(r[2], r[3]));
                let low = |a, c| vcombine_f32(vget_low_f32(a), vget_low_f32(c));
                let high = |a, c| vcombine_f32(vget_high_f32(a), vget_high_f32(c));
                [low(a, c), low(b, d), high(a, c), high(b, d)]
            }
        })
    }
    by_register! {
        splat(v: f32) -> V = |_i| vdupq_n_f32(v);
        load(p: *const f32) -> V = |i| vld1q_f32(p.add(4 * i));
        load_part(p: *const f32, m: usize) -> V =
            |i| load_quarter(p.wrapping_add(4 * i), usize::saturating_sub(m, 4 * i));
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
