//! Class indices as vectors.

use super::want_type;
use crate::{Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule};

operation! {
    /// Class indices (i32) `[…]` as vectors `[…, classes]` with a one at the class; an index outside gives zeros.
    pub struct OneHot("one_hot", ["labels"]) {
        /// Number of classes.
        classes: usize,
    }
}

impl Operation for OneHot {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("labels", &inputs[0], DType::I32)?;
        let mut shape = inputs[0].shape.clone();
        shape.0.push(Dim::Fixed(self.classes));
        Ok(vec![ValueType::f32(shape)])
    }
    fn gradient(&self, _cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        Ok(GradientOf::Stop)
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(OneHot { classes: 5 }).input("n", DType::I32, Fill::Labels(5))]
    }
}

impl Graph {
    /// Class indices as vectors.
    ///
    /// # Errors
    /// Labels that are not 32-bit integers.
    pub fn one_hot(&mut self, labels: ValueId, classes: usize) -> Result<ValueId> {
        self.add_one(OneHot { classes }, &[labels])
    }
}
