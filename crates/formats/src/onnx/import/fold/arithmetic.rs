//! Known numbers, element by element.

use super::{Folded, Inputs, Row, broadcast, broadcast_places, input, pick};
use crate::array::ElementType;
use crate::onnx::import::op::{Fail, Op};
use crate::onnx::tensor::{Elements, Known, kind_of};
use gabor_tensor::Rule;

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Add", |_, i| all(i, |a, b| Some(a.wrapping_add(b)), |a, b| a + b)),
    ("Sub", |_, i| all(i, |a, b| Some(a.wrapping_sub(b)), |a, b| a - b)),
    ("Mul", |_, i| all(i, |a, b| Some(a.wrapping_mul(b)), |a, b| a * b)),
    ("Div", |_, i| all(i, i64::checked_div, |a, b| a / b)),
    ("Sum", |_, i| all(i, |a, b| Some(a.wrapping_add(b)), |a, b| a + b)),
    ("Max", |_, i| all(i, |a, b| Some(a.max(b)), |a, b| if a > b || a.is_nan() { a } else { b })),
    ("Min", |_, i| all(i, |a, b| Some(a.min(b)), |a, b| if a < b || a.is_nan() { a } else { b })),
    ("Mod", modulo),
    ("Pow", pow),
    ("And", |_, i| truth(i, |a, b| a != 0.0 && b != 0.0)),
    ("Or", |_, i| truth(i, |a, b| a != 0.0 || b != 0.0)),
    ("Xor", |_, i| truth(i, |a, b| (a != 0.0) != (b != 0.0))),
    ("Equal", |_, i| compare(i, |a, b| a == b, |a, b| a == b)),
    ("Greater", |_, i| compare(i, |a, b| a > b, |a, b| a > b)),
    ("GreaterOrEqual", |_, i| compare(i, |a, b| a >= b, |a, b| a >= b)),
    ("Less", |_, i| compare(i, |a, b| a < b, |a, b| a < b)),
    ("LessOrEqual", |_, i| compare(i, |a, b| a <= b, |a, b| a <= b)),
    ("BitwiseAnd", |_, i| whole(i, |a, b| a & b)),
    ("BitwiseOr", |_, i| whole(i, |a, b| a | b)),
    ("BitwiseXor", |_, i| whole(i, |a, b| a ^ b)),
    ("BitwiseNot", |_, i| each(i, |a| !a, |a| a)),
    ("BitShift", shift),
    ("Not", |_, i| {
        let k = input(i, 0)?;
        Ok(Some(vec![Known { kind: ElementType::Bool, ..map(k, |a| i64::from(a == 0), |a| a) }]))
    }),
    ("Neg", |_, i| each(i, i64::wrapping_neg, |a| -a)),
    ("Abs", |_, i| each(i, i64::wrapping_abs, f64::abs)),
    ("Sign", |_, i| each(i, i64::signum, |a| if a == 0.0 || a.is_nan() { a } else { a.signum() })),
    ("Floor", |_, i| each(i, |a| a, f64::floor)),
    ("Ceil", |_, i| each(i, |a| a, f64::ceil)),
    ("Round", |_, i| each(i, |a| a, f64::round_ties_even)),
    ("Sqrt", |_, i| each(i, |a| a, f64::sqrt)),
    ("Reciprocal", |_, i| each(i, |a| a, f64::recip)),
    ("Clip", clip),
    ("Where", choose),
    ("Cast", |o, i| {
        let to = kind_of(o.a.int("to", 0)?)?;
        cast(o, input(i, 0)?, to)
    }),
    ("CastLike", |o, i| {
        let to = input(i, 1)?.kind;
        cast(o, input(i, 0)?, to)
    }),
];

/// A known tensor, element by element.
fn map(k: &Known, whole: impl Fn(i64) -> i64, float: impl Fn(f64) -> f64) -> Known {
    let elements = match &k.elements {
        Elements::Int(v) => Elements::Int(v.iter().map(|&x| k.kind.wrap(whole(x))).collect()),
        Elements::Float(v) => Elements::Float(v.iter().map(|&x| float(f64::from(x)) as f32).collect()),
    };
    Known { shape: k.shape.clone(), kind: k.kind, elements }
}

