//! The algorithms for five taps, and for four.

use super::transform::{Line, Tile, line, number, six_points};
use crate::simd::Simd16;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::marker::PhantomData;

/// F(2, 5): points 0, ±1/√2, ±√2, ∞.
#[derive(Clone, Copy, Debug)]
pub(super) struct F2x5;

impl Tile for F2x5 {
    const M: usize = 2;
    const R: usize = 5;

    #[inline(always)]
    unsafe fn input<S: Simd16>(d: &Line<S>) -> Line<S> {
        // SAFETY: the caller promises the set, here and in all that follow.
        unsafe { six_points::<S>(d) }
    }
    #[inline(always)]
    unsafe fn output<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let (s, d) = (S::add(p[1], p[2]), S::sub(p[1], p[2]));
            let (t, e) = (S::add(p[3], p[4]), S::sub(p[3], p[4]));
            line::<S, 2>([
                S::add(S::add(p[0], s), t),
                S::fma(number::<S>(FRAC_1_SQRT_2), d, S::fma(number::<S>(SQRT_2), e, p[5])),
            ])
        }
    }
    #[inline(always)]
    unsafe fn spread<S: Simd16>(dy: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let (h, r) = (FRAC_1_SQRT_2, SQRT_2);
            let at = |p: f64| S::fma(number::<S>(p), dy[1], dy[0]);
            line::<S, 6>([dy[0], at(h), at(-h), at(r), at(-r), dy[1]])
        }
    }
    #[inline(always)]
    unsafe fn filter<S: Simd16>(g: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let (even, odd) = ([-2.0 / 3.0, -1.0 / 3.0, -1.0 / 6.0], [-SQRT_2 / 3.0, -SQRT_2 / 6.0]);
            let [p, q] = pair::<S>(g, even, odd);
            let (even, odd) = ([1.0 / 6.0, 1.0 / 3.0, 2.0 / 3.0], [SQRT_2 / 6.0, SQRT_2 / 3.0]);
            let [r, s] = pair::<S>(g, even, odd);
            line::<S, 6>([g[0], p, q, r, s, g[4]])
        }
    }
    #[inline(always)]
    unsafe fn gather<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let (s, d) = (S::add(p[1], p[2]), S::sub(p[1], p[2]));
            let (t, e) = (S::add(p[3], p[4]), S::sub(p[3], p[4]));
            line::<S, 5>([
                S::fma(number::<S>(-2.0 / 3.0), s, S::fma(number::<S>(1.0 / 6.0), t, p[0])),
                S::fma(number::<S>(-SQRT_2 / 3.0), d, S::mul(number::<S>(SQRT_2 / 6.0), e)),
                S::mul(number::<S>(1.0 / 3.0), S::sub(t, s)),
                S::fma(number::<S>(-SQRT_2 / 6.0), d, S::mul(number::<S>(SQRT_2 / 3.0), e)),
                S::fma(number::<S>(-1.0 / 6.0), s, S::fma(number::<S>(2.0 / 3.0), t, p[5])),
            ])
        }
    }
}

/// F(4, 5): points 0, ±1, ±2, ±1/2, ∞, of which no choice has a smaller error.
#[derive(Clone, Copy, Debug)]
pub(super) struct F4x5;

impl Tile for F4x5 {
    const M: usize = 4;
    const R: usize = 5;

