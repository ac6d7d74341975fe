//! The adjoint of padding.

use super::{Pad, want_type};
use crate::{Error, Gradient, GradientOf, Operation, Problem, Result, ValueType, operation};
use gabor_tensor::{DType, Dim, PadMode, Rule};

operation! {
    /// The adjoint of padding: what stands in the padding is added to the elements it was copied from.
    pub struct PadGrad("pad_grad", ["dy"]) {
        /// What the padding was.
        mode: PadMode,
        /// `(before, after)` for every axis.
        pads: Vec<(usize, usize)>,
    }
}

impl Operation for PadGrad {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let mut dy = inputs[0].clone();
        want_type("dy", &dy, DType::F32)?;
        if self.pads.len() != dy.shape.rank() {
            return Err(Rule::new(format!("{} pairs of padding for {}", self.pads.len(), dy.shape)));
        }
        for (d, (b, e)) in dy.shape.0.iter_mut().zip(&self.pads) {
            if let Dim::Fixed(n) = d {
                *n = n
                    .checked_sub(b.saturating_add(*e))
                    .filter(|&n| n > 0)
                    .ok_or_else(|| Rule::new(format!("{n} elements with padding {b}:{e} taken away")))?;
            }
        }
        super::pad::check(self.mode, &self.pads, dy.shape.dims())?;
        Ok(vec![dy])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let g = cx.dy0()?;
        let op = Pad { mode: self.mode, value: 0.0, pads: self.pads.clone() };
        Ok(GradientOf::Inputs(vec![Some(cx.graph.add_one(op, &[g])?)]))
    }
    fn samples() -> Vec<Problem> {
        let modes = PadMode::ALL.iter();
        modes.map(|&mode| Problem::new(PadGrad { mode, pads: vec![(0, 0), (1, 0), (2, 1)] }).f32("nx4x7")).collect()
    }
}
