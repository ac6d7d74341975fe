//! Arithmetic, element by element, and comparisons. A truth is a float, 0 or 1. Whole numbers of a shape computation are
//! computed here and now.

use super::Row;
use super::activations::unary;
use super::item::{Int, Ints};
use super::op::{Fail, Op, one_number};
use super::reader::Role;
use super::rounding::{ceil, choose, complement, float, floor, round, truncate};
use crate::onnx::tensor::{ElementType, kind_of};
use gabor_graph::ValueId;
use gabor_tensor::{Binary, DType, Dim, Rule, Unary};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Neg", |o| unary(o, Unary::Neg)),
    ("Abs", |o| unary(o, Unary::Abs)),
    ("Sign", |o| unary(o, Unary::Sign)),
    ("Exp", |o| unary(o, Unary::Exp)),
    ("Log", |o| unary(o, Unary::Log)),
    ("Sqrt", |o| unary(o, Unary::Sqrt)),
    ("Reciprocal", |o| unary(o, Unary::Recip)),
    ("Erf", |o| unary(o, Unary::Erf)),
    ("Sin", |o| unary(o, Unary::Sin)),
    ("Cos", |o| unary(o, Unary::Cos)),
    ("Add", |o| arithmetic(o, Binary::Add)),
    ("Sub", |o| arithmetic(o, Binary::Sub)),
    ("Mul", |o| arithmetic(o, Binary::Mul)),
    ("Div", |o| arithmetic(o, Binary::Div)),
    ("Pow", pow),
    ("Max", |o| many(o, Binary::Max)),
    ("Min", |o| many(o, Binary::Min)),
    ("Sum", |o| many(o, Binary::Add)),
    ("Mean", |o| many(o, Binary::Add)),
    ("Greater", |o| compare(o, Binary::Greater, false, false)),
    ("Less", |o| compare(o, Binary::Greater, true, false)),
    ("GreaterOrEqual", |o| compare(o, Binary::Greater, true, true)),
    ("LessOrEqual", |o| compare(o, Binary::Greater, false, true)),
    ("Equal", |o| compare(o, Binary::Equal, false, false)),
    ("Not", |o| {
        let x = o.x(0)?;
        let y = complement(o.g(), x)?;
        o.set(0, y)
    }),
    ("Xor", |o| {
        let (a, b) = (o.x(0)?, o.x(1)?);
        let g = o.g();
        let same = g.equal(a, b)?;
        let y = complement(g, same)?;
        o.set(0, y)
    }),
    ("Floor", |o| map(o, floor)),
    ("Ceil", |o| map(o, ceil)),
    ("Round", |o| map(o, round)),
    ("IsNaN", |o| {
        let x = o.x(0)?;
        let g = o.g();
        let same = g.equal(x, x)?;
        let y = complement(g, same)?;
        o.set(0, y)
    }),
    ("IsInf", is_inf),
    ("Mod", modulo),
    ("And", |o| arithmetic(o, Binary::Mul)),
    ("Or", |o| arithmetic(o, Binary::Max)),
    ("Where", |o| {
        let (c, a, b) = (o.x(0)?, o.x(1)?, o.x(2)?);
        let y = choose(o.g(), c, a, b)?;
        o.set(0, y)
    }),
    ("Cast", |o| {
        let to = o.a.int("to", 0)?;
        cast(o, kind_of(to)?)
    }),
    ("CastLike", |o| {
        let kind = o.kind(1);
        let kind = kind.or_else(|| {
            let like = o.x(1).ok()?;
            Some(match o.g().ty(like).dtype {
                DType::I32 => ElementType::I32,
                DType::U8 => ElementType::U8,
                _ => ElementType::F32,
            })
        });
        cast(o, kind.ok_or_else(|| Rule::new("the type of its second input is not known"))?)
    }),
];

fn map(
    o: &mut Op<'_, '_>,
    f: impl Fn(&mut gabor_graph::Graph, ValueId) -> gabor_graph::Result<ValueId>,
) -> Result<(), Fail> {
    let x = o.x(0)?;
    let y = f(o.g(), x)?;
    o.set(0, y)
}

