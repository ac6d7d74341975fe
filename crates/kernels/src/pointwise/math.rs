//! Elementary functions on 16 lanes, from polynomials that were fitted for this purpose (near-minimax, by Chebyshev
//! interpolation in 40 digits). All are made of operations that round alike on every exact instruction set.
//!
//! Largest errors found, in units of the last place: exp 1.1, log 0.8, log1p 1.5, tanh 1.3, sigmoid 2.5, erf 2.4; pow
//! stays below 1e-6 relative. Results below the smallest normal number may be off by a few of the smallest steps.

use crate::simd::Simd16;
use gabor_tensor::Binary;

const LN2: f32 = std::f32::consts::LN_2;
/// What `LN2` lacks.
const LN2_REST: f32 = -1.904_654_3e-9;
/// ln 2 in few bits, so that small multiples are exact, and what it lacks.
const LN2_SHORT: f32 = 0.693_359_4;
const LN2_SHORT_REST: f32 = -2.121_944_4e-4;
/// Adding 1.5·2²³ leaves the rounded integer in the low bits.
const ROUND: f32 = 12_582_912.0;
const SIGN: u32 = 0x8000_0000;

/// `(eʳ − 1 − r)/r²` for |r| ≤ ln 2 / 2, highest power first; error 6.6e-8.
const EXP: [f32; 5] = [0.001_392_632_5, 0.008_363_293, 0.041_666_552, 0.166_665_76, 0.5];
/// `(ln(1 + f) − f + f²/2)/f³` for √½ ≤ 1 + f ≤ √2; error 2.9e-8.
const LOG: [f32; 9] = [
    0.069_749_29,
    -0.114_820_22,
    0.116_853_43,
    -0.124_253_97,
    0.142_490_34,
    -0.166_678_12,
    0.200_007_17,
    -0.249_999_97,
    0.333_333_3,
];
/// `(tanh x − x)/x³` as a polynomial in x², for |x| ≤ 0.625; error 1.6e-9.
const TANH: [f32; 6] = [0.002_292_744_6, -0.008_343_945, 0.021_768_918, -0.053_959_26, 0.133_333_04, -0.333_333_34];
/// `erf(x)/x` as a polynomial in x², for |x| ≤ 1; error 3.4e-11.
const ERF: [f32; 8] = [
    -9.666_631e-6,
    1.126_582_4e-4,
    -8.484_063_3e-4,
    0.005_221_030_6,
    -0.026_865_43,
    0.112_837_82,
    -0.376_126_38,
    std::f32::consts::FRAC_2_SQRT_PI,
];
/// `−ln(1 − erf x)` for 1 ≤ x ≤ 4; error 3.4e-7.
const ERFC: [f32; 8] = [
    1.327_236_2e-5,
    -3.169_370_2e-4,
    0.003_432_351_4,
    -0.022_604_772,
    0.103_281_12,
    0.639_141_26,
    1.125_893_7,
    7.658_978e-4,
];

/// A polynomial, highest power first.
#[inline(always)]
unsafe fn horner<S: Simd16, const N: usize>(c: &[f32; N], x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let mut p = S::splat(c[0]);
        for i in 1..N {
            p = S::fma(p, x, S::splat(c[i]));
        }
        p
    }
}

#[inline(always)]
unsafe fn abs<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe { S::and(x, S::bits(!SIGN)) }
}

/// `|x|` with the sign of `sign`.
#[inline(always)]
unsafe fn with_sign<S: Simd16>(x: S::V, sign: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe { S::or(abs::<S>(x), S::and(sign, S::bits(SIGN))) }
}