fn each(inputs: &Inputs, whole: impl Fn(i64) -> i64, float: impl Fn(f64) -> f64) -> Folded {
    Ok(Some(vec![map(input(inputs, 0)?, whole, float)]))
}

/// Two known tensors of one type, broadcast to one shape.
fn both(a: &Known, b: &Known) -> Result<(Known, Known), Rule> {
    let shape = broadcast(&a.shape, &b.shape)?;
    let fit = |k: &Known| pick(k, shape.clone(), &broadcast_places(&k.shape, &shape)?);
    Ok((fit(a)?, fit(b)?))
}

fn two(
    a: &Known,
    b: &Known,
    whole: impl Fn(i64, i64) -> Option<i64>,
    float: impl Fn(f64, f64) -> f64,
) -> Result<Known, Rule> {
    let (a, b) = both(a, b)?;
    let elements = match (a.elements, b.elements) {
        (Elements::Int(x), Elements::Int(y)) => {
            let one = |(x, y)| {
                whole(x, y)
                    .map(|v| a.kind.wrap(v))
                    .ok_or_else(|| Rule::new(format!("{x} and {y} give no whole number")))
            };
            Elements::Int(x.into_iter().zip(y).map(one).collect::<Result<_, _>>()?)
        }
        (Elements::Float(x), Elements::Float(y)) => {
            Elements::Float(x.into_iter().zip(y).map(|(x, y)| float(f64::from(x), f64::from(y)) as f32).collect())
        }
        _ => return Err(Rule::new("whole numbers and floats in one operation")),
    };
    Ok(Known { shape: a.shape, kind: a.kind, elements })
}

/// Any number of inputs, two by two.
fn all(inputs: &Inputs, whole: impl Fn(i64, i64) -> Option<i64>, float: impl Fn(f64, f64) -> f64) -> Folded {
    let mut y = input(inputs, 0)?.clone();
    for i in 1..inputs.len() {
        y = two(&y, input(inputs, i)?, &whole, &float)?;
    }
    Ok(Some(vec![y]))
}

fn whole(inputs: &Inputs, f: impl Fn(i64, i64) -> i64) -> Folded {
    Ok(Some(vec![two(input(inputs, 0)?, input(inputs, 1)?, |a, b| Some(f(a, b)), |a, _| a)?]))
}

fn compare(inputs: &Inputs, whole: impl Fn(i64, i64) -> bool, float: impl Fn(f64, f64) -> bool) -> Folded {
    let (a, b) = both(input(inputs, 0)?, input(inputs, 1)?)?;
    let v = match (&a.elements, &b.elements) {
        (Elements::Int(x), Elements::Int(y)) => x.iter().zip(y).map(|(&x, &y)| i64::from(whole(x, y))).collect(),
        (Elements::Float(x), Elements::Float(y)) => {
            x.iter().zip(y).map(|(&x, &y)| i64::from(float(f64::from(x), f64::from(y)))).collect()
        }
        _ => return Err(Rule::new("whole numbers compared with floats").into()),
    };
    Ok(Some(vec![Known { shape: a.shape, kind: ElementType::Bool, elements: Elements::Int(v) }]))
}

fn truth(inputs: &Inputs, f: impl Fn(f64, f64) -> bool) -> Folded {
    compare(inputs, |a, b| f(a as f64, b as f64), &f)
}

/// With the sign of the divisor, or with `fmod` of the dividend.
fn modulo(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let c = o.a.flag("fmod", false)?;
    let whole = |a: i64, b: i64| {
        let r = a.checked_rem(b)?;
        Some(if !c && r != 0 && (r < 0) != (b < 0) { r + b } else { r })
    };
    Ok(Some(vec![two(input(inputs, 0)?, input(inputs, 1)?, whole, |a, b| a % b)?]))
}

