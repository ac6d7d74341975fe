//! Backward of batch normalisation.

use super::batch_norm::{check, other_axes};
use crate::{Cost, Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Reduction, Rule};

operation! {
    /// Gradients of batch normalisation from the saved statistics, with x̂ = (x - mean)·inv_std and m elements a channel:
    /// `dβ = Σ dy`, `dγ = Σ dy·x̂`, `dx = γ·inv_std·(dy - dβ/m - x̂·dγ/m)`.
    ///
    /// Shapes: dy, x `[n, c, …]`, the others `[c]`. Outputs: dx, dγ, dβ.
    pub struct BatchNormGrad("batch_norm_grad", ["dy", "x", "gamma", "mean", "inv_std"]) {}
}

impl Operation for BatchNormGrad {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let c = check(inputs, &["dy", "x", "gamma", "mean", "inv_std"])?;
        if inputs[0] != inputs[1] || inputs[2..].iter().any(|t| t.shape != c) {
            let shapes: Vec<_> = inputs.iter().map(|t| t.shape.to_string()).collect();
            return Err(Rule::new(format!("shapes {} do not belong together", shapes.join(" "))));
        }
        let v = ValueType::f32(c);
        Ok(vec![inputs[0].clone(), v.clone(), v])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(in_simple_operations(g, inputs))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 10 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |x: &str, c: &str| {
            Problem::new(BatchNormGrad {}).f32(x).f32(x).f32(c).f32(c).input(c, DType::F32, Fill::Positive)
        };
        vec![p("nx3x4x5", "3"), p("nx2x7", "2")]
    }
}

fn in_simple_operations(g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
    let [dy, x, gamma, mean, inv] = [inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]];
    let shape = g.shape(x).clone();
    let axes = other_axes(&shape);
    let c = g.shape(gamma).clone();
    let (mean_b, inv_b, gamma_b) =
        (g.per_channel(mean, &shape)?, g.per_channel(inv, &shape)?, g.per_channel(gamma, &shape)?);
    let centred = g.sub(x, mean_b)?;
    let normal = g.mul(centred, inv_b)?;
    let product = g.mul(dy, normal)?;
    let dgamma = g.reduce(Reduction::Sum, product, &axes)?;
    let dbeta = g.reduce(Reduction::Sum, dy, &axes)?;
    let m = g.size(x, &axes)?;
    let (mean_dy, mean_p) = (g.div(dbeta, m)?, g.div(dgamma, m)?);
    let along = g.mul(normal, mean_p)?;
    let rest = g.sub(dy, mean_dy)?;
    let rest = g.sub(rest, along)?;
    let factor = g.mul(gamma_b, inv_b)?;
    let dx = g.mul(rest, factor)?;
    let dgamma = g.reshape(dgamma, &c)?;
    let dbeta = g.reshape(dbeta, &c)?;
    Ok(vec![dx, dgamma, dbeta])
}