fn is_inf(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (plus, minus) = (o.a.flag("detect_positive", true)?, o.a.flag("detect_negative", true)?);
    let x = o.x(0)?;
    let g = o.g();
    let mut y = g.zeros_like(x)?;
    for (wanted, value) in [(plus, f64::INFINITY), (minus, f64::NEG_INFINITY)] {
        if wanted {
            let value = g.number(value);
            let hit = g.equal(x, value)?;
            y = g.maximum(y, hit)?;
        }
    }
    o.set(0, y)
}

/// The rest of a division: of the sign of the dividend with `fmod`, else of the divisor.
fn modulo(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let c = o.a.flag("fmod", false)?;
    let (a, b) = (o.x(0)?, o.x(1)?);
    let g = o.g();
    let (whole, a, b) = (g.ty(a).dtype, float(g, a)?, float(g, b)?);
    let q = g.div(a, b)?;
    let q = if c { truncate(g, q)? } else { floor(g, q)? };
    let part = g.mul(q, b)?;
    let rest = g.sub(a, part)?;
    // Of an infinite divisor all is left, or all of it where the signs differ.
    let size = g.unary(Unary::Abs, b)?;
    let infinity = g.number(f64::INFINITY);
    let endless = g.equal(size, infinity)?;
    let signs = [g.unary(Unary::Sign, a)?, g.unary(Unary::Sign, b)?];
    let product = g.mul(signs[0], signs[1])?;
    let zero = g.number(0.0);
    let apart = g.greater(zero, product)?;
    let whole_of = if c { a } else { choose(g, apart, b, a)? };
    let mut y = choose(g, endless, whole_of, rest)?;
    if whole != DType::F32 {
        y = g.cast(y, whole)?;
    }
    o.set(0, y)
}

fn arithmetic(o: &mut Op<'_, '_>, f: Binary) -> Result<(), Fail> {
    if let (Some(a), Some(b)) = (o.ints(0)?, o.ints(1)?) {
        let (scalar, v) = whole(f, &a, &b)?;
        return o.set_ints(scalar, v);
    }
    let (a, b) = (o.role(0, Role::Bias)?, o.role(1, Role::Bias)?);
    let y = o.g().binary(f, a, b)?;
    o.set(0, y)
}

/// Arithmetic on the extents of shapes.
fn whole(f: Binary, a: &Ints, b: &Ints) -> Result<(bool, Vec<Int>), Rule> {
    let len = if a.v.len() == 1 { b.v.len() } else { a.v.len() };
    if b.v.len() != len && b.v.len() != 1 {
        return Err(Rule::new(format!("lists of {} and {} whole numbers", a.v.len(), b.v.len())));
    }
    let at = |i: &Ints, k: usize| if i.v.len() == 1 { i.v[0] } else { i.v[k] };
    let wrong = || Rule::new(format!("{f} of whole numbers that cannot be computed"));
    let one = |k| {
        use Int::{Batch, Known};
        let known = |f: fn(i64, i64) -> Option<i64>, x, y| f(x, y).ok_or_else(wrong);
        Ok(match (f, at(a, k), at(b, k)) {
            (Binary::Add, Known(x), Known(y)) => Known(known(i64::checked_add, x, y)?),
            (Binary::Add, Batch(x), Batch(y)) => Batch(known(i64::checked_add, x, y)?),
            (Binary::Sub, Known(x), Known(y)) => Known(known(i64::checked_sub, x, y)?),
            (Binary::Mul, Known(x), Known(y)) => Known(known(i64::checked_mul, x, y)?),
            (Binary::Mul, Batch(x), Known(y)) | (Binary::Mul, Known(x), Batch(y)) => {
                Batch(known(i64::checked_mul, x, y)?)
            }
            (Binary::Div, Known(x), Known(y)) => Known(known(i64::checked_div, x, y)?),
            (Binary::Div, Batch(x), Known(y)) if y != 0 && x % y == 0 => Batch(known(i64::checked_div, x, y)?),
            (Binary::Max, Known(x), Known(y)) => Known(x.max(y)),
            _ => return Err(wrong()),
        })
    };
    let v = (0..len).map(one).collect::<Result<Vec<_>, _>>()?;
    Ok((a.scalar && b.scalar, v))
}

