//! Constants, and operators that give elements other extents. Shape computations are done here and now.

use super::item::Int;
use super::op::{Fail, Op, product};
use super::reductions::extent;
use super::{MAX_ELEMENTS, Row, want_size};
use crate::onnx::tensor::{ElementType, Elements, Known, kind_of};
use gabor_tensor::{Dim, Rule, Shape};

/// Most elements of one constant that is made here.
const MAX_GENERATED: usize = 1 << 16;

pub(super) const ROWS: &[(&str, Row)] = &[
    ("Constant", constant),
    ("ConstantOfShape", constant_of_shape),
    ("Identity", |o| o.pass()),
    ("Dropout", dropout),
    ("Shape", shape),
    ("Size", |o| {
        let v = o.extents(0)?;
        let dims = v.into_iter().map(extent).collect::<Result<Vec<_>, _>>()?;
        o.set_ints(true, vec![product(&dims)?.into()])
    }),
    ("Reshape", reshape),
    ("Flatten", flatten),
    ("Squeeze", squeeze),
    ("Unsqueeze", unsqueeze),
    ("Transpose", transpose),
    ("Expand", expand),
    ("DepthToSpace", depth_to_space),
    ("SpaceToDepth", space_to_depth),
    ("Range", |o| {
        let inputs = [o.known(0)?, o.known(1)?, o.known(2)?].map(Some);
        fold_range(o, &inputs)
    }),
    ("EyeLike", eye_like),
];

fn constant(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let float = |v: Vec<f32>, shape| Known::floats(shape, v);
    let int = |v: Vec<i64>, shape| Known::ints(shape, v);
    let known = if let Some(t) = o.a.tensor("value")? {
        t
    } else if let Some(v) = o.a.maybe_float("value_float")? {
        float(vec![v as f32], vec![])
    } else if let Some(v) = o.a.maybe_int("value_int")? {
        int(vec![v], vec![])
    } else if let Some(v) = o.a.floats("value_floats")? {
        let len = v.len();
        float(v, vec![len])
    } else if let Some(v) = o.a.ints("value_ints")? {
        let len = v.len();
        int(v, vec![len])
    } else {
        return Err(Rule::new("a constant without a tensor or number").into());
    };
    o.set_known(known)
}

fn constant_of_shape(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let shape = o.ints(0)?.ok_or_else(|| Rule::new("the shape is computed from values"))?.v;
    let value = o.a.tensor("value")?;
    let dims: Vec<Dim> = shape.iter().map(|&v| extent(v)).collect::<Result<_, _>>()?;
    let count = match product(&dims)? {
        Dim::Fixed(n) if n <= MAX_GENERATED => n,
        // Weights that are published without their numbers: one number, repeated as the graph runs.
        _ => {
            let value = value.unwrap_or_else(|| Known::floats(vec![1], vec![0.0]));
            let one = super::op::one_number(&value).filter(|_| value.kind.is_float());
            let one = one.ok_or_else(|| {
                Rule::new(format!("{shape:?} whole numbers")).right(format!("at most {MAX_GENERATED}"))
            })?;
            let to = Shape(dims);
            want_size(&to)?;
            let g = o.g();
            let number = g.number(one);
            let y = g.broadcast(number, &to)?;
            return o.set(0, y);
        }
    };
    let value = value.unwrap_or_else(|| Known::floats(vec![1], vec![0.0]));
    let elements = match &value.elements {
        Elements::Float(v) if v.len() == 1 => Elements::Float(vec![v[0]; count]),
        Elements::Int(v) if v.len() == 1 => Elements::Int(vec![v[0]; count]),
        _ => return Err(Rule::new("attribute `value` is not one number").into()),
    };
    o.set_known(Known { shape: dims.iter().map(|d| d.at(1)).collect(), kind: value.kind, elements })
}

/// At inference dropout is the identity, and everything is kept.
fn dropout(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    o.a.ignore("seed")?;
    if o.opset < 12 {
        o.a.ignore("ratio")?;
    } else if o.has(2) && o.number(2)? != 0.0 && !(o.has(1) && o.number(1)? == 0.0) {
        return Err(Rule::new("its training_mode is true").right("a model exported for inference").into());
    }
    if o.outputs() > 1 {
        let x = o.x(0)?;
        let g = o.g();
        let zeros = g.zeros_like(x)?;
        let kept = g.shift(zeros, 1.0)?;
        o.set(1, kept)?;
    }
    o.pass()
}

fn shape(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let v = o.extents(0)?;
    let r = v.len() as i64;
    let (start, end) = (o.a.int("start", 0)?, o.a.int("end", r)?);
    let clamp = |i: i64| (if i < 0 { i.saturating_add(r) } else { i }).clamp(0, r) as usize;
    let (start, end) = (clamp(start), clamp(end));
    o.set_ints(false, v[start..end.max(start)].to_vec())
}

