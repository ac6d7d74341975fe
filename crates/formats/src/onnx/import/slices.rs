//! Parts of values, joined values, padding, repetition.

use super::Row;
use super::fold;
use super::item::Int;
use super::op::{Fail, Op};
use crate::onnx::tensor::Elements;
use gabor_graph::ValueId;
use gabor_graph::ops::Pad;
use gabor_tensor::{Dim, PadMode, Rule, Shape};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Concat", concat),
    ("Slice", slice),
    ("Split", split),
    ("Gather", gather),
    ("Pad", pad),
    ("Upsample", |o| {
        let mode = o.a.text("mode")?.unwrap_or("nearest");
        let scales = if o.opset < 9 { o.a.floats("scales")?.unwrap_or_default() } else { floats(o, 1)? };
        upsample(o, mode, &scales)
    }),
    ("Resize", resize),
];

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
    if let Some(mut k) = fold::table(o, 0)? {
        for i in 0..starts.len() {
            let axis = o.axis(axes[i], k.shape.len())?;
            k = fold::slice(&k, axis, starts[i], ends[i], steps[i])?;
        }
        return o.set_known(k);
    }
    if let Some(&s) = steps.iter().find(|&&s| s < 1) {
        return Err(Rule::new(format!("a step of {s}")).right("at least 1").into());
    }
    if let Some(ints) = o.ints(0)?
        && !ints.scalar
        && starts.len() == 1
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
            Dim::Fixed(len) => {
                let (start, end) = range(starts[i], ends[i], len);
                if (start, end, steps[i]) != (0, len, 1) {
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
        let part = o.g().slice(x, axis, at, at + s, 1)?;
        o.set(i, part)?;
        at += s;
    }
    Ok(())
}

fn gather(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.int("axis", 0)?;
    let known = o.known(1)?;
    let scalar = known.shape.is_empty();
    let places = match &known.elements {
        Elements::Int(v) if known.shape.len() <= 1 => v.clone(),
        _ => return Err(Rule::new("indices that are no list of whole numbers").into()),
    };
    let at = |i: i64, len: usize| {
        let i = if i < 0 { i.saturating_add(len as i64) } else { i };
        usize::try_from(i).ok().filter(|&i| i < len).ok_or_else(|| Rule::new(format!("index {i} of {len} elements")))
    };
    if places.is_empty() || places.len() > 4096 {
        return Err(Rule::new(format!("{} indices", places.len())).right("one, or a list of at most 4096").into());
    }
    if let Some(ints) = o.ints(0)?
        && !ints.scalar
    {
        o.axis(axis, 1)?;
        let v = places.iter().map(|&p| Ok(ints.v[at(p, ints.v.len())?])).collect::<Result<Vec<Int>, Rule>>()?;
        return o.set_ints(scalar, v);
    }
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axis = o.axis(axis, shape.rank())?;
    let len = shape.0[axis].fixed().ok_or_else(|| Rule::new(format!("samples chosen from {shape}")))?;
    let mut parts = Vec::new();
    for &p in &places {
        let p = at(p, len)?;
        parts.push(o.g().slice(x, axis, p, p + 1, 1)?);
    }
    let mut y = if parts.len() == 1 { parts[0] } else { o.g().concat(&parts, axis)? };
    if scalar {
        let mut to = shape;
        to.0.remove(axis);
        y = o.g().reshape(y, &to)?;
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

fn floats(o: &Op<'_, '_>, i: usize) -> Result<Vec<f32>, Fail> {
    match &o.known(i)?.elements {
        Elements::Float(v) => Ok(v.clone()),
        _ => Err(Rule::new(format!("input {i} is no list of numbers")).into()),
    }
}

/// Repetition of elements: whole factors along the spatial axes.
fn upsample(o: &mut Op<'_, '_>, mode: &str, scales: &[f32]) -> Result<(), Fail> {
    let x: ValueId = o.x(0)?;
    let shape: Shape = o.shape(x);
    let whole = |&s: &f32| s >= 1.0 && s.fract() == 0.0 && s <= 65536.0;
    let lead = scales.len() == shape.rank() && shape.rank() > 2 && scales[..2] == [1.0, 1.0];
    if mode != "nearest" || !lead || !scales.iter().all(whole) {
        return Err(Rule::new(format!("mode {mode:?} with scales {scales:?} of {shape}"))
            .right("nearest with whole factors along spatial axes")
            .into());
    }
    let factors: Vec<usize> = scales[2..].iter().map(|&s| s as usize).collect();
    let y = o.g().upsample_nearest(x, &factors)?;
    o.set(0, y)
}

fn resize(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let mode = o.a.text("mode")?.unwrap_or("nearest");
    let way = o.a.text("coordinate_transformation_mode")?.unwrap_or("half_pixel");
    let nearest = o.a.text("nearest_mode")?.unwrap_or("round_prefer_floor");
    for name in ["cubic_coeff_a", "exclude_outside", "extrapolation_value", "antialias"] {
        o.a.ignore(name)?;
    }
    // Where each of these copies an element as often as the factor says, they agree.
    let plain = o.opset < 11
        || matches!(
            (way, nearest),
            ("asymmetric", "floor") | ("half_pixel", "round_prefer_floor" | "round_prefer_ceil")
        );
    if !plain {
        return Err(Rule::new(format!("coordinates {way:?} with {nearest:?}"))
            .right("asymmetric with floor, or half_pixel with rounding")
            .into());
    }
    let at = if o.opset < 11 { 1 } else { 2 };
    let scales = if o.has(at) { floats(o, at)? } else { Vec::new() };
    if !scales.is_empty() {
        return upsample(o, mode, &scales);
    }
    let sizes = o.ints(3)?.ok_or_else(|| Rule::new("sizes that are not known"))?.v;
    let x = o.x(0)?;
    let shape = o.shape(x);
    let scale = |(d, s): (&Dim, &Int)| match (d, s) {
        (d, s) if Int::from(*d) == *s => Some(1.0),
        (Dim::Batch(1), Int::Known(1)) if o.relaxed() => Some(1.0),
        (Dim::Fixed(d), Int::Known(s)) if *d > 0 => Some(*s as f32 / *d as f32),
        _ => None,
    };
    let scales: Option<Vec<f32>> = shape.0.iter().zip(&sizes).map(scale).collect();
    let scales = scales.filter(|_| sizes.len() == shape.rank());
    let scales = scales.ok_or_else(|| Rule::new(format!("sizes {sizes:?} of {shape}")))?;
    upsample(o, mode, &scales)
}
