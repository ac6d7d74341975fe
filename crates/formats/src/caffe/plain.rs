//! Layers without numbers: functions of each element, and what joins, cuts and moves.

use super::Row;
use super::build::Cx;
use crate::Result;
use gabor_graph::ValueId;
use gabor_tensor::{Binary, Dim, Reduction, Rule, Shape, Unary};

pub(super) const ROWS: &[Row] = &[
    ("ReLU", "relu_param", |cx| {
        cx.p.ignore(&["engine"]);
        let (x, slope) = (cx.one()?, cx.p.float("negative_slope", 0.0)?);
        Ok(vec![if slope == 0.0 { cx.g().relu(x)? } else { cx.g().leaky_relu(x, slope)? }])
    }),
    ("ReLU6", "relu_param", |cx| {
        let x = cx.one()?;
        Ok(vec![cx.g().relu6(x)?])
    }),
    ("ELU", "elu_param", |cx| {
        let (x, alpha) = (cx.one()?, cx.p.float("alpha", 1.0)?);
        Ok(vec![cx.g().elu(x, alpha)?])
    }),
    ("Sigmoid", "sigmoid_param", |cx| {
        cx.p.ignore(&["engine"]);
        let x = cx.one()?;
        Ok(vec![cx.g().sigmoid(x)?])
    }),
    ("TanH", "tanh_param", |cx| {
        cx.p.ignore(&["engine"]);
        let x = cx.one()?;
        Ok(vec![cx.g().tanh(x)?])
    }),
    ("AbsVal", "", |cx| {
        let x = cx.one()?;
        Ok(vec![cx.g().unary(Unary::Abs, x)?])
    }),
    ("BNLL", "", |cx| {
        let x = cx.one()?;
        Ok(vec![cx.g().softplus(x)?])
    }),
    ("Swish", "swish_param", |cx| {
        let (x, beta) = (cx.one()?, cx.p.float("beta", 1.0)?);
        let g = cx.g();
        let inner = if beta == 1.0 { x } else { g.scale(x, beta)? };
        let gate = g.sigmoid(inner)?;
        Ok(vec![g.mul(x, gate)?])
    }),
    ("Clip", "clip_param", |cx| {
        let (x, min, max) = (cx.one()?, cx.p.float("min", f64::NAN)?, cx.p.float("max", f64::NAN)?);
        if min.is_nan() || max.is_nan() || min > max {
            return Err(cx.error(Rule::new(format!("`min` {min} and `max` {max}")).right("both, in order")));
        }
        Ok(vec![cx.g().clip(x, min, max)?])
    }),
    ("Threshold", "threshold_param", |cx| {
        let (x, t) = (cx.one()?, cx.p.float("threshold", 0.0)?);
        let t = cx.g().number(t);
        Ok(vec![cx.g().binary(Binary::Greater, x, t)?])
    }),
    ("Power", "power_param", power),
    ("Exp", "exp_param", |cx| {
        let x = cx.one()?;
        let (ln, scale, shift) = base(cx)?;
        let g = cx.g();
        let inner = if ln * scale == 1.0 { x } else { g.scale(x, ln * scale)? };
        let y = g.unary(Unary::Exp, inner)?;
        Ok(vec![if shift == 0.0 { y } else { g.scale(y, (ln * shift).exp())? }])
    }),
    ("Log", "log_param", |cx| {
        let x = cx.one()?;
        let (ln, scale, shift) = base(cx)?;
        let inner = line(cx, x, scale, shift)?;
        let y = cx.g().unary(Unary::Log, inner)?;
        Ok(vec![if ln == 1.0 { y } else { cx.g().scale(y, 1.0 / ln)? }])
    }),
    ("Dropout", "dropout_param", |cx| {
        cx.p.ignore(&["dropout_ratio", "scale_train"]);
        Ok(vec![cx.one()?])
    }),
    ("Split", "", |cx| Ok(vec![cx.one()?; cx.layer.tops.len()])),
    ("Softmax", "softmax_param", |cx| {
        cx.p.ignore(&["engine"]);
        let x = cx.one()?;
        let axis = cx.inner_axis(cx.p.int("axis", 1)?, cx.shape(x).rank())?;
        Ok(vec![cx.g().softmax(x, axis)?])
    }),
    ("Concat", "concat_param", |cx| {
        let x = cx.x.clone();
        let &first = x.first().ok_or_else(|| cx.error(Rule::new("no bottoms").right("at least one")))?;
        let axis = cx.p.int("axis", cx.p.int("concat_dim", 1)?)?;
        let axis = cx.inner_axis(axis, cx.shape(first).rank())?;
        Ok(vec![if x.len() == 1 { first } else { cx.g().concat(&x, axis)? }])
    }),
    ("Slice", "slice_param", slice),
    ("Eltwise", "eltwise_param", eltwise),
    ("Flatten", "flatten_param", |cx| {
        let x = cx.one()?;
        let shape = cx.shape(x);
        let from = cx.inner_axis(cx.p.int("axis", 1)?, shape.rank())?;
        let to = cx.axis(cx.p.int("end_axis", -1)?, shape.rank())?;
        if to < from {
            return Err(cx.error(Rule::new(format!("axes {from} to {to}")).right("in order")));
        }
        let flat = cx.extents(x)?[from - 1..to].iter().fold(1, |a: usize, &b| a.saturating_mul(b));
        let dims = [&shape.0[..from], &[Dim::Fixed(flat)], &shape.0[to + 1..]].concat();
        Ok(vec![cx.g().reshape(x, &Shape(dims))?])
    }),
    ("Reshape", "reshape_param", reshape),
    ("Permute", "permute_param", |cx| {
        let (x, order) = (cx.one()?, cx.p.sizes("order")?);
        let rank = cx.shape(x).rank();
        let mut order = order;
        (0..rank).for_each(|a| {
            if !order.contains(&a) {
                order.push(a);
            }
        });
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted != (0..rank).collect::<Vec<_>>() || order[0] != 0 {
            return Err(
                cx.error(Rule::new(format!("`order` {order:?} of {rank} axes")).right("each axis once, 0 in front"))
            );
        }
        Ok(vec![cx.g().transpose(x, &order)?])
    }),
    ("ShuffleChannel", "shuffle_channel_param", |cx| {
        let (x, groups) = (cx.one()?, cx.p.size("group")?.unwrap_or(1));
        let extents = cx.extents(x)?;
        let [c, h, w] = extents[..] else {
            return Err(cx.error(Rule::new(format!("a bottom of shape {}", cx.shape(x))).right("[n, c, h, w]")));
        };
        if groups == 0 || !c.is_multiple_of(groups) {
            let rule = Rule::new(format!("{groups} groups of {c} channels"));
            return Err(cx.error(rule.right("a number that divides them")));
        }
        let g = cx.g();
        let v = g.reshape(x, &Shape::batch(&[groups, c / groups, h, w]))?;
        let v = g.transpose(v, &[0, 2, 1, 3, 4])?;
        Ok(vec![g.reshape(v, &Shape::batch(&[c, h, w]))?])
    }),
    ("Crop", "crop_param", crop),
    ("Reduction", "reduction_param", reduction),
    ("Tile", "tile_param", |cx| {
        let x = cx.one()?;
        let tiles = cx.p.size("tiles")?.unwrap_or(0);
        let shape = cx.shape(x);
        let axis = cx.inner_axis(cx.p.int("axis", 1)?, shape.rank())?;
        let extent = cx.extents(x)?[axis - 1];
        if tiles == 0 {
            return Err(cx.error(Rule::new("`tiles` is missing or 0").right("at least 1")));
        }
        let (mut one, mut many, mut whole) = (shape.clone(), shape.clone(), shape);
        one.0.insert(axis, Dim::Fixed(1));
        many.0.insert(axis, Dim::Fixed(tiles));
        whole.0[axis] = Dim::Fixed(extent.saturating_mul(tiles));
        let g = cx.g();
        let v = g.reshape(x, &one)?;
        let v = g.broadcast(v, &many)?;
        Ok(vec![g.reshape(v, &whole)?])
    }),
];

