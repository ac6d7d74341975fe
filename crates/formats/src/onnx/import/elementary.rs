//! Elementary functions beside those that networks use, by formulas of the others.

use super::Row;
use super::op::{Fail, Op};
use super::rounding::choose;
use gabor_graph::{Graph, Result, ValueId};
use gabor_tensor::Unary;
use std::f64::consts::FRAC_PI_2;

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Tan", |o| map(o, |g, x| ratio(g, x, Unary::Sin, Unary::Cos))),
    ("Sinh", |o| map(o, |g, x| halves(g, x, -1.0))),
    ("Cosh", |o| map(o, |g, x| halves(g, x, 1.0))),
    ("Atan", |o| map(o, arc_tangent)),
    ("Asin", |o| map(o, arc_sine)),
    ("Acos", |o| {
        map(o, |g, x| {
            let s = arc_sine(g, x)?;
            let minus = g.scale(s, -1.0)?;
            g.shift(minus, FRAC_PI_2)
        })
    }),
    ("Asinh", |o| {
        map(o, |g, x| {
            // sign(x)·ln(|x| + √(x² + 1)), by ln(1 + t) near 0.
            let size = g.unary(Unary::Abs, x)?;
            let square = g.unary(Unary::Square, x)?;
            let over = g.shift(square, 1.0)?;
            let root = g.unary(Unary::Sqrt, over)?;
            let under = g.shift(root, 1.0)?;
            let part = g.div(square, under)?;
            let t = g.add(size, part)?;
            let log = g.unary(Unary::Log1p, t)?;
            let sign = g.unary(Unary::Sign, x)?;
            g.mul(log, sign)
        })
    }),
    ("Acosh", |o| {
        map(o, |g, x| {
            let square = g.unary(Unary::Square, x)?;
            let under = g.shift(square, -1.0)?;
            let root = g.unary(Unary::Sqrt, under)?;
            let sum = g.add(x, root)?;
            g.unary(Unary::Log, sum)
        })
    }),
    ("Atanh", |o| {
        map(o, |g, x| {
            // Half of ln((1 + x)/(1 - x)).
            let minus = g.scale(x, -1.0)?;
            let (a, b) = (g.unary(Unary::Log1p, x)?, g.unary(Unary::Log1p, minus)?);
            let d = g.sub(a, b)?;
            g.scale(d, 0.5)
        })
    }),
];

fn map(o: &mut Op<'_, '_>, f: impl Fn(&mut Graph, ValueId) -> Result<ValueId>) -> std::result::Result<(), Fail> {
    let x = o.x(0)?;
    let y = f(o.g(), x)?;
    o.set(0, y)
}

fn ratio(g: &mut Graph, x: ValueId, over: Unary, under: Unary) -> Result<ValueId> {
    let (a, b) = (g.unary(over, x)?, g.unary(under, x)?);
    g.div(a, b)
}

/// `(eˣ ± e⁻ˣ)/2`.
fn halves(g: &mut Graph, x: ValueId, sign: f64) -> Result<ValueId> {
    let minus = g.scale(x, -1.0)?;
    let (a, b) = (g.unary(Unary::Exp, x)?, g.unary(Unary::Exp, minus)?);
    let b = g.scale(b, sign)?;
    let sum = g.add(a, b)?;
    g.scale(sum, 0.5)
}

fn arc_sine(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let square = g.unary(Unary::Square, x)?;
    let minus = g.scale(square, -1.0)?;
    let rest = g.shift(minus, 1.0)?;
    let root = g.unary(Unary::Sqrt, rest)?;
    let t = g.div(x, root)?;
    arc_tangent(g, t)
}

/// Halved twice by atan z = 2·atan(z/(1 + √(1 + z²))), until five terms of the series suffice for 32 bits.
fn arc_tangent(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let size = g.unary(Unary::Abs, x)?;
    let one = g.number(1.0);
    let large = g.greater(size, one)?;
    let inverse = g.unary(Unary::Recip, size)?;
    let mut z = choose(g, large, inverse, size)?;
    for _ in 0..2 {
        let square = g.unary(Unary::Square, z)?;
        let over = g.shift(square, 1.0)?;
        let root = g.unary(Unary::Sqrt, over)?;
        let under = g.shift(root, 1.0)?;
        z = g.div(z, under)?;
    }
    let square = g.unary(Unary::Square, z)?;
    let mut sum = g.number(1.0 / 9.0);
    for c in [-1.0 / 7.0, 1.0 / 5.0, -1.0 / 3.0, 1.0] {
        let up = g.mul(sum, square)?;
        sum = g.shift(up, c)?;
    }
    let small = g.mul(sum, z)?;
    let angle = g.scale(small, 4.0)?;
    let minus = g.scale(angle, -1.0)?;
    let rest = g.shift(minus, FRAC_PI_2)?;
    let angle = choose(g, large, rest, angle)?;
    let sign = g.unary(Unary::Sign, x)?;
    g.mul(angle, sign)
}
