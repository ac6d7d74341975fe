//! Elements chosen and counted by number: gathering, largest elements, running sums.

use super::Row;
use super::fold::run;
use super::op::{Fail, Op, product};
use super::rounding::{choose, counted, float, truncate};
use crate::onnx::tensor::{Elements, Known};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape, Tensor, Unary};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Gather", gather),
    ("ArgMax", |o| arg(o, false)),
    ("ArgMin", |o| arg(o, true)),
    ("TopK", top_k),
    ("OneHot", one_hot),
    ("Hardmax", hardmax),
    ("CumSum", |o| cumulative(o, false)),
    ("CumProd", |o| cumulative(o, true)),
    ("Trilu", trilu),
];

/// Largest number that floats count up to without a gap.
pub(super) const EXACT: usize = 1 << 24;
/// Most comparisons of elements with each other.
const MAX_PAIRS: usize = 1 << 28;

/// Indices into an axis of `len`: known ones checked, those of a run counted from the start.
pub(super) fn indices(o: &mut Op<'_, '_>, i: usize, len: usize) -> Result<ValueId, Fail> {
    if let Some(k) = o.maybe_known(i)? {
        let Elements::Int(v) = &k.elements else { return Err(Rule::new("indices that are no whole numbers").into()) };
        let at = |&i: &i64| {
            let at = if i < 0 { i.saturating_add(len as i64) } else { i };
            let at = usize::try_from(at).ok().filter(|&at| at < len);
            at.map(|at| at as i32).ok_or_else(|| Rule::new(format!("index {i} of {len} elements")))
        };
        let v = v.iter().map(at).collect::<Result<Vec<_>, _>>()?;
        return Ok(o.g().constant(Tensor::i32(&k.shape, v)?));
    }
    let x = o.x(i)?;
    if len >= EXACT {
        return Err(Rule::new(format!("computed indices into {len} elements"))
            .right(format!("fewer than {EXACT}"))
            .into());
    }
    let g = o.g();
    if g.ty(x).dtype != DType::I32 {
        return Err(Rule::new(format!("indices of {}", g.ty(x).dtype)).right("i32").into());
    }
    let x = g.cast(x, DType::F32)?;
    let zero = g.number(0.0);
    let below = g.greater(zero, x)?;
    let more = g.scale(below, len as f64)?;
    let x = g.add(x, more)?;
    Ok(g.cast(x, DType::I32)?)
}

fn fixed(shape: &Shape, axis: usize) -> Result<usize, Rule> {
    shape.0[axis].fixed().ok_or_else(|| Rule::new(format!("samples chosen from {shape}")))
}

fn gather(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.int("axis", 0)?;
    if let Some(ints) = o.ints(0)?.filter(|i| !i.scalar) {
        // Extents of a shape, of which the batch size may be one.
        let k = o.known(1)?;
        o.axis(axis, 1)?;
        let Elements::Int(places) = &k.elements else { return Err(Rule::new("indices of floats").into()) };
        let at = |&p: &i64| {
            let i = if p < 0 { p.saturating_add(ints.v.len() as i64) } else { p };
            let found = usize::try_from(i).ok().and_then(|i| ints.v.get(i)).copied();
            found.ok_or_else(|| Rule::new(format!("index {p} of {} elements", ints.v.len())))
        };
        if k.shape.len() > 1 {
            return Err(Rule::new(format!("indices of shape {:?} into a shape", k.shape)).into());
        }
        let v = places.iter().map(at).collect::<Result<Vec<_>, _>>()?;
        return o.set_ints(k.shape.is_empty(), v);
    }
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axis = o.axis(axis, shape.rank())?;
    let len = fixed(&shape, axis)?;
    // One element, or a run of them, is a slice: it keeps the layout.
    if let Some(k) = o.maybe_known(1)?
        && let (Elements::Int(v), true) = (&k.elements, k.shape.len() <= 1)
        && let &[first] = &v[..]
    {
        let at = if first < 0 { first + len as i64 } else { first };
        let at = usize::try_from(at).ok().filter(|&i| i < len);
        let at = at.ok_or_else(|| Rule::new(format!("index {first} of {len} elements")))?;
        let mut y = o.g().slice(x, axis, at, at + 1, 1)?;
        if k.shape.is_empty() {
            let mut to = shape;
            to.0.remove(axis);
            y = o.g().reshape(y, &to)?;
        }
        return o.set(0, y);
    }
    let at = indices(o, 1, len)?;
    let x = float(o.g(), x)?;
    let y = o.g().gather(x, axis, at)?;
    o.set(0, y)
}