/// `scale · x + shift`.
fn line(cx: &mut Cx<'_, '_>, x: ValueId, scale: f64, shift: f64) -> Result<ValueId> {
    let y = if scale == 1.0 { x } else { cx.g().scale(x, scale)? };
    Ok(if shift == 0.0 { y } else { cx.g().shift(y, shift)? })
}

/// The natural logarithm of `base`, with `scale` and `shift`.
fn base(cx: &Cx<'_, '_>) -> Result<(f64, f64, f64)> {
    let base = cx.p.float("base", -1.0)?;
    let ln = if base == -1.0 { 1.0 } else { base.ln() };
    if base != -1.0 && (base <= 0.0 || base == 1.0) {
        return Err(cx.error(Rule::new(format!("`base` is {base}")).right("more than 0 and not 1, or -1 for e")));
    }
    Ok((ln, cx.p.float("scale", 1.0)?, cx.p.float("shift", 0.0)?))
}

/// `(shift + scale · x)^power`.
fn power(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    let x = cx.one()?;
    let (power, scale, shift) = (cx.p.float("power", 1.0)?, cx.p.float("scale", 1.0)?, cx.p.float("shift", 0.0)?);
    if power == 0.0 || scale == 0.0 {
        // The input is of no account; Caffe says so, too.
        let value = if power == 0.0 { 1.0 } else { shift.powf(power) };
        let zero = cx.g().zeros_like(x)?;
        return Ok(vec![cx.g().shift(zero, value)?]);
    }
    let inner = line(cx, x, scale, shift)?;
    let whole = power.fract() == 0.0 && power.abs() <= 16.0;
    let g = cx.g();
    if !whole {
        let y = match power {
            0.5 => g.unary(Unary::Sqrt, inner)?,
            p => {
                let p = g.number(p);
                g.binary(Binary::Pow, inner, p)?
            }
        };
        return Ok(vec![y]);
    }
    // Whole powers are products, which negative numbers have, too.
    let mut y = inner;
    for _ in 1..power.abs() as usize {
        y = g.mul(y, inner)?;
    }
    Ok(vec![if power < 0.0 { g.unary(Unary::Recip, y)? } else { y }])
}

