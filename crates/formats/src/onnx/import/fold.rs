//! Whole numbers of more than one axis, moved here and now: exporters compute paddings that way.

use super::op::{Fail, Op};
use crate::onnx::tensor::{Elements, Known};
use gabor_tensor::{Rule, strides_of};

/// Input `i` if it is a table of whole numbers that are known.
pub(super) fn table(o: &Op<'_, '_>, i: usize) -> Result<Option<Known>, Fail> {
    let known = o.maybe_known(i)?;
    Ok(known.filter(|k| k.shape.len() > 1 && matches!(k.elements, Elements::Int(_))).map(|k| (*k).clone()))
}

/// The elements at `base + Σ index·step` for every index of `shape`, in order.
fn walk(k: &Known, shape: Vec<usize>, base: i64, steps: &[i64]) -> Result<Known, Rule> {
    let Elements::Int(from) = &k.elements else { return Err(Rule::new("elements that are no whole numbers")) };
    let count: usize = shape.iter().product();
    if count > from.len() {
        return Err(Rule::new(format!("{count} elements of a constant of {}", from.len())));
    }
    let mut index = vec![0usize; shape.len()];
    let mut v = Vec::with_capacity(count);
    for _ in 0..count {
        let at = index.iter().zip(steps).fold(base, |a, (&i, &s)| a + i as i64 * s);
        let x = usize::try_from(at).ok().and_then(|at| from.get(at));
        v.push(*x.ok_or_else(|| Rule::new("an element outside the constant"))?);
        for (i, &d) in index.iter_mut().zip(&shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    Ok(Known { shape, elements: Elements::Int(v) })
}

fn strides(k: &Known) -> Vec<i64> {
    strides_of(&k.shape).into_iter().map(|s| s as i64).collect()
}

/// Exchanges axes.
pub(super) fn transpose(k: &Known, perm: &[usize]) -> Result<Known, Rule> {
    let mut sorted = perm.to_vec();
    sorted.sort_unstable();
    if sorted != (0..k.shape.len()).collect::<Vec<_>>() {
        return Err(Rule::new(format!("{perm:?} is no order of {} axes", k.shape.len())));
    }
    let s = strides(k);
    let steps: Vec<i64> = perm.iter().map(|&p| s[p]).collect();
    walk(k, perm.iter().map(|&p| k.shape[p]).collect(), 0, &steps)
}

/// Every `step`-th element of one axis, backwards for steps below 0, clamped as NumPy does.
pub(super) fn slice(k: &Known, axis: usize, start: i64, end: i64, step: i64) -> Result<Known, Rule> {
    let n = k.shape[axis] as i64;
    let from_end = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let (start, end) = (from_end(start).clamp(low, high), from_end(end).clamp(low, high));
    let count = if step > 0 { (end - start).max(0) as u64 } else { (start - end).max(0) as u64 }
        .div_ceil(step.unsigned_abs().max(1));
    let mut steps = strides(k);
    let base = start * steps[axis];
    steps[axis] = steps[axis].saturating_mul(if count > 1 { step } else { 1 });
    let mut shape = k.shape.clone();
    shape[axis] = count as usize;
    walk(k, shape, base, &steps)
}
