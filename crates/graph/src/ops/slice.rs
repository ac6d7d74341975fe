//! A part of a value.

use super::{Embed, want_axis, want_type};
use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule};

operation! {
    /// Every `step`-th element from `start` up to, not including, `end` along one axis of known extent.
    pub struct Slice("slice", ["x"]) {
        /// The axis.
        axis: usize,
        /// First element.
        start: usize,
        /// One past the last element.
        end: usize,
        /// Distance between elements.
        step: usize,
    }
}

impl Operation for Slice {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let x = &inputs[0];
        want_type("x", x, DType::F32)?;
        want_axis(self.axis, &x.shape)?;
        let Dim::Fixed(len) = x.shape.0[self.axis] else {
            return Err(Rule::new(format!("axis {} of {} has no known extent", self.axis, x.shape)));
        };
        if self.step == 0 || self.start >= self.end || self.end > len {
            return Err(Rule::new(format!(
                "elements {}..{} step {} of an axis of {len}",
                self.start, self.end, self.step
            ))
            .right(format!("0 ≤ start < end ≤ {len} and step ≥ 1")));
        }
        let mut shape = x.shape.clone();
        shape.0[self.axis] = Dim::Fixed((self.end - self.start).div_ceil(self.step));
        Ok(vec![ValueType::f32(shape)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let len = cx.graph.shape(cx.inputs[0]).0[self.axis].at(0);
        let op = Embed { axis: self.axis, start: self.start, step: self.step, len };
        Ok(GradientOf::Inputs(vec![Some(cx.graph.add_one(op, &[dy])?)]))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(Slice { axis: 1, start: 1, end: 4, step: 1 }).f32("nx5x3"),
            Problem::new(Slice { axis: 2, start: 0, end: 7, step: 2 }).f32("nx2x7"),
        ]
    }
}

impl Graph {
    /// Every `step`-th element of `start..end` along an axis.
    ///
    /// # Errors
    /// A range that does not lie inside the axis.
    pub fn slice(&mut self, x: ValueId, axis: usize, start: usize, end: usize, step: usize) -> Result<ValueId> {
        self.add_one(Slice { axis, start, end, step }, &[x])
    }
}
