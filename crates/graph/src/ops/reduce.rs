//! Sums, means and maxima over axes.

use super::{want_axis, want_type};
use crate::{
    Cost, Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation,
};
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape};

operation! {
    /// Sum, mean or maximum over some axes, which stay as extents of 1.
    ///
    /// The gradient of a maximum is shared by the elements that reach it.
    pub struct Reduce("reduce", ["x"]) {
        /// Sum, mean or max.
        kind: Reduction,
        /// The axes, in increasing order.
        axes: Vec<usize>,
    }
}

impl Operation for Reduce {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        let mut shape = inputs[0].shape.clone();
        for (i, &axis) in self.axes.iter().enumerate() {
            want_axis(axis, &shape)?;
            if i > 0 && self.axes[i - 1] >= axis {
                return Err(Rule::new(format!("axes {:?} must increase", self.axes)));
            }
            shape.0[axis] = Dim::Fixed(1);
        }
        Ok(vec![ValueType::f32(shape)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let (x, y) = (cx.inputs[0], cx.outputs[0]);
        let g = &mut *cx.graph;
        let shape = g.shape(x).clone();
        let dx = match self.kind {
            Reduction::Sum => g.broadcast(dy, &shape)?,
            Reduction::Mean => {
                let count = g.size(x, &self.axes)?;
                let d = g.div(dy, count)?;
                g.broadcast(d, &shape)?
            }
            Reduction::Max => {
                let mask = g.equal(x, y)?;
                let ties = g.reduce(Reduction::Sum, mask, &self.axes)?;
                let d = g.div(dy, ties)?;
                g.mul(mask, d)?
            }
        };
        Ok(GradientOf::Inputs(vec![Some(dx)]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let mut v = Vec::new();
        for &kind in Reduction::ALL {
            for (shape, axes) in [
                ("nx3x5", vec![0, 2]),
                ("nx4", vec![0]),
                ("nx7", vec![1]),
                ("nx3x4x5", vec![2, 3]),
                ("nx3x2x2", vec![0, 2, 3]),
                ("nx3", vec![0, 1]),
                ("nx3x4", vec![1]),
            ] {
                v.push(Problem::new(Reduce { kind, axes }).input(shape, DType::F32, Fill::Distinct));
            }
        }
        v
    }
}

impl Graph {
    /// Reduces over axes, which stay as extents of 1.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn reduce(&mut self, kind: Reduction, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        if axes.is_empty() {
            return Ok(x);
        }
        self.add_one(Reduce { kind, axes: axes.to_vec() }, &[x])
    }
    /// Sum over axes, which disappear.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn sum(&mut self, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        self.reduce_away(Reduction::Sum, x, axes)
    }
    /// Mean over axes, which disappear.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn mean(&mut self, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        self.reduce_away(Reduction::Mean, x, axes)
    }
    /// Maximum over axes, which disappear.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn max(&mut self, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        self.reduce_away(Reduction::Max, x, axes)
    }
    /// Mean of all elements, of shape `[]`.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn mean_all(&mut self, x: ValueId) -> Result<ValueId> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        self.mean(x, &axes)
    }
    /// Sum of all elements, of shape `[]`.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn sum_all(&mut self, x: ValueId) -> Result<ValueId> {
        let axes: Vec<usize> = (0..self.shape(x).rank()).collect();
        self.sum(x, &axes)
    }
    fn reduce_away(&mut self, kind: Reduction, x: ValueId, axes: &[usize]) -> Result<ValueId> {
        let y = self.reduce(kind, x, axes)?;
        let kept = (self.shape(x).0.iter().enumerate()).filter(|(i, _)| !axes.contains(i)).map(|(_, &d)| d).collect();
        self.reshape(y, &Shape(kept))
    }
}
