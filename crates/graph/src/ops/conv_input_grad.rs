//! Input gradient of convolution: transposed convolution.

use super::conv::{batch_of, conv_cost, sample_geometries, want_weight};
use super::{Conv, ConvFilterGrad};
use crate::{Cost, Error, Gradient, GradientOf, Operation, Problem, Result, Text, ValueType, operation};
use gabor_tensor::{ConvGeometry, Dim, Rule, Shape};

operation! {
    /// Gradient of a convolution with respect to its input, which is the transposed convolution of `dy`:
    /// dL/dX̂ = Wᵀ · dL/dY, then column to image (lecture `001_…`); the same as convolving with the filter turned by 180°.
    ///
    /// Shapes: dy `[n, co, spatial…]`, w `[co, ci/groups, kernel…]`, dx `[n, ci, spatial…]` of the same geometry.
    pub struct ConvInputGrad("conv_input_grad", ["dy", "w"]) {
        /// The geometry of the convolution whose gradient this is.
        geometry: ConvGeometry,
    }
}

impl Operation for ConvInputGrad {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let g = &self.geometry;
        let n = batch_of("dy", &inputs[0], g.co, &g.window.output())?;
        want_weight(g, &inputs[1])?;
        Ok(vec![ValueType::f32(super::spatial_shape(n, Dim::Fixed(g.ci), g.window.input()))])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let g = cx.dy0()?;
        let (dy, w) = (cx.inputs[0], cx.inputs[1]);
        let geometry = self.geometry.clone();
        let ddy =
            if cx.wanted[0] { Some(cx.graph.add_one(Conv { geometry: geometry.clone() }, &[g, w])?) } else { None };
        let dw = if cx.wanted[1] { Some(cx.graph.add_one(ConvFilterGrad { geometry }, &[g, dy])?) } else { None };
        Ok(GradientOf::Inputs(vec![ddy, dw]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        conv_cost(&self.geometry, inputs[0].shape.0[0].at(n))
    }
    fn samples() -> Vec<Problem> {
        sample_geometries()
            .into_iter()
            .map(|g| {
                let (dy, w) =
                    (Shape::batch(&g.output_shape(0)[1..]).to_text(), Shape::fixed(&g.weight_shape()).to_text());
                Problem::new(ConvInputGrad { geometry: g }).f32(&dy).f32(&w)
            })
            .collect()
    }
}
