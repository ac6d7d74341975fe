//! Known numbers that change place.

use super::{Folded, Inputs, Row, broadcast, broadcast_places, count, input, ints, pick, strides, walk};
use crate::array::ElementType;
use crate::onnx::import::op::{Fail, Op};
use crate::onnx::tensor::{Elements, Known};
use gabor_tensor::Rule;

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Identity", |_, i| Ok(Some(vec![input(i, 0)?.clone()]))),
    ("Concat", concat),
    ("Slice", slice),
    ("Gather", gather),
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("Transpose", transpose),
    ("Reshape", reshape),
    ("Flatten", |o, i| {
        let k = input(i, 0)?;
        let axis = o.a.int("axis", 1)?;
        let axis = if axis == k.shape.len() as i64 { k.shape.len() } else { o.axis(axis, k.shape.len())? };
        let part = |s: &[usize]| s.iter().product::<usize>();
        shaped(k, vec![part(&k.shape[..axis]), part(&k.shape[axis..])])
    }),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
    ("Expand", |_, i| {
        let (k, to) = (input(i, 0)?, sizes(ints(i, 1)?.unwrap_or_default())?);
        let to = broadcast(&k.shape, &to)?;
        Ok(Some(vec![pick(k, to.clone(), &broadcast_places(&k.shape, &to)?)?]))
    }),
    ("Tile", tile),
    ("Split", split),
    ("Range", range),
    ("NonZero", non_zero),
    ("Trilu", trilu),
    ("Pad", pad),
    ("TopK", top_k),
];

fn shaped(k: &Known, shape: Vec<usize>) -> Folded {
    if count(&shape)? != k.elements.len() {
        return Err(Rule::new(format!("{:?} cannot become {shape:?}: the numbers of elements differ", k.shape)).into());
    }
    Ok(Some(vec![Known { shape, ..k.clone() }]))
}

fn sizes(v: &[i64]) -> Result<Vec<usize>, Rule> {
    let size = |&x: &i64| usize::try_from(x).map_err(|_| Rule::new(format!("extents {v:?}")).right("none below 0"));
    v.iter().map(size).collect()
}

fn concat(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let first = input(inputs, 0)?;
    let axis = o.a.maybe_int("axis")?.ok_or_else(|| Rule::new("attribute `axis` is missing"))?;
    let axis = o.axis(axis, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    for i in 0..inputs.len() {
        let k = input(inputs, i)?;
        let fits = k.shape.len() == shape.len() && (0..shape.len()).all(|d| d == axis || k.shape[d] == shape[d]);
        if !fits || k.kind != first.kind {
            return Err(Rule::new(format!("{} {:?} and {} {:?}", first.kind, first.shape, k.kind, k.shape)).into());
        }
        shape[axis] += k.shape[axis];
    }
    count(&shape)?;
    let outer: usize = shape[..axis].iter().product();
    let mut whole = Vec::new();
    let mut float = Vec::new();
    for o in 0..outer {
        for k in inputs.iter().flatten() {
            let run: usize = k.shape[axis..].iter().product();
            match &k.elements {
                Elements::Int(v) => whole.extend_from_slice(&v[o * run..(o + 1) * run]),
                Elements::Float(v) => float.extend_from_slice(&v[o * run..(o + 1) * run]),
            }
        }
    }
    let elements = if first.kind.is_float() { Elements::Float(float) } else { Elements::Int(whole) };
    Ok(Some(vec![Known { shape, kind: first.kind, elements }]))
}

/// Every `step`-th element of one axis, backwards for steps below 0, clamped as NumPy does.
fn slice(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    if o.opset < 10 {
        return Ok(None);
    }
    let mut k = input(inputs, 0)?.clone();
    let wrong = || Fail::from(Rule::new("starts, ends, axes and steps of different lengths"));
    let starts = ints(inputs, 1)?.ok_or_else(wrong)?;
    let ends = ints(inputs, 2)?.ok_or_else(wrong)?;
    let axes = ints(inputs, 3)?.map_or_else(|| (0..starts.len() as i64).collect(), <[i64]>::to_vec);
    let steps = ints(inputs, 4)?.map_or_else(|| vec![1; starts.len()], <[i64]>::to_vec);
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(wrong());
    }
    for i in 0..starts.len() {
        let axis = o.axis(axes[i], k.shape.len())?;
        let (first, count) = run(k.shape[axis], starts[i], ends[i], steps[i])?;
        let mut s = strides(&k.shape);
        let base = first * s[axis];
        s[axis] = s[axis].saturating_mul(if count > 1 { steps[i] } else { 1 });
        let mut shape = k.shape.clone();
        shape[axis] = count;
        k = pick(&k, shape.clone(), &walk(&shape, base, &s)?)?;
    }
    Ok(Some(vec![k]))
}

