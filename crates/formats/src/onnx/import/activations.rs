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
    ("Celu", |o| {
        let (x, alpha) = (o.x(0)?, o.a.float("alpha", 1.0)?);
        let g = o.g();
        // α·elu(x/α): what is positive is itself.
        let scaled = g.scale(x, 1.0 / alpha)?;
        let e = g.elu(scaled, 1.0)?;
        let y = g.scale(e, alpha)?;
        o.set(0, y)
    }),
    ("Swish", |o| {
        let (x, alpha) = (o.x(0)?, o.a.float("alpha", 1.0)?);
        let g = o.g();
        let y = if alpha == 1.0 {
            g.silu(x)?
        } else {
            let scaled = g.scale(x, alpha)?;
            let s = g.sigmoid(scaled)?;
            g.mul(x, s)?
        };
        o.set(0, y)
    }),
    ("Shrink", shrink),
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

/// The slope broadcasts from the right: one number, one per channel with trailing extents of 1, or any other.
fn prelu(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (x, slope) = (o.x(0)?, o.role(1, Role::Bias)?);
    let (shape, s) = (o.shape(x), o.shape(slope));
    let others: Vec<usize> = (0..s.rank()).filter(|&i| s.0[i] != Dim::Fixed(1)).collect();
    let to = match others[..] {
        [] => Some(Shape::fixed(&[1])),
        // Axis i of the slope stands at axis i + rank - s.rank of x.
        [i] if i + shape.rank() == s.rank() + 1 && shape.0.get(1) == Some(&s.0[i]) => Some(Shape(vec![s.0[i]])),
        _ => None,
    };
    let g = o.g();
    let y = match to {
        Some(to) => {
            let slope = if s == to { slope } else { g.reshape(slope, &to)? };
            g.prelu(x, slope)?
        }
        None => {
            let over = g.unary(Unary::Relu, x)?;
            let under = g.sub(x, over)?;
            let scaled = g.mul(under, slope)?;
            g.add(over, scaled)?
        }
    };
    if o.shape(y) != shape {
        return Err(Rule::new(format!("a slope of shape {s} for x {shape}")).into());
    }
    o.set(0, y)
}

/// x moved towards 0 by `bias`, and 0 within `lambd` of it.
fn shrink(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (bias, lambda) = (o.a.float("bias", 0.0)?, o.a.float("lambd", 0.5)?);
    let x = o.x(0)?;
    let g = o.g();
    let mut y = g.zeros_like(x)?;
    for side in [1.0, -1.0] {
        let out = g.scale(x, side)?;
        let out = g.shift(out, -lambda)?;
        let moved = g.shift(x, -side * bias)?;
        let part = g.gate(moved, out)?;
        y = g.add(y, part)?;
    }
    o.set(0, y)
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
        let end = |o: &mut Op<'_, '_>, i| if o.has(i) { o.number(i).map(Some) } else { Ok(None) };
        (end(o, 1)?, end(o, 2)?)
    };
    let (min, max) = (min.unwrap_or(f64::NEG_INFINITY), max.unwrap_or(f64::INFINITY));
    let x = o.x(0)?;
    // An interval that ends before it begins is its end.
    let y = o.g().clip(x, min.min(max), max)?;
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
