//! col2im.

use super::{Unfold, sample_window, want_type};
use crate::{Error, Gradient, GradientOf, Operation, Problem, Result, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule, Window};

operation! {
    /// Column to image, the adjoint of im2col: columns are added into the receptive fields they came from.
    ///
    /// Shapes: `[n, c·kernel, outputs]` → `[n, c, spatial…]`.
    pub struct Fold("fold", ["columns"]) {
        /// The sliding window.
        window: Window,
    }
}

impl Operation for Fold {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("columns", &inputs[0], DType::F32)?;
        let (k, o) = (self.window.kernel_len(), self.window.output_len());
        match inputs[0].shape.dims() {
            &[n, Dim::Fixed(rows), Dim::Fixed(columns)] if rows % k == 0 && columns == o => {
                Ok(vec![ValueType::f32(super::spatial_shape(n, Dim::Fixed(rows / k), self.window.input()))])
            }
            _ => Err(Rule::new(format!("columns {}, the window wants [n, c·{k}, {o}]", inputs[0].shape))),
        }
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        Ok(GradientOf::Inputs(vec![Some(cx.graph.add_one(Unfold { window: self.window.clone() }, &[dy])?)]))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(Fold { window: sample_window("in4,6/k2,2/s2,2/d1,1/p0:0,0:0") }).f32("nx8x6"),
            Problem::new(Fold { window: sample_window("in6/k3/s1/d1/p0:1") }).f32("nx6x5"),
        ]
    }
}
