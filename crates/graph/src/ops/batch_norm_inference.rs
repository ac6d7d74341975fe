//! Batch normalisation with fixed statistics.

use super::batch_norm::check;
use crate::{Cost, Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule, Unary};

operation! {
    /// Batch normalisation with the running statistics, as after training: `y = γ·(x - mean) / √(var + eps) + β` per
    /// channel. Compilation folds it into the convolution before it.
    ///
    /// Shapes: x `[n, c]` or `[n, c, spatial…]`, all others `[c]`; y as x.
    pub struct BatchNormInference("batch_norm_inference", ["x", "gamma", "beta", "mean", "var"]) {
        /// Added to the variance.
        eps: f64,
    }
}

impl Operation for BatchNormInference {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let names = ["x", "gamma", "beta", "mean", "var"];
        let c = check(inputs, &names)?;
        for (t, name) in inputs.iter().zip(names).skip(1) {
            if t.shape != c {
                return Err(Rule::new(format!("{name} is {}, x {} wants {c}", t.shape, inputs[0].shape)));
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
            let p = Problem::new(BatchNormInference { eps: 1e-5 }).f32(x).f32(c).f32(c).f32(c);
            p.input(c, DType::F32, Fill::Positive)
        };
        vec![p("nx3x4x5", "3"), p("nx4", "4")]
    }
}

impl BatchNormInference {
    /// `x·s + (β - mean·s)` with `s = γ / √(var + eps)`: two operations on the large value, the rest on vectors.
    fn in_simple_operations(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<ValueId> {
        let [x, gamma, beta, mean, var] = [inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]];
        let shape = g.shape(x).clone();
        let var = g.shift(var, self.eps)?;
        let std = g.unary(Unary::Sqrt, var)?;
        let factor = g.div(gamma, std)?;
        let moved = g.mul(mean, factor)?;
        let bias = g.sub(beta, moved)?;
        let factor = g.per_channel(factor, &shape)?;
        let bias = g.per_channel(bias, &shape)?;
        let y = g.mul(x, factor)?;
        g.add(y, bias)
    }
}

impl Graph {
    /// Batch normalisation with fixed statistics.
    ///
    /// # Errors
    /// Vectors that do not have one number per channel.
    pub fn batch_norm_inference(&mut self, x: ValueId, vectors: [ValueId; 4], eps: f64) -> Result<ValueId> {
        let [gamma, beta, mean, var] = vectors;
        self.add_one(BatchNormInference { eps }, &[x, gamma, beta, mean, var])
    }
}
