//! Exchange of axes.

use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, Shape};

operation! {
    /// Exchanges axes: axis `i` of the result is axis `perm[i]` of the input.
    pub struct Transpose("transpose", ["x"]) {
        /// The order of the axes.
        perm: Vec<usize>,
    }
}

impl Operation for Transpose {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let x = &inputs[0];
        let mut sorted = self.perm.clone();
        sorted.sort_unstable();
        if sorted != (0..x.shape.rank()).collect::<Vec<_>>() {
            return Err(Rule::new(format!(
                "{:?} is no order of the {} axes of {}",
                self.perm,
                x.shape.rank(),
                x.shape
            )));
        }
        let shape = Shape(self.perm.iter().map(|&p| x.shape.0[p]).collect());
        Ok(vec![ValueType { shape, dtype: x.dtype }])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let mut inverse = vec![0; self.perm.len()];
        for (i, &p) in self.perm.iter().enumerate() {
            inverse[p] = i;
        }
        Ok(GradientOf::Inputs(vec![Some(cx.graph.transpose(dy, &inverse)?)]))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(Transpose { perm: vec![1, 0] }).f32("nx5"),
            Problem::new(Transpose { perm: vec![0, 2, 3, 1] }).f32("nx3x4x5"),
            Problem::new(Transpose { perm: vec![2, 0, 1] }).f32("nx3x4"),
        ]
    }
}

impl Graph {
    /// Exchanges axes.
    ///
    /// # Errors
    /// A list that is no order of the axes.
    pub fn transpose(&mut self, x: ValueId, perm: &[usize]) -> Result<ValueId> {
        self.add_one(Transpose { perm: perm.to_vec() }, &[x])
    }
}
