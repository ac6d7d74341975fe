//! Batch normalisation, as at test time.

use super::{activation::want_positive, batch_norm, normalise::affine};
use crate::{Cost, Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule, Unary};

operation! {
    /// Batch normalisation with running statistics: `y = a·x + (beta - a·mean)` with `a = gamma / √(var + eps)`, a linear
    /// map per channel that compilation folds into the convolution before it.
    ///
    /// Shapes: x `[n, c, …]`, the others `[c]`, y as x.
    pub struct BatchNormInference(
        "batch_norm_inference", ["x", "gamma", "beta", "running_mean", "running_var"]
    ) {
        /// Added to the variance.
        eps: f64,
    }
}

impl BatchNormInference {
    fn in_simple_operations(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<ValueId> {
        let &[x, gamma, beta, mean, var] = inputs else {
            return Err(Error::new("batch_norm_inference", Rule::new("5 inputs are wanted")));
        };
        let var_eps = g.shift(var, self.eps)?;
        let std = g.unary(Unary::Sqrt, var_eps)?;
        let a = g.div(gamma, std)?;
        let moved = g.mul(mean, a)?;
        let b = g.sub(beta, moved)?;
        affine(g, x, a, b)
    }
}

impl Operation for BatchNormInference {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_positive("eps", self.eps)?;
        let names = crate::Described::input_names(self);
        let c = batch_norm::check(inputs, names)?;
        for (t, name) in inputs.iter().zip(names).skip(1) {
            if t.shape != c {
                return Err(Rule::new(format!("{name} is {}, x is {}", t.shape, inputs[0].shape)).right(c.to_string()));
            }
        }
        Ok(vec![inputs[0].clone()])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs).map(|y| vec![y]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 2 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |x: &str, c: &str| {
            let op = BatchNormInference { eps: 1e-5 };
            Problem::new(op).f32(x).f32(c).f32(c).f32(c).input(c, DType::F32, Fill::Positive)
        };
        vec![p("nx3x4x2", "3"), p("nx5", "5")]
    }
}

impl Graph {
    /// Batch normalisation of `x [n, c, …]` with running statistics `[c]`.
    ///
    /// # Errors
    /// Vectors of another length than the channels.
    pub fn batch_norm_inference(
        &mut self,
        x: ValueId,
        gamma: ValueId,
        beta: ValueId,
        running_mean: ValueId,
        running_var: ValueId,
        eps: f64,
    ) -> Result<ValueId> {
        self.add_one(BatchNormInference { eps }, &[x, gamma, beta, running_mean, running_var])
    }
}
