//! Global Lp pooling.

use super::{global_pool, lp_pool::want_exponent, spatial_of};
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Rule, WindowOptions};

operation! {
    /// The p-norm of each channel: `y = (Σ |x|^p)^(1/p)`, `[n, c, spatial…]` → `[n, c, 1…]`.
    pub struct GlobalLpPool("global_lp_pool", ["x"]) {
        /// The exponent, at least 1.
        p: f64,
    }
}

impl Operation for GlobalLpPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_exponent(self.p)?;
        spatial_of(&inputs[0].shape)?;
        global_pool::infer(inputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        let x = inputs[0];
        let spatial = spatial_of(g.shape(x)).map_err(|r| g.error_here("global_lp_pool", r, inputs));
        Some(spatial.and_then(|s| g.lp_pool(x, self.p, &WindowOptions::new(&s))).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |p, x: &str| Problem::new(GlobalLpPool { p }).f32(x);
        vec![p(2.0, "nx3x4x5"), p(3.0, "nx2x7"), p(1.0, "nx2x3")]
    }
}

impl Graph {
    /// The p-norm of each channel of `x [n, c, spatial…]`: `[n, c, 1…]`.
    ///
    /// # Errors
    /// A value without spatial dimensions, or an exponent below 1.
    pub fn global_lp_pool(&mut self, x: ValueId, p: f64) -> Result<ValueId> {
        self.add_one(GlobalLpPool { p }, &[x])
    }
}
