//! BatchNorm, Scale and Bias, which Caffe keeps apart, and MVN.

use super::Row;
use super::build::Cx;
use crate::Result;
use gabor_graph::{Initializer, Parameter, ValueId};
use gabor_tensor::{Dim, Reduction, Rule, Shape, Tensor, Unary};

pub(super) const ROWS: &[Row] = &[
    ("BatchNorm", "batch_norm_param", batch_norm),
    ("Scale", "scale_param", scale),
    ("Bias", "bias_param", bias),
    ("MVN", "mvn_param", mvn),
];

/// Mean and variance are stored times a factor, the third array. Where a Scale follows, both become one operation.
fn batch_norm(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["moving_average_fraction", "engine"]);
    let x = cx.one()?;
    let c = cx.extents(x)?.first().copied().unwrap_or(1);
    let eps = cx.p.float("eps", 1e-5)?;
    if !cx.p.flag("use_global_stats", true)? {
        let rule = Rule::new("`use_global_stats` is false: statistics of the batch are not known at inference");
        return Err(cx.error(rule.right("true")));
    }
    if eps < 0.0 {
        return Err(cx.error(Rule::new(format!("`eps` is {eps}")).right("0 or more")));
    }
    let names = ["running_mean", "running_var"].map(|k| format!("{}.{k}", cx.layer.name));
    if let Some(numbers) = cx.statistics(c)? {
        for (name, t) in names.iter().zip(numbers) {
            cx.b.weights.insert(&**name, t);
        }
    }
    let mean = cx.g().parameter(&names[0], &[c], Parameter::state(Initializer::Zeros))?;
    let var = cx.g().parameter(&names[1], &[c], Parameter::state(Initializer::Ones))?;
    if cx.scale_follows {
        cx.normalised = Some((x, mean, var, eps));
        return Ok(vec![x]);
    }
    let (gamma, beta) = (fill(cx, &[c], 1.0)?, fill(cx, &[c], 0.0)?);
    Ok(vec![cx.g().batch_norm_inference(x, [gamma, beta, mean, var], eps)?])
}

/// A constant of equal numbers. A text of a few bytes may ask for any number of channels, so there is a bound.
fn fill(cx: &mut Cx<'_, '_>, shape: &[usize], v: f32) -> Result<ValueId> {
    const MOST: usize = 1 << 20;
    let len = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b)).filter(|&l| l <= MOST);
    let len = len.ok_or_else(|| cx.error(Rule::new(format!("{shape:?} channels")).right(format!("at most {MOST}"))))?;
    let t = Tensor::f32(shape, vec![v; len]).map_err(|r| cx.error(r))?;
    Ok(cx.g().constant(t))
}

/// The extents of a scale or bias over `num_axes` axes from `axis` on, and those that broadcast over the value.
fn spread(cx: &Cx<'_, '_>, x: ValueId) -> Result<(Vec<usize>, Vec<usize>)> {
    let extents = cx.extents(x)?;
    let rank = extents.len() + 1;
    let axis = cx.inner_axis(cx.p.int("axis", 1)?, rank)?;
    let axes = cx.p.int("num_axes", 1)?;
    let end = if axes == -1 { Some(rank) } else { usize::try_from(axes).ok().map(|a| axis + a) };
    let end = end.filter(|&e| e <= rank).ok_or_else(|| {
        cx.error(Rule::new(format!("{axes} axes from axis {axis} on, of {rank}")).right("-1, or fewer"))
    })?;
    let own = extents[axis - 1..end - 1].to_vec();
    let mut wide = own.clone();
    wide.resize(own.len() + rank - end, 1);
    Ok((own, wide))
}

