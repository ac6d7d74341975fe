//! What layer, group and instance normalisation share.

use super::want_type;
use crate::{Graph, Result, ValueId, ValueType};
use gabor_tensor::{DType, Reduction, Rule, Shape, Unary};

/// `(x - mean) / √(var + eps)` with mean and biased variance over axes.
pub(super) fn normalise(g: &mut Graph, x: ValueId, axes: &[usize], eps: f64) -> Result<ValueId> {
    let mean = g.reduce(Reduction::Mean, x, axes)?;
    let centred = g.sub(x, mean)?;
    let square = g.unary(Unary::Square, centred)?;
    let var = g.reduce(Reduction::Mean, square, axes)?;
    let var_eps = g.shift(var, eps)?;
    let std = g.unary(Unary::Sqrt, var_eps)?;
    g.div(centred, std)
}

/// An error unless gamma and beta have this shape and all are floats.
pub(super) fn want_affine(inputs: &[ValueType], shape: &Shape) -> Result<(), Rule> {
    for (ty, name) in inputs.iter().zip(["x", "gamma", "beta"]) {
        want_type(name, ty, DType::F32)?;
        if name != "x" && ty.shape != *shape {
            return Err(Rule::new(format!("{name} is {} for x {}", ty.shape, inputs[0].shape)).right(shape.to_string()));
        }
    }
    Ok(())
}

/// `gamma · x + beta` per channel of `x [n, c, …]`.
pub(super) fn affine(g: &mut Graph, x: ValueId, gamma: ValueId, beta: ValueId) -> Result<ValueId> {
    let shape = g.shape(x).clone();
    let (gamma, beta) = (g.per_channel(gamma, &shape)?, g.per_channel(beta, &shape)?);
    let scaled = g.mul(x, gamma)?;
    g.add(scaled, beta)
}
