//! Elements taken from and put at places that indices name axis by axis.

use super::Row;
use super::index::{EXACT, indices};
use super::op::{Fail, Op};
use super::rounding::{choose, counted, float};
use super::sample::extents;
use crate::onnx::tensor::{Elements, Known};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{Binary, DType, Dim, Rule, Shape, Tensor};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("GatherElements", gather_elements),
    ("GatherND", gather_nd),
    ("Scatter", scatter_elements),
    ("ScatterElements", scatter_elements),
    ("ScatterND", scatter_nd),
];

/// Places in a flat value: `Σ index·stride` of known and computed indices.
struct Flat {
    /// Shape of the places.
    shape: Vec<usize>,
    /// Places as floats, which hold them exactly.
    at: ValueId,
}

impl Flat {
    fn ints(&self, g: &mut Graph) -> Result<ValueId, Fail> {
        let count: usize = self.shape.iter().product();
        let flat = g.reshape(self.at, &Shape::fixed(&[count]))?;
        Ok(g.cast(flat, DType::I32)?)
    }
}

/// For `indices` that replace one axis: every other axis keeps its own number.
fn along(o: &mut Op<'_, '_>, x: &[usize], axis: usize, i: usize) -> Result<Flat, Fail> {
    let at = indices(o, i, x[axis])?;
    let g = o.g();
    let shape = extents(g, at)?;
    let fits = shape.len() == x.len() && (0..x.len()).all(|d| d == axis || shape[d] <= x[d]);
    if !fits || x.iter().product::<usize>() >= EXACT {
        return Err(Rule::new(format!("indices {shape:?} along axis {axis} of {x:?}")).into());
    }
    let strides = gabor_tensor::strides_of(x);
    let at = g.cast(at, DType::F32)?;
    let mut sum = g.scale(at, strides[axis] as f64)?;
    for d in (0..x.len()).filter(|&d| d != axis) {
        let line = counted(g, x.len(), d, shape[d])?;
        let step = g.scale(line, strides[d] as f64)?;
        sum = g.add(sum, step)?;
    }
    Ok(Flat { shape, at: sum })
}

/// For tuples of indices along the last axis, after `batch` axes that both have.
fn tuples(o: &mut Op<'_, '_>, x: &[usize], batch: usize, i: usize) -> Result<(Flat, usize), Fail> {
    let known = o.maybe_known(i)?;
    let shape = match &known {
        Some(k) => k.shape.clone(),
        None => {
            let v = o.x(i)?;
            extents(o.g(), v)?
        }
    };
    let depth = shape.last().copied().unwrap_or(0);
    let wrong = || Rule::new(format!("indices {shape:?} into {x:?}"));
    let lead = shape.get(..batch).filter(|b| x.get(..batch) == Some(*b) && batch < shape.len());
    if lead.is_none() || depth == 0 || batch + depth > x.len() || x.iter().product::<usize>() >= EXACT {
        return Err(wrong().into());
    }
    let strides = gabor_tensor::strides_of(x);
    let inner: usize = x[batch + depth..].iter().product();
    let mut to = shape[..shape.len() - 1].to_vec();
    let mut sum: Option<ValueId> = None;
    for d in 0..depth {
        let len = x[batch + d];
        let part = match &known {
            Some(k) => {
                let Elements::Int(v) = &k.elements else { return Err(wrong().into()) };
                let one = |&i: &i64| {
                    let at = if i < 0 { i.saturating_add(len as i64) } else { i };
                    let at = usize::try_from(at).ok().filter(|&at| at < len);
                    at.map(|at| at as f32).ok_or_else(|| Rule::new(format!("index {i} of {len} elements")))
                };
                let v = v.iter().skip(d).step_by(depth).map(one).collect::<Result<Vec<_>, _>>()?;
                o.g().constant(Tensor::f32(&to, v)?)
            }
            None => {
                let v = o.x(i)?;
                let g = o.g();
                let v = float(g, v)?;
                let part = g.slice(v, shape.len() - 1, d, d + 1, 1)?;
                let part = g.reshape(part, &Shape::fixed(&to))?;
                let zero = g.number(0.0);
                let below = g.greater(zero, part)?;
                let more = g.scale(below, len as f64)?;
                g.add(part, more)?
            }
        };
        let g = o.g();
        let step = g.scale(part, strides[batch + d] as f64)?;
        sum = Some(match sum {
            None => step,
            Some(s) => g.add(s, step)?,
        });
    }
    let g = o.g();
    let mut at = sum.ok_or_else(wrong)?;
    for (b, &stride) in strides.iter().enumerate().take(batch) {
        let line = counted(g, to.len(), b, x[b])?;
        let step = g.scale(line, stride as f64)?;
        at = g.add(at, step)?;
    }
    // The whole rest belongs to each tuple.
    if inner > 1 {
        let column = g.reshape(at, &Shape::fixed(&[to.clone(), vec![1]].concat()))?;
        let line = counted(g, to.len() + 1, to.len(), inner)?;
        at = g.add(column, line)?;
    }
    to.extend(&x[batch + depth..]);
    let at = g.reshape(at, &Shape::fixed(&to))?;
    Ok((Flat { shape: to, at }, depth))
}

