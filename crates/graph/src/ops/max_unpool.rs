//! Backward of max pooling.

use super::{MaxPoolGather, sample_window, spatial_shape, want_spatial, want_type};
use crate::{Error, Fill, Gradient, GradientOf, Operation, Problem, Result, ValueType, operation};
use gabor_tensor::{DType, Rule, Window};

operation! {
    /// Sends each element to the place its switch names and adds what meets there: the backward pass of max pooling,
    /// and the unpooling of Zeiler and Fergus's deconvnet.
    ///
    /// Shapes: dy, switches (i32) `[n, c, outputs…]` → dx `[n, c, inputs…]`.
    pub struct MaxUnpool("max_unpool", ["dy", "switches"]) {
        /// The window of the pooling.
        window: Window,
    }
}

impl Operation for MaxUnpool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("dy", &inputs[0], DType::F32)?;
        want_type("switches", &inputs[1], DType::I32)?;
        let (n, c) = want_spatial("dy", &inputs[0].shape, &self.window.output())?;
        if inputs[0].shape != inputs[1].shape {
            return Err(Rule::new(format!("dy is {}, its switches are {}", inputs[0].shape, inputs[1].shape)));
        }
        Ok(vec![ValueType::f32(spatial_shape(n, c, self.window.input()))])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let g = cx.dy0()?;
        let ddy = cx.graph.add_one(MaxPoolGather { window: self.window.clone() }, &[g, cx.inputs[1]])?;
        Ok(GradientOf::Inputs(vec![Some(ddy), None]))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(MaxUnpool { window: sample_window("in4,4/k2,2/s2,2/d1,1/p0:0,0:0") }).f32("nx3x2x2").input(
                "nx3x2x2",
                DType::I32,
                Fill::Indices(16),
            ),
            Problem::new(MaxUnpool { window: sample_window("in7/k3/s2/d1/p1:0") }).f32("nx2x3").input(
                "nx2x3",
                DType::I32,
                Fill::Indices(7),
            ),
        ]
    }
}
