//! Parts of values, joined values, padding, repetition.

use super::index::backwards;
use super::op::{Fail, Op};
use super::{Row, want_size};
use gabor_graph::ValueId;
use gabor_graph::ops::Pad;
use gabor_tensor::{Dim, PadMode, Rule, Shape, Tensor};

pub(super) const ROWS: &[(&str, Row)] =
    &[("Concat", concat), ("Slice", slice), ("Split", split), ("Tile", tile), ("CenterCropPad", center), ("Pad", pad)];

fn concat(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.maybe_int("axis")?.ok_or_else(|| Rule::new("attribute `axis` is missing"))?;
    let parts = (0..o.inputs()).map(|i| o.ints(i)).collect::<Result<Vec<_>, _>>()?;
    if let Some(parts) = parts.into_iter().collect::<Option<Vec<_>>>()
        && parts.iter().all(|p| !p.scalar)
    {
        o.axis(axis, 1)?;
        return o.set_ints(false, parts.into_iter().flat_map(|p| p.v).collect());
    }
    let xs = (0..o.inputs()).map(|i| o.x(i)).collect::<Result<Vec<_>, _>>()?;
    let rank = xs.first().map_or(0, |&x| o.shape(x).rank());
    let axis = o.axis(axis, rank)?;
    let y = o.g().concat(&xs, axis)?;
    o.set(0, y)
}

/// The elements `start..end` of an axis of `len`, clamped as NumPy does.
fn range(start: i64, end: i64, len: usize) -> (usize, usize) {
    let n = len as i64;
    let clamp = |i: i64| (if i < 0 { i.saturating_add(n) } else { i }).clamp(0, n) as usize;
    (clamp(start), clamp(end))
}

fn slice(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let old = o.opset < 10;
    let missing = |what: &str| Rule::new(format!("{what} are missing"));
    let starts = o.ints_since("starts", 1, 10)?.ok_or_else(|| missing("starts"))?;
    let ends = o.ints_since("ends", 2, 10)?.ok_or_else(|| missing("ends"))?;
    let axes = o.ints_since("axes", 3, 10)?;
    let steps = if !old && o.has(4) { o.known_ints(4)? } else { vec![1; starts.len()] };
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    if ends.len() != starts.len() || axes.len() != starts.len() || steps.len() != starts.len() {
        return Err(Rule::new("starts, ends, axes and steps of different lengths").into());
    }
    if steps.contains(&0) {
        return Err(Rule::new("a step of 0").into());
    }
    if let Some(ints) = o.ints(0)?
        && !ints.scalar
        && starts.len() == 1
        && steps[0] > 0
    {
        let (start, end) = range(starts[0], ends[0], ints.v.len());
        let v = ints.v[start..end.max(start)].iter().step_by(steps[0] as usize).copied().collect();
        return o.set_ints(false, v);
    }
    let mut y = o.x(0)?;
    for i in 0..starts.len() {
        let shape = o.shape(y);
        let axis = o.axis(axes[i], shape.rank())?;
        match shape.0[axis] {
            Dim::Fixed(_) if steps[i] < 0 => y = backwards(o, y, axis, [starts[i], ends[i], steps[i]])?,
            Dim::Fixed(len) => {
                let (start, end) = range(starts[i], ends[i], len);
                if start >= end {
                    y = nothing(o, &shape, axis)?;
                } else if (start, end, steps[i]) != (0, len, 1) {
                    y = o.g().slice(y, axis, start, end, steps[i] as usize)?;
                }
            }
            // All of the batch, or nothing that can be said.
            Dim::Batch(_) if starts[i] == 0 && ends[i] >= i64::from(i32::MAX) && steps[i] == 1 => {}
            Dim::Batch(_) => return Err(Rule::new(format!("samples {}..{} of {shape}", starts[i], ends[i])).into()),
        }
    }
    o.set(0, y)
}

fn split(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.int("axis", 0)?;
    let sizes = o.ints_since("split", 1, 13)?;
    let count = if o.opset >= 18 { o.a.maybe_int("num_outputs")? } else { None };
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axis = o.axis(axis, shape.rank())?;
    let wrong = || Rule::new(format!("axis {axis} of {shape} in {} parts", o.outputs()));
    let len = shape.0[axis].fixed().ok_or_else(wrong)?;
    let outputs = o.outputs().max(1);
    if count.is_some_and(|c| c != outputs as i64) {
        return Err(wrong().into());
    }
    let sizes = match sizes {
        Some(v) => v.iter().map(|&s| usize::try_from(s).map_err(|_| wrong())).collect::<Result<Vec<_>, _>>()?,
        None => {
            // All parts are equal; the last may be smaller where the number of parts is an attribute.
            let part = len.div_ceil(outputs);
            (0..outputs).map(|i| part.min(len.saturating_sub(i * part))).collect()
        }
    };
    let total = sizes.iter().try_fold(0usize, |a, &s| a.checked_add(s));
    if sizes.len() != outputs || total != Some(len) {
        return Err(Rule::new(format!("parts of {sizes:?} of an axis of {len}")).into());
    }
    let mut at = 0;
    for (i, s) in sizes.into_iter().enumerate() {
        let part = if s == 0 { nothing(o, &shape, axis)? } else { o.g().slice(x, axis, at, at + s, 1)? };
        o.set(i, part)?;
        at += s;
    }
    Ok(())
}

