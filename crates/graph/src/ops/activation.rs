//! What the activation functions share, and those that are a single [`Unary`](gabor_tensor::Unary) function.

use super::want_type;
use crate::{Graph, Result, ValueId, ValueType};
use gabor_tensor::{DType, Rule, Unary};

/// Element by element: one input of floats, an output of the same shape.
pub(super) fn same_shape(inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
    want_type("x", &inputs[0], DType::F32)?;
    Ok(vec![inputs[0].clone()])
}

/// An error unless the attribute is a finite number.
pub(super) fn want_finite(name: &str, v: f64) -> Result<(), Rule> {
    if v.is_finite() {
        return Ok(());
    }
    Err(Rule::new(format!("{name} is {v}")).right("a finite number"))
}

/// An error unless the attribute is a positive finite number.
pub(super) fn want_positive(name: &str, v: f64) -> Result<(), Rule> {
    if v.is_finite() && v > 0.0 {
        return Ok(());
    }
    Err(Rule::new(format!("{name} is {v}")).right("a finite number above 0"))
}

impl Graph {
    /// Rectifier max(x, 0) (lectures; Nair and Hinton 2010), a [`UnaryMap`](super::UnaryMap). Its derivative at 0 is 0.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn relu(&mut self, x: ValueId) -> Result<ValueId> {
        self.unary(Unary::Relu, x)
    }
    /// Sigmoid 1 / (1 + e⁻ˣ), a [`UnaryMap`](super::UnaryMap).
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn sigmoid(&mut self, x: ValueId) -> Result<ValueId> {
        self.unary(Unary::Sigmoid, x)
    }
    /// Hyperbolic tangent, a [`UnaryMap`](super::UnaryMap).
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn tanh(&mut self, x: ValueId) -> Result<ValueId> {
        self.unary(Unary::Tanh, x)
    }
    /// x where x ≤ 0, else 0. Its derivative at 0 is 1, so that together with the rectifier's it is 1 everywhere and the
    /// leaky family has PyTorch's derivative at the kink. Selection instead of arithmetic keeps infinities.
    pub(super) fn negative_part(&mut self, x: ValueId) -> Result<ValueId> {
        let positive = self.unary(Unary::Step, x)?;
        let one = self.number(1.0);
        let rest = self.sub(one, positive)?;
        self.gate(x, rest)
    }
    /// eˣ − 1 on the negative part of x.
    pub(super) fn negative_exp_m1(&mut self, x: ValueId) -> Result<ValueId> {
        let m = self.negative_part(x)?;
        let e = self.unary(Unary::Exp, m)?;
        self.shift(e, -1.0)
    }
}
