//! Average pooling.

use super::{AvgPoolGrad, sample_window, spatial_shape, want_spatial, want_type};
use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, PoolDivisor, Rule, Window, WindowOptions};

operation! {
    /// Average (or sum) pooling: `y[n, c, o] = Σ_k x[n, c, s·o + d·k - p] / divisor`.
    ///
    /// It equals a depthwise convolution with weights 1/kernel (lecture `001_…`).
    /// Shapes: x `[n, c, spatial…]` → y `[n, c, spatial…]`.
    pub struct AvgPool("avg_pool", ["x"]) {
        /// The sliding window.
        window: Window,
        /// What the sum is divided by.
        divisor: PoolDivisor,
    }
}

/// Windows that average pooling and its gradient are tested on, with shapes of input and output.
pub(super) fn sample_windows() -> Vec<(Window, PoolDivisor, &'static str, &'static str)> {
    use PoolDivisor::*;
    vec![
        (sample_window("in4,4/k2,2/s2,2/d1,1/p0:0,0:0"), CountIncludePad, "nx3x4x4", "nx3x2x2"),
        (sample_window("in7,6/k3,3/s2,2/d1,1/p1:1,1:1"), CountExcludePad, "nx2x7x6", "nx2x4x3"),
        (sample_window("in5,5/k3,3/s1,1/d1,1/p1:1,1:1"), CountIncludePad, "nx2x5x5", "nx2x5x5"),
        (sample_window("in6,5/k3,2/s2,2/d1,1/p1:1,0:0/ceil"), CountIncludePad, "nx2x6x5", "nx2x4x3"),
        (sample_window("in6,5/k3,2/s2,2/d1,1/p1:1,0:0/ceil"), CountExcludePad, "nx2x6x5", "nx2x4x3"),
        (sample_window("in7/k3/s2/d1/p1:0"), One, "nx2x7", "nx2x3"),
        (sample_window("in4,4,4/k2,2,2/s2,2,2/d1,1,1/p0:0,0:0,0:0"), CountIncludePad, "nx1x4x4x4", "nx1x2x2x2"),
    ]
}

impl Operation for AvgPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        let (n, c) = want_spatial("x", &inputs[0].shape, &self.window.input())?;
        Ok(vec![ValueType::f32(spatial_shape(n, c, self.window.output()))])
    }
    fn notes(&self) -> Vec<String> {
        self.window.notes()
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let op = AvgPoolGrad { window: self.window.clone(), divisor: self.divisor };
        Ok(GradientOf::Inputs(vec![Some(cx.graph.add_one(op, &[dy])?)]))
    }
    fn samples() -> Vec<Problem> {
        let problem = |(window, divisor, x, _)| Problem::new(AvgPool { window, divisor }).f32(x);
        sample_windows().into_iter().map(problem).collect()
    }
}

impl Graph {
    /// Average pooling of `x [n, c, spatial…]`; padding counts as zeros (PyTorch's default).
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn avg_pool(&mut self, x: ValueId, options: &WindowOptions) -> Result<ValueId> {
        self.avg_pool_with(x, options, PoolDivisor::CountIncludePad)
    }
    /// Average pooling with a choice of what the sum is divided by.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn avg_pool_with(&mut self, x: ValueId, options: &WindowOptions, divisor: PoolDivisor) -> Result<ValueId> {
        let window = self.window_over(x, options, "avg_pool")?;
        self.add_one(AvgPool { window, divisor }, &[x])
    }
}