fn taken(o: &mut Op<'_, '_>, x: ValueId, flat: &Flat) -> Result<(), Fail> {
    let g = o.g();
    let x = float(g, x)?;
    let count: usize = extents(g, x)?.iter().product();
    let line = g.reshape(x, &Shape::fixed(&[count]))?;
    let at = flat.ints(g)?;
    let y = g.gather(line, 0, at)?;
    let y = g.reshape(y, &Shape::fixed(&flat.shape))?;
    o.set(0, y)
}

fn gather_elements(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.int("axis", 0)?;
    let x = o.x(0)?;
    let shape = extents(o.g(), x)?;
    let axis = o.axis(axis, shape.len())?;
    let flat = along(o, &shape, axis, 1)?;
    taken(o, x, &flat)
}

/// Tuples of one index choose along the first axis: its extent, and the indices without the axis of the tuples.
fn rows(o: &mut Op<'_, '_>) -> Result<Option<(usize, ValueId)>, Fail> {
    let x = o.x(0)?;
    let Some(Dim::Fixed(len)) = o.shape(x).0.first().copied() else { return Ok(None) };
    if o.extents(1)?.last() != Some(&super::item::Int::Known(1)) {
        return Ok(None);
    }
    let at = indices(o, 1, len)?;
    let mut shape = o.shape(at);
    shape.0.pop();
    let at = o.g().reshape(at, &shape)?;
    Ok(Some((len, at)))
}

fn gather_nd(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let batch = o.a.int("batch_dims", 0)?;
    let x = o.x(0)?;
    if batch == 0
        && let Some((_, at)) = rows(o)?
    {
        let g = o.g();
        let x = float(g, x)?;
        let y = g.gather(x, 0, at)?;
        return o.set(0, y);
    }
    let shape = extents(o.g(), x)?;
    let batch = usize::try_from(batch).map_err(|_| Rule::new(format!("attribute `batch_dims` is {batch}")))?;
    let (flat, _) = tuples(o, &shape, batch, 1)?;
    taken(o, x, &flat)
}

fn scatter_elements(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.int("axis", 0)?;
    let x = o.x(0)?;
    let shape = extents(o.g(), x)?;
    let axis = o.axis(axis, shape.len())?;
    if combined(o, x, &shape, "GatherElements")? {
        return Ok(());
    }
    let flat = along(o, &shape, axis, 1)?;
    put(o, x, &flat)
}

fn scatter_nd(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let x = o.x(0)?;
    let plain = matches!(o.a.text("reduction")?, None | Some("none" | "add"));
    if plain && let Some((len, at)) = rows(o)? {
        let (how, updates) = (o.a.text("reduction")?.unwrap_or("none"), o.x(2)?);
        let g = o.g();
        let (x, updates) = (float(g, x)?, float(g, updates)?);
        let put = g.scatter_add(updates, 0, len, at)?;
        if how == "add" {
            let y = g.add(x, put)?;
            return o.set(0, y);
        }
        let zeros = g.cast(at, DType::F32)?;
        let zeros = g.zeros_like(zeros)?;
        let ones = g.shift(zeros, 1.0)?;
        let hit = g.scatter_add(ones, 0, len, at)?;
        let mut column = vec![1; g.shape(x).rank()];
        column[0] = len;
        let hit = g.reshape(hit, &Shape::fixed(&column))?;
        let zero = g.number(0.0);
        let untouched = g.equal(hit, zero)?;
        let y = choose(g, untouched, x, put)?;
        return o.set(0, y);
    }
    let shape = extents(o.g(), x)?;
    if combined(o, x, &shape, "GatherND")? {
        return Ok(());
    }
    let (flat, _) = tuples(o, &shape, 0, 1)?;
    put(o, x, &flat)
}

/// Most updates of one element that are combined by products, largest or smallest numbers.
const MAX_ROUNDS: usize = 64;

