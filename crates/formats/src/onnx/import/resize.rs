//! Resize and Upsample: every axis is resampled on its own, by copying elements or by a product with a matrix of weights.
//!
//! The weights follow from extents and attributes alone, so they are constants; the gradient is the transposed product.
//! Source: the definition of `Resize` at opset 19, whose names are used.

use super::Row;
use super::item::Int;
use super::op::{Fail, Op, product};
use crate::onnx::tensor::Elements;
use gabor_graph::ValueId;
use gabor_tensor::{Dim, Rule, Shape, Tensor};

pub(super) const ROWS: &[(&str, Row)] = &[("Upsample", upsample), ("Resize", resize)];

/// Most weights of one axis.
const MAX_WEIGHTS: usize = 1 << 22;

fn floats(o: &mut Op<'_, '_>, i: usize) -> Result<Vec<f32>, Fail> {
    match &o.known(i)?.elements {
        Elements::Float(v) => Ok(v.clone()),
        Elements::Int(_) => Err(Rule::new(format!("input {i} is no list of numbers")).into()),
    }
}

/// How one axis is resampled.
struct Line {
    axis: usize,
    input: usize,
    output: usize,
    /// Outputs by inputs; not always their quotient.
    scale: f64,
    /// The part that `tf_crop_and_resize` takes.
    roi: (f64, f64),
}

struct Manner<'a> {
    mode: &'a str,
    way: &'a str,
    nearest: &'a str,
    cubic_a: f64,
    exclude_outside: bool,
    antialias: bool,
    extrapolation: f64,
}

fn upsample(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let mode = o.a.text("mode")?.unwrap_or("nearest");
    let scales = if o.opset < 9 { o.a.floats("scales")?.unwrap_or_default() } else { floats(o, 1)? };
    old(o, mode, &scales)
}

/// Before opset 11 there is one manner of coordinates.
fn old(o: &mut Op<'_, '_>, mode: &str, scales: &[f32]) -> Result<(), Fail> {
    let manner = Manner {
        mode,
        way: "asymmetric",
        nearest: "floor",
        cubic_a: -0.75,
        exclude_outside: false,
        antialias: false,
        extrapolation: 0.0,
    };
    let axes: Vec<usize> = (0..scales.len()).collect();
    let lines = scaled(o, &axes, scales, &[])?;
    apply(o, &manner, &lines)
}

