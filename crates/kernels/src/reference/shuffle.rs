//! Elements that only change place: transpose, concatenation, slices, one-hot rows.

use super::index::{dot, each_index};
use gabor_tensor::{Real, strides_of};

/// `y[at] = x[at permuted]`: dimension `d` of y is dimension `perm[d]` of x.
pub fn transpose<T: Copy>(x: &[T], shape: &[usize], perm: &[usize], y: &mut [T]) {
    let own = strides_of(shape);
    let y_shape: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
    let strides: Vec<usize> = perm.iter().map(|&p| own[p]).collect();
    let mut out = y.iter_mut();
    each_index(&y_shape, |at| {
        if let Some(y) = out.next() {
            *y = x[dot(at, &strides)];
        }
    });
}

/// Joins tensors along dimension `axis`; their shapes agree in all others.
pub fn concat<T: Copy>(inputs: &[(&[T], &[usize])], axis: usize, y: &mut [T]) {
    let Some((_, first)) = inputs.first() else { return };
    let outer: usize = first[..axis].iter().product();
    let mut at = 0;
    for o in 0..outer {
        for (x, shape) in inputs {
            let run: usize = shape[axis..].iter().product();
            y[at..at + run].copy_from_slice(&x[o * run..(o + 1) * run]);
            at += run;
        }
    }
}

/// `y[at] = x[starts + at · steps]` for y of shape `y_shape`. A step may be negative; every index must lie inside x.
pub fn slice<T: Copy>(x: &[T], shape: &[usize], starts: &[usize], steps: &[isize], y_shape: &[usize], y: &mut [T]) {
    let mut out = y.iter_mut();
    each_source(shape, starts, steps, y_shape, |i| {
        if let Some(y) = out.next() {
            *y = x[i];
        }
    });
}

/// The adjoint of [`slice()`]: zeros of shape `shape` with `dy` added at the places that the slice was taken from.
pub fn embed<R: Real>(dy: &[R], dy_shape: &[usize], starts: &[usize], steps: &[isize], shape: &[usize], dx: &mut [R]) {
    dx.fill(R::ZERO);
    let mut from = dy.iter();
    each_source(shape, starts, steps, dy_shape, |i| {
        if let Some(&v) = from.next() {
            dx[i] += v;
        }
    });
}

/// Calls `f` with the flat source index of every element of a slice, in the slice's order.
fn each_source(shape: &[usize], starts: &[usize], steps: &[isize], y_shape: &[usize], mut f: impl FnMut(usize)) {
    let own = strides_of(shape);
    each_index(y_shape, |at| {
        let i: isize = (0..at.len()).map(|d| (starts[d] as isize + at[d] as isize * steps[d]) * own[d] as isize).sum();
        f(i as usize);
    });
}

/// Chosen elements of a dimension: x `[outer, len, inner]` and `indices` below `len` to y `[outer, indices, inner]`. An
/// index outside gives zeros.
pub fn gather<R: Real>(x: &[R], len: usize, inner: usize, indices: &[i32], y: &mut [R]) {
    let outer = x.len() / (len * inner).max(1);
    let mut rows = y.chunks_exact_mut(inner.max(1));
    for o in 0..outer {
        for &i in indices {
            let Some(row) = rows.next() else { return };
            match usize::try_from(i) {
                Ok(i) if i < len => row.copy_from_slice(&x[(o * len + i) * inner..][..inner]),
                _ => row.fill(R::ZERO),
            }
        }
    }
}

/// The adjoint of [`gather`]: dy `[outer, indices, inner]` is added to the elements of dx `[outer, len, inner]` that it was
/// taken from, in order.
pub fn scatter_add<R: Real>(dy: &[R], len: usize, inner: usize, indices: &[i32], dx: &mut [R]) {
    dx.fill(R::ZERO);
    let outer = dx.len() / (len * inner).max(1);
    let mut rows = dy.chunks_exact(inner.max(1));
    for o in 0..outer {
        for &i in indices {
            let Some(row) = rows.next() else { return };
            if let Ok(i) = usize::try_from(i)
                && i < len
            {
                dx[(o * len + i) * inner..][..inner].iter_mut().zip(row).for_each(|(d, &v)| *d += v);
            }
        }
    }
}

/// One row per label: 1 in the label's column, 0 elsewhere. labels `[n]` to y `[n, classes]`; a label outside
/// `0..classes` gives a row of zeros.
pub fn one_hot<R: Real>(labels: &[i32], classes: usize, y: &mut [R]) {
    y.fill(R::ZERO);
    for (row, &label) in labels.iter().enumerate() {
        if let Ok(l) = usize::try_from(label)
            && l < classes
        {
            y[row * classes + l] = R::ONE;
        }
    }
}
