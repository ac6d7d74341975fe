//! Chosen elements of an axis.

use super::{ScatterAdd, want_axis, want_type};
use crate::{Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule};

operation! {
    /// The elements of one axis that are chosen by number, in that order and as often as they are named: rows of an
    /// embedding table, pixels at computed places. An index outside the axis gives zeros.
    ///
    /// Shapes: x `[a…, len, b…]`, indices (i32) of any shape `[i…]` → y `[a…, i…, b…]`. Only one of the two may depend on
    /// the batch size.
    pub struct Gather("gather", ["x", "indices"]) {
        /// The axis of x.
        axis: usize,
    }
}

impl Operation for Gather {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let (x, indices) = (&inputs[0], &inputs[1]);
        want_type("x", x, DType::F32)?;
        want_type("indices", indices, DType::I32)?;
        want_axis(self.axis, &x.shape)?;
        if !matches!(x.shape.0[self.axis], Dim::Fixed(_)) {
            return Err(Rule::new(format!("axis {} of {} has no known extent", self.axis, x.shape)));
        }
        let mut shape = x.shape.clone();
        shape.0.splice(self.axis..=self.axis, indices.shape.0.iter().copied());
        if shape.0.iter().filter(|d| matches!(d, Dim::Batch(_))).count() > 1 {
            return Err(Rule::new(format!(
                "x {} and indices {} both depend on the batch size",
                x.shape, indices.shape
            )));
        }
        Ok(vec![ValueType::f32(shape)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let len = cx.graph.shape(cx.inputs[0]).0[self.axis].at(0);
        let rank = cx.graph.shape(cx.inputs[1]).rank();
        let dx = cx.graph.add_one(ScatterAdd { axis: self.axis, rank, len }, &[dy, cx.inputs[1]])?;
        Ok(GradientOf::Inputs(vec![Some(dx), None]))
    }
    fn samples() -> Vec<Problem> {
        let at = |p: Problem, shape: &str, len| p.input(shape, DType::I32, Fill::Labels(len));
        vec![
            at(Problem::new(Gather { axis: 0 }).f32("5x3"), "nx2", 5),
            at(Problem::new(Gather { axis: 1 }).f32("nx6x4"), "3x2", 6),
            at(Problem::new(Gather { axis: 2 }).f32("nx2x7"), "9", 7),
        ]
    }
}

impl Graph {
    /// The elements of one axis that are chosen by number.
    ///
    /// # Errors
    /// Indices that are not 32-bit integers, or an axis that depends on the batch size.
    pub fn gather(&mut self, x: ValueId, axis: usize, indices: ValueId) -> Result<ValueId> {
        self.add_one(Gather { axis }, &[x, indices])
    }
}