/// No elements of an axis.
fn nothing(o: &mut Op<'_, '_>, shape: &Shape, axis: usize) -> Result<ValueId, Fail> {
    let mut extents = shape.known().ok_or_else(|| Rule::new(format!("no elements of axis {axis} of {shape}")))?;
    extents[axis] = 0;
    Ok(o.g().constant(Tensor::f32(&extents, Vec::new())?))
}

/// Repeats along every axis.
fn tile(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let times = o.known_ints(1)?;
    let x = o.x(0)?;
    let shape = o.shape(x);
    let wrong = || Rule::new(format!("repeats {times:?} of {shape}"));
    let fits = times.len() == shape.rank() && times.iter().all(|t| (1..=1 << 20).contains(t));
    if !fits {
        return Err(wrong().into());
    }
    let mut y = x;
    for (axis, &t) in times.iter().enumerate().filter(|(_, t)| **t > 1) {
        // `[d]` becomes `[t, d]` becomes `[t·d]`.
        let mut with = o.shape(y);
        let len = with.0[axis].fixed().ok_or_else(wrong)?;
        with.0.insert(axis, Dim::Fixed(1));
        let column = o.g().reshape(y, &with)?;
        with.0[axis] = Dim::Fixed(t as usize);
        want_size(&with)?;
        let all = o.g().broadcast(column, &with)?;
        with.0.remove(axis);
        with.0[axis] = Dim::Fixed(len * t as usize);
        y = o.g().reshape(all, &with)?;
    }
    o.set(0, y)
}

/// Cuts or pads around the centre; an odd element goes to the end.
fn center(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axes = o.a.ints("axes")?;
    let wanted = o.known_ints(1)?;
    let mut y = o.x(0)?;
    let shape = o.shape(y);
    let axes = match axes {
        Some(a) => a.iter().map(|&a| o.axis(a, shape.rank())).collect::<Result<Vec<_>, _>>()?,
        None => (0..shape.rank()).collect(),
    };
    let wrong = || Rule::new(format!("extents {wanted:?} for axes {axes:?} of {shape}"));
    if axes.len() != wanted.len() {
        return Err(wrong().into());
    }
    let mut pads = vec![(0, 0); shape.rank()];
    for (&axis, &to) in axes.iter().zip(&wanted) {
        let len = shape.0[axis].fixed().ok_or_else(wrong)?;
        let to = usize::try_from(to).ok().filter(|t| (1..=1 << 31).contains(t)).ok_or_else(wrong)?;
        if to < len {
            let start = (len - to) / 2;
            y = o.g().slice(y, axis, start, start + to, 1)?;
        } else {
            let more = to - len;
            pads[axis] = (more / 2, more - more / 2);
        }
    }
    if pads.iter().any(|&p| p != (0, 0)) {
        y = o.g().add_one(Pad { mode: PadMode::Constant, value: 0.0, pads }, &[y])?;
    }
    o.set(0, y)
}

fn pad(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let mode = match o.a.text("mode")?.unwrap_or("constant") {
        "constant" => PadMode::Constant,
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Replicate,
        "wrap" => PadMode::Circular,
        other => {
            return Err(Rule::new(format!("attribute `mode` is {other:?}"))
                .right("constant, reflect, edge or wrap")
                .into());
        }
    };
    let pads = o.ints_since("pads", 1, 11)?.ok_or_else(|| Rule::new("pads are missing"))?;
    let value = if o.opset < 11 {
        o.a.float("value", 0.0)?
    } else if o.has(2) {
        o.number(2)?
    } else {
        0.0
    };
    let x = o.x(0)?;
    let shape = o.shape(x);
    let rank = shape.rank();
    let axes = if o.opset >= 18 && o.has(3) {
        let listed = o.known_ints(3)?;
        listed.iter().map(|&a| o.axis(a, rank)).collect::<Result<Vec<_>, _>>()?
    } else {
        (0..rank).collect()
    };
    if pads.len() != 2 * axes.len() {
        return Err(Rule::new(format!("{} numbers of padding for {} axes", pads.len(), axes.len())).into());
    }
    let limit = 1i64 << 31;
    if pads.iter().any(|p| !(-limit..limit).contains(p)) {
        return Err(Rule::new(format!("padding {pads:?}")).right(format!("numbers below {limit}")).into());
    }
    // Negative padding takes elements away.
    let mut y = x;
    let mut all = vec![(0, 0); rank];
    for (i, &axis) in axes.iter().enumerate() {
        let (before, after) = (pads[i], pads[axes.len() + i]);
        if before < 0 || after < 0 {
            let len = shape.0[axis].fixed().unwrap_or(0) as i64;
            let (start, end) = ((-before).max(0), len - (-after).max(0));
            if start >= end {
                return Err(Rule::new(format!("padding {before}:{after} leaves nothing of {shape}")).into());
            }
            y = o.g().slice(y, axis, start as usize, end as usize, 1)?;
        }
        all[axis] = (before.max(0) as usize, after.max(0) as usize);
    }
    if all.iter().any(|&p| p != (0, 0)) {
        y = o.g().add_one(Pad { mode, value, pads: all }, &[y])?;
    }
    o.set(0, y)
}
