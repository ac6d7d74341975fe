//! Elements taken at computed places: grids, regions of interest, deformed windows.

use super::Row;
use super::op::{Fail, Op};
use super::reader::Role;
use super::rounding::{floor, round};
use super::windows::{groups, window};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{Dim, Rule, Shape, Tensor};

pub(super) const ROWS: &[(&str, Row)] =
    &[("GridSample", grid_sample), ("AffineGrid", affine_grid), ("DeformConv", deform_conv)];

/// Largest number that floats count up to without a gap.
const EXACT: usize = 1 << 24;

/// Most places that are known beforehand.
const MAX_POINTS: usize = 1 << 20;

/// What lies outside the input.
#[derive(Clone, Copy, PartialEq)]
enum Outside {
    Zeros,
    Border,
    Reflection { align: bool },
}

/// The extents of a value; an error for one that depends on the batch size.
pub(super) fn extents(g: &Graph, v: ValueId) -> Result<Vec<usize>, Rule> {
    let shape = g.shape(v);
    shape
        .known()
        .ok_or_else(|| Rule::new(format!("a value {shape} of which samples are chosen")).right("a fixed batch size"))
}

/// `x [n, c, spatial…]` at `places`, one per spatial axis, `[n, p]` each and counted in elements: `[n, c, p]`.
fn sample(g: &mut Graph, x: ValueId, places: &[ValueId], mode: &str, outside: Outside) -> Result<ValueId, Fail> {
    let shape = extents(g, x)?;
    let (n, c, spatial) = (shape[0], shape[1], &shape[2..]);
    let plane: usize = spatial.iter().product();
    if n.checked_mul(plane).is_none_or(|p| p >= EXACT) {
        return Err(Rule::new(format!("{n}·{plane} places to choose from"))
            .right(format!("fewer than {EXACT}"))
            .into());
    }
    let perm: Vec<usize> = [0].into_iter().chain(2..shape.len()).chain([1]).collect();
    let rows = g.transpose(x, &perm)?;
    let rows = g.reshape(rows, &Shape::fixed(&[n * plane, c]))?;
    let mut taps = Vec::new();
    for (&at, &len) in places.iter().zip(spatial) {
        let line = line(g, at, mode)?;
        taps.push(line.into_iter().map(|(i, w)| inside(g, i, w, len, outside)).collect::<Result<Vec<_>, Fail>>()?);
    }
    let first = Tensor::f32(&[n, 1], (0..n).map(|i| (i * plane) as f32).collect())?;
    let first = g.constant(first);
    let strides = gabor_tensor::strides_of(spatial);
    let mut sum: Option<ValueId> = None;
    let mut choice = vec![0; spatial.len()];
    loop {
        let (mut place, mut weight) = (first, None);
        for (d, &k) in choice.iter().enumerate() {
            let (i, w) = taps[d][k];
            let step = g.scale(i, strides[d] as f64)?;
            place = g.add(place, step)?;
            weight = match weight {
                None => Some(w),
                Some(other) => Some(g.mul(other, w)?),
            };
        }
        let place = g.cast(place, gabor_tensor::DType::I32)?;
        let mut part = g.gather(rows, 0, place)?;
        if let Some(w) = weight {
            let mut column = g.shape(w).clone();
            column.0.push(Dim::Fixed(1));
            let w = g.reshape(w, &column)?;
            part = g.mul(part, w)?;
        }
        sum = Some(match sum {
            None => part,
            Some(s) => g.add(s, part)?,
        });
        // The next choice of one tap per axis.
        let Some(d) = (0..choice.len()).rev().find(|&d| choice[d] + 1 < taps[d].len()) else { break };
        choice[d] += 1;
        choice[d + 1..].fill(0);
    }
    let sum = sum.ok_or_else(|| Rule::new("no spatial axes"))?;
    Ok(g.transpose(sum, &[0, 2, 1])?)
}

/// The elements of a line that a place is made of, with their weights.
fn line(g: &mut Graph, at: ValueId, mode: &str) -> Result<Vec<(ValueId, ValueId)>, Fail> {
    if mode == "nearest" {
        let zeros = g.zeros_like(at)?;
        return Ok(vec![(round(g, at)?, g.shift(zeros, 1.0)?)]);
    }
    let base = floor(g, at)?;
    let r = g.sub(at, base)?;
    if mode == "linear" {
        let minus = g.scale(r, -1.0)?;
        return Ok(vec![(base, g.shift(minus, 1.0)?), (g.shift(base, 1.0)?, r)]);
    }
    // Keys 1981 with a = -0.75, as polynomials in the distance.
    let a = -0.75;
    let near = [1.0, 0.0, -(a + 3.0), a + 2.0];
    let far = [-4.0 * a, 8.0 * a, -5.0 * a, a];
    let mut all = Vec::new();
    for (k, coefficients) in [(-1.0, far), (0.0, near), (1.0, near), (2.0, far)] {
        // The distance of element base + k: |r - k|.
        let d = g.shift(r, -k)?;
        let d = g.scale(d, if k > 0.0 { -1.0 } else { 1.0 })?;
        let mut w = g.number(coefficients[3]);
        for &c in coefficients[..3].iter().rev() {
            let up = g.mul(w, d)?;
            w = g.shift(up, c)?;
        }
        all.push((g.shift(base, k)?, w));
    }
    Ok(all)
}