/// The first element and the number of elements of `start:end:step` over `len`, as NumPy counts.
pub(in crate::onnx::import) fn run(len: usize, start: i64, end: i64, step: i64) -> Result<(i64, usize), Rule> {
    let n = len as i64;
    if step == 0 {
        return Err(Rule::new("a step of 0"));
    }
    let from_end = |i: i64| if i < 0 { i.saturating_add(n) } else { i };
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let (start, end) = (from_end(start).clamp(low, high), from_end(end).clamp(low, high));
    let far = if step > 0 { end - start } else { start - end }.max(0) as u64;
    Ok((start, far.div_ceil(step.unsigned_abs()) as usize))
}

/// An index that may count from the end.
fn place(i: i64, len: usize) -> Result<usize, Rule> {
    let at = if i < 0 { i.saturating_add(len as i64) } else { i };
    usize::try_from(at).ok().filter(|&i| i < len).ok_or_else(|| Rule::new(format!("index {i} of {len} elements")))
}

fn gather(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let (k, at) = (input(inputs, 0)?, input(inputs, 1)?);
    let axis = o.a.int("axis", 0)?;
    let axis = o.axis(axis, k.shape.len())?;
    let indices = ints(inputs, 1)?.unwrap_or_default();
    let indices = indices.iter().map(|&i| place(i, k.shape[axis])).collect::<Result<Vec<_>, _>>()?;
    let shape: Vec<usize> = k.shape[..axis].iter().chain(&at.shape).chain(&k.shape[axis + 1..]).copied().collect();
    count(&shape)?;
    let inner: usize = k.shape[axis + 1..].iter().product();
    let outer: usize = k.shape[..axis].iter().product();
    let mut places = Vec::new();
    for o in 0..outer {
        for &i in &indices {
            places.extend((0..inner).map(|r| (o * k.shape[axis] + i) * inner + r));
        }
    }
    Ok(Some(vec![pick(k, shape, &places)?]))
}

fn gather_elements(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let (k, at) = (input(inputs, 0)?, input(inputs, 1)?);
    let axis = o.a.int("axis", 0)?;
    let axis = o.axis(axis, k.shape.len())?;
    if at.shape.len() != k.shape.len() || (0..k.shape.len()).any(|d| d != axis && at.shape[d] > k.shape[d]) {
        return Err(Rule::new(format!("indices {:?} for {:?}", at.shape, k.shape)).into());
    }
    let mut steps = strides(&k.shape);
    let along = std::mem::replace(&mut steps[axis], 0) as usize;
    let mut places = walk(&at.shape, 0, &steps)?;
    for (p, &i) in places.iter_mut().zip(ints(inputs, 1)?.unwrap_or_default()) {
        *p += place(i, k.shape[axis])? * along;
    }
    Ok(Some(vec![pick(k, at.shape.clone(), &places)?]))
}

fn gather_nd(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let (k, at) = (input(inputs, 0)?, input(inputs, 1)?);
    if o.a.int("batch_dims", 0)? != 0 {
        return Ok(None);
    }
    let depth = at.shape.last().copied().unwrap_or(0);
    if depth == 0 || depth > k.shape.len() {
        return Err(Rule::new(format!("indices {:?} for {:?}", at.shape, k.shape)).into());
    }
    let s = strides(&k.shape);
    let inner: usize = k.shape[depth..].iter().product();
    let shape: Vec<usize> = at.shape[..at.shape.len() - 1].iter().chain(&k.shape[depth..]).copied().collect();
    count(&shape)?;
    let mut places = Vec::new();
    for tuple in ints(inputs, 1)?.unwrap_or_default().chunks(depth) {
        let mut base = 0;
        for (d, &i) in tuple.iter().enumerate() {
            base += place(i, k.shape[d])? * s[d] as usize;
        }
        places.extend(base..base + inner);
    }
    Ok(Some(vec![pick(k, shape, &places)?]))
}

