//! Losses over class scores.

use super::Row;
use super::op::{Fail, Op};
use super::reader::Role;
use gabor_graph::ValueId;
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape, Unary};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("NegativeLogLikelihoodLoss", |o| {
        let x = o.x(0)?;
        loss(o, x)
    }),
    ("SoftmaxCrossEntropyLoss", |o| {
        let x = o.x(0)?;
        let log = o.g().log_softmax(x, 1)?;
        loss(o, log)?;
        o.set(1, log)
    }),
];

/// `-w[t]·x[n, t, …]` for log-probabilities `x [n, c, …]` and classes `t [n, …]`.
fn loss(o: &mut Op<'_, '_>, x: ValueId) -> Result<(), Fail> {
    let reduction = o.a.text("reduction")?.unwrap_or("mean");
    let ignored = o.a.maybe_int("ignore_index")?;
    let shape = o.shape(x);
    let c = shape.0.get(1).and_then(|d| d.fixed()).ok_or_else(|| Rule::new(format!("scores of shape {shape}")))?;
    let target = o.x(1)?;
    let mut column = shape.clone();
    column.0[1] = Dim::Fixed(1);
    let mut each = shape.clone();
    each.0.remove(1);
    if o.shape(target) != each {
        return Err(Rule::new(format!("classes of shape {} for scores {shape}", o.shape(target))).into());
    }
    if reduction != "none" {
        o.keep_batch(x, &[0])?;
    }
    let weight = if o.has(2) { Some(o.role(2, Role::Bias)?) } else { None };
    let g = o.g();
    // Classes are below 2²⁴, so floats hold them exactly.
    let target = if g.ty(target).dtype == DType::F32 { target } else { g.cast(target, DType::F32)? };
    let target = g.reshape(target, &column)?;
    let mut line = vec![1; shape.rank()];
    line[1] = c;
    let numbers = super::rounding::counted(g, shape.rank(), 1, c)?;
    let chosen = g.equal(target, numbers)?;
    let score = g.gate(x, chosen)?;
    let score = g.reduce(Reduction::Sum, score, &[1])?;
    let mut factor = match weight {
        Some(w) => {
            let w = g.reshape(w, &Shape::fixed(&line))?;
            let w = g.mul(chosen, w)?;
            g.reduce(Reduction::Sum, w, &[1])?
        }
        None => {
            let zeros = g.zeros_like(score)?;
            g.shift(zeros, 1.0)?
        }
    };
    if let Some(i) = ignored {
        let i = g.number(i as f64);
        let out = g.equal(target, i)?;
        let one = g.number(1.0);
        let kept = g.sub(one, out)?;
        factor = g.mul(factor, kept)?;
    }
    let y = g.mul(score, factor)?;
    let y = g.unary(Unary::Neg, y)?;
    let all: Vec<usize> = (0..shape.rank()).collect();
    let scalar = Shape::fixed(&[]);
    let y = match reduction {
        "none" => g.reshape(y, &each)?,
        "sum" => {
            let sum = g.reduce(Reduction::Sum, y, &all)?;
            g.reshape(sum, &scalar)?
        }
        "mean" => {
            let (sum, total) = (g.reduce(Reduction::Sum, y, &all)?, g.reduce(Reduction::Sum, factor, &all)?);
            let mean = g.div(sum, total)?;
            g.reshape(mean, &scalar)?
        }
        other => {
            return Err(Rule::new(format!("attribute `reduction` is {other:?}")).right("none, sum or mean").into());
        }
    };
    o.set(0, y)
}
