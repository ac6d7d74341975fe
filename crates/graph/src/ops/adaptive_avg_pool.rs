//! Adaptive average pooling.

use super::adaptive_pool;
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Reduction, Rule};

operation! {
    /// Average pooling to wanted sizes: output `i` of `o` is the mean of the inputs `floor(i·n/o) .. ceil((i+1)·n/o)`
    /// in each dimension, so bins may overlap and differ by one (PyTorch's AdaptiveAvgPool; the end of its AlexNet and
    /// VGG).
    ///
    /// Shapes: x `[n, c, spatial…]` → y `[n, c, output…]`.
    pub struct AdaptiveAvgPool("adaptive_avg_pool", ["x"]) {
        /// Extents of the result; one number stands for all dimensions.
        output: Vec<usize>,
    }
}

impl AdaptiveAvgPool {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let (input, output) =
            adaptive_pool::sizes(&self.output, g.ty(x)).map_err(|r| g.error_here("adaptive_avg_pool", r, &[x]))?;
        match adaptive_pool::regular(&input, &output) {
            Some(options) => g.avg_pool(x, &options),
            None => {
                adaptive_pool::by_axis(g, x, &input, &output, |g, part, axis| g.reduce(Reduction::Mean, part, &[axis]))
            }
        }
    }
}

impl Operation for AdaptiveAvgPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        adaptive_pool::infer(&self.output, inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |output: &[usize], x: &str| Problem::new(AdaptiveAvgPool { output: output.to_vec() }).f32(x);
        vec![p(&[3, 2], "nx2x7x4"), p(&[2], "nx2x6x4"), p(&[5], "nx3x3"), p(&[1, 2, 3], "nx1x2x3x4")]
    }
}

impl Graph {
    /// Average pooling of `x [n, c, spatial…]` to wanted sizes.
    ///
    /// # Errors
    /// A wrong number of sizes, or a size of 0.
    pub fn adaptive_avg_pool(&mut self, x: ValueId, output: &[usize]) -> Result<ValueId> {
        self.add_one(AdaptiveAvgPool { output: output.to_vec() }, &[x])
    }
}