fn transpose(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let k = input(inputs, 0)?;
    let perm = o.a.sizes("perm")?.unwrap_or_else(|| (0..k.shape.len()).rev().collect());
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if sorted != (0..k.shape.len()).collect::<Vec<_>>() {
        return Err(Rule::new(format!("{perm:?} is no order of {} axes", k.shape.len())).into());
    }
    let s = strides(&k.shape);
    let shape: Vec<usize> = perm.iter().map(|&p| k.shape[p]).collect();
    let steps: Vec<i64> = perm.iter().map(|&p| s[p]).collect();
    Ok(Some(vec![pick(k, shape.clone(), &walk(&shape, 0, &steps)?)?]))
}

fn reshape(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let k = input(inputs, 0)?;
    let zero = o.opset >= 14 && o.a.flag("allowzero", false)?;
    let target = ints(inputs, 1)?.unwrap_or_default();
    let mut shape = Vec::new();
    let mut open = None;
    for (i, &t) in target.iter().enumerate() {
        shape.push(match t {
            0 if !zero => *k.shape.get(i).ok_or_else(|| Rule::new(format!("extent {i} of {:?} is kept", k.shape)))?,
            -1 if open.replace(i).is_none() => 1,
            -1 => return Err(Rule::new("two extents of -1").right("at most one").into()),
            t => sizes(&[t])?[0],
        });
    }
    if let Some(i) = open {
        let rest = count(&shape)?;
        if rest == 0 || k.elements.len() % rest != 0 {
            return Err(Rule::new(format!("{:?} cannot become {target:?}", k.shape)).into());
        }
        shape[i] = k.elements.len() / rest;
    }
    shaped(k, shape)
}

fn squeeze(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let k = input(inputs, 0)?;
    let axes = if o.opset < 13 { o.a.ints("axes")? } else { ints(inputs, 1)?.map(<[i64]>::to_vec) };
    let axes = match axes {
        Some(a) => o.axes(&a, k.shape.len())?,
        None => (0..k.shape.len()).filter(|&i| k.shape[i] == 1).collect(),
    };
    let kept = (0..k.shape.len()).filter(|i| !axes.contains(i)).map(|i| k.shape[i]).collect();
    shaped(k, kept)
}

fn unsqueeze(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let k = input(inputs, 0)?;
    let axes = if o.opset < 13 { o.a.ints("axes")? } else { ints(inputs, 1)?.map(<[i64]>::to_vec) };
    let axes = axes.ok_or_else(|| Rule::new("it names no axes"))?;
    let mut shape = k.shape.clone();
    for a in o.axes(&axes, shape.len() + axes.len())? {
        shape.insert(a, 1);
    }
    shaped(k, shape)
}

fn tile(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let k = input(inputs, 0)?;
    let times = sizes(ints(inputs, 1)?.unwrap_or_default())?;
    if times.len() != k.shape.len() || o.opset < 6 {
        return Err(Rule::new(format!("repeats {times:?} of {:?}", k.shape)).into());
    }
    let shape = (k.shape.iter().zip(&times))
        .map(|(&d, &t)| d.checked_mul(t))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Rule::new(format!("repeats {times:?} of {:?}", k.shape)))?;
    // `[d·t]` is `[t, d]`, repeated along the first.
    let s = strides(&k.shape);
    let pairs: Vec<usize> = k.shape.iter().zip(&times).flat_map(|(&d, &t)| [t, d]).collect();
    let steps: Vec<i64> = s.iter().flat_map(|&s| [0, s]).collect();
    Ok(Some(vec![pick(k, shape, &walk(&pairs, 0, &steps)?)?]))
}