    #[inline(always)]
    unsafe fn input<S: Simd16>(d: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let c = |v: f32| S::splat(v);
            let (even, odd) = (S::fma(c(-4.25), d[4], S::add(d[2], d[6])), S::fma(c(-4.25), d[3], S::add(d[1], d[5])));
            let middle = S::mul(c(-2.5), d[3]);
            let even2 = S::fma(c(0.25), d[2], S::fma(c(-1.25), d[4], d[6]));
            let odd2 = S::fma(c(0.5), d[1], S::fma(c(2.0), d[5], middle));
            let even3 = S::fma(c(4.0), d[2], S::fma(c(-5.0), d[4], d[6]));
            let odd3 = S::fma(c(2.0), d[1], S::fma(c(0.5), d[5], middle));
            [
                S::fma(c(5.25), S::sub(d[4], d[2]), S::sub(d[0], d[6])),
                S::add(even, odd),
                S::sub(even, odd),
                S::add(even2, odd2),
                S::sub(even2, odd2),
                S::add(even3, odd3),
                S::sub(even3, odd3),
                S::fma(c(5.25), S::sub(d[3], d[5]), S::sub(d[7], d[1])),
            ]
        }
    }
    #[inline(always)]
    unsafe fn output<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let c = |v: f32| S::splat(v);
            let (s, d) = (S::add(p[1], p[2]), S::sub(p[1], p[2]));
            let (s2, d2) = (S::add(p[3], p[4]), S::sub(p[3], p[4]));
            let (s3, d3) = (S::add(p[5], p[6]), S::sub(p[5], p[6]));
            line::<S, 4>([
                S::add(S::add(p[0], s), S::add(s2, s3)),
                S::fma(c(2.0), d2, S::fma(c(0.5), d3, d)),
                S::fma(c(4.0), s2, S::fma(c(0.25), s3, s)),
                S::fma(c(8.0), d2, S::fma(c(0.125), d3, S::add(d, p[7]))),
            ])
        }
    }
    #[inline(always)]
    unsafe fn spread<S: Simd16>(dy: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let at = |p: f32| {
                let (even, odd) = (S::fma(S::splat(p * p), dy[2], dy[0]), S::fma(S::splat(p * p), dy[3], dy[1]));
                [S::fma(S::splat(p), odd, even), S::fma(S::splat(-p), odd, even)]
            };
            let ([p, q], [r, s], [t, u]) = (at(1.0), at(2.0), at(0.5));
            [dy[0], p, q, r, s, t, u, dy[3]]
        }
    }
    #[inline(always)]
    unsafe fn filter<S: Simd16>(g: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let [p, q] = pair::<S>(g, [-2.0 / 9.0; 3], [-2.0 / 9.0; 2]);
            let [r, s] = pair::<S>(g, [1.0 / 90.0, 2.0 / 45.0, 8.0 / 45.0], [1.0 / 45.0, 4.0 / 45.0]);
            let [t, u] = pair::<S>(g, [32.0 / 45.0, 8.0 / 45.0, 2.0 / 45.0], [16.0 / 45.0, 4.0 / 45.0]);
            [g[0], p, q, r, s, t, u, g[4]]
        }
    }
    #[inline(always)]
    unsafe fn gather<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let mut l = line::<S, 5>([p[0], S::zero(), S::zero(), S::zero(), p[7]]);
            for (i, scale, point) in [(1, -2.0 / 9.0, 1.0), (3, 1.0 / 90.0, 2.0), (5, 32.0 / 45.0, 0.5)] {
                let (s, d) = (S::add(p[i], p[i + 1]), S::sub(p[i], p[i + 1]));
                let mut power: f64 = scale;
                for (k, l) in l.iter_mut().enumerate().take(5) {
                    *l = S::fma(number::<S>(power), if k % 2 == 0 { s } else { d }, *l);
                    power *= point;
                }
            }
            l
        }
    }
}

/// F(m, r − 1) at the points of F(m, r) but infinity, where a filter whose last tap is zero is zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finite<T>(PhantomData<T>);

impl<T: Tile> Tile for Finite<T> {
    const M: usize = T::M;
    const R: usize = T::R - 1;

    #[inline(always)]
    unsafe fn input<S: Simd16>(d: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe { T::input::<S>(d) }
    }
    #[inline(always)]
    unsafe fn output<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe { T::output::<S>(p) }
    }
    #[inline(always)]
    unsafe fn spread<S: Simd16>(dy: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe { T::spread::<S>(dy) }
    }
    #[inline(always)]
    unsafe fn filter<S: Simd16>(g: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe { T::filter::<S>(g) }
    }
    #[inline(always)]
    unsafe fn gather<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe { T::gather::<S>(p) }
    }
}

/// A filter at a point and at its negative: `even ± odd` of the taps with even and odd numbers.
#[inline(always)]
unsafe fn pair<S: Simd16>(g: &Line<S>, even: [f64; 3], odd: [f64; 2]) -> [S::V; 2] {
    // SAFETY: as above.
    unsafe {
        let last = S::mul(number::<S>(even[2]), g[4]);
        let even = S::fma(number::<S>(even[0]), g[0], S::fma(number::<S>(even[1]), g[2], last));
        let odd = S::fma(number::<S>(odd[0]), g[1], S::mul(number::<S>(odd[1]), g[3]));
        [S::add(even, odd), S::sub(even, odd)]
    }
}
