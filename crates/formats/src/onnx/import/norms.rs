//! Normalisation.

use super::Row;
use super::op::{Fail, Op};
use super::reader::Role;
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{Dim, Reduction, Rule, Shape, Unary};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("BatchNormalization", batch_norm),
    ("InstanceNormalization", |o| {
        let eps = o.a.float("epsilon", 1e-5)?;
        let (x, scale, bias) = (o.x(0)?, o.role(1, Role::Bias)?, o.role(2, Role::Bias)?);
        let y = o.g().instance_norm(x, scale, bias, eps)?;
        o.set(0, y)
    }),
    ("LayerNormalization", layer_norm),
    ("GroupNormalization", group_norm),
    ("LRN", lrn),
    ("RMSNormalization", rms_norm),
    ("LpNormalization", lp_norm),
    ("MeanVarianceNormalization", mean_variance),
];

fn batch_norm(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (eps, momentum) = (o.a.float("epsilon", 1e-5)?, o.a.float("momentum", 0.9)?);
    if o.opset < 9 && !o.a.flag("spatial", true)? {
        return Err(Rule::new("attribute `spatial` is 0").right("1: one mean per channel").into());
    }
    let training = o.opset >= 14 && o.a.flag("training_mode", false)?;
    let x = o.x(0)?;
    let [gamma, beta] = [o.role(1, Role::Bias)?, o.role(2, Role::Bias)?];
    let [mean, var] = [o.role(3, Role::State)?, o.role(4, Role::State)?];
    if !training {
        let y = o.g().batch_norm_inference(x, [gamma, beta, mean, var], eps)?;
        return o.set(0, y);
    }
    // With the statistics of the batch; the variance of the running ones is divided by m here, not by m - 1.
    o.keep_batch(x, &[0])?;
    let shape = o.shape(x);
    let axes: Vec<usize> = (0..shape.rank()).filter(|&a| a != 1).collect();
    let g = o.g();
    let channels = g.shape(gamma).clone();
    let (m, v, _) = moments(g, x, &axes, eps)?;
    let (m, v) = (g.reshape(m, &channels)?, g.reshape(v, &channels)?);
    let y = g.batch_norm_inference(x, [gamma, beta, m, v], eps)?;
    o.set(0, y)?;
    for (i, old, new) in [(1, mean, m), (2, var, v)] {
        let g = o.g();
        let old = g.scale(old, momentum)?;
        let new = g.scale(new, 1.0 - momentum)?;
        let y = g.add(old, new)?;
        o.set(i, y)?;
    }
    Ok(())
}

/// Mean, variance and 1/√(variance + eps) over axes, which are kept with an extent of 1.
fn moments(g: &mut Graph, x: ValueId, axes: &[usize], eps: f64) -> Result<(ValueId, ValueId, ValueId), Fail> {
    let m = g.reduce(Reduction::Mean, x, axes)?;
    let d = g.sub(x, m)?;
    let square = g.unary(Unary::Square, d)?;
    let v = g.reduce(Reduction::Mean, square, axes)?;
    let over = g.shift(v, eps)?;
    let root = g.unary(Unary::Sqrt, over)?;
    let inverse = g.unary(Unary::Recip, root)?;
    Ok((m, v, inverse))
}

fn rms_norm(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (axis, eps) = (o.a.int("axis", -1)?, o.a.float("epsilon", 1e-5)?);
    // In which precision to compute: 32 bits always, here.
    o.a.ignore("stash_type")?;
    let (x, scale) = (o.x(0)?, o.role(1, Role::Bias)?);
    let shape = o.shape(x);
    let axis = o.axis(axis, shape.rank())?;
    let axes: Vec<usize> = (axis..shape.rank()).collect();
    o.keep_batch(x, &axes)?;
    let g = o.g();
    let square = g.unary(Unary::Square, x)?;
    let mean = g.reduce(Reduction::Mean, square, &axes)?;
    let over = g.shift(mean, eps)?;
    let root = g.unary(Unary::Sqrt, over)?;
    let y = g.div(x, root)?;
    let y = g.mul(y, scale)?;
    o.set(0, y)
}

