//! Winograd's algorithms F(m, r): m outputs of a correlation with r taps by m + r − 1 products.
//!
//! `y = Aᵀ[(G g) ⊙ (Bᵀ d)]` in one dimension, for a filter g and m + r − 1 inputs d. The gradients are the adjoints:
//! of d `B[(G g) ⊙ (A dy)]` (computed as a correlation with the turned filter instead), of g `Gᵀ[(Bᵀ d) ⊙ (A dy)]`. In
//! two dimensions each matrix is applied to columns, then to rows. All act on vectors, lane by lane.
//!
//! Six-point tiles interpolate at 0, ±1/√2, ±√2, ∞: reciprocal pairs keep all constants near one, and the error about
//! half of that of the customary 0, ±1, ±2, ∞.

use crate::simd::Simd16;
use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};

/// Most points of a tile.
pub(super) const MOST: usize = 8;

/// The numbers of one line of a tile; only as many as the algorithm has are used, the others are zero.
pub(super) type Line<S> = [<S as Simd16>::V; MOST];

/// An algorithm F(m, r).
///
/// # Safety
/// Every function demands that the processor has the instruction set.
#[allow(clippy::missing_safety_doc)]
pub(super) trait Tile: Copy + 'static {
    /// Outputs.
    const M: usize;
    /// Taps.
    const R: usize;
    /// Points: inputs, and products.
    const A: usize = Self::M + Self::R - 1;

    /// Bᵀ: from A inputs to A points.
    unsafe fn input<S: Simd16>(d: &Line<S>) -> Line<S>;
    /// Aᵀ: from A points to M outputs.
    unsafe fn output<S: Simd16>(p: &Line<S>) -> Line<S>;
    /// A, the adjoint of `output`: from M gradients of outputs to A points.
    unsafe fn spread<S: Simd16>(dy: &Line<S>) -> Line<S>;
    /// G: from R taps to A points.
    unsafe fn filter<S: Simd16>(g: &Line<S>) -> Line<S>;
    /// Gᵀ, the adjoint of `filter`: from A points to R gradients of taps.
    unsafe fn gather<S: Simd16>(p: &Line<S>) -> Line<S>;
}

/// F(2, 3): points 0, ±1, ∞.
#[derive(Clone, Copy, Debug)]
pub(super) struct F2;

impl Tile for F2 {
    const M: usize = 2;
    const R: usize = 3;

    #[inline(always)]
    unsafe fn input<S: Simd16>(d: &Line<S>) -> Line<S> {
        // SAFETY: the caller promises the set, here and in all that follow.
        unsafe { line::<S, 4>([S::sub(d[0], d[2]), S::add(d[1], d[2]), S::sub(d[2], d[1]), S::sub(d[3], d[1])]) }
    }
    #[inline(always)]
    unsafe fn output<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe { line::<S, 2>([S::add(p[0], S::add(p[1], p[2])), S::add(S::sub(p[1], p[2]), p[3])]) }
    }
    #[inline(always)]
    unsafe fn spread<S: Simd16>(dy: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe { line::<S, 4>([dy[0], S::add(dy[0], dy[1]), S::sub(dy[0], dy[1]), dy[1]]) }
    }
    #[inline(always)]
    unsafe fn filter<S: Simd16>(g: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let half = S::splat(0.5);
            let (even, odd) = (S::mul(half, S::add(g[0], g[2])), S::mul(half, g[1]));
            line::<S, 4>([g[0], S::add(even, odd), S::sub(even, odd), g[2]])
        }
    }
    #[inline(always)]
    unsafe fn gather<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let half = S::splat(0.5);
            let even = S::add(p[1], p[2]);
            line::<S, 3>([S::fma(half, even, p[0]), S::mul(half, S::sub(p[1], p[2])), S::fma(half, even, p[3])])
        }
    }
}

/// F(4, 3): points 0, ±1/√2, ±√2, ∞.
#[derive(Clone, Copy, Debug)]
pub(super) struct F4;

impl Tile for F4 {
    const M: usize = 4;
    const R: usize = 3;

