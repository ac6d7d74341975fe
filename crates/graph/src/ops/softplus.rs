//! Softplus.

use super::activation::same_shape;
use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, Unary};

operation! {
    /// Softplus: `y = ln(1 + eˣ)`, computed as `max(x, 0) + ln(1 + e^{-|x|})` so that nothing overflows
    /// (Dugas et al. 2000).
    ///
    /// Shapes: x and y are equal. The gradient is `dx = dy · sigmoid(x)`; the decomposition's would be 0 at x = 0.
    pub struct Softplus("softplus", ["x"]) {}
}

impl Operation for Softplus {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        same_shape(inputs)
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let s = cx.graph.sigmoid(cx.inputs[0])?;
        Ok(GradientOf::Inputs(vec![Some(cx.graph.mul(dy, s)?)]))
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(Softplus {}).f32("nx3x5")]
    }
}

fn in_simple_operations(g: &mut Graph, x: ValueId) -> Result<ValueId> {
    let positive = g.relu(x)?;
    let size = g.unary(Unary::Abs, x)?;
    let minus = g.unary(Unary::Neg, size)?;
    let e = g.unary(Unary::Exp, minus)?;
    let rest = g.unary(Unary::Log1p, e)?;
    g.add(positive, rest)
}

impl Graph {
    /// ln(1 + eˣ).
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn softplus(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(Softplus {}, &[x])
    }
}
