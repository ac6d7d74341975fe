//! Functions element by element, with NumPy's broadcasting.

use super::index::{dot, each_index};
use gabor_tensor::{Binary, Real, Unary, strides_of};

/// `y = f(x)`, element by element.
pub fn unary<R: Real>(f: Unary, x: &[R], y: &mut [R]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f.eval(x);
    }
}

/// `y = f(a, b)` with broadcasting; y has the shape that [`broadcast_shape`] gives.
///
/// # Panics
/// If the shapes do not fit each other.
pub fn binary<R: Real>(f: Binary, a: &[R], a_shape: &[usize], b: &[R], b_shape: &[usize], y: &mut [R]) {
    let shape = broadcast_shape(a_shape, b_shape).expect("shapes that fit each other");
    let (sa, sb) = (broadcast_strides(a_shape, &shape), broadcast_strides(b_shape, &shape));
    let mut out = y.iter_mut();
    each_index(&shape, |at| {
        if let Some(y) = out.next() {
            *y = f.eval(a[dot(at, &sa)], b[dot(at, &sb)]);
        }
    });
}

/// Repeats `x` of shape `x_shape` along the dimensions that are missing or 1, to shape `y_shape`.
pub fn broadcast_to<R: Copy>(x: &[R], x_shape: &[usize], y_shape: &[usize], y: &mut [R]) {
    let strides = broadcast_strides(x_shape, y_shape);
    let mut out = y.iter_mut();
    each_index(y_shape, |at| {
        if let Some(y) = out.next() {
            *y = x[dot(at, &strides)];
        }
    });
}

/// NumPy's broadcasting of two shapes, aligned at the right; `None` where they do not fit.
pub fn broadcast_shape(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let get = |s: &[usize], i: usize| if i + s.len() < rank { 1 } else { s[i + s.len() - rank] };
    (0..rank)
        .map(|i| match (get(a, i), get(b, i)) {
            (p, q) if p == q => Some(p),
            (1, q) => Some(q),
            (p, 1) => Some(p),
            _ => None,
        })
        .collect()
}

/// The strides under which a tensor of shape `x` is read as one of shape `y`: 0 where it repeats.
pub(crate) fn broadcast_strides(x: &[usize], y: &[usize]) -> Vec<usize> {
    let missing = y.len() - x.len();
    let own = strides_of(x);
    (0..y.len()).map(|d| if d < missing || x[d - missing] == 1 { 0 } else { own[d - missing] }).collect()
}
