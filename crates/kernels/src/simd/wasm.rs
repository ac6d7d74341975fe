//! WebAssembly's simd128: four registers of 4 lanes. The set is chosen when the module is compiled, because a module with
//! unknown instructions is refused as a whole.
//!
//! With relaxed-simd too, multiply-adds are one instruction. LLVM then makes relaxed maxima of comparisons, in plain Rust as
//! well, and those may lose a NaN: this set avoids them, but the portable one is not to be trusted with NaN in such a module.

use super::quad::{by_register, transpose};
use super::{Kernel, Simd16};
use std::arch::wasm32::*;

#[derive(Clone, Copy)]
pub(crate) struct Wasm128;

type V = [v128; 4];
type M = [v128; 4];

// A function of its own, so that the locals of a hot loop are not mixed up with those of its surroundings.
#[inline(never)]
unsafe fn call_wasm<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: this file is compiled only where the module has simd128; the rest is the caller's promise.
    unsafe { kernel.run::<Wasm128>() }
}

/// a·b + c: rounded once by relaxed instructions on machines that have such an operation, else twice.
#[inline(always)]
fn multiply_add(a: v128, b: v128, c: v128) -> v128 {
    #[cfg(target_feature = "relaxed-simd")]
    return f32x4_relaxed_madd(a, b, c);
    #[cfg(not(target_feature = "relaxed-simd"))]
    f32x4_add(f32x4_mul(a, b), c)
}

/// a·b + c in double precision, where products of single precision are exact.
#[inline(always)]
fn multiply_add_whole(a: v128, b: v128, c: v128) -> v128 {
    let half = |a, b, c| {
        let [a, b, c] = [a, b, c].map(|v| f64x2_promote_low_f32x4(v));
        f32x4_demote_f64x2_zero(f64x2_add(f64x2_mul(a, b), c))
    };
    let upper = |v| u64x2_shuffle::<1, 0>(v, v);
    u64x2_shuffle::<0, 2>(half(a, b, c), half(upper(a), upper(b), upper(c)))
}

/// `a` where a > b, else `b`. One instruction, but LLVM makes relaxed maxima of it where it may, and these may give
/// either argument when one is NaN; a bitwise choice it leaves alone.
#[inline(always)]
fn larger(a: v128, b: v128) -> v128 {
    match cfg!(target_feature = "relaxed-simd") {
        true => v128_bitselect(a, b, f32x4_gt(a, b)),
        false => f32x4_pmax(b, a),
    }
}

/// `a` where a < b, else `b`; see [`larger`].
#[inline(always)]
fn smaller(a: v128, b: v128) -> v128 {
    match cfg!(target_feature = "relaxed-simd") {
        true => v128_bitselect(a, b, f32x4_lt(a, b)),
        false => f32x4_pmin(b, a),
    }
}

/// The first `m` of 4 lanes from memory (all if there are more), zero in the others.
#[inline(always)]
unsafe fn load_quarter(p: *const f32, m: usize) -> v128 {
    // SAFETY: the caller promises `m` readable elements; no load has an alignment to keep.
    unsafe {
        match m {
            0 => f32x4_splat(0.0),
            1 => v128_load32_zero(p.cast()),
            2 => v128_load64_zero(p.cast()),
            3 => v128_load32_lane::<2>(v128_load64_zero(p.cast()), p.add(2).cast()),
            _ => v128_load(p.cast()),
        }
    }
}

/// The first `m` of 4 lanes (all if there are more) to memory.
#[inline(always)]
unsafe fn store_quarter(p: *mut f32, v: v128, m: usize) {
    // SAFETY: the caller promises `m` writable elements.
    unsafe {
        match m {
            0 => {}
            1 => v128_store32_lane::<0>(v, p.cast()),
            2 => v128_store64_lane::<0>(v, p.cast()),
            3 => {
                v128_store64_lane::<0>(v, p.cast());
                v128_store32_lane::<2>(v, p.add(2).cast());
            }
            _ => v128_store(p.cast(), v),
        }
    }
}

/// Bytes of the lanes that `from` names, of a half of two registers: three bits count.
#[inline(always)]
fn choose(low: v128, high: v128, from: v128) -> v128 {
    let first = i32x4_mul(v128_and(from, u32x4_splat(7)), u32x4_splat(0x0404_0404));
    let each = u32x4_add(first, u32x4_splat(0x0302_0100));
    // A byte beyond the register gives zero.
    v128_or(u8x16_swizzle(low, each), u8x16_swizzle(high, u8x16_sub(each, u8x16_splat(16))))
}