fn reshape(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let zero = o.opset >= 14 && o.a.flag("allowzero", false)?;
    let wrong = || Rule::new("the new shape is computed from values").right("a shape that is known");
    let target = o.ints(1)?.ok_or_else(wrong)?.v;
    let x = o.x(0)?;
    let from = o.shape(x);
    let to = target_shape(&from, &target, o.relaxed(), zero)?;
    let y = o.g().reshape(x, &to)?;
    o.set(0, y)
}

/// The shape that a reshape asks for: 0 keeps an extent (or is one, if `zero`), −1 is what is left.
fn target_shape(from: &Shape, target: &[Int], relaxed: bool, zero: bool) -> Result<Shape, Rule> {
    let mut dims = Vec::with_capacity(target.len());
    let mut open = None;
    for (i, &t) in target.iter().enumerate() {
        dims.push(match t {
            Int::Known(0) if !zero => {
                *from.0.get(i).ok_or_else(|| Rule::new(format!("extent {i} of {from} is kept")))?
            }
            Int::Known(-1) if open.replace(i).is_none() => Dim::Fixed(1),
            Int::Known(-1) => return Err(Rule::new("two extents of -1").right("at most one")),
            // The batch size of 1 that the file was written with.
            Int::Known(1) if relaxed && i == 0 && from.0.first() == Some(&Dim::Batch(1)) => Dim::Batch(1),
            other => extent(other)?,
        });
    }
    if let Some(i) = open {
        let wrong = || Rule::new(format!("{from} cannot become {target:?}"));
        let batches = |d: &[Dim]| d.iter().filter(|d| matches!(d, Dim::Batch(_))).count();
        let count = |d: &[Dim]| d.iter().try_fold(1usize, |a, d| a.checked_mul(d.at(1))).ok_or_else(wrong);
        let (all, rest) = (count(&from.0)?, count(&dims)?);
        if rest == 0 || all % rest != 0 {
            return Err(wrong());
        }
        dims[i] = match batches(&from.0).checked_sub(batches(&dims)) {
            Some(0) => Dim::Fixed(all / rest),
            Some(1) => Dim::Batch(all / rest),
            _ => return Err(wrong()),
        };
    }
    let to = Shape(dims);
    want_size(&to)?;
    Ok(to)
}

fn flatten(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axis = o.a.int("axis", 1)?;
    let x = o.x(0)?;
    let shape = o.shape(x);
    // Unlike elsewhere, the axis may stand behind the last.
    let axis = if axis == shape.rank() as i64 { shape.rank() } else { o.axis(axis, shape.rank())? };
    if axis == 0 {
        o.keep_batch(x, &[0])?;
    }
    let to = Shape(vec![product(&shape.0[..axis])?, product(&shape.0[axis..])?]);
    let y = o.g().reshape(x, &to)?;
    o.set(0, y)
}

fn squeeze(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axes = o.ints_since("axes", 1, 13)?;
    if let Some(ints) = o.ints(0)?
        && !ints.scalar
    {
        if ints.v.len() != 1 {
            return Err(Rule::new(format!("a list of {} numbers without extents of 1", ints.v.len())).into());
        }
        return o.set_ints(true, ints.v);
    }
    let x = o.x(0)?;
    let shape = o.shape(x);
    let axes = match axes {
        Some(v) => o.axes(&v, shape.rank())?,
        None => (0..shape.rank()).filter(|&i| shape.0[i] == Dim::Fixed(1)).collect(),
    };
    if let Some(&a) = axes.iter().find(|&&a| shape.0[a] != Dim::Fixed(1)) {
        return Err(Rule::new(format!("axis {a} of {shape} is not 1")).into());
    }
    let kept = (shape.0.iter().enumerate()).filter(|(i, _)| !axes.contains(i)).map(|(_, &d)| d).collect();
    let y = o.g().reshape(x, &Shape(kept))?;
    o.set(0, y)
}

fn unsqueeze(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axes = o.ints_since("axes", 1, 13)?.ok_or_else(|| Rule::new("it names no axes"))?;
    if let Some(ints) = o.ints(0)?
        && ints.scalar
    {
        o.axes(&axes, 1)?;
        return o.set_ints(false, ints.v);
    }
    let x = o.x(0)?;
    let mut shape = o.shape(x);
    // Axes count in the result, in increasing order.
    for a in o.axes(&axes, shape.rank() + axes.len())? {
        shape.0.insert(a, Dim::Fixed(1));
    }
    want_size(&shape)?;
    let y = o.g().reshape(x, &shape)?;
    o.set(0, y)
}

fn transpose(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let perm = o.a.sizes("perm")?;
    let x = o.x(0)?;
    let rank = o.shape(x).rank();
    let y = o.g().transpose(x, &perm.unwrap_or_else(|| (0..rank).rev().collect()))?;
    o.set(0, y)
}