/// The index of the largest element along an axis, the first or the last of equal ones, as floats with an extent of 1.
fn arg_max(g: &mut Graph, x: ValueId, axis: usize, last: bool) -> Result<ValueId, Fail> {
    let shape = g.shape(x).clone();
    let len = fixed(&shape, axis)?;
    let most = g.reduce(Reduction::Max, x, &[axis])?;
    let hit = g.equal(x, most)?;
    // Numbers from 1, the larger the earlier wanted; 0 where there is no largest element.
    let line = counted(g, shape.rank(), axis, len)?;
    let line = if last { line } else { g.scale(line, -1.0)? };
    let line = g.shift(line, if last { 1.0 } else { len as f64 })?;
    let ranked = g.mul(hit, line)?;
    let found = g.reduce(Reduction::Max, ranked, &[axis])?;
    let back = g.scale(found, if last { 1.0 } else { -1.0 })?;
    Ok(g.shift(back, if last { -1.0 } else { len as f64 })?)
}

fn arg(o: &mut Op<'_, '_>, least: bool) -> Result<(), Fail> {
    let (axis, keep) = (o.a.int("axis", 0)?, o.a.flag("keepdims", true)?);
    let last = o.opset >= 12 && o.a.flag("select_last_index", false)?;
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axis = o.axis(axis, shape.rank())?;
    o.keep_batch(x, &[axis])?;
    let g = o.g();
    let mut x = float(g, x)?;
    if least {
        x = g.unary(Unary::Neg, x)?;
    }
    let mut y = arg_max(g, x, axis, last)?;
    if !keep {
        let mut to = shape;
        to.0.remove(axis);
        y = g.reshape(y, &to)?;
    }
    let y = g.cast(y, DType::I32)?;
    o.set(0, y)
}

fn hardmax(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let flat = o.opset < 13;
    let axis = o.a.int("axis", if flat { 1 } else { -1 })?;
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axis = o.axis(axis, shape.rank())?;
    let rest: Vec<usize> = if flat { (axis..shape.rank()).collect() } else { vec![axis] };
    o.keep_batch(x, &rest)?;
    let (rows, axis) = if flat {
        let joined = shape.0[..axis].iter().copied().chain([product(&shape.0[axis..])?]).collect();
        (o.g().reshape(x, &Shape(joined))?, axis)
    } else {
        (x, axis)
    };
    let g = o.g();
    let first = arg_max(g, rows, axis, false)?;
    let (rank, len) = (g.shape(rows).rank(), fixed(g.shape(rows), axis)?);
    let line = counted(g, rank, axis, len)?;
    let y = g.equal(first, line)?;
    let y = g.reshape(y, &shape)?;
    o.set(0, y)
}

