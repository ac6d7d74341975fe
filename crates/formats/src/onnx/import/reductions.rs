//! Sums, means and others over axes.

use super::Row;
use super::item::Int;
use super::op::{Fail, Op};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{Dim, Reduction, Rule, Shape, Unary};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("ReduceSum", |o| reduce(o, 13, |g, x, axes| g.reduce(Reduction::Sum, x, axes))),
    ("ReduceMean", |o| reduce(o, 18, |g, x, axes| g.reduce(Reduction::Mean, x, axes))),
    ("ReduceMax", |o| reduce(o, 18, |g, x, axes| g.reduce(Reduction::Max, x, axes))),
    ("ReduceMin", |o| {
        reduce(o, 18, |g, x, axes| {
            let minus = g.unary(Unary::Neg, x)?;
            let most = g.reduce(Reduction::Max, minus, axes)?;
            g.unary(Unary::Neg, most)
        })
    }),
    ("ReduceL1", |o| {
        reduce(o, 18, |g, x, axes| {
            let size = g.unary(Unary::Abs, x)?;
            g.reduce(Reduction::Sum, size, axes)
        })
    }),
    ("ReduceL2", |o| {
        reduce(o, 18, |g, x, axes| {
            let square = g.unary(Unary::Square, x)?;
            let sum = g.reduce(Reduction::Sum, square, axes)?;
            g.unary(Unary::Sqrt, sum)
        })
    }),
    ("ReduceSumSquare", |o| {
        reduce(o, 18, |g, x, axes| {
            let square = g.unary(Unary::Square, x)?;
            g.reduce(Reduction::Sum, square, axes)
        })
    }),
    ("ReduceProd", product),
];

/// Reads the axes and reduces; `since` is the opset at which axes became an input.
fn reduce(
    o: &mut Op<'_, '_>,
    since: i64,
    f: impl Fn(&mut Graph, ValueId, &[usize]) -> gabor_graph::Result<ValueId>,
) -> Result<(), Fail> {
    let axes = o.ints_since("axes", 1, since)?.unwrap_or_default();
    let keep = o.a.flag("keepdims", true)?;
    let noop = o.opset >= since && o.a.flag("noop_with_empty_axes", false)?;
    if axes.is_empty() && noop {
        return o.pass();
    }
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axes = if axes.is_empty() { (0..shape.rank()).collect() } else { o.axes(&axes, shape.rank())? };
    o.keep_batch(x, &axes)?;
    let mut y = f(o.g(), x, &axes)?;
    if !keep {
        let kept = (shape.0.iter().enumerate()).filter(|(i, _)| !axes.contains(i)).map(|(_, &d)| d).collect();
        y = o.g().reshape(y, &Shape(kept))?;
    }
    o.set(0, y)
}

/// The product of extents, which shape computations use.
fn product(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axes = o.ints_since("axes", 1, 18)?.unwrap_or_default();
    let keep = o.a.flag("keepdims", true)?;
    let ints = o.ints(0)?.filter(|_| axes.iter().all(|&a| a == 0 || a == -1));
    let ints = ints.ok_or_else(|| Rule::new("the product of values").right("products of extents alone"))?;
    let dims: Vec<Dim> = ints.v.iter().map(|&i| extent(i)).collect::<Result<_, _>>()?;
    o.set_ints(!keep, vec![super::op::product(&dims)?.into()])
}

/// A whole number as an extent.
pub(super) fn extent(i: Int) -> Result<Dim, Rule> {
    let size = |v: i64| usize::try_from(v).map_err(|_| Rule::new(format!("an extent of {v}")).right("at least 0"));
    match i {
        Int::Known(v) => size(v).map(Dim::Fixed),
        Int::Batch(v) => size(v).map(Dim::Batch),
    }
}
