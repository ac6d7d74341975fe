//! Batch normalisation, as in training.

use super::{BatchNormGrad, want_type};
use crate::{
    Cost, Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation,
};
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape, Unary};

operation! {
    /// Batch normalisation with the statistics of the batch (Ioffe and Szegedy 2015), as users of PyTorch know it:
    /// `y = γ·(x - mean) / √(var + eps) + β` per channel, the variance biased (divided by m) to normalise;
    /// running ← (1 - momentum)·running + momentum·batch with the unbiased variance (divided by m - 1).
    ///
    /// Shapes: x `[n, c]` or `[n, c, spatial…]`, all others `[c]`. Outputs: y, mean, 1/√(var + eps), new running mean,
    /// new running variance.
    pub struct BatchNorm("batch_norm", ["x", "gamma", "beta", "running_mean", "running_var"]) {
        /// Added to the variance.
        eps: f64,
        /// Weight of the batch in the running statistics.
        momentum: f64,
    }
}

/// Checks `x [n, c, …]` and vectors `[c]`.
pub(super) fn check(inputs: &[ValueType], names: &[&str]) -> Result<Shape, Rule> {
    inputs.iter().zip(names).try_for_each(|(t, n)| want_type(n, t, DType::F32))?;
    let x = &inputs[0].shape;
    let c = x.0.get(1).and_then(|d| d.fixed()).ok_or_else(|| Rule::new(format!("x is {x}")).right("[n, c, …]"))?;
    Ok(Shape::fixed(&[c]))
}

/// All axes but the channels'.
pub(super) fn other_axes(shape: &Shape) -> Vec<usize> {
    (0..shape.rank()).filter(|&a| a != 1).collect()
}

impl Operation for BatchNorm {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let c = check(inputs, self.input_names_fixed())?;
        for (t, name) in inputs.iter().zip(self.input_names_fixed()).skip(1) {
            if t.shape != c {
                return Err(Rule::new(format!("{name} is {}, x {} has {c} channels", t.shape, inputs[0].shape)));
            }
        }
        let v = ValueType::f32(c);
        Ok(vec![inputs[0].clone(), v.clone(), v.clone(), v.clone(), v])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        // The short form holds when only y is differentiated, as in training.
        if cx.dy[1..].iter().any(Option::is_some) {
            return Ok(GradientOf::Decomposition);
        }
        let dy = cx.dy0()?;
        let out =
            cx.graph.add_node(BatchNormGrad {}, &[dy, cx.inputs[0], cx.inputs[1], cx.outputs[1], cx.outputs[2]])?;
        Ok(GradientOf::Inputs(vec![Some(out[0]), Some(out[1]), Some(out[2]), None, None]))
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 7 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |x: &str, c: &str| {
            (0..3).fold(Problem::new(BatchNorm { eps: 1e-5, momentum: 0.1 }).f32(x).f32(c), |p, _| p.f32(c))
        };
        let q = |x: &str, c: &str| {
            Problem::new(BatchNorm { eps: 1e-3, momentum: 0.5 }).f32(x).f32(c).f32(c).f32(c).input(
                c,
                DType::F32,
                Fill::Positive,
            )
        };
        vec![p("nx3x4x5", "3"), q("nx2x7", "2"), q("nx2x3x2x2", "2")]
    }
}

impl BatchNorm {
    fn input_names_fixed(&self) -> &'static [&'static str] {
        &["x", "gamma", "beta", "running_mean", "running_var"]
    }
    fn in_simple_operations(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let [x, gamma, beta, running_mean, running_var] = [inputs[0], inputs[1], inputs[2], inputs[3], inputs[4]];
        let shape = g.shape(x).clone();
        let axes = other_axes(&shape);
        let c = g.shape(gamma).clone();
        let mean = g.reduce(Reduction::Mean, x, &axes)?;
        let centred = g.sub(x, mean)?;
        let square = g.unary(Unary::Square, centred)?;
        let var = g.reduce(Reduction::Mean, square, &axes)?;
        let var_eps = g.shift(var, self.eps)?;
        let std = g.unary(Unary::Sqrt, var_eps)?;
        let inv = g.unary(Unary::Recip, std)?;
        let normal = g.mul(centred, inv)?;
        let (gamma_b, beta_b) = (g.per_channel(gamma, &shape)?, g.per_channel(beta, &shape)?);
        let scaled = g.mul(normal, gamma_b)?;
        let y = g.add(scaled, beta_b)?;
        let mean = g.reshape(mean, &c)?;
        let var = g.reshape(var, &c)?;
        let inv = g.reshape(inv, &c)?;
        let m = g.size(x, &axes)?;
        let m1 = g.shift(m, -1.0)?;
        let correction = g.div(m, m1)?;
        let unbiased = g.mul(var, correction)?;
        let new_mean = g.blend(running_mean, mean, self.momentum)?;
        let new_var = g.blend(running_var, unbiased, self.momentum)?;
        Ok(vec![y, mean, inv, new_mean, new_var])
    }
}

impl Graph {
    /// A vector `[c]` shaped so that it broadcasts over the channels of `shape [n, c, …]`.
    ///
    /// # Errors
    /// A vector of another length.
    pub fn per_channel(&mut self, v: ValueId, shape: &Shape) -> Result<ValueId> {
        let c = shape.0.get(1).copied().unwrap_or(Dim::Fixed(1));
        let dims = std::iter::once(c).chain(std::iter::repeat_n(Dim::Fixed(1), shape.rank().saturating_sub(2)));
        self.reshape(v, &Shape(dims.collect()))
    }
    /// (1 - t)·a + t·b.
    fn blend(&mut self, a: ValueId, b: ValueId, t: f64) -> Result<ValueId> {
        let a = self.scale(a, 1.0 - t)?;
        let b = self.scale(b, t)?;
        self.add(a, b)
    }
}
