//! Sums, products and others of known whole numbers, and running ones.

use super::{Folded, Inputs, Row, input, ints, strides, walk};
use crate::onnx::import::op::{Fail, Op};
use crate::onnx::tensor::{Elements, Known};
use gabor_tensor::Rule;

pub(super) const ROWS: &[(&str, Row)] = &[
    ("ReduceSum", |o, i| reduce(o, i, 13, 0, i64::wrapping_add, 0.0, |a, b| a + b)),
    ("ReduceProd", |o, i| reduce(o, i, 18, 1, i64::wrapping_mul, 1.0, |a, b| a * b)),
    ("ReduceMax", |o, i| reduce(o, i, 18, i64::MIN, i64::max, f64::NEG_INFINITY, f64::max)),
    ("ReduceMin", |o, i| reduce(o, i, 18, i64::MAX, i64::min, f64::INFINITY, f64::min)),
    ("CumSum", cumulative),
];

fn reduce(
    o: &mut Op<'_, '_>,
    inputs: &Inputs,
    since: i64,
    start: i64,
    whole: fn(i64, i64) -> i64,
    first: f64,
    float: fn(f64, f64) -> f64,
) -> Folded {
    let k = input(inputs, 0)?;
    let rank = k.shape.len();
    let axes =
        if o.opset < since { o.a.ints("axes")? } else { ints(inputs, 1)?.map(<[i64]>::to_vec) }.unwrap_or_default();
    let keep = o.a.flag("keepdims", true)?;
    if axes.is_empty() && o.opset >= since && o.a.flag("noop_with_empty_axes", false)? {
        return Ok(Some(vec![k.clone()]));
    }
    let axes = if axes.is_empty() { (0..rank).collect() } else { o.axes(&axes, rank)? };
    let kept: Vec<usize> = (0..rank).map(|i| if axes.contains(&i) { 1 } else { k.shape[i] }).collect();
    let mut steps = strides(&kept);
    axes.iter().for_each(|&a| steps[a] = 0);
    let places = walk(&k.shape, 0, &steps)?;
    let count = super::count(&kept)?;
    // The largest of nothing is the smallest number of the type.
    let (low, high) = k.kind.range().unwrap_or((i64::MIN, i64::MAX));
    let start = start.clamp(low, high);
    let elements = match &k.elements {
        Elements::Int(v) => {
            let mut y = vec![start; count];
            places.iter().zip(v).for_each(|(&p, &x)| y[p] = whole(y[p], x));
            Elements::Int(y.into_iter().map(|x| k.kind.wrap(x)).collect())
        }
        Elements::Float(v) => {
            let mut y = vec![first; count];
            places.iter().zip(v).for_each(|(&p, &x)| y[p] = float(y[p], f64::from(x)));
            Elements::Float(y.into_iter().map(|x| x as f32).collect())
        }
    };
    let shape = if keep { kept } else { (0..rank).filter(|i| !axes.contains(i)).map(|i| k.shape[i]).collect() };
    Ok(Some(vec![Known { shape, kind: k.kind, elements }]))
}

fn cumulative(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let (exclusive, reverse) = (o.a.flag("exclusive", false)?, o.a.flag("reverse", false)?);
    let k = input(inputs, 0)?;
    let axis = match ints(inputs, 1)? {
        Some(&[a]) => o.axis(a, k.shape.len())?,
        _ => return Err(Fail::from(Rule::new("its axis is no number"))),
    };
    let Elements::Int(v) = &k.elements else { return Ok(None) };
    let (len, inner) = (k.shape[axis], k.shape[axis + 1..].iter().product::<usize>());
    let mut y = vec![0i64; v.len()];
    for line in 0..v.len() / len.max(1) {
        let base = line / inner * inner * len + line % inner;
        let mut sum = 0i64;
        for i in 0..len {
            let at = base + if reverse { len - 1 - i } else { i } * inner;
            let next = sum.wrapping_add(v[at]);
            y[at] = k.kind.wrap(if exclusive { sum } else { next });
            sum = next;
        }
    }
    Ok(Some(vec![Known { shape: k.shape.clone(), kind: k.kind, elements: Elements::Int(y) }]))
}