/// e to the power `x + rest`, where `rest` is tiny.
#[inline(always)]
unsafe fn exp_sum<S: Simd16>(x: S::V, rest: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        // Beyond these limits the result is infinite or zero anyway. The order of the arguments keeps NaN.
        let x = S::max(S::splat(-104.5), S::min(S::splat(89.5), x));
        let n = S::sub(S::fma(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUND)), S::splat(ROUND));
        let r = S::fma_whole(n, S::splat(-LN2), x);
        let r = S::add(S::fma(n, S::splat(-LN2_REST), r), rest);
        let p = horner::<S, 5>(&EXP, r);
        let y = S::add(S::splat(1.0), S::fma(S::mul(r, r), p, r));
        // 2ⁿ in two factors, because it may leave the range of normal numbers.
        let half = S::fma(n, S::splat(0.5), S::splat(ROUND));
        let other = S::add(S::sub(n, S::sub(half, S::splat(ROUND))), S::splat(ROUND));
        let a = S::to_exponent(S::add_int(half, S::bits(127)));
        let b = S::to_exponent(S::add_int(other, S::bits(127)));
        S::mul(S::mul(y, a), b)
    }
}

/// eˣ.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe { exp_sum::<S>(x, S::zero()) }
}

/// `x = 2ᵉ·(1 + f)` with √½ ≤ 1 + f < √2, for positive finite x: gives (e, f).
#[inline(always)]
unsafe fn split<S: Simd16>(x: S::V) -> (S::V, S::V) {
    // SAFETY: as this function.
    unsafe {
        let tiny = S::gt(S::splat(f32::MIN_POSITIVE), x);
        let x = S::select(tiny, S::mul(x, S::splat(8_388_608.0)), x);
        let bias = S::select(tiny, S::splat(8_388_608.0 + 127.0 + 23.0), S::splat(8_388_608.0 + 127.0));
        let sqrt_half = S::bits(0x3f35_04f3);
        let above = S::sub_int(x, sqrt_half);
        let m = S::add_int(S::and(above, S::bits(0x007f_ffff)), sqrt_half);
        let e = S::from_exponent(S::add_int(above, S::bits(0x3f80_0000)));
        let e = S::sub(S::or(e, S::bits(0x4b00_0000)), bias);
        (e, S::sub(m, S::splat(1.0)))
    }
}

/// Natural logarithm; −∞ at 0, NaN below.
#[inline(always)]
pub(crate) unsafe fn log<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let (e, f) = split::<S>(x);
        let square = S::mul(f, f);
        let tail = S::mul(S::mul(square, f), horner::<S, 9>(&LOG, f));
        let tail = S::fma(e, S::splat(LN2_SHORT_REST), tail);
        let y = S::add(f, S::fma(S::splat(-0.5), square, tail));
        let y = S::fma(e, S::splat(LN2_SHORT), y);
        let y = S::select(S::eq(x, S::zero()), S::splat(f32::NEG_INFINITY), y);
        let y = S::select(S::gt(S::zero(), x), S::splat(f32::NAN), y);
        let y = S::select(S::eq(x, S::splat(f32::INFINITY)), x, y);
        S::select(S::is_nan(x), x, y)
    }
}

/// ln(1 + x).
#[inline(always)]
pub(crate) unsafe fn log1p<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        // What the rounding of 1 + x lost comes back through the derivative.
        let u = S::add(S::splat(1.0), x);
        let lost = S::div(S::sub(x, S::sub(u, S::splat(1.0))), u);
        let lost = S::select(S::is_nan(lost), S::zero(), lost);
        S::add(log::<S>(u), lost)
    }
}

/// Hyperbolic tangent.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let a = abs::<S>(x);
        let square = S::mul(x, x);
        let near = S::fma(S::mul(square, x), horner::<S, 6>(&TANH, square), x);
        let e = exp::<S>(S::add(a, a));
        let far = S::sub(S::splat(1.0), S::div(S::splat(2.0), S::add(e, S::splat(1.0))));
        S::select(S::gt(S::splat(0.625), a), near, with_sign::<S>(far, x))
    }
}

/// 1/(1 + e⁻ˣ).
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        // The exponential of −|x| never overflows.
        let e = exp::<S>(S::or(x, S::bits(SIGN)));
        let y = S::div(S::splat(1.0), S::add(S::splat(1.0), e));
        S::select(S::gt(x, S::zero()), y, S::mul(e, y))
    }
}

