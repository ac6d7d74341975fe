//! Activation functions and softmax.

use super::Row;
use super::op::{Fail, Op, product};
use super::reader::Role;
use gabor_graph::ValueId;
use gabor_tensor::{Dim, Rule, Shape, Unary};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Relu", |o| unary(o, Unary::Relu)),
    ("Sigmoid", |o| unary(o, Unary::Sigmoid)),
    ("Tanh", |o| unary(o, Unary::Tanh)),
    ("Softplus", |o| {
        let x = o.x(0)?;
        let y = o.g().softplus(x)?;
        o.set(0, y)
    }),
    ("HardSwish", |o| {
        let x = o.x(0)?;
        let y = o.g().hard_swish(x)?;
        o.set(0, y)
    }),
    ("LeakyRelu", |o| {
        let (x, alpha) = (o.x(0)?, o.a.float("alpha", 0.01)?);
        let y = o.g().leaky_relu(x, alpha)?;
        o.set(0, y)
    }),
    ("Elu", |o| {
        let (x, alpha) = (o.x(0)?, o.a.float("alpha", 1.0)?);
        let y = o.g().elu(x, alpha)?;
        o.set(0, y)
    }),
    ("Selu", selu),
    ("Gelu", gelu),
    ("PRelu", prelu),
    ("HardSigmoid", hard_sigmoid),
    ("ThresholdedRelu", |o| {
        let (x, alpha) = (o.x(0)?, o.a.float("alpha", 1.0)?);
        let g = o.g();
        let over = g.shift(x, -alpha)?;
        let y = g.gate(x, over)?;
        o.set(0, y)
    }),
    ("Softsign", |o| {
        let x = o.x(0)?;
        let g = o.g();
        let size = g.unary(Unary::Abs, x)?;
        let under = g.shift(size, 1.0)?;
        let y = g.div(x, under)?;
        o.set(0, y)
    }),
    ("Mish", |o| {
        let x = o.x(0)?;
        let g = o.g();
        let s = g.softplus(x)?;
        let t = g.tanh(s)?;
        let y = g.mul(x, t)?;
        o.set(0, y)
    }),
    ("Clip", clip),
    ("Softmax", |o| softmax(o, false)),
    ("LogSoftmax", |o| softmax(o, true)),
];

pub(super) fn unary(o: &mut Op<'_, '_>, f: Unary) -> Result<(), Fail> {
    let x = o.x(0)?;
    let y = o.g().unary(f, x)?;
    o.set(0, y)
}

fn selu(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    // The defaults of the standard, which are f32's neighbours of the paper's numbers.
    let (alpha, gamma) = (1.673_263_192_176_818_8, 1.050_701_022_148_132_3);
    let (a, c) = (o.a.float("alpha", alpha)?, o.a.float("gamma", gamma)?);
    let x = o.x(0)?;
    let g = o.g();
    let y = if (a - alpha).abs() < 1e-6 && (c - gamma).abs() < 1e-6 {
        g.selu(x)?
    } else {
        let e = g.elu(x, a)?;
        g.scale(e, c)?
    };
    o.set(0, y)
}

fn gelu(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let kind = o.a.text("approximate")?.unwrap_or("none");
    let x = o.x(0)?;
    let g = o.g();
    let y = match kind {
        "none" => g.gelu(x)?,
        "tanh" => {
            let square = g.unary(Unary::Square, x)?;
            let inner = g.scale(square, 0.044715)?;
            let inner = g.shift(inner, 1.0)?;
            let inner = g.mul(x, inner)?;
            let inner = g.scale(inner, (2.0 / std::f64::consts::PI).sqrt())?;
            let t = g.tanh(inner)?;
            let t = g.shift(t, 1.0)?;
            let half = g.scale(x, 0.5)?;
            g.mul(half, t)?
        }
        _ => return Err(Rule::new(format!("attribute `approximate` is {kind:?}")).right("none or tanh").into()),
    };
    o.set(0, y)
}

fn prelu(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (x, mut slope) = (o.x(0)?, o.role(1, Role::Bias)?);
    let (shape, s) = (o.shape(x), o.shape(slope));
    // The slope broadcasts from the right: one number, or one per channel with trailing extents of 1.
    let (_, count) = s.count_of_ones();
    let channels = shape.0.get(1).copied().unwrap_or(Dim::Fixed(1));
    let trailing = shape.rank().saturating_sub(2);
    let at_channels = s.rank() > trailing && s.0[s.rank() - 1 - trailing] == channels;
    let to = match count {
        None => Shape::fixed(&[1]),
        Some(c) if at_channels && c == channels => Shape(vec![channels]),
        _ => {
            return Err(Rule::new(format!("a slope of shape {s} for x {shape}"))
                .right("one, or one per channel")
                .into());
        }
    };
    if s != to {
        slope = o.g().reshape(slope, &to)?;
    }
    let y = o.g().prelu(x, slope)?;
    o.set(0, y)
}

/// Looking for the one extent that is not 1.
trait Ones {
    /// How many extents are not 1, and the first of them if it is the only one.
    fn count_of_ones(&self) -> (usize, Option<Dim>);
}

impl Ones for Shape {
    fn count_of_ones(&self) -> (usize, Option<Dim>) {
        let others: Vec<Dim> = self.0.iter().copied().filter(|&d| d != Dim::Fixed(1)).collect();
        match others[..] {
            [] => (0, None),
            [d] => (1, Some(d)),
            // Two such extents fit no slope; an impossible one is reported.
            _ => (others.len(), Some(Dim::Fixed(0))),
        }
    }
}

fn hard_sigmoid(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (alpha, beta) = (o.a.float("alpha", 0.2)?, o.a.float("beta", 0.5)?);
    let x = o.x(0)?;
    let g = o.g();
    let y = if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 {
        g.hard_sigmoid(x)?
    } else {
        let scaled = g.scale(x, alpha)?;
        let shifted = g.shift(scaled, beta)?;
        g.clip(shifted, 0.0, 1.0)?
    };
    o.set(0, y)
}

fn clip(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    // The ends became inputs at opset 11.
    let (min, max) = if o.opset < 11 {
        (o.a.maybe_float("min")?, o.a.maybe_float("max")?)
    } else {
        let end = |o: &Op<'_, '_>, i| if o.has(i) { o.number(i).map(Some) } else { Ok(None) };
        (end(o, 1)?, end(o, 2)?)
    };
    let (min, max) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
    let x = o.x(0)?;
    let y = o.g().clip(x, min, max)?;
    o.set(0, y)
}

/// Before opset 13 all axes from `axis` on are one; since then `axis` is the only one.
fn softmax(o: &mut Op<'_, '_>, log: bool) -> Result<(), Fail> {
    let flat = o.opset < 13;
    let axis = o.a.int("axis", if flat { 1 } else { -1 })?;
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axis = o.axis(axis, shape.rank())?;
    let apply = |o: &mut Op<'_, '_>, x: ValueId| {
        if log { o.g().log_softmax(x, axis) } else { o.g().softmax(x, axis) }
    };
    if !flat || axis + 1 == shape.rank() {
        o.keep_batch(x, &[axis])?;
        let y = apply(o, x)?;
        return o.set(0, y);
    }
    let rest: Vec<usize> = (axis..shape.rank()).collect();
    o.keep_batch(x, &rest)?;
    let joined = shape.0[..axis].iter().copied().chain([product(&shape.0[axis..])?]).collect();
    let rows = o.g().reshape(x, &Shape(joined))?;
    let y = apply(o, rows)?;
    let y = o.g().reshape(y, &shape)?;
    o.set(0, y)
}