fn scale(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["filler", "bias_filler"]);
    let with_bias = cx.p.flag("bias_term", false)?;
    if cx.x.len() == 2 {
        let y = by_second(cx, |cx, a, b| Ok(cx.g().mul(a, b)?))?;
        if with_bias {
            return Err(cx.error(Rule::new("a factor from a second bottom with a bias of its own is not known")));
        }
        return Ok(vec![y]);
    }
    let x = cx.one()?;
    let (own, wide) = spread(cx, x)?;
    let gamma = cx.parameter("weight", &own, Parameter::bias(Initializer::Ones))?;
    if let Some((x, mean, var, eps)) = cx.normalised.take() {
        // Only a Scale over the channels is announced by the layer before.
        let beta = if with_bias {
            cx.parameter("bias", &own, Parameter::bias(Initializer::Zeros))?
        } else {
            fill(cx, &own, 0.0)?
        };
        return Ok(vec![cx.g().batch_norm_inference(x, [gamma, beta, mean, var], eps)?]);
    }
    let wide = Shape::fixed(&wide);
    let factor = if own.len() == wide.rank() { gamma } else { cx.g().reshape(gamma, &wide)? };
    let mut y = cx.g().mul(x, factor)?;
    if with_bias {
        let beta = cx.parameter("bias", &own, Parameter::bias(Initializer::Zeros))?;
        let beta = cx.g().reshape(beta, &wide)?;
        y = cx.g().add(y, beta)?;
    }
    Ok(vec![y])
}

fn bias(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    cx.p.ignore(&["filler"]);
    if cx.x.len() == 2 {
        return Ok(vec![by_second(cx, |cx, a, b| Ok(cx.g().add(a, b)?))?]);
    }
    let x = cx.one()?;
    let (own, wide) = spread(cx, x)?;
    let b = cx.parameter("bias", &own, Parameter::bias(Initializer::Zeros))?;
    let b = cx.g().reshape(b, &Shape::fixed(&wide))?;
    Ok(vec![cx.g().add(x, b)?])
}

/// The second bottom's extents stand at `axis` of the first's.
fn by_second(
    cx: &mut Cx<'_, '_>,
    join: impl FnOnce(&mut Cx<'_, '_>, ValueId, ValueId) -> Result<ValueId>,
) -> Result<ValueId> {
    cx.p.ignore(&["num_axes"]);
    let (a, b) = (cx.x[0], cx.x[1]);
    let (sa, sb) = (cx.shape(a), cx.shape(b));
    let axis = cx.axis(cx.p.int("axis", 1)?, sa.rank())?;
    let fits = axis + sb.rank() <= sa.rank() && sa.0[axis..axis + sb.rank()] == sb.0[..];
    if !fits {
        let rule = Rule::new(format!("{sb} at axis {axis} of {sa}"));
        return Err(cx.error(rule.right("extents that are found there")));
    }
    let mut wide = vec![Dim::Fixed(1); axis];
    wide.extend(&sb.0);
    wide.resize(sa.rank(), Dim::Fixed(1));
    let b = if wide == sb.0 { b } else { cx.g().reshape(b, &Shape(wide))? };
    join(cx, a, b)
}

/// Mean 0 and, if asked for, deviation 1 of each sample or of each of its channels.
fn mvn(cx: &mut Cx<'_, '_>) -> Result<Vec<ValueId>> {
    let x = cx.one()?;
    let (variance, across) = (cx.p.flag("normalize_variance", true)?, cx.p.flag("across_channels", false)?);
    let eps = cx.p.float("eps", 1e-9)?;
    let rank = cx.extents(x)?.len() + 1;
    let axes: Vec<usize> = (if across { 1 } else { 2 }..rank).collect();
    let g = cx.g();
    let mean = g.reduce(Reduction::Mean, x, &axes)?;
    let centred = g.sub(x, mean)?;
    if !variance {
        return Ok(vec![centred]);
    }
    let square = g.unary(Unary::Square, centred)?;
    let var = g.reduce(Reduction::Mean, square, &axes)?;
    let std = g.unary(Unary::Sqrt, var)?;
    let std = g.shift(std, eps)?;
    Ok(vec![g.div(centred, std)?])
}
