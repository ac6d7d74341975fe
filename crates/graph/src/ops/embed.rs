//! The adjoint of a slice.

use super::{Slice, want_axis, want_type};
use crate::{Error, Gradient, GradientOf, Operation, Problem, Result, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule};

operation! {
    /// Places elements at `start`, `start + step`, … of an axis of `len` zeros: the adjoint of a slice.
    pub struct Embed("embed", ["x"]) {
        /// The axis.
        axis: usize,
        /// Place of the first element.
        start: usize,
        /// Distance between elements.
        step: usize,
        /// Extent of the result along the axis.
        len: usize,
    }
}

impl Operation for Embed {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let x = &inputs[0];
        want_type("x", x, DType::F32)?;
        want_axis(self.axis, &x.shape)?;
        let n = x.shape.0[self.axis].fixed().filter(|&n| n > 0);
        let last = n.map(|n| self.start.saturating_add((n - 1).saturating_mul(self.step)));
        if self.step == 0 || last.is_none_or(|l| l >= self.len) {
            return Err(Rule::new(format!(
                "axis {} of {} placed from {} step {} does not fit into {} elements",
                self.axis, x.shape, self.start, self.step, self.len
            )));
        }
        let mut shape = x.shape.clone();
        shape.0[self.axis] = Dim::Fixed(self.len);
        Ok(vec![ValueType::f32(shape)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let g = cx.dy0()?;
        let n = cx.graph.shape(cx.inputs[0]).0[self.axis].at(0);
        let end = self.start + (n - 1) * self.step + 1;
        let op = Slice { axis: self.axis, start: self.start, end, step: self.step };
        Ok(GradientOf::Inputs(vec![Some(cx.graph.add_one(op, &[g])?)]))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(Embed { axis: 1, start: 1, step: 1, len: 5 }).f32("nx3x2"),
            Problem::new(Embed { axis: 2, start: 0, step: 2, len: 7 }).f32("nx2x4"),
        ]
    }
}