/// The k largest elements of an axis: each element counts those before it, which is its place.
fn top_k(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.int("axis", -1)?;
    let largest = o.opset < 11 || o.a.flag("largest", true)?;
    if o.opset >= 11 {
        // Sorted is one of the orders that are allowed.
        o.a.flag("sorted", true)?;
    }
    let k = if o.opset < 10 { o.a.int("k", 0)? } else { o.number(1)? as i64 };
    let x = o.x(0)?;
    let shape = o.shape(x);
    let (axis, whole) = (o.axis(axis, shape.rank())?, o.g().ty(x).dtype != DType::F32);
    o.keep_batch(x, &[axis])?;
    let n = fixed(&shape, axis)?;
    let rows: usize = shape.0.iter().map(|d| d.at(1)).product::<usize>() / n.max(1);
    let k = usize::try_from(k).ok().filter(|k| (1..=n).contains(k));
    let k = k.ok_or_else(|| Rule::new(format!("the largest of {n} elements")).right(format!("1 to {n} of them")))?;
    if n > 2048 || n.checked_mul(n).and_then(|p| p.checked_mul(rows)).is_none_or(|p| p > MAX_PAIRS) {
        return Err(Rule::new(format!("{rows} rows of {n} elements to be ordered"))
            .right("rows of at most 2048")
            .into());
    }
    let rank = shape.rank();
    let g = o.g();
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    let x = float(g, x)?;
    let x = g.transpose(x, &perm)?;
    let turned = g.shape(x).clone();
    let with = |a: usize, b: usize| Shape([&turned.0[..rank - 1], &[Dim::Fixed(a), Dim::Fixed(b)]].concat());
    let (mine, other) = (g.reshape(x, &with(n, 1))?, g.reshape(x, &with(1, n))?);
    let ahead = if largest { g.greater(other, mine)? } else { g.greater(mine, other)? };
    let same = g.equal(other, mine)?;
    let earlier = (0..n * n).map(|i| if i % n < i / n { 1.0 } else { 0.0 }).collect();
    let earlier = g.constant(Tensor::f32(&[n, n], earlier)?);
    let tie = g.mul(same, earlier)?;
    let before = g.add(ahead, tie)?;
    let place = g.reduce(Reduction::Sum, before, &[rank])?;
    let place = g.reshape(place, &with(1, n))?;
    let wanted = g.constant(Tensor::f32(&[k, 1], (0..k).map(|i| i as f32).collect())?);
    let chosen = g.equal(place, wanted)?;
    let values = g.gate(other, chosen)?;
    let numbers = counted(g, rank + 1, rank, n)?;
    let numbers = g.mul(chosen, numbers)?;
    for (i, v) in [values, numbers].into_iter().enumerate() {
        let g = o.g();
        let v = g.reduce(Reduction::Sum, v, &[rank])?;
        let v = g.reshape(v, &Shape([&turned.0[..rank - 1], &[Dim::Fixed(k)]].concat()))?;
        let mut v = g.transpose(v, &perm)?;
        if i == 1 || whole {
            v = g.cast(v, DType::I32)?;
        }
        o.set(i, v)?;
    }
    Ok(())
}

fn one_hot(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.int("axis", -1)?;
    let depth = o.number(1)?;
    if !(1.0..EXACT as f64).contains(&depth) {
        return Err(Rule::new(format!("a depth of {depth}")).right("at least 1").into());
    }
    let depth = depth as usize;
    let (at, values) = (o.x(0)?, o.x(2)?);
    let rank = o.shape(at).rank() + 1;
    let axis = o.axis(axis, rank)?;
    let g = o.g();
    let at = float(g, at)?;
    let at = truncate(g, at)?;
    let mut column = g.shape(at).clone();
    column.0.insert(axis, Dim::Fixed(1));
    let at = g.reshape(at, &column)?;
    let zero = g.number(0.0);
    let below = g.greater(zero, at)?;
    let more = g.scale(below, depth as f64)?;
    let at = g.add(at, more)?;
    let line = counted(g, rank, axis, depth)?;
    let hit = g.equal(at, line)?;
    let whole = g.ty(values).dtype;
    let values = float(g, values)?;
    let values = g.reshape(values, &Shape::fixed(&[2]))?;
    let pair = [0, 1].map(|i| g.slice(values, 0, i, i + 1, 1));
    let [off, on] = pair;
    let scalar = Shape::fixed(&[]);
    let (off, on) = (g.reshape(off?, &scalar)?, g.reshape(on?, &scalar)?);
    let mut y = choose(g, hit, on, off)?;
    if whole != DType::F32 {
        y = g.cast(y, whole)?;
    }
    o.set(0, y)
}

