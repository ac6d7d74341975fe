//! AVX-512 (one register of 16 lanes) and AVX2 with FMA (two registers of 8).

use super::{Kernel, Simd16};
use std::arch::x86_64::*;

/// Methods whose body is one expression of intrinsics on the named arguments.
macro_rules! methods {
    ($($name:ident($($a:ident: $t:ty),*) -> $r:ty = $body:expr;)*) => { $(
        #[inline(always)]
        unsafe fn $name($($a: $t),*) -> $r {
            // SAFETY: the caller promises that the processor has the set and that pointers are valid.
            unsafe { $body }
        }
    )* };
}

#[derive(Clone, Copy)]
pub(crate) struct Avx512;

// A function of its own, so that the registers of a hot loop are not mixed up with those of its surroundings.
#[inline(never)]
#[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
unsafe fn call_avx512<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: the caller promises that the processor has the set.
    unsafe { kernel.run::<Avx512>() }
}

#[inline(always)]
fn first(m: usize) -> __mmask16 {
    ((1u32 << m) - 1) as __mmask16
}

impl Simd16 for Avx512 {
    type V = __m512;
    type M = __mmask16;
    const WIDE: bool = true;

    #[inline(always)]
    unsafe fn call<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: as this function.
        unsafe { call_avx512(kernel) }
    }
    methods! {
        splat(v: f32) -> __m512 = _mm512_set1_ps(v);
        load(p: *const f32) -> __m512 = _mm512_loadu_ps(p);
        store(p: *mut f32, v: __m512) -> () = _mm512_storeu_ps(p, v);
        stream(p: *mut f32, v: __m512) -> () = _mm512_stream_ps(p, v);
        fence() -> () = _mm_sfence();
        load_part(p: *const f32, m: usize) -> __m512 = _mm512_maskz_loadu_ps(first(m), p);
        store_part(p: *mut f32, v: __m512, m: usize) -> () = _mm512_mask_storeu_ps(p, first(m), v);
        add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        div(a: __m512, b: __m512) -> __m512 = _mm512_div_ps(a, b);
        fma(a: __m512, b: __m512, c: __m512) -> __m512 = _mm512_fmadd_ps(a, b, c);
        sqrt(a: __m512) -> __m512 = _mm512_sqrt_ps(a);
        max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        min(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);
        gt(a: __m512, b: __m512) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(a, b);
        eq(a: __m512, b: __m512) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b);
        is_nan(a: __m512) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(a, a);
        select(m: __mmask16, a: __m512, b: __m512) -> __m512 = _mm512_mask_blend_ps(m, b, a);
        and(a: __m512, b: __m512) -> __m512 = _mm512_and_ps(a, b);
        or(a: __m512, b: __m512) -> __m512 = _mm512_or_ps(a, b);
        xor(a: __m512, b: __m512) -> __m512 = _mm512_xor_ps(a, b);
        add_int(a: __m512, b: __m512) -> __m512 =
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
        sub_int(a: __m512, b: __m512) -> __m512 =
            _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
        to_exponent(a: __m512) -> __m512 = _mm512_castsi512_ps(_mm512_slli_epi32::<23>(_mm512_castps_si512(a)));
        from_exponent(a: __m512) -> __m512 = _mm512_castsi512_ps(_mm512_srli_epi32::<23>(_mm512_castps_si512(a)));
    }
    #[inline(always)]
    unsafe fn even(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller promises that the processor has the set.
        unsafe {
            let from = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            _mm512_permutex2var_ps(a, from, b)
        }
    }
    #[inline(always)]
    unsafe fn odd(a: __m512, b: __m512) -> __m512 {
        // SAFETY: the caller promises that the processor has the set.
        unsafe {
            let from = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
            _mm512_permutex2var_ps(a, from, b)
        }
    }
    #[inline(always)]
    unsafe fn interleave(a: __m512, b: __m512) -> (__m512, __m512) {
        // SAFETY: the caller promises that the processor has the set.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
            (_mm512_permutex2var_ps(a, low, b), _mm512_permutex2var_ps(a, high, b))
        }
    }
    #[inline(always)]
    unsafe fn permute(a: __m512, from: __m512) -> __m512 {
        // SAFETY: the caller promises that the processor has the set.
        unsafe { _mm512_permutexvar_ps(_mm512_castps_si512(from), a) }
    }
    #[inline(always)]
    unsafe fn transpose(r: [__m512; 16]) -> [__m512; 16] {
        // Pairs of rows, then quads, inside 128-bit blocks; then the 4 × 4 blocks change place in two steps.
        // SAFETY: the caller promises that the processor has the set.
        unsafe {
            let mut t = r;
            for i in 0..8 {
                t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
                t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
            }
            let mut q = t;
            for g in 0..4 {
                let d = |v| _mm512_castps_pd(v);
                let s = |v| _mm512_castpd_ps(v);
                q[4 * g] = s(_mm512_unpacklo_pd(d(t[4 * g]), d(t[4 * g + 2])));
                q[4 * g + 1] = s(_mm512_unpackhi_pd(d(t[4 * g]), d(t[4 * g + 2])));
                q[4 * g + 2] = s(_mm512_unpacklo_pd(d(t[4 * g + 1]), d(t[4 * g + 3])));
                q[4 * g + 3] = s(_mm512_unpackhi_pd(d(t[4 * g + 1]), d(t[4 * g + 3])));
            }
            let mut out = q;
            for c in 0..4 {
                let lo01 = _mm512_shuffle_f32x4::<0x88>(q[c], q[4 + c]);
                let hi01 = _mm512_shuffle_f32x4::<0xDD>(q[c], q[4 + c]);
                let lo23 = _mm512_shuffle_f32x4::<0x88>(q[8 + c], q[12 + c]);
                let hi23 = _mm512_shuffle_f32x4::<0xDD>(q[8 + c], q[12 + c]);
                out[c] = _mm512_shuffle_f32x4::<0x88>(lo01, lo23);
                out[4 + c] = _mm512_shuffle_f32x4::<0x88>(hi01, hi23);
                out[8 + c] = _mm512_shuffle_f32x4::<0xDD>(lo01, lo23);
                out[12 + c] = _mm512_shuffle_f32x4::<0xDD>(hi01, hi23);
            }
            out
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// Two registers of 8 lanes.
#[derive(Clone, Copy)]
pub(crate) struct Pair(__m256, __m256);

#[inline(never)]
#[target_feature(enable = "avx2,fma")]
unsafe fn call_avx2<K: Kernel>(kernel: K) -> K::Out {
    // SAFETY: the caller promises that the processor has the set.
    unsafe { kernel.run::<Avx2>() }
}

/// Ones in the lanes below `m` of a half that starts at lane 0.
static MASK: [i32; 24] = {
    let mut a = [0; 24];
    let mut i = 0;
    while i < 8 {
        a[i] = -1;
        i += 1;
    }
    a
};

/// The masks of the two halves for the first `m ≤ 16` lanes.
#[inline(always)]
unsafe fn masks(m: usize) -> (__m256i, __m256i) {
    let (lo, hi) = (8 - m.min(8), 8 - m.saturating_sub(8));
    // SAFETY: both start at most at 8 and read 8 of 24 elements.
    unsafe { (_mm256_loadu_si256(MASK.as_ptr().add(lo).cast()), _mm256_loadu_si256(MASK.as_ptr().add(hi).cast())) }
}

impl Simd16 for Avx2 {
    type V = Pair;
    type M = Pair;
    const WIDE: bool = false;

    #[inline(always)]
    unsafe fn call<K: Kernel>(kernel: K) -> K::Out {
        // SAFETY: as this function.
        unsafe { call_avx2(kernel) }
    }
    #[inline(always)]
    unsafe fn load_part(p: *const f32, m: usize) -> Pair {
        // SAFETY: masked lanes are not read.
        unsafe {
            let (lo, hi) = masks(m);
            Pair(_mm256_maskload_ps(p, lo), _mm256_maskload_ps(p.wrapping_add(8), hi))
        }
    }
    #[inline(always)]
    unsafe fn store_part(p: *mut f32, v: Pair, m: usize) {
        // SAFETY: masked lanes are not written.
        unsafe {
            let (lo, hi) = masks(m);
            _mm256_maskstore_ps(p, lo, v.0);
            _mm256_maskstore_ps(p.wrapping_add(8), hi, v.1);
        }
    }
    #[inline(always)]
    unsafe fn even(a: Pair, b: Pair) -> Pair {
        // SAFETY: the caller promises that the processor has the set.
        unsafe { Pair(every_second::<0x88>(a), every_second::<0x88>(b)) }
    }
    #[inline(always)]
    unsafe fn odd(a: Pair, b: Pair) -> Pair {
        // SAFETY: the caller promises that the processor has the set.
        unsafe { Pair(every_second::<0xDD>(a), every_second::<0xDD>(b)) }
    }
    #[inline(always)]
    unsafe fn interleave(a: Pair, b: Pair) -> (Pair, Pair) {
        // SAFETY: the caller promises that the processor has the set.
        unsafe { (in_turn(a.0, b.0), in_turn(a.1, b.1)) }
    }
    #[inline(always)]
    unsafe fn permute(a: Pair, from: Pair) -> Pair {
        // The three low bits count: lanes of the same half.
        // SAFETY: the caller promises that the processor has the set.
        unsafe {
            let half = |a, from| _mm256_permutevar8x32_ps(a, _mm256_castps_si256(from));
            Pair(half(a.0, from.0), half(a.1, from.1))
        }
    }
    methods! {
        splat(v: f32) -> Pair = Pair(_mm256_set1_ps(v), _mm256_set1_ps(v));
        load(p: *const f32) -> Pair = Pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8)));
        store(p: *mut f32, v: Pair) -> () = {
            _mm256_storeu_ps(p, v.0);
            _mm256_storeu_ps(p.add(8), v.1);
        };
        add(a: Pair, b: Pair) -> Pair = Pair(_mm256_add_ps(a.0, b.0), _mm256_add_ps(a.1, b.1));
        sub(a: Pair, b: Pair) -> Pair = Pair(_mm256_sub_ps(a.0, b.0), _mm256_sub_ps(a.1, b.1));
        mul(a: Pair, b: Pair) -> Pair = Pair(_mm256_mul_ps(a.0, b.0), _mm256_mul_ps(a.1, b.1));
        div(a: Pair, b: Pair) -> Pair = Pair(_mm256_div_ps(a.0, b.0), _mm256_div_ps(a.1, b.1));
        fma(a: Pair, b: Pair, c: Pair) -> Pair =
            Pair(_mm256_fmadd_ps(a.0, b.0, c.0), _mm256_fmadd_ps(a.1, b.1, c.1));
        sqrt(a: Pair) -> Pair = Pair(_mm256_sqrt_ps(a.0), _mm256_sqrt_ps(a.1));
        max(a: Pair, b: Pair) -> Pair = Pair(_mm256_max_ps(a.0, b.0), _mm256_max_ps(a.1, b.1));
        min(a: Pair, b: Pair) -> Pair = Pair(_mm256_min_ps(a.0, b.0), _mm256_min_ps(a.1, b.1));
        gt(a: Pair, b: Pair) -> Pair =
            Pair(_mm256_cmp_ps::<_CMP_GT_OQ>(a.0, b.0), _mm256_cmp_ps::<_CMP_GT_OQ>(a.1, b.1));
        eq(a: Pair, b: Pair) -> Pair =
            Pair(_mm256_cmp_ps::<_CMP_EQ_OQ>(a.0, b.0), _mm256_cmp_ps::<_CMP_EQ_OQ>(a.1, b.1));
        is_nan(a: Pair) -> Pair =
            Pair(_mm256_cmp_ps::<_CMP_UNORD_Q>(a.0, a.0), _mm256_cmp_ps::<_CMP_UNORD_Q>(a.1, a.1));
        select(m: Pair, a: Pair, b: Pair) -> Pair =
            Pair(_mm256_blendv_ps(b.0, a.0, m.0), _mm256_blendv_ps(b.1, a.1, m.1));
        and(a: Pair, b: Pair) -> Pair = Pair(_mm256_and_ps(a.0, b.0), _mm256_and_ps(a.1, b.1));
        or(a: Pair, b: Pair) -> Pair = Pair(_mm256_or_ps(a.0, b.0), _mm256_or_ps(a.1, b.1));
        xor(a: Pair, b: Pair) -> Pair = Pair(_mm256_xor_ps(a.0, b.0), _mm256_xor_ps(a.1, b.1));
        add_int(a: Pair, b: Pair) -> Pair = Pair(add8(a.0, b.0), add8(a.1, b.1));
        sub_int(a: Pair, b: Pair) -> Pair = Pair(sub8(a.0, b.0), sub8(a.1, b.1));
        to_exponent(a: Pair) -> Pair = Pair(
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(a.0))),
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(_mm256_castps_si256(a.1))),
        );
        from_exponent(a: Pair) -> Pair = Pair(
            _mm256_castsi256_ps(_mm256_srli_epi32::<23>(_mm256_castps_si256(a.0))),
            _mm256_castsi256_ps(_mm256_srli_epi32::<23>(_mm256_castps_si256(a.1))),
        );
    }
}

#[inline(always)]
unsafe fn add8(a: __m256, b: __m256) -> __m256 {
    // SAFETY: the caller promises that the processor has AVX2.
    unsafe { _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b))) }
}

#[inline(always)]
unsafe fn sub8(a: __m256, b: __m256) -> __m256 {
    // SAFETY: the caller promises that the processor has AVX2.
    unsafe { _mm256_castsi256_ps(_mm256_sub_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b))) }
}

/// Every second of 16 lanes: the even ones by the shuffle 0x88, the odd ones by 0xDD.
#[inline(always)]
unsafe fn every_second<const FROM: i32>(a: Pair) -> __m256 {
    // SAFETY: the caller promises that the processor has AVX2.
    unsafe {
        let quarters = _mm256_castps_pd(_mm256_shuffle_ps::<FROM>(a.0, a.1));
        _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(quarters))
    }
}

/// Eight lanes of each, in turn.
#[inline(always)]
unsafe fn in_turn(a: __m256, b: __m256) -> Pair {
    // SAFETY: the caller promises that the processor has AVX2.
    unsafe {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        Pair(_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high))
    }
}
