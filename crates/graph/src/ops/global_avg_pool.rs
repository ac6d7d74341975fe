//! Global average pooling.

use super::global_pool;
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Reduction, Rule};

operation! {
    /// The mean of each channel: `[n, c, spatial…]` → `[n, c, 1…]` (Lin et al. 2014; the end of GoogLeNet and ResNet).
    /// It does not change when the input is shifted in a circle.
    pub struct GlobalAvgPool("global_avg_pool", ["x"]) {}
}

impl Operation for GlobalAvgPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        global_pool::infer(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(global_pool::reduce(g, Reduction::Mean, inputs[0]))
    }
    fn samples() -> Vec<Problem> {
        ["nx3x4x5", "nx2x7", "nx2x2x3x2"].iter().map(|x| Problem::new(GlobalAvgPool {}).f32(x)).collect()
    }
}

impl Graph {
    /// The mean of each channel of `x [n, c, spatial…]`: `[n, c, 1…]`.
    ///
    /// # Errors
    /// A value without spatial dimensions.
    pub fn global_avg_pool(&mut self, x: ValueId) -> Result<ValueId> {
        self.add_one(GlobalAvgPool {}, &[x])
    }
}
