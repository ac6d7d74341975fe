//! Padding and its adjoint.

use super::index::{dot, each_index};
use gabor_tensor::{PadMode, Real, strides_of};

/// Surrounds x of shape `shape` by `pads[d] = (before, after)` elements per dimension. `value` is the constant of
/// [`PadMode::Constant`]; the other modes ignore it. Reflection goes to and fro if it must, so any amount is legal as
/// long as the dimension has at least one element.
pub fn pad<R: Real>(mode: PadMode, value: R, x: &[R], shape: &[usize], pads: &[(usize, usize)], y: &mut [R]) {
    let mut out = y.iter_mut();
    each_source(mode, shape, pads, |i| {
        if let Some(y) = out.next() {
            *y = i.map_or(value, |i| x[i]);
        }
    });
}

/// The adjoint of [`pad`]: every element of `dy` (padded shape) is added to the element of `dx` (shape `shape`) that it
/// was copied from; those of constant padding are dropped.
pub fn pad_grad<R: Real>(mode: PadMode, dy: &[R], shape: &[usize], pads: &[(usize, usize)], dx: &mut [R]) {
    dx.fill(R::ZERO);
    let mut from = dy.iter();
    each_source(mode, shape, pads, |i| {
        if let (Some(&v), Some(i)) = (from.next(), i) {
            dx[i] += v;
        }
    });
}

/// Calls `f` with the flat source index of every padded element, `None` for constant padding.
fn each_source(mode: PadMode, shape: &[usize], pads: &[(usize, usize)], mut f: impl FnMut(Option<usize>)) {
    let strides = strides_of(shape);
    let padded: Vec<usize> = shape.iter().zip(pads).map(|(n, (before, after))| before + n + after).collect();
    let mut from = vec![0; shape.len()];
    each_index(&padded, |at| {
        let inside = (0..at.len()).all(|d| match source(mode, at[d], pads[d].0, shape[d]) {
            Some(i) => {
                from[d] = i;
                true
            }
            None => false,
        });
        f(inside.then(|| dot(&from, &strides)));
    });
}

/// Where padded element `o` of a dimension of `n` elements comes from.
pub(crate) fn source(mode: PadMode, o: usize, before: usize, n: usize) -> Option<usize> {
    let (o, before, n) = (o as isize, before as isize, n as isize);
    let i = o - before;
    let at = match mode {
        _ if (0..n).contains(&i) => i,
        PadMode::Constant => return None,
        PadMode::Replicate => i.clamp(0, n - 1),
        PadMode::Circular => i.rem_euclid(n),
        PadMode::Reflect if n == 1 => 0,
        PadMode::Reflect => {
            let r = i.rem_euclid(2 * (n - 1));
            r.min(2 * (n - 1) - r)
        }
    };
    Some(at as usize)
}
