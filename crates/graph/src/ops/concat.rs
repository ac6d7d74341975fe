//! Joining values along an axis.

use super::{want_axis, want_type};
use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule};

operation! {
    /// Joins values along an axis of known extent; the other extents are equal (an inception module's end).
    pub struct Concat("concat", ["x…"]) {
        /// The axis.
        axis: usize,
    }
}

impl Operation for Concat {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let first = inputs.first().ok_or_else(|| Rule::new("no inputs to join").right("at least one"))?;
        want_axis(self.axis, &first.shape)?;
        let mut total = 0;
        for x in inputs {
            want_type("x", x, DType::F32)?;
            let mut expected = first.shape.clone();
            want_axis(self.axis, &x.shape)?;
            expected.0[self.axis] = x.shape.0[self.axis];
            if x.shape != expected {
                return Err(Rule::new(format!(
                    "{} and {} differ in more than axis {}",
                    first.shape, x.shape, self.axis
                )));
            }
            total += x.shape.0[self.axis]
                .fixed()
                .ok_or_else(|| Rule::new(format!("axis {} of {} has no known extent", self.axis, x.shape)))?;
        }
        let mut shape = first.shape.clone();
        shape.0[self.axis] = Dim::Fixed(total);
        Ok(vec![ValueType::f32(shape)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let (mut at, mut dx) = (0, Vec::new());
        for (i, &x) in cx.inputs.iter().enumerate() {
            let len = cx.graph.shape(x).0[self.axis].at(0);
            dx.push(if cx.wanted[i] { Some(cx.graph.slice(dy, self.axis, at, at + len, 1)?) } else { None });
            at += len;
        }
        Ok(GradientOf::Inputs(dx))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(Concat { axis: 1 }).f32("nx2x3").f32("nx4x3").f32("nx1x3"),
            Problem::new(Concat { axis: 2 }).f32("nx2x3").f32("nx2x1"),
        ]
    }
}

impl Graph {
    /// Joins values along an axis.
    ///
    /// # Errors
    /// Other extents that differ.
    pub fn concat(&mut self, x: &[ValueId], axis: usize) -> Result<ValueId> {
        self.add_one(Concat { axis }, x)
    }
}
