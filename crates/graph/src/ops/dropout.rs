//! Dropout.

use super::{RandomUniform, want_type};
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule};

operation! {
    /// Dropout as in training (Srivastava et al. 2014): each element is zero with probability p, the others are divided
    /// by 1 - p, so the expected value stays and testing needs no change (the node is left out there).
    ///
    /// Shapes: x any, key (i32) `[4]` = seed and step, low words first, as of
    /// [`RandomUniform`]; y as x. An element stays where its uniform number is at least p.
    pub struct Dropout("dropout", ["x", "key"]) {
        /// Probability of a zero, in 0 ≤ p < 1.
        p: f64,
        /// Distinguishes the random operations of a graph.
        operation: u32,
    }
}

impl Dropout {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId, key: ValueId) -> Result<ValueId> {
        let shape = g.shape(x).clone();
        let u = g.random_uniform(key, &shape, self.operation)?;
        let (p, one) = (g.number(self.p), g.number(1.0));
        let dropped = g.greater(p, u)?;
        let kept = g.sub(one, dropped)?;
        let rest = g.gate(x, kept)?;
        g.scale(rest, 1.0 / (1.0 - self.p))
    }
}

impl Operation for Dropout {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        if !(0.0..1.0).contains(&self.p) {
            return Err(Rule::new(format!("dropout with probability {}", self.p)).right("0 ≤ p < 1"));
        }
        want_type("x", &inputs[0], DType::F32)?;
        RandomUniform { shape: inputs[0].shape.clone(), operation: self.operation }.infer(&inputs[1..])?;
        Ok(vec![inputs[0].clone()])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0], inputs[1]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |p, x: &str| Problem::new(Dropout { p, operation: 7 }).f32(x).input("4", DType::I32, Fill::Key);
        vec![p(0.5, "nx3x5"), p(0.1, "nx17")]
    }
}

impl Graph {
    /// Dropout of x with probability p under a key (i32) `[4]`; nodes with the same `operation` draw the same numbers.
    ///
    /// # Errors
    /// A probability outside 0 ≤ p < 1, or a key of another type.
    pub fn dropout(&mut self, x: ValueId, key: ValueId, p: f64, operation: u32) -> Result<ValueId> {
        self.add_one(Dropout { p, operation }, &[x, key])
    }
}