/// x divided by its norm along an axis; zeros stay zeros.
fn lp_norm(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (axis, p) = (o.a.int("axis", -1)?, o.a.int("p", 2)?);
    let x = o.x(0)?;
    let axis = o.axis(axis, o.shape(x).rank())?;
    o.keep_batch(x, &[axis])?;
    let g = o.g();
    let norm = match p {
        1 => {
            let size = g.unary(Unary::Abs, x)?;
            g.reduce(Reduction::Sum, size, &[axis])?
        }
        2 => {
            let square = g.unary(Unary::Square, x)?;
            let sum = g.reduce(Reduction::Sum, square, &[axis])?;
            g.unary(Unary::Sqrt, sum)?
        }
        _ => return Err(Rule::new(format!("attribute `p` is {p}")).right("1 or 2").into()),
    };
    let zero = g.number(0.0);
    let none = g.equal(norm, zero)?;
    let norm = g.add(norm, none)?;
    let y = g.div(x, norm)?;
    o.set(0, y)
}

fn mean_variance(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let axes = o.a.ints("axes")?.unwrap_or_else(|| vec![0, 2, 3]);
    let x = o.x(0)?;
    let axes = o.axes(&axes, o.shape(x).rank())?;
    o.keep_batch(x, &axes)?;
    let g = o.g();
    let (m, v, _) = moments(g, x, &axes, 0.0)?;
    let d = g.sub(x, m)?;
    let root = g.unary(Unary::Sqrt, v)?;
    let root = g.shift(root, 1e-9)?;
    let y = g.div(d, root)?;
    o.set(0, y)
}

fn zeros(o: &mut Op<'_, '_>, shape: &Shape) -> Result<ValueId, Fail> {
    let known = shape.known().ok_or_else(|| Rule::new(format!("a scale of shape {shape}")))?;
    Ok(o.g().full(&known, 0.0))
}

fn layer_norm(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (axis, eps) = (o.a.int("axis", -1)?, o.a.float("epsilon", 1e-5)?);
    // In which precision to compute: 32 bits always, here.
    o.a.ignore("stash_type")?;
    let (x, gamma) = (o.x(0)?, o.role(1, Role::Bias)?);
    let (shape, s) = (o.shape(x), o.shape(gamma));
    let axis = o.axis(axis, shape.rank())?;
    let beta = if o.has(2) { o.role(2, Role::Bias)? } else { zeros(o, &s)? };
    if s.0 != shape.0[axis..] {
        return Err(Rule::new(format!("a scale of shape {s} for {shape} from axis {axis} on")).into());
    }
    let y = o.g().layer_norm(x, gamma, beta, eps)?;
    o.set(0, y)?;
    if o.outputs() > 1 {
        let axes: Vec<usize> = (axis..shape.rank()).collect();
        let (m, _, inverse) = moments(o.g(), x, &axes, eps)?;
        o.set(1, m)?;
        o.set(2, inverse)?;
    }
    Ok(())
}

fn group_norm(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let groups = o.a.int("num_groups", 0)?;
    let eps = o.a.float("epsilon", 1e-5)?;
    o.a.ignore("stash_type")?;
    let groups = usize::try_from(groups).map_err(|_| Rule::new(format!("attribute `num_groups` is {groups}")))?;
    let (x, mut gamma, mut beta) = (o.x(0)?, o.role(1, Role::Bias)?, o.role(2, Role::Bias)?);
    let c = o.shape(x).0.get(1).and_then(|d| d.fixed()).unwrap_or(0);
    if o.opset < 21 && groups > 0 && c.is_multiple_of(groups) && groups != c {
        // Up to opset 20 a scale belongs to a group.
        for v in [&mut gamma, &mut beta] {
            let g = o.g();
            let column = g.reshape(*v, &Shape::fixed(&[groups, 1]))?;
            let all = g.broadcast(column, &Shape::fixed(&[groups, c / groups]))?;
            *v = g.reshape(all, &Shape::fixed(&[c]))?;
        }
    }
    let y = o.g().group_norm(x, gamma, beta, groups, eps)?;
    o.set(0, y)
}

fn lrn(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (alpha, beta, k) = (o.a.float("alpha", 1e-4)?, o.a.float("beta", 0.75)?, o.a.float("bias", 1.0)?);
    let size = o.a.int("size", 0)?;
    let x = o.x(0)?;
    let odd = usize::try_from(size).ok().filter(|s| s % 2 == 1 && *s < 1 << 31);
    let size = odd.ok_or_else(|| Rule::new(format!("attribute `size` is {size}")).right("an odd number"))?;
    if !matches!(o.shape(x).0.get(1), Some(Dim::Fixed(_))) {
        return Err(Rule::new(format!("x is {}", o.shape(x))).right("[n, c, …]").into());
    }
    let y = o.g().local_response_norm(x, size, alpha, beta, k)?;
    o.set(0, y)
}