/// An element's number within a line of `len`, and its weight: 0 for one that is not there.
fn inside(g: &mut Graph, i: ValueId, w: ValueId, len: usize, outside: Outside) -> Result<(ValueId, ValueId), Fail> {
    let last = len as f64 - 1.0;
    let at = match outside {
        Outside::Reflection { align } => {
            let (low, range) = if align { (0.0, last) } else { (-0.5, len as f64) };
            if range == 0.0 {
                g.scale(i, 0.0)?
            } else {
                // A sawtooth of twice the range, folded at the range.
                let from = g.shift(i, -low)?;
                let turns = g.scale(from, 1.0 / (2.0 * range))?;
                let turns = floor(g, turns)?;
                let whole = g.scale(turns, 2.0 * range)?;
                let t = g.sub(from, whole)?;
                let minus = g.scale(t, -1.0)?;
                let back = g.shift(minus, 2.0 * range)?;
                let folded = g.minimum(t, back)?;
                g.shift(folded, low)?
            }
        }
        _ => i,
    };
    let clamped = g.clip(at, 0.0, last)?;
    if outside != Outside::Zeros {
        // Folded numbers are whole but for rounding.
        return Ok((round(g, clamped)?, w));
    }
    let there = g.equal(at, clamped)?;
    Ok((clamped, g.gate(w, there)?))
}

fn grid_sample(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let mode = match o.a.text("mode")?.unwrap_or("linear") {
        "linear" | "bilinear" => "linear",
        "cubic" | "bicubic" => "cubic",
        "nearest" => "nearest",
        other => {
            return Err(Rule::new(format!("attribute `mode` is {other:?}")).right("linear, cubic or nearest").into());
        }
    };
    let align = o.a.flag("align_corners", false)?;
    let outside = match o.a.text("padding_mode")?.unwrap_or("zeros") {
        "zeros" => Outside::Zeros,
        "border" => Outside::Border,
        "reflection" => Outside::Reflection { align },
        other => {
            let rule = Rule::new(format!("attribute `padding_mode` is {other:?}"));
            return Err(rule.right("zeros, border or reflection").into());
        }
    };
    let (x, grid) = (o.x(0)?, o.x(1)?);
    let g = o.g();
    let (sx, sg) = (extents(g, x)?, extents(g, grid)?);
    let d = sx.len().saturating_sub(2);
    if d == 0 || sg.len() != d + 2 || sg[d + 1] != d || sg[0] != sx[0] || sg.contains(&0) {
        return Err(Rule::new(format!("a grid {sg:?} for {sx:?}")).right("[n, outputs…, axes]").into());
    }
    let points: usize = sg[1..=d].iter().product();
    let flat = g.reshape(grid, &Shape::fixed(&[sg[0], points, d]))?;
    let mut places = Vec::new();
    for i in 0..d {
        // The grid names the last axis first.
        let part = g.slice(flat, 2, d - 1 - i, d - i, 1)?;
        let part = g.reshape(part, &Shape::fixed(&[sg[0], points]))?;
        let len = sx[2 + i] as f64;
        // From −1…1 to elements: of their centres or of their edges.
        let (scale, shift) =
            if align { ((len - 1.0) / 2.0, (len - 1.0) / 2.0) } else { (len / 2.0, (len - 1.0) / 2.0) };
        let scaled = g.scale(part, scale)?;
        places.push(g.shift(scaled, shift)?);
    }
    let y = sample(g, x, &places, mode, outside)?;
    let to: Vec<usize> = [sx[0], sx[1]].into_iter().chain(sg[1..=d].iter().copied()).collect();
    let y = g.reshape(y, &Shape::fixed(&to))?;
    o.set(0, y)
}

