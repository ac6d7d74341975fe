//! Random numbers inside a graph.

use super::want_type;
use crate::{Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule, Shape};

operation! {
    /// Uniform numbers in [0, 1): element `i` is word `i mod 4` of Philox 4×32-10 with counter
    /// `[i / 4, operation, step low, step high]` and key `[seed low, seed high]`.
    ///
    /// The key is an explicit input (i32) `[4]` = seed low, seed high, step low, step high, so a graph has no hidden
    /// state and a result does not depend on the order of work.
    pub struct RandomUniform("random_uniform", ["key"]) {
        /// Shape of the result.
        shape: Shape,
        /// Distinguishes the random operations of a graph.
        operation: u32,
    }
}

impl Operation for RandomUniform {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("key", &inputs[0], DType::I32)?;
        if inputs[0].shape != Shape::fixed(&[4]) {
            return Err(
                Rule::new(format!("the key is {}", inputs[0].shape)).right("[4]: seed and step, low word first")
            );
        }
        Ok(vec![ValueType::f32(self.shape.clone())])
    }
    fn gradient(&self, _cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        Ok(GradientOf::Stop)
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(RandomUniform { shape: Shape::batch(&[3, 7]), operation: 9 }).input(
            "4",
            DType::I32,
            Fill::Key,
        )]
    }
}

impl Graph {
    /// Uniform numbers in [0, 1) under a key (i32) `[4]`.
    ///
    /// # Errors
    /// A key of another type.
    pub fn random_uniform(&mut self, key: ValueId, shape: &Shape, operation: u32) -> Result<ValueId> {
        self.add_one(RandomUniform { shape: shape.clone(), operation }, &[key])
    }
}
