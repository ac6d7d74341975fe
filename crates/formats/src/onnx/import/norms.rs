//! Normalisation.

use super::Row;
use super::op::{Fail, Op};
use super::reader::Role;
use gabor_graph::ValueId;
use gabor_tensor::{Dim, Rule, Shape};

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
];

fn batch_norm(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let eps = o.a.float("epsilon", 1e-5)?;
    o.a.ignore("momentum")?;
    // Both attributes ask for other statistics than the stored ones per channel.
    if o.opset < 9 && !o.a.flag("spatial", true)? {
        return Err(Rule::new("attribute `spatial` is 0").right("1: one mean per channel").into());
    }
    if o.opset >= 14 && o.a.flag("training_mode", false)? {
        return Err(Rule::new("attribute `training_mode` is 1").right("a model exported for inference").into());
    }
    let x = o.x(0)?;
    let [gamma, beta] = [o.role(1, Role::Bias)?, o.role(2, Role::Bias)?];
    let [mean, var] = [o.role(3, Role::State)?, o.role(4, Role::State)?];
    let y = o.g().batch_norm_inference(x, [gamma, beta, mean, var], eps)?;
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
    o.set(0, y)
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
