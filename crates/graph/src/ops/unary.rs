//! Functions of one number, element by element.

use super::want_type;
use crate::{Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule, Unary};

operation! {
    /// y = f(x), element by element; the functions are those of [`gabor_tensor::Unary`].
    pub struct UnaryMap("unary", ["x"]) {
        /// The function.
        f: Unary,
    }
}

impl Operation for UnaryMap {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        Ok(inputs.to_vec())
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        if matches!(self.f, Unary::Sign | Unary::Step) {
            return Ok(GradientOf::Stop);
        }
        let dy = cx.dy0()?;
        let (x, y) = (cx.inputs[0], cx.outputs[0]);
        let g = &mut *cx.graph;
        let dx = match self.f {
            Unary::Sign | Unary::Step => dy,
            Unary::Neg => g.unary(Unary::Neg, dy)?,
            Unary::Abs => {
                let s = g.unary(Unary::Sign, x)?;
                g.mul(dy, s)?
            }
            Unary::Exp => g.mul(dy, y)?,
            Unary::Log => g.div(dy, x)?,
            Unary::Log1p => {
                let d = g.shift(x, 1.0)?;
                g.div(dy, d)?
            }
            Unary::Sqrt => {
                let half = g.scale(dy, 0.5)?;
                g.div(half, y)?
            }
            Unary::Recip => {
                let y2 = g.unary(Unary::Square, y)?;
                let d = g.mul(dy, y2)?;
                g.unary(Unary::Neg, d)?
            }
            Unary::Square => {
                let d = g.mul(dy, x)?;
                g.scale(d, 2.0)?
            }
            Unary::Sigmoid => {
                let y2 = g.unary(Unary::Square, y)?;
                let d = g.sub(y, y2)?;
                g.mul(dy, d)?
            }
            Unary::Tanh => {
                let y2 = g.unary(Unary::Square, y)?;
                let d = g.mul(dy, y2)?;
                g.sub(dy, d)?
            }
            // The output is positive exactly where the input is, so the input need not be kept.
            Unary::Relu => g.gate(dy, y)?,
            Unary::Erf => {
                let x2 = g.unary(Unary::Square, x)?;
                let m = g.unary(Unary::Neg, x2)?;
                let e = g.unary(Unary::Exp, m)?;
                let d = g.mul(dy, e)?;
                g.scale(d, std::f64::consts::FRAC_2_SQRT_PI)?
            }
            Unary::Sin => {
                let c = g.unary(Unary::Cos, x)?;
                g.mul(dy, c)?
            }
            Unary::Cos => {
                let s = g.unary(Unary::Sin, x)?;
                let d = g.mul(dy, s)?;
                g.unary(Unary::Neg, d)?
            }
        };
        Ok(GradientOf::Inputs(vec![Some(dx)]))
    }
    fn samples() -> Vec<Problem> {
        let positive = |f| matches!(f, Unary::Log | Unary::Log1p | Unary::Sqrt | Unary::Recip);
        let fill = |f| if positive(f) { Fill::Positive } else { Fill::Distinct };
        Unary::ALL.iter().map(|&f| Problem::new(UnaryMap { f }).input("nx3x5", DType::F32, fill(f))).collect()
    }
}

impl Graph {
    /// f(x), element by element.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn unary(&mut self, f: Unary, x: ValueId) -> Result<ValueId> {
        self.add_one(UnaryMap { f }, &[x])
    }
}