fn slice(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    let x = cx.one()?;
    let axis = cx.p.int("axis", cx.p.int("slice_dim", 1)?)?;
    let axis = cx.inner_axis(axis, cx.shape(x).rank())?;
    let extent = cx.extents(x)?[axis - 1];
    let tops = cx.layer.tops.len();
    let mut points = cx.p.sizes("slice_point")?;
    if points.is_empty() && tops > 0 && extent.is_multiple_of(tops) {
        points = (1..tops).map(|i| i * (extent / tops)).collect();
    }
    points.insert(0, 0);
    points.push(extent);
    if points.len() != tops + 1 || points.windows(2).any(|p| p[0] >= p[1]) {
        let rule = Rule::new(format!("{tops} tops and cuts at {points:?}"));
        return Err(cx.error(rule.right("one cut fewer than tops, in order, inside the extent")));
    }
    let g = cx.g();
    points.windows(2).map(|p| Ok(g.slice(x, axis, p[0], p[1], 1)?)).collect()
}

fn eltwise(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["stable_prod_grad"]);
    let x = cx.x.clone();
    let operation = cx.p.word("operation")?.unwrap_or("SUM").to_string();
    let coefficients = cx.p.floats("coeff")?;
    let Some((&first, rest)) = x.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err(cx.error(Rule::new(format!("{} bottoms", x.len())).right("at least two")));
    };
    if let Some(&other) = rest.iter().find(|&&v| cx.shape(v) != cx.shape(first)) {
        let rule = Rule::new(format!("bottoms of shapes {} and {}", cx.shape(first), cx.shape(other)));
        return Err(cx.error(rule.right("equal shapes")));
    }
    let f = match operation.as_str() {
        "SUM" | "1" => Binary::Add,
        "PROD" | "0" => Binary::Mul,
        "MAX" | "2" => Binary::Max,
        other => return Err(cx.error(Rule::new(format!("`operation` is {other}")).right("SUM, PROD or MAX"))),
    };
    let sum = f == Binary::Add;
    if !coefficients.is_empty() && (!sum || coefficients.len() != x.len()) {
        let rule = Rule::new(format!("{} coefficients for {operation} of {} bottoms", coefficients.len(), x.len()));
        return Err(cx.error(rule.right("SUM, and one per bottom")));
    }
    let g = cx.g();
    let mut y = None;
    for (i, &v) in x.iter().enumerate() {
        let v = match coefficients.get(i) {
            Some(&c) if c != 1.0 => g.scale(v, c)?,
            _ => v,
        };
        y = Some(match y {
            None => v,
            Some(y) => g.binary(f, y, v)?,
        });
    }
    Ok(y.into_iter().collect())
}

