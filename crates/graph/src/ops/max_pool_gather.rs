//! Second derivative of max pooling.

use super::{MaxUnpool, sample_window, spatial_shape, want_spatial, want_type};
use crate::{Error, Fill, Gradient, GradientOf, Operation, Problem, Result, ValueType, operation};
use gabor_tensor::{DType, Rule, Window};

operation! {
    /// Reads each plane at the places that switches name: the adjoint of unpooling, and so max pooling's second
    /// derivative. A switch of −1 reads zero.
    ///
    /// Shapes: x `[n, c, inputs…]`, switches (i32) `[n, c, outputs…]` → y `[n, c, outputs…]`.
    pub struct MaxPoolGather("max_pool_gather", ["x", "switches"]) {
        /// The window of the pooling.
        window: Window,
    }
}

impl Operation for MaxPoolGather {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        want_type("switches", &inputs[1], DType::I32)?;
        let (n, c) = want_spatial("x", &inputs[0].shape, &self.window.input())?;
        let y = spatial_shape(n, c, self.window.output());
        if inputs[1].shape != y {
            return Err(Rule::new(format!("switches are {}, the window gives {y}", inputs[1].shape)));
        }
        Ok(vec![ValueType::f32(y)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let dx = cx.graph.add_one(MaxUnpool { window: self.window.clone() }, &[dy, cx.inputs[1]])?;
        Ok(GradientOf::Inputs(vec![Some(dx), None]))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(MaxPoolGather { window: sample_window("in4,4/k2,2/s2,2/d1,1/p0:0,0:0") })
                .f32("nx3x4x4")
                .input("nx3x2x2", DType::I32, Fill::Indices(16)),
        ]
    }
}