    #[inline(always)]
    unsafe fn input<S: Simd16>(d: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe { six_points::<S>(d) }
    }
    #[inline(always)]
    unsafe fn output<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let (s, d) = (S::add(p[1], p[2]), S::sub(p[1], p[2]));
            let (t, e) = (S::add(p[3], p[4]), S::sub(p[3], p[4]));
            line::<S, 4>([
                S::add(S::add(p[0], s), t),
                S::fma(number::<S>(FRAC_1_SQRT_2), d, S::mul(number::<S>(SQRT_2), e)),
                S::fma(S::splat(0.5), s, S::mul(S::splat(2.0), t)),
                S::fma(number::<S>(SQRT_2 / 4.0), d, S::fma(number::<S>(2.0 * SQRT_2), e, p[5])),
            ])
        }
    }
    #[inline(always)]
    unsafe fn spread<S: Simd16>(dy: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let even = S::fma(S::splat(0.5), dy[2], dy[0]);
            let odd = S::fma(number::<S>(FRAC_1_SQRT_2), dy[1], S::mul(number::<S>(SQRT_2 / 4.0), dy[3]));
            let even2 = S::fma(S::splat(2.0), dy[2], dy[0]);
            let odd2 = S::fma(number::<S>(SQRT_2), dy[1], S::mul(number::<S>(2.0 * SQRT_2), dy[3]));
            let (p, q) = (S::add(even, odd), S::sub(even, odd));
            line::<S, 6>([dy[0], p, q, S::add(even2, odd2), S::sub(even2, odd2), dy[3]])
        }
    }
    #[inline(always)]
    unsafe fn filter<S: Simd16>(g: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let third = number::<S>(1.0 / 3.0);
            let even = S::fma(number::<S>(-1.0 / 3.0), g[2], S::mul(number::<S>(-2.0 / 3.0), g[0]));
            let odd = S::mul(number::<S>(-SQRT_2 / 3.0), g[1]);
            let even2 = S::fma(third, g[2], S::mul(number::<S>(1.0 / 6.0), g[0]));
            let odd2 = S::mul(number::<S>(SQRT_2 / 6.0), g[1]);
            let (p, q) = (S::add(even, odd), S::sub(even, odd));
            line::<S, 6>([g[0], p, q, S::add(even2, odd2), S::sub(even2, odd2), g[2]])
        }
    }
    #[inline(always)]
    unsafe fn gather<S: Simd16>(p: &Line<S>) -> Line<S> {
        // SAFETY: as above.
        unsafe {
            let (s, d) = (S::add(p[1], p[2]), S::sub(p[1], p[2]));
            let (t, e) = (S::add(p[3], p[4]), S::sub(p[3], p[4]));
            line::<S, 3>([
                S::fma(number::<S>(-2.0 / 3.0), s, S::fma(number::<S>(1.0 / 6.0), t, p[0])),
                S::fma(number::<S>(-SQRT_2 / 3.0), d, S::mul(number::<S>(SQRT_2 / 6.0), e)),
                S::fma(number::<S>(1.0 / 3.0), S::sub(t, s), p[5]),
            ])
        }
    }
}

/// Bᵀ at the points 0, ±1/√2, ±√2, ∞; it does not depend on how six points are divided into outputs and taps.
#[inline(always)]
pub(super) unsafe fn six_points<S: Simd16>(d: &Line<S>) -> Line<S> {
    // SAFETY: as above.
    unsafe {
        let (h, r, q) = (number::<S>(FRAC_1_SQRT_2), number::<S>(SQRT_2), S::splat(-2.5));
        let (even, even2) = (S::fma(S::splat(-2.0), d[2], d[4]), S::fma(S::splat(-0.5), d[2], d[4]));
        let odd = S::mul(h, S::fma(S::splat(-2.0), d[1], d[3]));
        let odd2 = S::mul(r, S::fma(S::splat(-0.5), d[1], d[3]));
        line::<S, 6>([
            S::fma(q, d[2], S::add(d[0], d[4])),
            S::add(even, odd),
            S::sub(even, odd),
            S::add(even2, odd2),
            S::sub(even2, odd2),
            S::fma(q, d[3], S::add(d[1], d[5])),
        ])
    }
}

/// A constant in all lanes.
#[inline(always)]
pub(super) unsafe fn number<S: Simd16>(v: f64) -> S::V {
    // SAFETY: as above.
    unsafe { S::splat(v as f32) }
}

