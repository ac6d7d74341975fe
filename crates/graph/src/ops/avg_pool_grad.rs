//! Backward of average pooling.

use super::{AvgPool, avg_pool::sample_windows, spatial_shape, want_spatial, want_type};
use crate::{Error, Gradient, GradientOf, Operation, Problem, Result, ValueType, operation};
use gabor_tensor::{DType, PoolDivisor, Rule, Window};

operation! {
    /// The adjoint of average pooling: each element is shared out over its window.
    ///
    /// Shapes: dy `[n, c, outputs…]` → dx `[n, c, inputs…]`.
    pub struct AvgPoolGrad("avg_pool_grad", ["dy"]) {
        /// The window of the pooling.
        window: Window,
        /// What the pooling's sum was divided by.
        divisor: PoolDivisor,
    }
}

impl Operation for AvgPoolGrad {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("dy", &inputs[0], DType::F32)?;
        let (n, c) = want_spatial("dy", &inputs[0].shape, &self.window.output())?;
        Ok(vec![ValueType::f32(spatial_shape(n, c, self.window.input()))])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let g = cx.dy0()?;
        let op = AvgPool { window: self.window.clone(), divisor: self.divisor };
        Ok(GradientOf::Inputs(vec![Some(cx.graph.add_one(op, &[g])?)]))
    }
    fn samples() -> Vec<Problem> {
        let problem = |(window, divisor, _, y)| Problem::new(AvgPoolGrad { window, divisor }).f32(y);
        sample_windows().into_iter().map(problem).collect()
    }
}