/// 0 keeps an extent, -1 is found from the rest. The batch stays the batch.
fn reshape(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    let x = cx.one()?;
    let shape = cx.shape(x);
    let rank = shape.rank();
    let new = cx.p.message("shape")?.map(|m| m.ints("dim")).transpose()?.unwrap_or_default();
    let (from, axes) = (cx.p.int("axis", 0)?, cx.p.int("num_axes", -1)?);
    let from = if from < 0 { from + rank as i64 + 1 } else { from };
    let start = usize::try_from(from).ok().filter(|&s| s <= rank);
    let start = start.ok_or_else(|| cx.error(Rule::new(format!("axis {from} of {rank}"))))?;
    let end = if axes == -1 { Some(rank) } else { usize::try_from(axes).ok().map(|a| start + a) };
    let end = end.filter(|&e| e <= rank);
    let end = end.ok_or_else(|| cx.error(Rule::new(format!("{axes} axes from axis {start} on, of {rank}"))))?;
    let mut dims: Vec<Option<Dim>> = shape.0[..start].iter().copied().map(Some).collect();
    for (i, &d) in new.iter().enumerate() {
        dims.push(match d {
            0 => Some(
                *shape
                    .0
                    .get(start + i)
                    .ok_or_else(|| cx.error(Rule::new(format!("`dim: 0` at {i}, and {shape} has no such axis"))))?,
            ),
            -1 => None,
            // A first extent in a file is the batch that its author ran.
            _ if start + i == 0 && matches!(shape.0.first(), Some(Dim::Batch(1))) => shape.0.first().copied(),
            d => Some(Dim::Fixed(usize::try_from(d).map_err(|_| cx.error(Rule::new(format!("`dim: {d}`"))))?)),
        });
    }
    dims.extend(shape.0[end..].iter().copied().map(Some));
    let whole = Shape(dims.iter().flatten().copied().collect());
    let ((have, n), (known, m)) = (shape.count(), whole.count());
    let missing = dims.iter().filter(|d| d.is_none()).count();
    let inferred = if known > 0 && have.is_multiple_of(known) { Some(have / known) } else { None };
    let wrong = || cx.error(Rule::new(format!("{shape} as {new:?} from axis {start} on")).right("as many elements"));
    let inferred = match (missing, inferred) {
        (0, Some(1)) if n == m => Dim::Fixed(1),
        (1, Some(d)) if n == m => Dim::Fixed(d),
        (1, Some(d)) if n == m + 1 => Dim::Batch(d),
        _ => return Err(wrong()),
    };
    let dims = dims.into_iter().map(|d| d.unwrap_or(inferred)).collect();
    Ok(vec![cx.g().reshape(x, &Shape(dims))?])
}

/// The first bottom cut to the second's extents.
fn crop(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    let [x, like] = cx.x[..] else {
        return Err(cx.error(Rule::new(format!("{} bottoms", cx.x.len())).right("two")));
    };
    let (have, want) = (cx.extents(x)?, cx.extents(like)?);
    let axis = cx.inner_axis(cx.p.int("axis", 2)?, have.len() + 1)?;
    let offsets = cx.p.sizes("offset")?;
    let mut y = x;
    for a in axis..=have.len() {
        let offset = match offsets.len() {
            0 => 0,
            1 => offsets[0],
            n if n == have.len() + 1 - axis => offsets[a - axis],
            n => {
                let rule = Rule::new(format!("{n} offsets for {} axes", have.len() + 1 - axis));
                return Err(cx.error(rule.right("none, one, or one per axis")));
            }
        };
        let want = want.get(a - 1).copied().unwrap_or(0);
        if want == 0 || offset + want > have[a - 1] {
            let rule = Rule::new(format!("{want} elements from {offset} on, of {} on axis {a}", have[a - 1]));
            return Err(cx.error(rule.right("a second bottom that is smaller")));
        }
        if want < have[a - 1] {
            y = cx.g().slice(y, a, offset, offset + want, 1)?;
        }
    }
    Ok(vec![y])
}

/// All axes from `axis` on become one number.
fn reduction(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    let x = cx.one()?;
    let rank = cx.shape(x).rank();
    let axis = cx.inner_axis(cx.p.int("axis", 0)?, rank)?;
    let operation = cx.p.word("operation")?.unwrap_or("SUM").to_string();
    let factor = cx.p.float("coeff", 1.0)?;
    let axes: Vec<usize> = (axis..rank).collect();
    let (before, kind) = match operation.as_str() {
        "SUM" | "1" => (None, Reduction::Sum),
        "ASUM" | "2" => (Some(Unary::Abs), Reduction::Sum),
        "SUMSQ" | "3" => (Some(Unary::Square), Reduction::Sum),
        "MEAN" | "4" => (None, Reduction::Mean),
        other => {
            return Err(cx.error(Rule::new(format!("`operation` is {other}")).right("SUM, ASUM, SUMSQ or MEAN")));
        }
    };
    let g = cx.g();
    let v = before.map_or(Ok(x), |f| g.unary(f, x))?;
    let y = if kind == Reduction::Mean { g.mean(v, &axes)? } else { g.sum(v, &axes)? };
    Ok(vec![if factor == 1.0 { y } else { g.scale(y, factor)? }])
}