fn split(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    if o.opset < 13 {
        return Ok(None);
    }
    let k = input(inputs, 0)?;
    let axis = o.a.int("axis", 0)?;
    o.a.ignore("num_outputs")?;
    let axis = o.axis(axis, k.shape.len())?;
    let parts = o.outputs().max(1);
    let part = k.shape[axis].div_ceil(parts);
    let given = ints(inputs, 1)?.map(sizes).transpose()?;
    let list = given.unwrap_or_else(|| (0..parts).map(|i| part.min(k.shape[axis].saturating_sub(i * part))).collect());
    if list.len() != parts || list.iter().try_fold(0usize, |a, &b| a.checked_add(b)) != Some(k.shape[axis]) {
        return Err(Rule::new(format!("parts of {list:?} of an axis of {}", k.shape[axis])).into());
    }
    let s = strides(&k.shape);
    let mut at = 0i64;
    let mut all = Vec::new();
    for len in list {
        let mut shape = k.shape.clone();
        shape[axis] = len;
        all.push(pick(k, shape.clone(), &walk(&shape, at * s[axis], &s)?)?);
        at += len as i64;
    }
    Ok(Some(all))
}

fn range(_: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let (start, limit, delta) = (input(inputs, 0)?, input(inputs, 1)?, input(inputs, 2)?);
    let long = |n: f64| {
        let n = n.ceil().max(0.0);
        if n <= super::MAX_RESULT as f64 { Ok(n as usize) } else { Err(Rule::new(format!("a range of {n} numbers"))) }
    };
    Ok(Some(vec![match (&start.elements, &limit.elements, &delta.elements) {
        (Elements::Int(a), Elements::Int(b), Elements::Int(d)) if a.len() == 1 && b.len() == 1 && d.len() == 1 => {
            if d[0] == 0 {
                return Err(Rule::new("a range with steps of 0").into());
            }
            let n = long((b[0] as f64 - a[0] as f64) / d[0] as f64)?;
            let v = (0..n as i64).map(|i| start.kind.wrap(a[0].wrapping_add(i.wrapping_mul(d[0])))).collect();
            Known { shape: vec![n], kind: start.kind, elements: Elements::Int(v) }
        }
        (Elements::Float(a), Elements::Float(b), Elements::Float(d))
            if a.len() == 1 && b.len() == 1 && d.len() == 1 =>
        {
            let (a, b, d) = (f64::from(a[0]), f64::from(b[0]), f64::from(d[0]));
            let n = long((b - a) / d)?;
            let v = (0..n).map(|i| (a + i as f64 * d) as f32).collect();
            Known { shape: vec![n], kind: start.kind, elements: Elements::Float(v) }
        }
        _ => return Err(Rule::new("a range without three single numbers").into()),
    }]))
}

fn non_zero(_: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let k = input(inputs, 0)?;
    let places: Vec<usize> = match &k.elements {
        Elements::Int(v) => v.iter().enumerate().filter(|(_, x)| **x != 0).map(|(i, _)| i).collect(),
        Elements::Float(v) => v.iter().enumerate().filter(|(_, x)| **x != 0.0).map(|(i, _)| i).collect(),
    };
    let s = strides(&k.shape);
    let of = |d: usize, p: usize| (p / s[d] as usize % k.shape[d]) as i64;
    let v = (0..k.shape.len()).flat_map(|d| places.iter().map(move |&p| (d, p))).map(|(d, p)| of(d, p)).collect();
    let shape = vec![k.shape.len(), places.len()];
    Ok(Some(vec![Known { shape, kind: ElementType::I64, elements: Elements::Int(v) }]))
}

/// The upper or lower triangle of matrices, zeros elsewhere.
fn trilu(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let upper = o.a.flag("upper", true)?;
    let mut k = input(inputs, 0)?.clone();
    let diagonal = ints(inputs, 1)?.and_then(|v| v.first().copied()).unwrap_or(0);
    let [.., h, w] = k.shape[..] else { return Err(Rule::new(format!("{:?}", k.shape)).right("matrices").into()) };
    let keep = |i: usize| {
        let (row, column) = ((i / w % h) as i64, (i % w) as i64);
        let over = column.saturating_sub(row);
        if upper { over >= diagonal } else { over <= diagonal }
    };
    match &mut k.elements {
        Elements::Int(v) => v.iter_mut().enumerate().filter(|(i, _)| !keep(*i)).for_each(|(_, x)| *x = 0),
        Elements::Float(v) => v.iter_mut().enumerate().filter(|(i, _)| !keep(*i)).for_each(|(_, x)| *x = 0.0),
    }
    Ok(Some(vec![k]))
}

