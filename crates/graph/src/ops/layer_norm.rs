//! Layer normalisation.

use super::activation::want_positive;
use super::normalise::{normalise, want_affine};
use crate::{Cost, Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, Shape};

operation! {
    /// Layer normalisation over the last `dims` axes (Ba et al. 2016): `y = gamma · (x - mean) / √(var + eps) + beta`
    /// with the biased variance of those axes.
    ///
    /// Shapes: x `[…, d1, …, dk]`, gamma and beta `[d1, …, dk]`, y as x. PyTorch's default eps is 1e-5.
    pub struct LayerNorm("layer_norm", ["x", "gamma", "beta"]) {
        /// Number of trailing axes that are normalised together.
        dims: usize,
        /// Added to the variance.
        eps: f64,
    }
}

impl LayerNorm {
    fn in_simple_operations(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<ValueId> {
        let rank = g.shape(inputs[0]).rank();
        let axes: Vec<usize> = (rank - self.dims..rank).collect();
        let y = normalise(g, inputs[0], &axes, self.eps)?;
        let scaled = g.mul(y, inputs[1])?;
        g.add(scaled, inputs[2])
    }
}

impl Operation for LayerNorm {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let x = &inputs[0].shape;
        want_positive("eps", self.eps)?;
        if self.dims == 0 || self.dims > x.rank() {
            return Err(Rule::new(format!("normalisation of the last {} axes of x {x}", self.dims)));
        }
        want_affine(inputs, &Shape(x.0[x.rank() - self.dims..].to_vec()))?;
        Ok(vec![inputs[0].clone()])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs).map(|y| vec![y]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 7 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |dims, x: &str, d: &str| Problem::new(LayerNorm { dims, eps: 1e-5 }).f32(x).f32(d).f32(d);
        vec![p(1, "nx7", "7"), p(2, "nx3x4x2", "4x2"), p(1, "nx3x5", "5")]
    }
}

impl Graph {
    /// Layer normalisation over the trailing axes that gamma and beta have.
    ///
    /// # Errors
    /// A gamma or beta whose extents are not those of x's last axes.
    pub fn layer_norm(&mut self, x: ValueId, gamma: ValueId, beta: ValueId, eps: f64) -> Result<ValueId> {
        let dims = self.shape(gamma).rank();
        self.add_one(LayerNorm { dims, eps }, &[x, gamma, beta])
    }
}
