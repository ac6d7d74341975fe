//! Sums, means and others over axes.

use super::Row;
use super::item::Int;
use super::op::{Fail, Op};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape, Unary};

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
    ("ReduceLogSum", |o| {
        reduce(o, 18, |g, x, axes| {
            let sum = g.reduce(Reduction::Sum, x, axes)?;
            g.unary(Unary::Log, sum)
        })
    }),
    ("ReduceLogSumExp", |o| {
        reduce(o, 18, |g, x, axes| {
            // Without the largest, no exponential overflows.
            let most = g.reduce(Reduction::Max, x, axes)?;
            let rest = g.sub(x, most)?;
            let e = g.unary(Unary::Exp, rest)?;
            let sum = g.reduce(Reduction::Sum, e, axes)?;
            let log = g.unary(Unary::Log, sum)?;
            g.add(log, most)
        })
    }),
    ("ReduceProd", product),
];

/// Most factors of one product.
const MAX_FACTORS: usize = 1 << 16;

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
    let whole = o.g().ty(x).dtype;
    let x = super::rounding::float(o.g(), x)?;
    let shape = o.shape(x);
    let axes = if axes.is_empty() { (0..shape.rank()).collect() } else { o.axes(&axes, shape.rank())? };
    o.keep_batch(x, &axes)?;
    let mut y = f(o.g(), x, &axes)?;
    if !keep {
        let kept = (shape.0.iter().enumerate()).filter(|(i, _)| !axes.contains(i)).map(|(_, &d)| d).collect();
        y = o.g().reshape(y, &Shape(kept))?;
    }
    if whole != DType::F32 {
        y = o.g().cast(y, whole)?;
    }
    o.set(0, y)
}

/// The product of extents, which shape computations use, or of values.
fn product(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    if let Some(ints) = o.ints(0)? {
        let axes = o.ints_since("axes", 1, 18)?.unwrap_or_default();
        let keep = o.a.flag("keepdims", true)?;
        o.axes(&axes, 1)?;
        let dims: Vec<Dim> = ints.v.iter().map(|&i| extent(i)).collect::<Result<_, _>>()?;
        return o.set_ints(!keep, vec![super::op::product(&dims)?.into()]);
    }
    reduce(o, 18, |g, x, axes| {
        let shape = g.shape(x).clone();
        let kept: Vec<usize> = (0..shape.rank()).filter(|a| !axes.contains(a)).collect();
        let perm: Vec<usize> = kept.iter().chain(axes).copied().collect();
        let rows = super::op::product(&kept.iter().map(|&a| shape.0[a]).collect::<Vec<_>>());
        let factors = super::op::product(&axes.iter().map(|&a| shape.0[a]).collect::<Vec<_>>());
        let (rows, mut n) = match (rows, factors) {
            // The product of nothing is 1, as its sum is 0.
            (Ok(_), Ok(Dim::Fixed(0))) => {
                let sum = g.reduce(Reduction::Sum, x, axes)?;
                return g.shift(sum, 1.0);
            }
            (Ok(r), Ok(Dim::Fixed(n))) if (1..=MAX_FACTORS).contains(&n) => (r, n),
            _ => {
                return Err(g.error_here(
                    "reduce",
                    Rule::new(format!("a product over axes {axes:?} of {shape}")),
                    &[x],
                ));
            }
        };
        let turned = g.transpose(x, &perm)?;
        let mut y = g.reshape(turned, &Shape(vec![rows, Dim::Fixed(n)]))?;
        // Halves by halves; an odd factor is taken along.
        while n > 1 {
            let half = n / 2;
            let (a, b) = (g.slice(y, 1, 0, half, 1)?, g.slice(y, 1, half, 2 * half, 1)?);
            let both = g.mul(a, b)?;
            y = if n % 2 == 1 {
                let last = g.slice(y, 1, n - 1, n, 1)?;
                g.concat(&[both, last], 1)?
            } else {
                both
            };
            n = half + n % 2;
        }
        let mut to = shape;
        axes.iter().for_each(|&a| to.0[a] = Dim::Fixed(1));
        g.reshape(y, &to)
    })
}

/// A whole number as an extent.
pub(super) fn extent(i: Int) -> Result<Dim, Rule> {
    let size = |v: i64| usize::try_from(v).map_err(|_| Rule::new(format!("an extent of {v}")).right("at least 0"));
    match i {
        Int::Known(v) => size(v).map(Dim::Fixed),
        Int::Batch(v) => size(v).map(Dim::Batch),
    }
}
