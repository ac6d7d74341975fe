//! Repeating a value along axes.

use super::want_type;
use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule, Shape};

operation! {
    /// Repeats a value to a larger shape by NumPy's broadcasting.
    pub struct Broadcast("broadcast", ["x"]) {
        /// The shape to reach.
        shape: Shape,
    }
}

impl Operation for Broadcast {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        if inputs[0].shape.broadcast(&self.shape).as_ref() != Some(&self.shape) {
            return Err(Rule::new(format!("{} does not broadcast to {}", inputs[0].shape, self.shape)));
        }
        Ok(vec![ValueType::f32(self.shape.clone())])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let shape = cx.graph.shape(cx.inputs[0]).clone();
        Ok(GradientOf::Inputs(vec![Some(cx.graph.sum_to(dy, &shape)?)]))
    }
    fn samples() -> Vec<Problem> {
        let p = |s: &str, x: &str| {
            let shape = <Shape as crate::Text>::from_text(s).expect("a shape");
            Problem::new(Broadcast { shape }).f32(x)
        };
        vec![p("nx3x4", "3x1"), p("nx4", ""), p("nx3x2x2", "nx3x1x1"), p("nx5", "5")]
    }
}

impl Graph {
    /// Repeats a value to a larger shape.
    ///
    /// # Errors
    /// Shapes that do not broadcast.
    pub fn broadcast(&mut self, x: ValueId, shape: &Shape) -> Result<ValueId> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.add_one(Broadcast { shape: shape.clone() }, &[x])
    }
}
