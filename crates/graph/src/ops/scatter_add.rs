//! Elements added up at chosen places.

use super::{Gather, want_axis, want_type};
use crate::{Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule};

operation! {
    /// The adjoint of gathering: zeros, to whose elements along one axis those of dy are added at the places that the
    /// indices name, in order. An index outside the axis adds nothing.
    ///
    /// Shapes: dy `[a…, i…, b…]`, indices (i32) `[i…]` → dx `[a…, len, b…]`.
    pub struct ScatterAdd("scatter_add", ["dy", "indices"]) {
        /// The axis of dx.
        axis: usize,
        /// Number of axes of the indices.
        rank: usize,
        /// Extent of the axis.
        len: usize,
    }
}

impl Operation for ScatterAdd {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let (dy, indices) = (&inputs[0], &inputs[1]);
        want_type("dy", dy, DType::F32)?;
        want_type("indices", indices, DType::I32)?;
        let end = self.axis + self.rank;
        if indices.shape.rank() != self.rank || dy.shape.0.get(self.axis..end) != Some(&indices.shape.0[..]) {
            return Err(Rule::new(format!("indices {} at axis {} of dy {}", indices.shape, self.axis, dy.shape)));
        }
        let mut shape = dy.shape.clone();
        shape.0.splice(self.axis..end, [Dim::Fixed(self.len)]);
        want_axis(self.axis, &shape)?;
        Ok(vec![ValueType::f32(shape)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dx = cx.dy0()?;
        let ddy = cx.graph.add_one(Gather { axis: self.axis }, &[dx, cx.inputs[1]])?;
        Ok(GradientOf::Inputs(vec![Some(ddy), None]))
    }
    fn samples() -> Vec<Problem> {
        let at = |p: Problem, shape: &str, len| p.input(shape, DType::I32, Fill::Labels(len));
        vec![
            at(Problem::new(ScatterAdd { axis: 0, rank: 2, len: 5 }).f32("nx2x3"), "nx2", 5),
            at(Problem::new(ScatterAdd { axis: 1, rank: 1, len: 4 }).f32("nx6x2"), "6", 4),
        ]
    }
}

impl Graph {
    /// Zeros `[a…, len, b…]` with the elements of `dy [a…, i…, b…]` added at `indices [i…]`.
    ///
    /// # Errors
    /// Indices that are not 32-bit integers or do not stand at that axis of dy.
    pub fn scatter_add(&mut self, dy: ValueId, axis: usize, len: usize, indices: ValueId) -> Result<ValueId> {
        let rank = self.shape(indices).rank();
        self.add_one(ScatterAdd { axis, rank, len }, &[dy, indices])
    }
}