fn pow(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let x = o.x(0)?;
    let whole = o.g().ty(x).dtype;
    let x = float(o.g(), x)?;
    let known = o.maybe_known(1)?.and_then(|k| if k.shape.is_empty() { one_number(&k) } else { None });
    let mut y = match known {
        Some(2.0) => o.g().unary(Unary::Square, x)?,
        Some(0.5) => o.g().unary(Unary::Sqrt, x)?,
        Some(1.0) => x,
        Some(-1.0) => o.g().unary(Unary::Recip, x)?,
        Some(3.0) => {
            let g = o.g();
            let square = g.unary(Unary::Square, x)?;
            g.mul(square, x)?
        }
        // A whole power of a negative number has a sign of its own.
        Some(e) if e.fract() == 0.0 => {
            let g = o.g();
            let exponent = g.number(e);
            let size = g.unary(Unary::Abs, x)?;
            let power = g.pow(size, exponent)?;
            if e % 2.0 == 0.0 {
                power
            } else {
                let sign = g.unary(Unary::Sign, x)?;
                g.mul(power, sign)?
            }
        }
        Some(e) => {
            let g = o.g();
            let exponent = g.number(e);
            g.pow(x, exponent)?
        }
        None => {
            let e = o.role(1, Role::Bias)?;
            let g = o.g();
            let e = float(g, e)?;
            g.pow(x, e)?
        }
    };
    if whole != DType::F32 {
        y = o.g().cast(y, whole)?;
    }
    o.set(0, y)
}

/// Any number of inputs; the mean is told by its name.
fn many(o: &mut Op<'_, '_>, f: Binary) -> Result<(), Fail> {
    let mut y = o.x(0)?;
    for i in 1..o.inputs() {
        let x = o.x(i)?;
        y = o.g().binary(f, y, x)?;
    }
    if o.is("Mean") {
        let n = o.inputs() as f64;
        y = o.g().scale(y, 1.0 / n)?;
    }
    o.set(0, y)
}

fn compare(o: &mut Op<'_, '_>, f: Binary, swap: bool, not: bool) -> Result<(), Fail> {
    let (mut a, mut b) = (o.x(0)?, o.x(1)?);
    if swap {
        (a, b) = (b, a);
    }
    // Class indices may be compared, too: they are small, so floats hold them exactly.
    let g = o.g();
    for v in [&mut a, &mut b] {
        if g.ty(*v).dtype != DType::F32 {
            *v = g.cast(*v, DType::F32)?;
        }
    }
    let mut y = g.binary(f, a, b)?;
    if not {
        y = complement(o.g(), y)?;
    }
    o.set(0, y)
}

/// `k · n` as a number, counted along an input's batch axis.
fn batch_size(o: &mut Op<'_, '_>, k: i64) -> Result<ValueId, Fail> {
    let g = o.g();
    let axis = |v: &ValueId| g.shape(*v).0.iter().position(|&d| d == Dim::Batch(1)).map(|a| (*v, a));
    let found = g.inputs().collect::<Vec<_>>().iter().find_map(axis);
    let (input, axis) = found.ok_or_else(|| Rule::new("no input has the batch size as an extent"))?;
    let n = g.size(input, &[axis])?;
    Ok(if k == 1 { n } else { g.scale(n, k as f64)? })
}

fn cast(o: &mut Op<'_, '_>, to: ElementType) -> Result<(), Fail> {
    o.a.ignore("saturate")?;
    o.a.ignore("round_mode")?;
    if matches!(to, ElementType::I64 | ElementType::I32) && o.ints(0)?.is_some() {
        return o.pass();
    }
    if to == ElementType::F32
        && let Some(ints) = o.ints(0)?
        && let (true, &[Int::Batch(k)]) = (ints.scalar, &ints.v[..])
    {
        let y = batch_size(o, k)?;
        return o.set(0, y);
    }
    let x = o.x(0)?;
    if to == ElementType::Bool {
        let g = o.g();
        let x = float(g, x)?;
        let zero = g.number(0.0);
        let equal = g.equal(x, zero)?;
        let y = complement(g, equal)?;
        return o.set(0, y);
    }
    let dtype = to.dtype();
    let y = if o.g().ty(x).dtype == dtype { x } else { o.g().cast(x, dtype)? };
    o.set(0, y)
}