/// Error function.
#[inline(always)]
pub(crate) unsafe fn erf<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let a = S::min(S::splat(4.0), abs::<S>(x));
        let near = S::mul(x, horner::<S, 8>(&ERF, S::mul(x, x)));
        let log = S::xor(horner::<S, 8>(&ERFC, a), S::bits(SIGN));
        let far = S::sub(S::splat(1.0), exp::<S>(log));
        S::select(S::gt(S::splat(1.0), a), near, with_sign::<S>(far, x))
    }
}

/// aᵇ for positive finite a and finite b: the logarithm in two parts, so that the exponent keeps its bits.
#[inline(always)]
unsafe fn pow_positive<S: Simd16>(a: S::V, b: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let (e, f) = split::<S>(a);
        let square = S::mul(f, f);
        let square_rest = S::fma_whole(f, f, S::xor(square, S::bits(SIGN)));
        let tail = S::mul(S::mul(square, f), horner::<S, 9>(&LOG, f));
        // f − f²/2 with what its rounding loses.
        let half = S::mul(S::splat(0.5), square);
        let near = S::sub(f, half);
        let near_rest = S::sub(S::sub(f, near), half);
        let rest = S::add(S::fma(S::splat(-0.5), square_rest, near_rest), tail);
        // Plus e·ln 2, again with what is lost: |e·ln 2| is the larger term or zero.
        let big = S::mul(e, S::splat(LN2_SHORT));
        let high = S::add(big, near);
        let lost = S::select(S::eq(e, S::zero()), S::zero(), S::sub(near, S::sub(high, big)));
        let low = S::add(S::fma(e, S::splat(LN2_SHORT_REST), rest), lost);
        let p = S::mul(b, high);
        let p_rest = S::fma_whole(b, high, S::xor(p, S::bits(SIGN)));
        // An exponent beyond the range makes infinity or zero; its rest must not disturb.
        let p_rest = S::fma(b, low, p_rest);
        let p_rest = S::select(S::gt(S::splat(200.0), abs::<S>(p)), p_rest, S::zero());
        exp_rest::<S>(p, p_rest)
    }
}

/// e to the power `x + rest`, where `rest` may exceed the reduced range a little.
#[inline(always)]
unsafe fn exp_rest<S: Simd16>(x: S::V, rest: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let sum = S::add(x, rest);
        let lost = S::sub(rest, S::sub(sum, x));
        let lost = S::select(S::gt(S::splat(200.0), abs::<S>(sum)), lost, S::zero());
        exp_sum::<S>(sum, lost)
    }
}

/// A scalar function lane by lane, for what is rare.
#[inline(always)]
pub(crate) unsafe fn by_lane<S: Simd16>(x: S::V, f: impl Fn(f32) -> f32) -> S::V {
    // SAFETY: as this function; the array has 16 elements.
    unsafe { S::load(S::lanes(x).map(f).as_ptr()) }
}

/// aᵇ as [`Binary::Pow`] defines it: zero, negative and infinite operands have rules of their own.
#[inline(always)]
pub(crate) unsafe fn pow<S: Simd16>(a: S::V, b: S::V) -> S::V {
    // SAFETY: as this function; the arrays have 16 elements.
    unsafe {
        let y = pow_positive::<S>(a, b);
        let usual = S::select(S::gt(a, S::zero()), S::splat(1.0), S::zero());
        let usual = S::select(S::gt(S::splat(f32::INFINITY), a), usual, S::zero());
        let usual = S::select(S::gt(S::splat(f32::INFINITY), abs::<S>(b)), usual, S::zero());
        if S::sum(usual) == 16.0 {
            return y;
        }
        let (x, e, usual, mut y) = (S::lanes(a), S::lanes(b), S::lanes(usual), S::lanes(y));
        for i in 0..16 {
            if usual[i] == 0.0 {
                y[i] = Binary::Pow.eval(x[i], e[i]);
            }
        }
        S::load(y.as_ptr())
    }
}
