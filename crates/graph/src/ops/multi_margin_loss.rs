//! Hinge loss of many classes.

use super::{activation::want_positive, want_type};
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape};

operation! {
    /// Multi-class hinge loss (Weston and Watkins 1999): the mean over the batch of
    /// `1/c · Σ_{j ≠ t} max(0, margin - x[t] + x[j])`. As in PyTorch the sum is divided by the number of classes c.
    ///
    /// Shapes: x (scores) `[n, c]`, t (class indices, i32) `[n]`, the loss is `[]`. An index outside 0..c counts as a
    /// class with score 0 that is not among the others; check labels before.
    pub struct MultiMarginLoss("multi_margin_loss", ["x", "t"]) {
        /// How much the right class must be ahead.
        margin: f64,
    }
}

impl MultiMarginLoss {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId, t: ValueId) -> Result<ValueId> {
        let classes = g.shape(x).0[1].at(0);
        let target = g.one_hot(t, classes)?;
        let own = g.mul(x, target)?;
        let own = g.reduce(Reduction::Sum, own, &[1])?;
        let ahead = g.sub(x, own)?;
        let ahead = g.shift(ahead, self.margin)?;
        let hinge = g.relu(ahead)?;
        let one = g.number(1.0);
        let others = g.sub(one, target)?;
        let loss = g.mul(hinge, others)?;
        g.mean_all(loss)
    }
}

impl Operation for MultiMarginLoss {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_positive("margin", self.margin)?;
        want_type("x", &inputs[0], DType::F32)?;
        want_type("t", &inputs[1], DType::I32)?;
        match (inputs[0].shape.dims(), inputs[1].shape.dims()) {
            (&[n, Dim::Fixed(c)], &[m]) if n == m && c > 0 => Ok(vec![ValueType::f32(Shape::scalar())]),
            _ => {
                Err(Rule::new(format!("scores {} and labels {}", inputs[0].shape, inputs[1].shape))
                    .right("[n, c] and [n]"))
            }
        }
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0], inputs[1]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |margin| Problem::new(MultiMarginLoss { margin }).f32("nx5").input("n", DType::I32, Fill::Labels(5));
        vec![p(1.0), p(0.3)]
    }
}

impl Graph {
    /// Multi-class hinge loss of scores `[n, c]` and class indices `[n]`, divided by the number of classes.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn multi_margin_loss(&mut self, x: ValueId, t: ValueId, margin: f64) -> Result<ValueId> {
        self.add_one(MultiMarginLoss { margin }, &[x, t])
    }
}