/// Elements around known whole numbers.
fn pad(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    if o.opset < 11 {
        return Ok(None);
    }
    let mode = o.a.text("mode")?.unwrap_or("constant");
    let k = input(inputs, 0)?;
    let (Elements::Int(v), Some(pads)) = (&k.elements, ints(inputs, 1)?) else { return Ok(None) };
    let value = ints(inputs, 2)?.and_then(|v| v.first().copied()).unwrap_or(0);
    let rank = k.shape.len();
    let axes = match ints(inputs, 3)? {
        Some(a) => a.iter().map(|&a| o.axis(a, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    let wrong = || Rule::new(format!("padding {pads:?} of {:?} in mode {mode:?}", k.shape));
    if pads.len() != 2 * axes.len() {
        return Err(wrong().into());
    }
    let (mut shape, mut before) = (k.shape.clone(), vec![0i64; rank]);
    for (i, &axis) in axes.iter().enumerate() {
        let (b, e) = (pads[i], pads[axes.len() + i]);
        if [b, e].iter().any(|p| p.unsigned_abs() > 1 << 31) {
            return Err(wrong().into());
        }
        let size = (shape[axis] as i64).checked_add(b).and_then(|s| s.checked_add(e));
        shape[axis] = size.and_then(|s| usize::try_from(s).ok()).ok_or_else(wrong)?;
        before[axis] = b;
    }
    let total = count(&shape)?;
    let steps = strides(&shape);
    let own = strides(&k.shape);
    let mut y = Vec::with_capacity(total);
    for i in 0..total {
        let mut place = Some(0);
        for d in 0..rank {
            let at = (i / steps[d] as usize % shape[d]) as i64 - before[d];
            let n = k.shape[d] as i64;
            let from = match mode {
                _ if (0..n).contains(&at) => Some(at),
                "constant" => None,
                "edge" if n > 0 => Some(at.clamp(0, n - 1)),
                "wrap" if n > 0 => Some(at.rem_euclid(n)),
                "reflect" if n > 1 => {
                    let r = at.rem_euclid(2 * (n - 1));
                    Some(r.min(2 * (n - 1) - r))
                }
                "reflect" if n == 1 => Some(0),
                _ => return Err(wrong().into()),
            };
            place = place.zip(from).map(|(p, f)| p + f * own[d]);
        }
        y.push(place.map_or(value, |p| v[p as usize]));
    }
    Ok(Some(vec![Known { shape, kind: k.kind, elements: Elements::Int(y) }]))
}

/// The largest or smallest of known whole numbers along an axis, and where they stand.
fn top_k(o: &mut Op<'_, '_>, inputs: &Inputs) -> Folded {
    let (axis, largest) = (o.a.int("axis", -1)?, o.a.flag("largest", true)?);
    o.a.flag("sorted", true)?;
    let x = input(inputs, 0)?;
    let (Elements::Int(v), Some(&[n])) = (&x.elements, ints(inputs, 1)?) else { return Ok(None) };
    let axis = o.axis(axis, x.shape.len())?;
    let len = x.shape[axis];
    let n = usize::try_from(n).ok().filter(|&n| n <= len);
    let n =
        n.ok_or_else(|| Rule::new(format!("the largest of {len} elements")).right(format!("at most {len} of them")))?;
    let inner: usize = x.shape[axis + 1..].iter().product();
    let mut shape = x.shape.clone();
    shape[axis] = n;
    let mut values = vec![0; count(&shape)?];
    let mut places = values.clone();
    for line in 0..v.len() / len.max(1) {
        let (outer, i) = (line / inner, line % inner);
        let at = |k: usize| v[(outer * len + k) * inner + i];
        let mut order: Vec<usize> = (0..len).collect();
        // Stable: the first of equal ones comes first.
        order.sort_by(|&a, &b| if largest { at(b).cmp(&at(a)) } else { at(a).cmp(&at(b)) });
        for (k, &from) in order.iter().take(n).enumerate() {
            values[(outer * n + k) * inner + i] = at(from);
            places[(outer * n + k) * inner + i] = from as i64;
        }
    }
    let values = Known { shape: shape.clone(), kind: x.kind, elements: Elements::Int(values) };
    Ok(Some(vec![values, Known::ints(shape, places)]))
}