fn resize(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let mode = o.a.text("mode")?.unwrap_or("nearest");
    if o.opset < 11 {
        let scales = floats(o, 1)?;
        return old(o, mode, &scales);
    }
    let manner = Manner {
        mode,
        way: o.a.text("coordinate_transformation_mode")?.unwrap_or("half_pixel"),
        nearest: o.a.text("nearest_mode")?.unwrap_or("round_prefer_floor"),
        cubic_a: o.a.float("cubic_coeff_a", -0.75)?,
        exclude_outside: o.a.flag("exclude_outside", false)?,
        antialias: o.a.flag("antialias", false)?,
        extrapolation: o.a.float("extrapolation_value", 0.0)?,
    };
    let policy = o.a.text("keep_aspect_ratio_policy")?.unwrap_or("stretch");
    let x = o.x(0)?;
    let shape = o.shape(x);
    let rank = shape.rank();
    let axes: Vec<usize> = match o.a.ints("axes")? {
        Some(v) => v.iter().map(|&a| o.axis(a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let crop = manner.way == "tf_crop_and_resize";
    let roi = if crop { floats(o, 1)? } else { Vec::new() };
    if crop && roi.len() != 2 * axes.len() {
        return Err(Rule::new(format!("a region of {} numbers for {} axes", roi.len(), axes.len())).into());
    }
    let scales = if o.has(2) { floats(o, 2)? } else { Vec::new() };
    let lines = if scales.is_empty() {
        let sizes = o.ints(3)?.ok_or_else(|| Rule::new("sizes that are not known"))?.v;
        sized(o, &shape, &axes, &sizes, policy, &roi)?
    } else {
        scaled(o, &axes, &scales, &roi)?
    };
    apply(o, &manner, &lines)
}

fn region(roi: &[f32], i: usize, n: usize) -> (f64, f64) {
    if roi.is_empty() { (0.0, 1.0) } else { (f64::from(roi[i]), f64::from(roi[n + i])) }
}

fn scaled(o: &mut Op<'_, '_>, axes: &[usize], scales: &[f32], roi: &[f32]) -> Result<Vec<Line>, Fail> {
    let x = o.x(0)?;
    let shape = o.shape(x);
    let wrong = || Rule::new(format!("scales {scales:?} of {shape}"));
    if scales.len() != axes.len() || axes.iter().any(|&a| a >= shape.rank()) {
        return Err(wrong().into());
    }
    let mut lines = Vec::new();
    for (i, (&axis, &s)) in axes.iter().zip(scales).enumerate() {
        if s == 1.0 && roi.is_empty() {
            continue;
        }
        let input = shape.0[axis].fixed().ok_or_else(wrong)?;
        let output = (input as f64 * f64::from(s)).floor();
        if !(1.0..=(1u64 << 31) as f64).contains(&output) {
            return Err(wrong().into());
        }
        lines.push(Line { axis, input, output: output as usize, scale: f64::from(s), roi: region(roi, i, axes.len()) });
    }
    Ok(lines)
}

fn sized(
    o: &Op<'_, '_>,
    shape: &Shape,
    axes: &[usize],
    sizes: &[Int],
    policy: &str,
    roi: &[f32],
) -> Result<Vec<Line>, Fail> {
    let wrong = || Rule::new(format!("sizes {sizes:?} of {shape}"));
    if sizes.len() != axes.len() {
        return Err(wrong().into());
    }
    let mut lines = Vec::new();
    for (i, (&axis, &size)) in axes.iter().zip(sizes).enumerate() {
        let dim = shape.0[axis];
        let batch = matches!((dim, size), (Dim::Batch(1), Int::Known(1)) if o.relaxed());
        if batch || matches!(dim, Dim::Batch(_)) && Int::from(dim) == size {
            continue;
        }
        let (input, size) = (dim.fixed().filter(|&d| d > 0).ok_or_else(wrong)?, size.known()?);
        let output = usize::try_from(size).ok().filter(|s| (1..=1 << 31).contains(s)).ok_or_else(wrong)?;
        let scale = output as f64 / input as f64;
        lines.push(Line { axis, input, output, scale, roi: region(roi, i, axes.len()) });
    }
    // One factor for all axes.
    let factors = lines.iter().map(|l| l.scale);
    let factor = match policy {
        "stretch" => None,
        "not_larger" => factors.reduce(f64::min),
        "not_smaller" => factors.reduce(f64::max),
        _ => return Err(Rule::new(format!("attribute `keep_aspect_ratio_policy` is {policy:?}")).into()),
    };
    if let Some(factor) = factor {
        for l in &mut lines {
            l.scale = factor;
            l.output = ((factor * l.input as f64 + 0.5).floor() as usize).max(1);
        }
    }
    Ok(lines)
}

fn apply(o: &mut Op<'_, '_>, m: &Manner<'_>, lines: &[Line]) -> Result<(), Fail> {
    let mut y = o.x(0)?;
    let shape = o.shape(y);
    let changes = |l: &&Line| l.input != l.output || m.way == "tf_crop_and_resize";
    let lines: Vec<&Line> = lines.iter().filter(changes).collect();
    if let Some(factors) = copies(m, &lines, &shape) {
        let y = o.g().upsample_nearest(y, &factors)?;
        return o.set(0, y);
    }
    // Per axis the outputs that lie outside the input, in `tf_crop_and_resize`.
    let mut outside: Vec<(usize, Vec<bool>)> = Vec::new();
    for l in &lines {
        let at = |x| original(m, l, x as f64);
        if m.way == "tf_crop_and_resize" {
            let out = |x| !(0.0..=l.input as f64 - 1.0).contains(&at(x));
            outside.push((l.axis, (0..l.output).map(out).collect()));
        }
        y = match m.mode {
            "nearest" => {
                let last = l.input as f64 - 1.0;
                let places: Result<Vec<i32>, Rule> =
                    (0..l.output).map(|x| Ok(nearest(m.nearest, at(x))?.clamp(0.0, last) as i32)).collect();
                let places = Tensor::i32(&[l.output], places?)?;
                let places = o.g().constant(places);
                o.g().gather(y, l.axis, places)?
            }
            "linear" | "cubic" => {
                let weights = weights(m, l)?;
                along(o, y, l.axis, weights)?
            }
            other => {
                return Err(Rule::new(format!("attribute `mode` is {other:?}"))
                    .right("nearest, linear or cubic")
                    .into());
            }
        };
    }
    if outside.iter().any(|(_, v)| v.contains(&true)) {
        y = extrapolated(o, y, &outside, m.extrapolation)?;
    }
    o.set(0, y)
}

/// Whole factors along the spatial axes, where each element is repeated as often as the factor says.
fn copies(m: &Manner<'_>, lines: &[&Line], shape: &Shape) -> Option<Vec<usize>> {
    let plain = matches!(
        (m.way, m.nearest),
        ("asymmetric", "floor") | ("half_pixel", "round_prefer_floor" | "round_prefer_ceil")
    );
    let whole = |l: &&Line| l.axis >= 2 && l.output.is_multiple_of(l.input) && l.scale == (l.output / l.input) as f64;
    if m.mode != "nearest" || !plain || shape.rank() < 3 || lines.is_empty() || !lines.iter().all(whole) {
        return None;
    }
    let mut factors = vec![1; shape.rank() - 2];
    lines.iter().for_each(|l| factors[l.axis - 2] = l.output / l.input);
    Some(factors)
}

/// Where in the input an output stands.
fn original(m: &Manner<'_>, l: &Line, x: f64) -> f64 {
    let (input, scale) = (l.input as f64, l.scale);
    // The wanted extent, which need not be whole.
    let wanted = input * scale;
    match m.way {
        "asymmetric" => x / scale,
        "align_corners" if wanted == 1.0 => 0.0,
        "align_corners" => x * (input - 1.0) / (wanted - 1.0),
        "pytorch_half_pixel" if l.output == 1 => 0.0,
        "half_pixel_symmetric" => {
            let adjustment = l.output as f64 / wanted;
            input / 2.0 * (1.0 - adjustment) + (x + 0.5) / scale - 0.5
        }
        "tf_half_pixel_for_nn" => (x + 0.5) / scale,
        "tf_crop_and_resize" => {
            let (start, end) = l.roi;
            if l.output > 1 {
                start * (input - 1.0) + x * (end - start) * (input - 1.0) / (l.output as f64 - 1.0)
            } else {
                0.5 * (start + end) * (input - 1.0)
            }
        }
        _ => (x + 0.5) / scale - 0.5,
    }
}

fn nearest(mode: &str, x: f64) -> Result<f64, Rule> {
    Ok(match mode {
        "round_prefer_floor" => (x - 0.5).ceil(),
        "round_prefer_ceil" => (x + 0.5).floor(),
        "floor" => x.floor(),
        "ceil" => x.ceil(),
        _ => return Err(Rule::new(format!("attribute `nearest_mode` is {mode:?}"))),
    })
}

/// The weights `[outputs, inputs]` of linear or cubic interpolation.
fn weights(m: &Manner<'_>, l: &Line) -> Result<Vec<f32>, Rule> {
    const WAYS: [&str; 6] = [
        "half_pixel",
        "half_pixel_symmetric",
        "pytorch_half_pixel",
        "align_corners",
        "asymmetric",
        "tf_crop_and_resize",
    ];
    if !WAYS.contains(&m.way) {
        let rule = Rule::new(format!("attribute `coordinate_transformation_mode` is {:?}", m.way));
        return Err(rule.right(WAYS.join(", ")));
    }
    let size = l.input.checked_mul(l.output).filter(|&s| s <= MAX_WEIGHTS);
    let size = size.ok_or_else(|| Rule::new(format!("{} elements resized to {}", l.input, l.output)))?;
    let mut all = vec![0.0f32; size];
    // A filter that is wider than an element keeps what is between the outputs from being lost.
    let narrow = if m.antialias { l.scale.min(1.0) } else { 1.0 };
    let reach = if m.mode == "linear" { 1.0 } else { 2.0 };
    let start = (-reach / narrow).floor() as i64 + 1;
    let taps = 2 * (1 - start);
    if taps > 1 << 20 {
        return Err(Rule::new(format!("{} elements resized to {} with antialias", l.input, l.output)));
    }
    let a = m.cubic_a;
    let filter = |d: f64| {
        let d = d.abs();
        match m.mode {
            "linear" => (1.0 - d).max(0.0),
            _ if d <= 1.0 => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0,
            _ if d < 2.0 => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a,
            _ => 0.0,
        }
    };
    for (x, row) in all.chunks_exact_mut(l.input).enumerate() {
        let at = original(m, l, x as f64);
        if m.way == "tf_crop_and_resize" && !(0.0..=l.input as f64 - 1.0).contains(&at) {
            continue;
        }
        // The element on the left; one that is met exactly counts as the one on the right.
        let base = at.ceil() - 1.0;
        let part = at - base;
        let mut taps: Vec<(i64, f64)> =
            (start..start + taps).map(|t| (base as i64 + t, filter((t as f64 - part) * narrow))).collect();
        if m.exclude_outside {
            taps.retain(|(i, _)| (0..l.input as i64).contains(i));
        }
        let sum: f64 = if m.exclude_outside || m.antialias { taps.iter().map(|t| t.1).sum() } else { 1.0 };
        for (i, w) in taps {
            row[i.clamp(0, l.input as i64 - 1) as usize] += (w / sum) as f32;
        }
    }
    Ok(all)
}

/// The product of every line along an axis with a matrix `[outputs, inputs]`.
pub(super) fn along(o: &mut Op<'_, '_>, x: ValueId, axis: usize, weights: Vec<f32>) -> Result<ValueId, Fail> {
    let shape = o.shape(x);
    let rank = shape.rank();
    let input = shape.0[axis].fixed().filter(|&d| d > 0).ok_or_else(|| Rule::new(format!("axis {axis} of {shape}")))?;
    let output = weights.len() / input;
    // The axis goes last, and comes back.
    let mut perm: Vec<usize> = (0..rank).collect();
    perm.swap(axis, rank - 1);
    let g = o.g();
    let turned = if axis + 1 == rank { x } else { g.transpose(x, &perm)? };
    let mut inner = g.shape(turned).clone();
    let rows = product(&inner.0[..rank - 1])?;
    let flat = g.reshape(turned, &Shape(vec![rows, Dim::Fixed(input)]))?;
    let w = g.constant(Tensor::f32(&[output, input], weights)?);
    let y = g.matmul(flat, w, false, true)?;
    inner.0[rank - 1] = Dim::Fixed(output);
    let y = g.reshape(y, &inner)?;
    Ok(if axis + 1 == rank { y } else { g.transpose(y, &perm)? })
}

/// The extrapolation value where any axis lies outside.
fn extrapolated(o: &mut Op<'_, '_>, y: ValueId, outside: &[(usize, Vec<bool>)], value: f64) -> Result<ValueId, Fail> {
    let rank = o.shape(y).rank();
    let mut inside: Option<ValueId> = None;
    for (axis, out) in outside {
        let mut shape = vec![1; rank];
        shape[*axis] = out.len();
        let keep = out.iter().map(|&o| if o { 0.0 } else { 1.0 }).collect();
        let keep = o.g().constant(Tensor::f32(&shape, keep)?);
        inside = Some(match inside {
            None => keep,
            Some(other) => o.g().mul(other, keep)?,
        });
    }
    let Some(inside) = inside else { return Ok(y) };
    let g = o.g();
    let kept = g.gate(y, inside)?;
    let one = g.number(1.0);
    let rest = g.sub(one, inside)?;
    let fill = g.scale(rest, value)?;
    Ok(g.add(kept, fill)?)
}
