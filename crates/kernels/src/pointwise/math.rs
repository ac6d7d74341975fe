//! Elementary functions on 16 lanes. Each names its method and its largest error; the tests hold it to that.
//!
//! Every function is a fixed sequence of IEEE operations, so all instruction sets give the same bits.

use crate::simd::Simd16;

/// Horner's rule, highest coefficient first.
///
/// # Safety
/// The processor has the set `S`.
#[inline(always)]
unsafe fn polynomial<S: Simd16, const N: usize>(x: S::V, c: [f32; N]) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let mut p = S::splat(c[0]);
        for &k in &c[1..] {
            p = S::fma(p, x, S::splat(k));
        }
        p
    }
}

/// 1.5·2²³: adding it rounds to a whole number, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;

/// eˣ. Reduction by multiples of ln 2 in two parts and a polynomial of degree 6 (Cephes `expf`); 2 ULP, and within the
/// smallest normal number where the result is subnormal.
///
/// # Safety
/// The processor has the set `S`.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        // The order of the arguments keeps a NaN.
        let x = S::min(S::splat(89.0), S::max(S::splat(-104.0), x));
        let t = S::fma(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUND));
        let n = S::sub(t, S::splat(ROUND));
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let p = polynomial::<S, 6>(
            r,
            [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.500_000_01],
        );
        let y = S::add(S::fma(p, S::mul(r, r), r), S::splat(1.0));
        // 2ⁿ in two factors, so that neither leaves the range of exponents.
        let h = S::add(S::mul(n, S::splat(0.5)), S::splat(ROUND));
        let half = S::sub(h, S::splat(ROUND));
        let rest = S::add(S::sub(n, half), S::splat(ROUND));
        let power = |t: S::V| {
            let whole = S::sub_int(t, S::splat(ROUND));
            S::to_exponent(S::add_int(whole, S::bits(127)))
        };
        S::mul(S::mul(y, power(h)), power(rest))
    }
}

/// ln x. Mantissa in [√½, √2) and a polynomial of degree 9 (Cephes `logf`); 2 ULP.
///
/// # Safety
/// The processor has the set `S`.
#[inline(always)]
pub(crate) unsafe fn log<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let zero = S::zero();
        let one = S::splat(1.0);
        // Subnormal numbers are scaled into the normal range first.
        let small = S::gt(S::splat(f32::MIN_POSITIVE), x);
        let scaled = S::select(small, S::mul(x, S::splat(8_388_608.0)), x);
        let shift = S::select(small, S::splat(-23.0), zero);
        let exponent = S::sub(S::add_int(S::from_exponent(scaled), S::bits(0x4B00_0000)), S::splat(8_388_608.0));
        let mut e = S::add(S::sub(exponent, S::splat(126.0)), shift);
        let mantissa = S::or(S::and(scaled, S::bits(0x007F_FFFF)), S::bits(0x3F00_0000));
        let low = S::gt(S::splat(std::f32::consts::FRAC_1_SQRT_2), mantissa);
        e = S::select(low, S::sub(e, one), e);
        let m = S::sub(S::select(low, S::add(mantissa, mantissa), mantissa), one);
        let z = S::mul(m, m);
        let p = polynomial::<S, 9>(
            m,
            [
                7.037_683_6e-2,
                -0.115_146_1,
                0.116_769_99,
                -0.124_201_41,
                0.142_493_23,
                -0.166_680_58,
                0.200_007_15,
                -0.249_999_94,
                0.333_333_31,
            ],
        );
        let y = S::mul(S::mul(p, m), z);
        let y = S::fma(e, S::splat(-2.121_944_4e-4), y);
        let y = S::fma(z, S::splat(-0.5), y);
        let y = S::fma(e, S::splat(0.693_359_4), S::add(m, y));
        let infinite = S::eq(x, S::splat(f32::INFINITY));
        let y = S::select(infinite, x, y);
        let y = S::select(S::eq(x, zero), S::splat(f32::NEG_INFINITY), y);
        let y = S::select(S::gt(zero, x), S::splat(f32::NAN), y);
        S::select(S::is_nan(x), x, y)
    }
}

