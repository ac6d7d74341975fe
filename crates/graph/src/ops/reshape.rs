//! The same elements under other extents.

use crate::{Cost, Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Dim, Rule, Shape};

operation! {
    /// The same elements in the same order under other extents; costs nothing.
    pub struct Reshape("reshape", ["x"]) {
        /// The new extents.
        shape: Shape,
    }
}

impl Operation for Reshape {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let x = &inputs[0];
        if x.shape.count() != self.shape.count() {
            return Err(Rule::new(format!("{} cannot become {}: the numbers of elements differ", x.shape, self.shape)));
        }
        Ok(vec![ValueType { shape: self.shape.clone(), dtype: x.dtype }])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let shape = cx.graph.shape(cx.inputs[0]).clone();
        Ok(GradientOf::Inputs(vec![Some(cx.graph.reshape(dy, &shape)?)]))
    }
    fn cost(&self, _inputs: &[ValueType], _outputs: &[ValueType], _n: usize) -> Cost {
        Cost::default()
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(Reshape { shape: Shape::batch(&[12]) }).f32("nx3x4")]
    }
}

impl Graph {
    /// The same elements under other extents.
    ///
    /// # Errors
    /// Numbers of elements that differ.
    pub fn reshape(&mut self, x: ValueId, shape: &Shape) -> Result<ValueId> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.add_one(Reshape { shape: shape.clone() }, &[x])
    }
    /// `[n, …]` as `[n, product of the rest]`.
    ///
    /// # Errors
    /// A value without dimensions, or a second unknown extent.
    pub fn flatten(&mut self, x: ValueId) -> Result<ValueId> {
        let shape = self.shape(x).clone();
        let rest: Option<usize> = shape.0.iter().skip(1).map(|d| d.fixed()).product();
        match (shape.0.first(), rest) {
            (Some(&n), Some(rest)) => self.reshape(x, &Shape(vec![n, Dim::Fixed(rest)])),
            _ => {
                Err(self.error_here("flatten", Rule::new(format!("{shape} cannot be flattened")).right("[n, …]"), &[x]))
            }
        }
    }
}
