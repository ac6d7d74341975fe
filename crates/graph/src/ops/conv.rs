//! Convolution.

use super::{ConvFilterGrad, ConvInputGrad, want_type};
use crate::{
    Cost, Error, Gradient, GradientOf, Graph, Operation, Problem, Result, Text, ValueId, ValueType, operation,
};
use gabor_tensor::{ConvGeometry, DType, Dim, Rule, Shape, WindowOptions};

operation! {
    /// Convolution, as the field says it: cross-correlation of an input with filters, in any number of dimensions.
    ///
    /// `y[n, co, o] = Σ_ci Σ_k x[n, ci, s·o + d·k - p] · w[co, ci, k]`, channels summed within a group, padding zero.
    ///
    /// Shapes: x `[n, ci, spatial…]`, w `[co, ci/groups, kernel…]`, y `[n, co, spatial…]` by the size rule of
    /// [`gabor_tensor::window`]. Depthwise convolution is `groups = ci`. Bias is an addition of its own.
    /// Elsewhere: oneDNN counts dilation from 0; signal processing turns the filter by 180°.
    /// Cost: 2·n·macs. Source: lecture `001_…` (img2col and the sliding window), LeCun et al. 1998.
    pub struct Conv("conv", ["x", "w"]) {
        /// Channels, groups and window.
        geometry: ConvGeometry,
    }
}

/// Checks `[n, c, spatial…]` and returns `n`.
pub(super) fn batch_of(name: &str, ty: &ValueType, c: usize, spatial: &[usize]) -> Result<Dim, Rule> {
    want_type(name, ty, DType::F32)?;
    let (n, channels) = super::want_spatial(name, &ty.shape, spatial)?;
    if channels != Dim::Fixed(c) {
        return Err(Rule::new(format!("{name} is {} and must have {c} channels", ty.shape)));
    }
    Ok(n)
}

pub(super) fn want_weight(g: &ConvGeometry, ty: &ValueType) -> Result<(), Rule> {
    want_type("w", ty, DType::F32)?;
    let shape = Shape::fixed(&g.weight_shape());
    if ty.shape != shape {
        return Err(Rule::new(format!("the weight is {}, the geometry wants {shape}", ty.shape)));
    }
    Ok(())
}

pub(super) fn conv_cost(g: &ConvGeometry, batch: usize) -> Cost {
    Cost { flops: 2 * g.macs() * batch as u64 }
}

impl Operation for Conv {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let g = &self.geometry;
        let n = batch_of("x", &inputs[0], g.ci, &g.window.input())?;
        want_weight(g, &inputs[1])?;
        Ok(vec![ValueType::f32(super::spatial_shape(n, Dim::Fixed(g.co), g.window.output()))])
    }
    fn notes(&self) -> Vec<String> {
        self.geometry.window.notes()
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let (x, w) = (cx.inputs[0], cx.inputs[1]);
        let geometry = self.geometry.clone();
        let dx = if cx.wanted[0] {
            Some(cx.graph.add_one(ConvInputGrad { geometry: geometry.clone() }, &[dy, w])?)
        } else {
            None
        };
        let dw = if cx.wanted[1] { Some(cx.graph.add_one(ConvFilterGrad { geometry }, &[x, dy])?) } else { None };
        Ok(GradientOf::Inputs(vec![dx, dw]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        conv_cost(&self.geometry, inputs[0].shape.0[0].at(n))
    }
    fn samples() -> Vec<Problem> {
        sample_geometries()
            .into_iter()
            .map(|g| {
                let (x, w) =
                    (Shape::batch(&g.input_shape(0)[1..]).to_text(), Shape::fixed(&g.weight_shape()).to_text());
                Problem::new(Conv { geometry: g }).f32(&x).f32(&w)
            })
            .collect()
    }
}

/// Geometries that the three operations of convolution are tested on.
pub(super) fn sample_geometries() -> Vec<ConvGeometry> {
    [
        "ci2/co3/g1/in6/k3/s1/d1/p0:0",
        "ci2/co4/g2/in9/k3/s2/d2/p1:2",
        "ci3/co2/g1/in5,6/k3,2/s1,1/d1,1/p1:1,0:1",
        "ci2/co2/g1/in7,7/k3,3/s3,3/d1,1/p0:0,0:0",
        "ci4/co4/g4/in5,5/k3,3/s1,1/d1,1/p1:1,1:1",
        "ci4/co6/g2/in6,8/k2,3/s2,1/d1,2/p0:1,2:1",
        "ci3/co5/g1/in4,4/k1,1/s1,1/d1,1/p0:0,0:0",
        "ci2/co2/g1/in5,5/k3,3/s2,2/d1,1/p1:1,1:1/ceil",
        "ci2/co3/g1/in3,4,5/k2,3,2/s1,2,1/d1,1,2/p0:1,1:0,0:0",
    ]
    .iter()
    .map(|t| ConvGeometry::from_text(t).expect("a hand-written geometry"))
    .collect()
}

impl Graph {
    /// Convolution of `x [n, ci, spatial…]` with filters `w [co, ci/groups, kernel…]`. `options.kernel_size` may stay
    /// empty: it is the weight's.
    ///
    /// # Errors
    /// Channels or extents that do not fit.
    pub fn conv(&mut self, x: ValueId, w: ValueId, groups: usize, options: &WindowOptions) -> Result<ValueId> {
        let geometry = self.conv_geometry(x, w, groups, options).map_err(|r| self.error_here("conv", r, &[x]))?;
        self.add_one(Conv { geometry }, &[x, w])
    }

    fn conv_geometry(&self, x: ValueId, w: ValueId, groups: usize, o: &WindowOptions) -> Result<ConvGeometry, Rule> {
        let shape = self.shape(x);
        let spatial = super::spatial_of(shape)?;
        let ci =
            shape.0[1].fixed().ok_or_else(|| Rule::new(format!("the number of channels of {shape} is unknown")))?;
        let weight = self.shape(w).known().ok_or_else(|| Rule::new("a weight that depends on the batch size"))?;
        ConvGeometry::new(ci, &spatial, &weight, groups, o)
    }
}