/// ln(1 + x), with the rounding of 1 + x made good by one division; 1e-6 relative.
///
/// # Safety
/// The processor has the set `S`.
#[inline(always)]
pub(crate) unsafe fn log1p<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let one = S::splat(1.0);
        let u = S::add(x, one);
        let l = log::<S>(u);
        let lost = S::div(S::sub(x, S::sub(u, one)), u);
        let y = S::add(l, lost);
        // Where 1 + x is 0 or infinite nothing was lost, and the quotient above is no number.
        let y = S::select(S::eq(u, S::zero()), l, y);
        let y = S::select(S::eq(u, S::splat(f32::INFINITY)), l, y);
        S::select(S::eq(u, one), x, y)
    }
}

/// tanh x: a polynomial below 0.625 (Cephes `tanhf`), 1 - 2/(e²ˣ + 1) above; 4e-7 relative.
///
/// # Safety
/// The processor has the set `S`.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let sign = S::and(x, S::bits(0x8000_0000));
        let a = S::xor(x, sign);
        let z = S::mul(x, x);
        let p = polynomial::<S, 5>(z, [-5.704_988_7e-3, 2.063_908_9e-2, -5.373_971_6e-2, 0.133_314_42, -0.333_332_82]);
        let near = S::fma(S::mul(p, z), x, x);
        let one = S::splat(1.0);
        let far = S::sub(one, S::div(S::splat(2.0), S::add(exp::<S>(S::add(a, a)), one)));
        let y = S::select(S::gt(S::splat(0.625), a), near, S::or(far, sign));
        S::select(S::is_nan(x), x, y)
    }
}

/// 1/(1 + e⁻ˣ), from e^−|x|, which never overflows; 4e-7 relative.
///
/// # Safety
/// The processor has the set `S`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let e = exp::<S>(S::or(x, S::bits(0x8000_0000)));
        let d = S::add(S::splat(1.0), e);
        let y = S::div(S::select(S::gt(S::zero(), x), e, S::splat(1.0)), d);
        S::select(S::is_nan(x), x, y)
    }
}

/// erf x: a polynomial below 1 (Cephes `erff`), Abramowitz and Stegun 7.1.26 above; 5e-7 relative.
///
/// # Safety
/// The processor has the set `S`.
#[inline(always)]
pub(crate) unsafe fn erf<S: Simd16>(x: S::V) -> S::V {
    // SAFETY: as this function.
    unsafe {
        let one = S::splat(1.0);
        let sign = S::and(x, S::bits(0x8000_0000));
        let a = S::xor(x, sign);
        let z = S::mul(x, x);
        let p = polynomial::<S, 7>(
            z,
            [
                7.853_861e-5,
                -8.010_194e-4,
                5.188_327_7e-3,
                -2.685_381_2e-2,
                0.112_835_85,
                -0.376_126_26,
                std::f32::consts::FRAC_2_SQRT_PI,
            ],
        );
        let near = S::mul(x, p);
        let t = S::div(one, S::fma(a, S::splat(0.327_591_1), one));
        let q = polynomial::<S, 5>(t, [1.061_405_4, -1.453_152, 1.421_413_8, -0.284_496_74, 0.254_829_6]);
        let e = exp::<S>(S::xor(z, S::bits(0x8000_0000)));
        let far = S::or(S::sub(one, S::mul(S::mul(q, t), e)), sign);
        let y = S::select(S::gt(one, a), near, far);
        S::select(S::is_nan(x), x, y)
    }
}

/// A scalar function lane by lane, for what is rare.
///
/// # Safety
/// The processor has the set `S`.
#[inline(always)]
pub(crate) unsafe fn by_lane<S: Simd16>(x: S::V, f: impl Fn(f32) -> f32) -> S::V {
    // SAFETY: as this function; the array has 16 elements.
    unsafe { S::load(S::lanes(x).map(f).as_ptr()) }
}
