//! Sums in double precision on 16 lanes, so that long sums of floats carry a single rounding.

use crate::simd::tree;

/// Sixteen partial sums: element `i` of a run goes to lane `i mod 16`, and [`tree`] joins the lanes.
#[derive(Clone, Copy)]
pub(crate) struct Sums(pub [f64; 16]);

impl Sums {
    pub(crate) const ZERO: Sums = Sums([0.0; 16]);

    #[inline(always)]
    pub(crate) fn add(&mut self, x: &[f32; 16]) {
        for l in 0..16 {
            self.0[l] += f64::from(x[l]);
        }
    }
    /// Adds a run of any length.
    #[inline(always)]
    pub(crate) fn add_run(&mut self, x: &[f32]) {
        let (whole, rest) = x.as_chunks::<16>();
        for x in whole {
            self.add(x);
        }
        if !rest.is_empty() {
            self.add(&padded(rest, 0.0));
        }
    }
    /// The sum of all lanes.
    #[inline(always)]
    pub(crate) fn total(&self) -> f64 {
        tree(self.0, |a, b| a + b)
    }
}

/// The first elements of a vector; `value` stands in the others.
#[inline(always)]
pub(crate) fn padded(x: &[f32], value: f32) -> [f32; 16] {
    let mut lanes = [value; 16];
    lanes[..x.len()].copy_from_slice(x);
    lanes
}