/// Running sums or products, doubling their reach with every step.
fn cumulative(o: &mut Op<'_, '_>, products: bool) -> Result<(), Fail> {
    let (exclusive, reverse) = (o.a.flag("exclusive", false)?, o.a.flag("reverse", false)?);
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axis = o.number(1)? as i64;
    let axis = o.axis(axis, shape.rank())?;
    o.keep_batch(x, &[axis])?;
    let len = fixed(&shape, axis)?;
    let neutral = if products { 1.0 } else { 0.0 };
    // x moved by `by` along the axis, neutral elements before it.
    let moved = |g: &mut Graph, x: ValueId, by: usize| -> Result<ValueId, Fail> {
        let mut pads = vec![(0, 0); shape.rank()];
        pads[axis] = if reverse { (0, by) } else { (by, 0) };
        let kept = if reverse { g.slice(x, axis, by, len, 1)? } else { g.slice(x, axis, 0, len - by, 1)? };
        let pad = gabor_graph::ops::Pad { mode: gabor_tensor::PadMode::Constant, value: neutral, pads };
        Ok(g.add_one(pad, &[kept])?)
    };
    let g = o.g();
    let whole = g.ty(x).dtype;
    let mut y = float(g, x)?;
    if exclusive {
        y = if len > 1 {
            moved(g, y, 1)?
        } else {
            let zeros = g.zeros_like(y)?;
            g.shift(zeros, neutral)?
        };
    }
    let mut by = 1;
    while by < len {
        let other = moved(g, y, by)?;
        y = if products { g.mul(y, other)? } else { g.add(y, other)? };
        by *= 2;
    }
    if whole != DType::F32 {
        y = g.cast(y, whole)?;
    }
    o.set(0, y)
}

fn trilu(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let upper = o.a.flag("upper", true)?;
    let diagonal = if o.has(1) { o.number(1)? } else { 0.0 };
    let x = o.x(0)?;
    let shape = o.shape(x);
    let rank = shape.rank();
    if rank < 2 {
        return Err(Rule::new(format!("a value {shape}")).right("matrices").into());
    }
    let (h, w) = (fixed(&shape, rank - 2)?, fixed(&shape, rank - 1)?);
    let keep = |i: usize| {
        let over = (i % w) as f64 - (i / w) as f64;
        if upper && over >= diagonal || !upper && over <= diagonal { 1.0 } else { 0.0 }
    };
    if h.checked_mul(w).is_none_or(|p| p > 1 << 22) {
        return Err(Rule::new(format!("a triangle of {h} × {w}")).into());
    }
    let mask = Known::floats(vec![h, w], (0..h * w).map(keep).collect());
    let g = o.g();
    let mask = g.constant(mask.into_tensor()?);
    let y = g.gate(x, mask)?;
    o.set(0, y)
}

/// Every `step`-th element of an axis, backwards for steps below 0.
pub(super) fn backwards(o: &mut Op<'_, '_>, x: ValueId, axis: usize, range: [i64; 3]) -> Result<ValueId, Fail> {
    let shape = o.shape(x);
    let (first, count) = run(fixed(&shape, axis)?, range[0], range[1], range[2])?;
    if count == 0 {
        return Err(Rule::new(format!("no elements of axis {axis} of {shape}")).into());
    }
    let v = (0..count as i64).map(|i| (first + i * range[2]) as i32).collect();
    let g = o.g();
    let at = g.constant(Tensor::i32(&[count], v)?);
    let x = float(g, x)?;
    Ok(g.gather(x, axis, at)?)
}
