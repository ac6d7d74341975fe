//! Instance normalisation.

use super::activation::want_positive;
use super::normalise::{affine, normalise, want_affine};
use super::spatial_of;
use crate::{Cost, Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, Shape};

operation! {
    /// Instance normalisation (Ulyanov et al. 2016): each channel of each image is normalised by its own mean and biased
    /// variance: `y = gamma · (x - mean) / √(var + eps) + beta`.
    ///
    /// Shapes: x `[n, c, spatial…]`, gamma and beta `[c]`, y as x.
    pub struct InstanceNorm("instance_norm", ["x", "gamma", "beta"]) {
        /// Added to the variance.
        eps: f64,
    }
}

impl InstanceNorm {
    fn in_simple_operations(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<ValueId> {
        let axes: Vec<usize> = (2..g.shape(inputs[0]).rank()).collect();
        let y = normalise(g, inputs[0], &axes, self.eps)?;
        affine(g, y, inputs[1], inputs[2])
    }
}

impl Operation for InstanceNorm {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_positive("eps", self.eps)?;
        let x = &inputs[0].shape;
        spatial_of(x)?;
        want_affine(inputs, &Shape(vec![x.0[1]]))?;
        Ok(vec![inputs[0].clone()])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs).map(|y| vec![y]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 7 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |x: &str, c: &str| Problem::new(InstanceNorm { eps: 1e-5 }).f32(x).f32(c).f32(c);
        vec![p("nx3x5", "3"), p("nx2x3x4", "2")]
    }
}

impl Graph {
    /// Instance normalisation of `x [n, c, spatial…]` with `gamma`, `beta` `[c]`.
    ///
    /// # Errors
    /// A value without spatial dimensions, or vectors of another length.
    pub fn instance_norm(&mut self, x: ValueId, gamma: ValueId, beta: ValueId, eps: f64) -> Result<ValueId> {
        self.add_one(InstanceNorm { eps }, &[x, gamma, beta])
    }
}
