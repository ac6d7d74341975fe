//! Group normalisation.

use super::activation::want_positive;
use super::normalise::{affine, normalise, want_affine};
use crate::{Cost, Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Dim, Rule, Shape};

operation! {
    /// Group normalisation (Wu and He 2018): each image's channels are split into groups, and each group is normalised by
    /// its own mean and biased variance: `y = gamma · (x - mean) / √(var + eps) + beta`, gamma and beta per channel.
    ///
    /// Shapes: x `[n, c, …]`, gamma and beta `[c]`, y as x. One group is layer normalisation over the image.
    pub struct GroupNorm("group_norm", ["x", "gamma", "beta"]) {
        /// Number of groups; it divides the channels.
        groups: usize,
        /// Added to the variance.
        eps: f64,
    }
}

impl GroupNorm {
    fn in_simple_operations(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<ValueId> {
        let shape = g.shape(inputs[0]).clone();
        let rest: usize = shape.0[1..].iter().map(|d| d.at(0)).product();
        let grouped = Shape(vec![shape.0[0], Dim::Fixed(self.groups), Dim::Fixed(rest / self.groups)]);
        let x = g.reshape(inputs[0], &grouped)?;
        let y = normalise(g, x, &[2], self.eps)?;
        let y = g.reshape(y, &shape)?;
        affine(g, y, inputs[1], inputs[2])
    }
}

impl Operation for GroupNorm {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_positive("eps", self.eps)?;
        let x = &inputs[0].shape;
        let known = x.0.iter().skip(1).all(|d| d.fixed().is_some_and(|v| v > 0));
        let c = x.0.get(1).and_then(|d| d.fixed()).filter(|_| known);
        let c = c.ok_or_else(|| Rule::new(format!("group normalisation of x {x}")).right("[n, c, …]"))?;
        if self.groups == 0 || !c.is_multiple_of(self.groups) {
            return Err(Rule::new(format!("{} groups of {c} channels", self.groups)).right(format!("a divisor of {c}")));
        }
        want_affine(inputs, &Shape::fixed(&[c]))?;
        Ok(vec![inputs[0].clone()])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs).map(|y| vec![y]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 7 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |groups, x: &str, c: &str| Problem::new(GroupNorm { groups, eps: 1e-5 }).f32(x).f32(c).f32(c);
        vec![p(2, "nx4x3", "4"), p(3, "nx6x2x2", "6"), p(1, "nx4", "4")]
    }
}

impl Graph {
    /// Group normalisation of `x [n, c, …]` with `gamma`, `beta` `[c]`.
    ///
    /// # Errors
    /// Groups that do not divide the channels.
    pub fn group_norm(
        &mut self,
        x: ValueId,
        gamma: ValueId,
        beta: ValueId,
        groups: usize,
        eps: f64,
    ) -> Result<ValueId> {
        self.add_one(GroupNorm { groups, eps }, &[x, gamma, beta])
    }
}
