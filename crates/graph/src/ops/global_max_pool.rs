//! Global max pooling.

use super::global_pool;
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Reduction, Rule};

operation! {
    /// The largest element of each channel: `[n, c, spatial…]` → `[n, c, 1…]`. It does not change when the input is
    /// shifted in a circle. The gradient is shared by the elements that reach the maximum.
    pub struct GlobalMaxPool("global_max_pool", ["x"]) {}
}

impl Operation for GlobalMaxPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        global_pool::infer(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(global_pool::reduce(g, Reduction::Max, inputs[0]))
    }
    fn samples() -> Vec<Problem> {
        let p = |x: &&str| Problem::new(GlobalMaxPool {}).input(x, DType::F32, Fill::Distinct);
        ["nx3x4x5", "nx2x7", "nx2x2x3x2"].iter().map(p).collect()
    }
}

impl Graph {
    /// The largest element of each channel of `x [n, c, spatial…]`: `[n, c, 1…]`.
    ///
    /// # Errors
    /// A value without spatial dimensions.
    pub fn global_max_pool(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(GlobalMaxPool {}, &[x])
    }
}
