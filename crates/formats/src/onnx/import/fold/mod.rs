//! Operators on numbers that are known, computed here and now: shapes, axes and indices, as exporters compute them.
//!
//! Whole numbers of every extent are computed in 64 bits, exactly and within the range of their type; floats where they
//! are few. Weights are never touched: they stay parameters.

mod arithmetic;
mod moves;
mod reduce;

pub(super) use moves::run;

use super::op::{Fail, Op};
use crate::onnx::tensor::{Elements, Known};
use gabor_tensor::Rule;
use std::rc::Rc;

/// Most floats of a constant that are computed here; larger ones are left to the graph.
const MAX_FLOATS: usize = 4096;
/// Most elements of a result: a short file may ask for much.
const MAX_RESULT: usize = 1 << 21;
/// Most whole numbers that are computed with here; larger tables are a picture, not a shape.
const MAX_INTS: usize = 1 << 21;

/// The inputs of a node, all known; `None` for one that is left out.
pub(super) type Inputs = [Option<Rc<Known>>];
/// The outputs, or nothing where the operator's row is to say what it is.
pub(super) type Folded = Result<Option<Vec<Known>>, Fail>;
/// How one operator is computed.
type Row = fn(&mut Op<'_, '_>, &Inputs) -> Folded;

/// The row of an operator.
pub(super) fn row(op_type: &str) -> Option<Row> {
    let tables = [arithmetic::ROWS, moves::ROWS, reduce::ROWS];
    tables.iter().flat_map(|t| t.iter()).find(|(n, _)| *n == op_type).map(|&(_, f)| f)
}

/// Whether numbers may be computed here: whole ones, or few.
pub(super) fn small(k: &Known) -> bool {
    match &k.elements {
        Elements::Int(v) => v.len() <= MAX_INTS,
        Elements::Float(v) => v.len() <= MAX_FLOATS,
    }
}

/// Input `i`.
fn input(inputs: &Inputs, i: usize) -> Result<&Known, Rule> {
    inputs.get(i).and_then(|k| k.as_deref()).ok_or_else(|| Rule::new(format!("input {i} is missing")))
}

/// Input `i` as a list of whole numbers.
fn ints(inputs: &Inputs, i: usize) -> Result<Option<&[i64]>, Rule> {
    match inputs.get(i).and_then(|k| k.as_deref()) {
        None => Ok(None),
        Some(Known { elements: Elements::Int(v), .. }) => Ok(Some(v)),
        Some(_) => Err(Rule::new(format!("input {i} is no list of whole numbers"))),
    }
}

/// The number of elements of a result, bounded.
fn count(shape: &[usize]) -> Result<usize, Rule> {
    let product = shape.iter().try_fold(1usize, |a, &d| a.checked_mul(d));
    product.filter(|&p| p <= MAX_RESULT).ok_or_else(|| {
        Rule::new(format!("a constant of shape {shape:?}")).right(format!("at most {MAX_RESULT} elements"))
    })
}

/// NumPy's broadcasting.
fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Rule> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| if i + s.len() < rank { 1 } else { s[i + s.len() - rank] };
    let one = |i| match (at(a, i), at(b, i)) {
        (p, q) if p == q => Some(p),
        (1, q) => Some(q),
        (p, 1) => Some(p),
        _ => None,
    };
    (0..rank).map(one).collect::<Option<_>>().ok_or_else(|| Rule::new(format!("{a:?} and {b:?} do not broadcast")))
}

/// For every index of `shape`, in order, `base + Σ index·step`.
fn walk(shape: &[usize], base: i64, steps: &[i64]) -> Result<Vec<usize>, Rule> {
    let count = count(shape)?;
    let mut index = vec![0usize; shape.len()];
    let mut v = Vec::with_capacity(count);
    for _ in 0..count {
        let at = index.iter().zip(steps).fold(base, |a, (&i, &s)| a + i as i64 * s);
        v.push(usize::try_from(at).map_err(|_| Rule::new("an element outside the constant"))?);
        for (i, &d) in index.iter_mut().zip(shape).rev() {
            *i += 1;
            if *i < d {
                break;
            }
            *i = 0;
        }
    }
    Ok(v)
}

/// Where each element of `x` broadcast to `to` comes from.
fn broadcast_places(x: &[usize], to: &[usize]) -> Result<Vec<usize>, Rule> {
    if broadcast(x, to)? != to {
        return Err(Rule::new(format!("{x:?} does not broadcast to {to:?}")));
    }
    let lead = to.len() - x.len();
    let own = strides(x);
    let steps: Vec<i64> = (0..to.len()).map(|i| if i < lead || x[i - lead] == 1 { 0 } else { own[i - lead] }).collect();
    walk(to, 0, &steps)
}

fn strides(shape: &[usize]) -> Vec<i64> {
    gabor_tensor::strides_of(shape).into_iter().map(|s| s as i64).collect()
}

/// The elements of `k` at these places, in a new shape.
fn pick(k: &Known, shape: Vec<usize>, places: &[usize]) -> Result<Known, Rule> {
    fn of<T: Copy>(v: &[T], places: &[usize]) -> Result<Vec<T>, Rule> {
        let at = |&i: &usize| v.get(i).copied().ok_or_else(|| Rule::new("an element outside the constant"));
        places.iter().map(at).collect()
    }
    let elements = match &k.elements {
        Elements::Int(v) => Elements::Int(of(v, places)?),
        Elements::Float(v) => Elements::Float(of(v, places)?),
    };
    Ok(Known { shape, kind: k.kind, elements })
}