#[inline(always)]
fn even(a: v128, b: v128) -> v128 {
    u32x4_shuffle::<0, 2, 4, 6>(a, b)
}
#[inline(always)]
fn odd(a: v128, b: v128) -> v128 {
    u32x4_shuffle::<1, 3, 5, 7>(a, b)
}

impl Simd16 for Wasm128 {
    type V = V;
    type M = M;
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn call<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: as this function.
        unsafe { call_wasm(kernel) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: V) {
        // SAFETY: the caller promises 16 writable elements.
        unsafe {
            v128_store(p.cast(), v[0]);
            v128_store(p.add(4).cast(), v[1]);
            v128_store(p.add(8).cast(), v[2]);
            v128_store(p.add(12).cast(), v[3]);
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
        [even(a[0], a[1]), even(a[2], a[3]), even(b[0], b[1]), even(b[2], b[3])]
    }
    #[inline(always)]
    unsafe fn odd(a: V, b: V) -> V {
        [odd(a[0], a[1]), odd(a[2], a[3]), odd(b[0], b[1]), odd(b[2], b[3])]
    }
    #[inline(always)]
    unsafe fn interleave(a: V, b: V) -> (V, V) {
        let low = |i: usize| u32x4_shuffle::<0, 4, 1, 5>(a[i], b[i]);
        let high = |i: usize| u32x4_shuffle::<2, 6, 3, 7>(a[i], b[i]);
        ([low(0), high(0), low(1), high(1)], [low(2), high(2), low(3), high(3)])
    }
    #[inline(always)]
    unsafe fn permute(a: V, from: V) -> V {
        let one = |half: usize, i: usize| choose(a[half], a[half + 1], from[i]);
        [one(0, 0), one(0, 1), one(2, 2), one(2, 3)]
    }
    #[inline(always)]
    unsafe fn transpose(rows: [V; 16]) -> [V; 16] {
        transpose(rows, |r| {
            let (a, b) = (u32x4_shuffle::<0, 4, 1, 5>(r[0], r[1]), u32x4_shuffle::<2, 6, 3, 7>(r[0], r[1]));
            let (c, d) = (u32x4_shuffle::<0, 4, 1, 5>(r[2], r[3]), u32x4_shuffle::<2, 6, 3, 7>(r[2], r[3]));
            let low = |a, c| u64x2_shuffle::<0, 2>(a, c);
            let high = |a, c| u64x2_shuffle::<1, 3>(a, c);
            [low(a, c), high(a, c), low(b, d), high(b, d)]
        })
    }
    by_register! {
        splat(v: f32) -> V = |_i| f32x4_splat(v);
        load(p: *const f32) -> V = |i| v128_load(p.add(4 * i).cast());
        load_part(p: *const f32, m: usize) -> V =
            |i| load_quarter(p.wrapping_add(4 * i), usize::saturating_sub(m, 4 * i));
        add(a: V, b: V) -> V = |i| f32x4_add(a[i], b[i]);
        sub(a: V, b: V) -> V = |i| f32x4_sub(a[i], b[i]);
        mul(a: V, b: V) -> V = |i| f32x4_mul(a[i], b[i]);
        div(a: V, b: V) -> V = |i| f32x4_div(a[i], b[i]);
        fma(a: V, b: V, c: V) -> V = |i| multiply_add(a[i], b[i], c[i]);
        fma_whole(a: V, b: V, c: V) -> V = |i| multiply_add_whole(a[i], b[i], c[i]);
        sqrt(a: V) -> V = |i| f32x4_sqrt(a[i]);
        max(a: V, b: V) -> V = |i| larger(a[i], b[i]);
        min(a: V, b: V) -> V = |i| smaller(a[i], b[i]);
        gt(a: V, b: V) -> M = |i| f32x4_gt(a[i], b[i]);
        eq(a: V, b: V) -> M = |i| f32x4_eq(a[i], b[i]);
        is_nan(a: V) -> M = |i| f32x4_ne(a[i], a[i]);
        select(m: M, a: V, b: V) -> V = |i| v128_bitselect(a[i], b[i], m[i]);
        and(a: V, b: V) -> V = |i| v128_and(a[i], b[i]);
        or(a: V, b: V) -> V = |i| v128_or(a[i], b[i]);
        xor(a: V, b: V) -> V = |i| v128_xor(a[i], b[i]);
        add_int(a: V, b: V) -> V = |i| u32x4_add(a[i], b[i]);
        sub_int(a: V, b: V) -> V = |i| u32x4_sub(a[i], b[i]);
        to_exponent(a: V) -> V = |i| u32x4_shl(a[i], 23);
        from_exponent(a: V) -> V = |i| u32x4_shr(a[i], 23);
    }
}
