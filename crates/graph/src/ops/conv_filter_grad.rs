//! Filter gradient of convolution.

use super::conv::{batch_of, conv_cost, sample_geometries};
use super::{Conv, ConvInputGrad};
use crate::{Cost, Error, Gradient, GradientOf, Operation, Problem, Result, Text, ValueType, operation};
use gabor_tensor::{ConvGeometry, Rule, Shape};

operation! {
    /// Gradient of a convolution with respect to its filters: dL/dW = dL/dY · X̂ᵀ, summed over the batch
    /// (lecture `001_…`).
    ///
    /// Shapes: x `[n, ci, spatial…]`, dy `[n, co, spatial…]`, dw `[co, ci/groups, kernel…]` of the same geometry.
    pub struct ConvFilterGrad("conv_filter_grad", ["x", "dy"]) {
        /// The geometry of the convolution whose gradient this is.
        geometry: ConvGeometry,
    }
}

impl Operation for ConvFilterGrad {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let g = &self.geometry;
        let n = batch_of("x", &inputs[0], g.ci, &g.window.input())?;
        if batch_of("dy", &inputs[1], g.co, &g.window.output())? != n {
            return Err(Rule::new(format!(
                "x is {} and dy is {}: the batch sizes differ",
                inputs[0].shape, inputs[1].shape
            )));
        }
        Ok(vec![ValueType::f32(Shape::fixed(&g.weight_shape()))])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let g = cx.dy0()?;
        let (x, dy) = (cx.inputs[0], cx.inputs[1]);
        let geometry = self.geometry.clone();
        let dx = if cx.wanted[0] {
            Some(cx.graph.add_one(ConvInputGrad { geometry: geometry.clone() }, &[dy, g])?)
        } else {
            None
        };
        let ddy = if cx.wanted[1] { Some(cx.graph.add_one(Conv { geometry }, &[x, g])?) } else { None };
        Ok(GradientOf::Inputs(vec![dx, ddy]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        conv_cost(&self.geometry, inputs[0].shape.0[0].at(n))
    }
    fn samples() -> Vec<Problem> {
        sample_geometries()
            .into_iter()
            .map(|g| {
                let (x, dy) =
                    (Shape::batch(&g.input_shape(0)[1..]).to_text(), Shape::batch(&g.output_shape(0)[1..]).to_text());
                Problem::new(ConvFilterGrad { geometry: g }).f32(&x).f32(&dy)
            })
            .collect()
    }
}
