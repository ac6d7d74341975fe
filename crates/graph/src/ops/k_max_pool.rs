//! k-max pooling over a sequence.

use super::want_type;
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Reduction, Rule, Shape, Tensor};

operation! {
    /// k-max pooling: the `k` largest elements of each sequence, in the order in which they stand there
    /// (Kalchbrenner, Grefenstette, Blunsom 2014; Denil et al. 2014). Of equal elements the first ones are taken.
    ///
    /// Shapes: x `[n, c, l]` → y `[n, c, k]` with k ≤ l. Elements are compared in pairs, so the work grows with l².
    pub struct KMaxPool("k_max_pool", ["x"]) {
        /// Number of elements that are kept.
        k: usize,
    }
}

impl KMaxPool {
    fn sizes(&self, x: &Shape) -> Result<[Dim; 3], Rule> {
        match *x.dims() {
            [n, c, Dim::Fixed(l)] if (1..=l).contains(&self.k) => Ok([n, c, Dim::Fixed(l)]),
            [_, _, Dim::Fixed(l)] => Err(Rule::new(format!("the {} largest of {l} elements of x {x}", self.k))
                .right(format!("1 to {l} of them"))),
            _ => Err(Rule::new(format!("k-max pooling of x {x}")).right("[n, c, l]")),
        }
    }
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let [n, c, length] = self.sizes(g.shape(x)).map_err(|r| g.error_here("k_max_pool", r, &[x]))?;
        let l = length.at(1);
        let one = Dim::Fixed(1);
        let column = g.reshape(x, &Shape(vec![n, c, length, one]))?;
        let row = g.reshape(x, &Shape(vec![n, c, one, length]))?;
        // 1 where the second of two places stands before the first.
        let before = (0..l * l).map(|i| if i % l < i / l { 1.0 } else { 0.0 }).collect();
        let before = Tensor::f32(&[l, l], before).map_err(|r| g.error_here("k_max_pool", r, &[x]))?;
        let before = g.constant(before);

        // How many elements go before each one: the larger ones, and equal ones that stand before it.
        let larger = g.greater(row, column)?;
        let equal = g.equal(row, column)?;
        let equal = g.mul(equal, before)?;
        let ahead = g.add(larger, equal)?;
        let rank = g.reduce(Reduction::Sum, ahead, &[3])?;
        let k = g.number(self.k as f64);
        let chosen = g.greater(k, rank)?;
        let chosen = g.reshape(chosen, &Shape(vec![n, c, one, length]))?;

        // The place of a chosen element in the result: how many chosen ones stand before it.
        let earlier = g.mul(chosen, before)?;
        let place = g.reduce(Reduction::Sum, earlier, &[3])?;
        let place = g.reshape(place, &Shape(vec![n, c, one, length]))?;
        let places = Tensor::f32(&[self.k, 1], (0..self.k).map(|i| i as f32).collect());
        let places = places.map_err(|r| g.error_here("k_max_pool", r, &[x]))?;
        let places = g.constant(places);
        let there = g.equal(place, places)?;
        let there = g.mul(there, chosen)?;
        let kept = g.gate(row, there)?;
        let y = g.reduce(Reduction::Sum, kept, &[3])?;
        g.reshape(y, &Shape(vec![n, c, Dim::Fixed(self.k)]))
    }
}

impl Operation for KMaxPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        let [n, c, _] = self.sizes(&inputs[0].shape)?;
        Ok(vec![ValueType::f32(Shape(vec![n, c, Dim::Fixed(self.k)]))])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |k, x: &str| Problem::new(KMaxPool { k }).input(x, DType::F32, Fill::Distinct);
        vec![p(3, "nx2x7"), p(1, "nx3x4"), p(5, "nx1x5")]
    }
}

impl Graph {
    /// The `k` largest elements of each sequence of `x [n, c, l]`, in their order.
    ///
    /// # Errors
    /// A `k` of 0 or above l, or a value of another rank.
    pub fn k_max_pool(&mut self, x: ValueId, k: usize) -> Result<ValueId> {
        self.add_one(KMaxPool { k }, &[x])
    }
}
