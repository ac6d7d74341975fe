//! What a reduction does with elements, on 16 lanes.

use crate::simd::tree;
use crate::sums::Sums;

/// Sixteen partial results.
pub(crate) trait Fold: Copy {
    /// Of no elements.
    const START: Self;
    /// An element that changes nothing.
    const NEUTRAL: f32;
    /// Takes in one element per lane.
    fn add(&mut self, x: &[f32; 16]);
    /// The result of a lane.
    fn lane(&self, l: usize) -> f64;
    /// The result of all lanes.
    fn total(&self) -> f64;
    /// Two results made one.
    fn join(a: f64, b: f64) -> f64;
}

impl Fold for Sums {
    const START: Self = Sums::ZERO;
    const NEUTRAL: f32 = 0.0;
    #[inline(always)]
    fn add(&mut self, x: &[f32; 16]) {
        Sums::add(self, x);
    }
    #[inline(always)]
    fn lane(&self, l: usize) -> f64 {
        self.0[l]
    }
    #[inline(always)]
    fn total(&self) -> f64 {
        Sums::total(self)
    }
    #[inline(always)]
    fn join(a: f64, b: f64) -> f64 {
        a + b
    }
}

/// The largest elements; NaN is larger than any.
#[derive(Clone, Copy)]
pub(crate) struct Maxima([f32; 16]);

impl Fold for Maxima {
    const START: Self = Maxima([f32::NEG_INFINITY; 16]);
    const NEUTRAL: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    fn add(&mut self, x: &[f32; 16]) {
        for l in 0..16 {
            self.0[l] = larger(self.0[l], x[l]);
        }
    }
    #[inline(always)]
    fn lane(&self, l: usize) -> f64 {
        f64::from(self.0[l])
    }
    #[inline(always)]
    fn total(&self) -> f64 {
        f64::from(tree(self.0, larger))
    }
    #[inline(always)]
    fn join(a: f64, b: f64) -> f64 {
        if b > a || b.is_nan() { b } else { a }
    }
}

#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}