fn affine_grid(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let align = o.a.flag("align_corners", false)?;
    let size = o.known_ints(1)?;
    let theta = o.x(0)?;
    let st = extents(o.g(), theta)?;
    let size: Vec<usize> = size.iter().map(|&v| usize::try_from(v).unwrap_or(0)).collect();
    let d = size.len().saturating_sub(2);
    let points = size.iter().skip(2).try_fold(1usize, |a, &b| a.checked_mul(b)).unwrap_or(usize::MAX);
    if !(2..=3).contains(&d) || st != [size[0], d, d + 1] || points == 0 || points > MAX_POINTS {
        return Err(Rule::new(format!("theta {st:?} and size {size:?}")).right("[n, 2, 3] or [n, 3, 4]").into());
    }
    // Every place in −1…1, the last axis first, and a one.
    let mut base = Vec::with_capacity(points * (d + 1));
    for p in 0..points {
        let mut rest = p;
        for &len in size[2..].iter().rev() {
            let i = (rest % len) as f64;
            rest /= len;
            let len = len as f64;
            base.push(match align {
                true if len == 1.0 => -1.0,
                true => 2.0 * i / (len - 1.0) - 1.0,
                false => (2.0 * i + 1.0) / len - 1.0,
            } as f32);
        }
        base.push(1.0);
    }
    let g = o.g();
    let base = g.constant(Tensor::f32(&[1, points, d + 1], base)?);
    let base = g.broadcast(base, &Shape::fixed(&[size[0], points, d + 1]))?;
    let y = g.matmul(base, theta, false, true)?;
    let to: Vec<usize> = [size[0]].into_iter().chain(size[2..].iter().copied()).chain([d]).collect();
    let y = g.reshape(y, &Shape::fixed(&to))?;
    o.set(0, y)
}

/// Convolution whose window's elements are moved by offsets and weighted by a mask (Dai et al. 2017; Zhu et al. 2019).
fn deform_conv(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (x, w, offset) = (o.x(0)?, o.role(1, Role::Weight)?, o.x(2)?);
    let (sx, sw, so) = (extents(o.g(), x)?, extents(o.g(), w)?, extents(o.g(), offset)?);
    let parts = o.a.int("offset_group", 1)?;
    let groups = groups(o)?;
    o.a.ignore("kernel_shape")?;
    let wrong = || Rule::new(format!("x {sx:?}, w {sw:?}, offset {so:?}, {parts} offset groups"));
    let parts = usize::try_from(parts).ok().filter(|&p| p > 0 && sx.len() == 4 && sw.len() == 4).ok_or_else(wrong)?;
    let options = window(o, &sx[2..], sw[2..].to_vec())?;
    let geometry = options.resolve(&sx[2..])?;
    let (out, taps) = (geometry.output(), sw[2] * sw[3]);
    let points: usize = out.iter().product();
    let (n, c, co) = (sx[0], sx[1], sw[0]);
    if so != [n, parts * taps * 2, out[0], out[1]] || c % parts != 0 || sw[1] * groups != c || co % groups != 0 {
        return Err(wrong().into());
    }
    if taps.checked_mul(points).is_none_or(|p| p > MAX_POINTS) || n.checked_mul(parts).is_none_or(|p| p >= EXACT) {
        return Err(wrong().right(format!("at most {MAX_POINTS} places in a plane")).into());
    }
    // Where every element of the window stands without an offset.
    let mut base = [Vec::new(), Vec::new()];
    for tap in 0..taps {
        for p in 0..points {
            for (d, at) in [(0, (p / out[1], tap / sw[3])), (1, (p % out[1], tap % sw[3]))] {
                let a = &geometry.axes()[d];
                let place = (at.0 * a.stride + at.1 * a.dilation) as f32 - a.pad_begin as f32;
                base[d].push(place);
            }
        }
    }
    let mask = if o.has(4) { Some(o.x(4)?) } else { None };
    let g = o.g();
    let moved = g.reshape(offset, &Shape::fixed(&[n * parts, taps, 2, points]))?;
    let mut places = Vec::new();
    for (d, base) in base.into_iter().enumerate() {
        let part = g.slice(moved, 2, d, d + 1, 1)?;
        let part = g.reshape(part, &Shape::fixed(&[n * parts, taps * points]))?;
        let base = g.constant(Tensor::f32(&[1, taps * points], base)?);
        places.push(g.add(part, base)?);
    }
    let split = g.reshape(x, &Shape::fixed(&[n * parts, c / parts, sx[2], sx[3]]))?;
    let mut columns = sample(g, split, &places, "linear", Outside::Zeros)?;
    if let Some(mask) = mask {
        let mask = g.reshape(mask, &Shape::fixed(&[n * parts, 1, taps * points]))?;
        columns = g.mul(columns, mask)?;
    }
    let columns = g.reshape(columns, &Shape::fixed(&[n * groups, c / groups * taps, points]))?;
    let filters = g.reshape(w, &Shape::fixed(&[1, groups, co / groups, c / groups * taps]))?;
    let filters = g.broadcast(filters, &Shape::fixed(&[n, groups, co / groups, c / groups * taps]))?;
    let filters = g.reshape(filters, &Shape::fixed(&[n * groups, co / groups, c / groups * taps]))?;
    let y = g.matmul(filters, columns, false, false)?;
    let mut y = g.reshape(y, &Shape::fixed(&[n, co, out[0], out[1]]))?;
    if o.has(3) {
        let b = o.role(3, Role::Bias)?;
        let shape = o.shape(y);
        let b = o.g().per_channel(b, &shape)?;
        y = o.g().add(y, b)?;
    }
    o.set(0, y)
}
