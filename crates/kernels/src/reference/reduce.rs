//! Reductions over dimensions.

use super::index::{dot, each_index};
use gabor_tensor::{Real, Reduction, strides_of};

/// Reduces x of shape `shape` over the dimensions `axes` (any order, none twice). y has the other dimensions in order:
/// whether the caller keeps the reduced ones as 1 makes no difference to the elements.
///
/// The sum or mean of no elements is 0, the maximum −∞.
pub fn reduce<R: Real>(kind: Reduction, x: &[R], shape: &[usize], axes: &[usize], y: &mut [R]) {
    let kept: Vec<usize> = shape.iter().enumerate().map(|(d, &e)| if axes.contains(&d) { 1 } else { e }).collect();
    let mut strides = strides_of(&kept);
    for &d in axes {
        strides[d] = 0;
    }
    let count: usize = axes.iter().map(|&d| shape[d]).product();
    let start = if kind == Reduction::Max { f64::NEG_INFINITY } else { 0.0 };
    let mut all = vec![start; y.len()];
    let mut from = x.iter();
    each_index(shape, |at| {
        if let Some(v) = from.next() {
            let (v, into) = (v.to_f64(), &mut all[dot(at, &strides)]);
            *into = match kind {
                Reduction::Sum | Reduction::Mean => *into + v,
                Reduction::Max if v > *into || v.is_nan() => v,
                Reduction::Max => *into,
            };
        }
    });
    let scale = if kind == Reduction::Mean { count.max(1) as f64 } else { 1.0 };
    for (y, v) in y.iter_mut().zip(all) {
        *y = R::from_f64(v / scale);
    }
}