fn pow(_: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let (a, b) = (input(inputs, 0)?, input(inputs, 1)?);
    let (x, y) = (as_floats(a), as_floats(b));
    if let (Elements::Int(_), Elements::Int(e)) = (&a.elements, &b.elements)
        && e.iter().all(|e| (0..64).contains(e))
    {
        return Ok(Some(vec![two(a, b, |a, b| Some(a.wrapping_pow(b as u32)), |a, _| a)?]));
    }
    let y = two(&x, &y, |a, _| Some(a), f64::powf)?;
    Ok(Some(vec![converted(&y, a.kind)?]))
}

fn as_floats(k: &Known) -> Known {
    let v = match &k.elements {
        Elements::Float(v) => v.clone(),
        Elements::Int(v) => v.iter().map(|&x| x as f32).collect(),
    };
    Known::floats(k.shape.clone(), v)
}

fn shift(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let left = o.a.text("direction")? == Some("LEFT");
    let f = |a: i64, b: i64| {
        let b = u32::try_from(b).ok().filter(|&b| b < 64);
        b.map_or(0, |b| if left { a << b } else { a >> b })
    };
    whole(inputs, f)
}

fn clip(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    if o.opset < 11 {
        return Ok(None);
    }
    let mut y = input(inputs, 0)?.clone();
    if o.has(1) {
        y = two(&y, input(inputs, 1)?, |a, b| Some(a.max(b)), f64::max)?;
    }
    if o.has(2) {
        y = two(&y, input(inputs, 2)?, |a, b| Some(a.min(b)), f64::min)?;
    }
    Ok(Some(vec![y]))
}

fn choose(_: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let (c, a, b) = (input(inputs, 0)?, input(inputs, 1)?, input(inputs, 2)?);
    let shape = broadcast(&broadcast(&a.shape, &b.shape)?, &c.shape)?;
    let fit = |k: &Known| pick(k, shape.clone(), &broadcast_places(&k.shape, &shape)?);
    let (c, a, b) = (fit(c)?, fit(a)?, fit(b)?);
    let Elements::Int(c) = c.elements else { return Err(Rule::new("a condition of floats").into()) };
    let elements = match (a.elements, b.elements) {
        (Elements::Int(a), Elements::Int(b)) => {
            Elements::Int(c.iter().zip(a.iter().zip(b)).map(|(&c, (&a, b))| if c != 0 { a } else { b }).collect())
        }
        (Elements::Float(a), Elements::Float(b)) => {
            Elements::Float(c.iter().zip(a.iter().zip(b)).map(|(&c, (&a, b))| if c != 0 { a } else { b }).collect())
        }
        _ => return Err(Rule::new("a choice between whole numbers and floats").into()),
    };
    Ok(Some(vec![Known { shape, kind: a.kind, elements }]))
}

fn cast(o: &mut Op<'_, '_>, k: &Known, to: ElementType) -> Folded {
    o.a.ignore("saturate")?;
    o.a.ignore("round_mode")?;
    Ok(Some(vec![converted(k, to).map_err(Fail::from)?]))
}

/// The same numbers in another type: truncated towards zero, and wrapped where it is narrower.
pub(super) fn converted(k: &Known, to: ElementType) -> Result<Known, Rule> {
    let elements = match &k.elements {
        Elements::Int(v) if to.is_float() => Elements::Float(v.iter().map(|&x| x as f32).collect()),
        Elements::Int(v) => Elements::Int(v.iter().map(|&x| to.wrap(x)).collect()),
        Elements::Float(v) if to.is_float() => Elements::Float(v.clone()),
        Elements::Float(v) if to == ElementType::Bool => {
            Elements::Int(v.iter().map(|&x| i64::from(x != 0.0)).collect())
        }
        Elements::Float(v) => Elements::Int(v.iter().map(|&x| to.wrap(x as i64)).collect()),
    };
    Ok(Known { shape: k.shape.clone(), kind: to, elements })
}