/// x combined with updates by products, largest or smallest numbers, at places that are known: the updates of an element
/// come one after the other. `reader` gathers what this operator scatters. False for the other reductions.
fn combined(o: &mut Op<'_, '_>, x: ValueId, shape: &[usize], reader: &str) -> Result<bool, Fail> {
    let (f, neutral) = match o.a.text("reduction")? {
        Some("mul") => (Binary::Mul, 1.0),
        Some("max") => (Binary::Max, f64::NEG_INFINITY),
        Some("min") => (Binary::Min, f64::INFINITY),
        _ => return Ok(false),
    };
    let at = o.known(1)?;
    let count = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).filter(|&c| c <= 1 << 21);
    let count = count.ok_or_else(|| Rule::new(format!("updates of {shape:?}")).right("at most 2097152 elements"))?;
    // Gathering from 0, 1, 2, … tells the places.
    let all = Known::ints(shape.to_vec(), (0..count as i64).collect());
    let gather = super::fold::row(reader).ok_or_else(|| Rule::new("no way to gather"))?;
    let places = gather(o, &[Some(std::rc::Rc::new(all)), Some(at)])?.and_then(|mut v| v.pop());
    let Some(Known { elements: Elements::Int(places), .. }) = places else {
        return Err(Rule::new("places that are not known").into());
    };
    let mut seen = std::collections::HashMap::new();
    let mut rounds: Vec<(Vec<i32>, Vec<i32>)> = Vec::new();
    for (i, &p) in places.iter().enumerate() {
        let round: &mut usize = seen.entry(p).or_default();
        if rounds.len() == *round {
            rounds.push(Default::default());
        }
        rounds[*round].0.push(i as i32);
        rounds[*round].1.push(p as i32);
        *round += 1;
        if rounds.len() > MAX_ROUNDS {
            return Err(Rule::new(format!("element {p} is updated more than {MAX_ROUNDS} times")).into());
        }
    }
    let updates = o.x(2)?;
    let g = o.g();
    let (x, updates) = (float(g, x)?, float(g, updates)?);
    let mut y = g.reshape(x, &Shape::fixed(&[count]))?;
    let line = g.reshape(updates, &Shape::fixed(&[places.len()]))?;
    for (from, to) in rounds {
        let n = from.len();
        let mut keep = vec![0.0; count];
        to.iter().for_each(|&t| keep[t as usize] = 1.0);
        let from = g.constant(Tensor::i32(&[n], from)?);
        let to = g.constant(Tensor::i32(&[n], to)?);
        let hit = g.constant(Tensor::f32(&[count], keep)?);
        let part = g.gather(line, 0, from)?;
        let put = g.scatter_add(part, 0, count, to)?;
        let rest = g.number(neutral);
        let put = choose(g, hit, put, rest)?;
        y = g.binary(f, y, put)?;
    }
    let y = g.reshape(y, &Shape::fixed(shape))?;
    o.set(0, y)?;
    Ok(true)
}

/// x with the updates at these places, or combined with them. Places that occur twice are combined only by sums.
fn put(o: &mut Op<'_, '_>, x: ValueId, flat: &Flat) -> Result<(), Fail> {
    let how = o.a.text("reduction")?.unwrap_or("none");
    let updates = o.x(2)?;
    if how != "add" && how != "none" {
        return Err(Rule::new(format!("attribute `reduction` is {how:?}")).right("none, add, mul, max or min").into());
    }
    let g = o.g();
    let (x, updates) = (float(g, x)?, float(g, updates)?);
    let shape = extents(g, x)?;
    if extents(g, updates)? != flat.shape {
        return Err(Rule::new(format!("updates {} at places {:?}", g.shape(updates), flat.shape)).into());
    }
    let count: usize = shape.iter().product();
    let places: usize = flat.shape.iter().product();
    let at = flat.ints(g)?;
    let line = g.reshape(updates, &Shape::fixed(&[places]))?;
    let put = g.scatter_add(line, 0, count, at)?;
    let put = g.reshape(put, &Shape::fixed(&shape))?;
    if how == "add" {
        let y = g.add(x, put)?;
        return o.set(0, y);
    }
    let ones = g.full(&[places], 1.0);
    let hit = g.scatter_add(ones, 0, count, at)?;
    let hit = g.reshape(hit, &Shape::fixed(&shape))?;
    let zero = g.number(0.0);
    let untouched = g.equal(hit, zero)?;
    let y = choose(g, untouched, x, put)?;
    o.set(0, y)
}
