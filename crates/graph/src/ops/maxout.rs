//! Maxout.

use super::want_type;
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape};

operation! {
    /// Maxout: the largest of `pieces` neighbouring channels, `y[n, c] = max_j x[n, c·pieces + j]`
    /// (Goodfellow et al. 2013).
    ///
    /// Shapes: x `[n, c·pieces, …]`, y `[n, c, …]`. The gradient is shared by the channels that reach the maximum.
    pub struct Maxout("maxout", ["x"]) {
        /// Channels that one output is chosen from.
        pieces: usize,
    }
}

impl Maxout {
    /// `[n, c, …]` and `[n, c, pieces, …]`.
    fn shapes(&self, x: &Shape) -> Result<(Shape, Shape), Rule> {
        match x.0.get(1) {
            Some(&Dim::Fixed(c)) if self.pieces > 0 && c.is_multiple_of(self.pieces) => {
                let mut y = x.clone();
                y.0[1] = Dim::Fixed(c / self.pieces);
                let mut split = y.clone();
                split.0.insert(2, Dim::Fixed(self.pieces));
                Ok((y, split))
            }
            _ => Err(Rule::new(format!("maxout of {} pieces over x {x}", self.pieces))
                .right("a number of channels that is a multiple of the pieces")),
        }
    }
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let (y, split) = self.shapes(g.shape(x)).map_err(|r| g.error_here("maxout", r, &[x]))?;
        let parts = g.reshape(x, &split)?;
        let largest = g.reduce(Reduction::Max, parts, &[2])?;
        g.reshape(largest, &y)
    }
}

impl Operation for Maxout {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        Ok(vec![ValueType::f32(self.shapes(&inputs[0].shape)?.0)])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |pieces, x: &str| Problem::new(Maxout { pieces }).input(x, DType::F32, Fill::Distinct);
        vec![p(2, "nx6x3"), p(3, "nx6"), p(4, "nx4x2x2")]
    }
}

impl Graph {
    /// The largest of `pieces` neighbouring channels of `x [n, c·pieces, …]`.
    ///
    /// # Errors
    /// A number of channels that is no multiple of the pieces.
    pub fn maxout(&mut self, x: ValueId, pieces: usize) -> Result<ValueId> {
        self.add_one(Maxout { pieces }, &[x])
    }
}