fn expand(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let target = o.ints(1)?.ok_or_else(|| Rule::new("the new shape is computed from values"))?.v;
    let x = o.x(0)?;
    let dims = target.into_iter().map(extent).collect::<Result<Vec<_>, _>>()?;
    let (from, to) = (o.shape(x), Shape(dims));
    want_size(&to)?;
    let to = from.broadcast(&to).ok_or_else(|| Rule::new(format!("{from} does not broadcast to {to}")))?;
    want_size(&to)?;
    let y = o.g().broadcast(x, &to)?;
    o.set(0, y)
}

/// Extents `[n, c, h, w]` and the block size.
fn blocks(o: &mut Op<'_, '_>) -> Result<(Dim, usize, [usize; 2], usize), Fail> {
    let b = o.a.int("blocksize", 0)?;
    let x = o.x(0)?;
    let shape = o.shape(x);
    match (&shape.0[..], usize::try_from(b)) {
        (&[n, Dim::Fixed(c), Dim::Fixed(h), Dim::Fixed(w)], Ok(b)) if b > 0 && b < MAX_ELEMENTS >> 20 => {
            Ok((n, c, [h, w], b))
        }
        _ => Err(Rule::new(format!("blocks of {b} in {shape}")).right("[n, c, h, w]").into()),
    }
}

fn shuffle(o: &mut Op<'_, '_>, split: Vec<Dim>, perm: &[usize], to: Vec<Dim>) -> Result<(), Fail> {
    let x = o.x(0)?;
    let g = o.g();
    let parts = g.reshape(x, &Shape(split))?;
    let turned = g.transpose(parts, perm)?;
    let y = g.reshape(turned, &Shape(to))?;
    o.set(0, y)
}

fn depth_to_space(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let crd = match o.a.text("mode")?.unwrap_or("DCR") {
        "DCR" => false,
        "CRD" => true,
        other => return Err(Rule::new(format!("attribute `mode` is {other:?}")).right("DCR or CRD").into()),
    };
    let (n, c, [h, w], b) = blocks(o)?;
    if c % (b * b) != 0 {
        return Err(Rule::new(format!("{c} channels are no multiple of {b}²")).into());
    }
    let f = Dim::Fixed;
    let k = c / (b * b);
    let to = vec![n, f(k), f(h * b), f(w * b)];
    if crd {
        shuffle(o, vec![n, f(k), f(b), f(b), f(h), f(w)], &[0, 1, 4, 2, 5, 3], to)
    } else {
        shuffle(o, vec![n, f(b), f(b), f(k), f(h), f(w)], &[0, 3, 4, 1, 5, 2], to)
    }
}

fn fold_range(o: &mut Op<'_, '_>, inputs: &super::fold::Inputs) -> Result<(), Fail> {
    let row = super::fold::row("Range").ok_or_else(|| Rule::new("no ranges"))?;
    match row(o, inputs)?.and_then(|mut v| v.pop()) {
        Some(k) => o.set_known(k),
        None => Err(Rule::new("a range that is not known").into()),
    }
}

/// A matrix with ones on a diagonal.
fn eye_like(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let k = o.a.int("k", 0)?;
    let kind = match o.a.maybe_int("dtype")? {
        Some(t) => kind_of(t)?,
        None => o.kind(0).unwrap_or(ElementType::F32),
    };
    let dims = o.extents(0)?.into_iter().map(|v| v.known()).collect::<Result<Vec<_>, _>>()?;
    let &[h, w] = &dims[..] else { return Err(Rule::new(format!("a value of {} axes", dims.len())).right("2").into()) };
    let count = usize::try_from(h.max(0)).ok().and_then(|h| h.checked_mul(w.max(0) as usize));
    let count = count.ok_or_else(|| Rule::new(format!("a matrix {h} × {w}")))?;
    if count > 1 << 22 {
        return Err(Rule::new(format!("a matrix {h} × {w}")).into());
    }
    let one = |i: i64| i % w - i / w == k;
    let elements = match kind.is_float() {
        true => Elements::Float((0..count as i64).map(|i| f32::from(u8::from(one(i)))).collect()),
        false => Elements::Int((0..count as i64).map(|i| i64::from(one(i))).collect()),
    };
    o.set_known(Known { shape: vec![h as usize, w as usize], kind, elements })
}

fn space_to_depth(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let crd = match o.a.text("mode")?.unwrap_or("DCR") {
        "DCR" => false,
        "CRD" => true,
        other => return Err(Rule::new(format!("attribute `mode` is {other:?}")).right("DCR or CRD").into()),
    };
    let (n, c, [h, w], b) = blocks(o)?;
    if h % b != 0 || w % b != 0 {
        return Err(Rule::new(format!("{h} × {w} is no multiple of {b}")).into());
    }
    let f = Dim::Fixed;
    let split = vec![n, f(c), f(h / b), f(b), f(w / b), f(b)];
    let perm = if crd { [0, 1, 3, 5, 2, 4] } else { [0, 3, 5, 1, 2, 4] };
    shuffle(o, split, &perm, vec![n, f(c * b * b), f(h / b), f(w / b)])
}
