//! Transposed convolution.

use super::{ConvInputGrad, conv::conv_cost, spatial_of};
use crate::{
    Cost, Error, Gradient, GradientOf, Graph, Operation, Problem, Result, Text, ValueId, ValueType, operation,
};
use gabor_tensor::{ConvGeometry, Rule, Shape, WindowOptions};

operation! {
    /// Transposed convolution (also "deconvolution"): the input gradient of a convolution, used to go from small to
    /// large. `o = (n - 1)·s - p_begin - p_end + d·(k - 1) + 1 + output_padding` (Zeiler et al. 2010; FCN; U-Net).
    ///
    /// Shapes: x `[n, ci, spatial…]`, w `[ci, co/groups, kernel…]` (PyTorch's layout), y `[n, co, spatial…]`.
    /// The geometry is that of the convolution from y to x: its `co` is x's channels.
    pub struct ConvTranspose("conv_transpose", ["x", "w"]) {
        /// The geometry of the convolution whose input gradient this is.
        geometry: ConvGeometry,
    }
}

impl ConvTranspose {
    fn adjoint(&self) -> ConvInputGrad {
        ConvInputGrad { geometry: self.geometry.clone() }
    }
}

impl Operation for ConvTranspose {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        self.adjoint().infer(inputs)
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        self.adjoint().gradient(cx)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(g.add_node(self.adjoint(), inputs))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        conv_cost(&self.geometry, inputs[0].shape.0[0].at(n))
    }
    fn samples() -> Vec<Problem> {
        let p = |ci, input: &[usize], weight: &[usize], groups, o: WindowOptions, extra: &[usize]| {
            let geometry = ConvGeometry::transposed(ci, input, weight, groups, &o, extra).expect("a sample");
            let x = Shape::batch(&geometry.output_shape(0)[1..]).to_text();
            Problem::new(ConvTranspose { geometry }).f32(&x).f32(&Shape::fixed(weight).to_text())
        };
        let o = WindowOptions::default();
        let pad = |b, e| gabor_tensor::Padding::Explicit(vec![(b, e)]);
        vec![
            p(3, &[4], &[3, 2, 3], 1, o.clone().stride(&[2]), &[]),
            p(4, &[3, 4], &[4, 1, 3, 2], 2, o.clone().stride(&[2, 1]).padding(pad(1, 0)), &[1, 0]),
            p(2, &[3, 3], &[2, 3, 2, 2], 1, o.stride(&[2]).dilation(&[2]), &[]),
        ]
    }
}

impl Graph {
    /// Transposed convolution of `x [n, ci, spatial…]` with `w [ci, co/groups, kernel…]`; `output_padding` empty is 0.
    ///
    /// # Errors
    /// Channels or extents that do not fit.
    pub fn conv_transpose(
        &mut self,
        x: ValueId,
        w: ValueId,
        groups: usize,
        options: &WindowOptions,
        output_padding: &[usize],
    ) -> Result<ValueId> {
        let geometry = self
            .transposed_geometry(x, w, groups, options, output_padding)
            .map_err(|r| self.error_here("conv_transpose", r, &[x]))?;
        self.add_one(ConvTranspose { geometry }, &[x, w])
    }
    fn transposed_geometry(
        &self,
        x: ValueId,
        w: ValueId,
        groups: usize,
        options: &WindowOptions,
        output_padding: &[usize],
    ) -> Result<ConvGeometry, Rule> {
        let shape = self.shape(x);
        let spatial = spatial_of(shape)?;
        let ci =
            shape.0[1].fixed().ok_or_else(|| Rule::new(format!("the number of channels of {shape} is unknown")))?;
        let weight = self.shape(w).known().ok_or_else(|| Rule::new("a weight that depends on the batch size"))?;
        ConvGeometry::transposed(ci, &spatial, &weight, groups, options, output_padding)
    }
}