/// The first numbers of a line.
#[inline(always)]
pub(super) unsafe fn line<S: Simd16, const N: usize>(v: [S::V; N]) -> Line<S> {
    // SAFETY: as above.
    let mut l = [unsafe { S::zero() }; MOST];
    l[..N].copy_from_slice(&v);
    l
}

#[cfg(test)]
mod tests {
    use super::super::transform5::{F2x5, F4x5, Finite};
    use super::*;
    use crate::Isa;
    use crate::check::uniform;
    use crate::simd::Kernel;
    use std::marker::PhantomData;

    #[derive(Clone, Copy, PartialEq)]
    enum Matrix {
        Input,
        Output,
        Spread,
        Filter,
        Gather,
    }

    /// A matrix times a vector, in lane 3 of vectors.
    struct Apply<'a, T>(Matrix, &'a [f32], PhantomData<T>);

    impl<T: Tile> Kernel for Apply<'_, T> {
        type Out = Vec<f32>;
        #[inline(always)]
        unsafe fn run<S: Simd16>(self) -> Vec<f32> {
            // SAFETY: the caller promises the set.
            unsafe {
                let mut l = [S::zero(); MOST];
                for (to, &v) in l.iter_mut().zip(self.1) {
                    let mut lanes = [7.0; 16];
                    lanes[3] = v;
                    *to = S::load(lanes.as_ptr());
                }
                let (l, len) = match self.0 {
                    Matrix::Input => (T::input::<S>(&l), T::A),
                    Matrix::Output => (T::output::<S>(&l), T::M),
                    Matrix::Spread => (T::spread::<S>(&l), T::A),
                    Matrix::Filter => (T::filter::<S>(&l), T::A),
                    Matrix::Gather => (T::gather::<S>(&l), T::R),
                };
                l[..len].iter().map(|&v| S::lanes(v)[3]).collect()
            }
        }
    }

    fn apply<T: Tile>(m: Matrix, v: &[f32]) -> Vec<f32> {
        // SAFETY: the processor has the set; nothing else is demanded.
        let exact = Isa::available().into_iter().filter(|isa| isa.is_exact());
        // SAFETY: as above.
        let all = exact.map(|isa| unsafe { isa.call(Apply(m, v, PhantomData::<T>)) });
        all.reduce(|a, b| {
            assert_eq!(a, b, "bits differ between instruction sets");
            a
        })
        .unwrap()
    }

    fn dot(a: &[f32], b: &[f32]) -> f64 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum()
    }

    fn correlates<T: Tile>(error: f64) {
        for seed in 0..50 {
            let (d, g) = (uniform(seed, T::A), uniform(seed + 100, T::R));
            let (p, q) = (apply::<T>(Matrix::Input, &d), apply::<T>(Matrix::Filter, &g));
            let products: Vec<f32> = p.iter().zip(&q).map(|(a, b)| a * b).collect();
            let y = apply::<T>(Matrix::Output, &products);
            for (o, &y) in y.iter().enumerate() {
                let want = dot(&d[o..o + T::R], &g);
                assert!((y as f64 - want).abs() < error, "output {o} is {y}, not {want}");
            }
            // The adjoints: of the outputs, of the filter, and so the gradient of the filter.
            let (dy, points) = (uniform(seed + 200, T::M), uniform(seed + 300, T::A));
            let spread = apply::<T>(Matrix::Spread, &dy);
            assert!((dot(&apply::<T>(Matrix::Output, &points), &dy) - dot(&points, &spread)).abs() < error);
            assert!((dot(&q, &points) - dot(&g, &apply::<T>(Matrix::Gather, &points))).abs() < error);
            let products: Vec<f32> = p.iter().zip(&spread).map(|(a, b)| a * b).collect();
            for (k, &dg) in apply::<T>(Matrix::Gather, &products).iter().enumerate() {
                let want = dot(&d[k..k + T::M], &dy);
                assert!((dg as f64 - want).abs() < 2.0 * error, "gradient of tap {k} is {dg}, not {want}");
            }
        }
    }

    #[test]
    fn tiles_correlate() {
        correlates::<F2>(2e-6);
        correlates::<F4>(2e-6);
        correlates::<Finite<F4>>(2e-6);
        correlates::<Finite<F2x5>>(4e-6);
        correlates::<Finite<F4x5>>(1e-5);
        correlates::<F2x5>(4e-6);
        correlates::<F4x5>(1e-5);
    }
}
