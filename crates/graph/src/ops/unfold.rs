//! im2col.

use super::{Fold, sample_window, spatial_of, want_spatial, want_type};
use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule, Shape, Window, WindowOptions};

operation! {
    /// im2col: each receptive field becomes a column (lecture `001_…`).
    ///
    /// Shapes: x `[n, c, spatial…]` → `[n, c·kernel, outputs]`; rows run over channels first, then over the window,
    /// columns over the window's positions, as in PyTorch's `unfold`.
    pub struct Unfold("unfold", ["x"]) {
        /// The sliding window.
        window: Window,
    }
}

impl Operation for Unfold {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        let (n, c) = want_spatial("x", &inputs[0].shape, &self.window.input())?;
        let c = c.fixed().ok_or_else(|| Rule::new("the number of channels is unknown"))?;
        let (k, o) = (self.window.kernel_len(), self.window.output_len());
        Ok(vec![ValueType::f32(Shape(vec![n, Dim::Fixed(c.saturating_mul(k)), Dim::Fixed(o)]))])
    }
    fn notes(&self) -> Vec<String> {
        self.window.notes()
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        Ok(GradientOf::Inputs(vec![Some(cx.graph.add_one(Fold { window: self.window.clone() }, &[dy])?)]))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(Unfold { window: sample_window("in4,6/k2,2/s2,2/d1,1/p0:0,0:0") }).f32("nx2x4x6"),
            Problem::new(Unfold { window: sample_window("in5,5/k3,2/s1,2/d1,2/p1:1,0:1") }).f32("nx2x5x5"),
            Problem::new(Unfold { window: sample_window("in6/k3/s1/d1/p0:1") }).f32("nx2x6"),
        ]
    }
}

impl Graph {
    /// im2col of `x [n, c, spatial…]`: `[n, c·kernel, outputs]`.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn unfold(&mut self, x: ValueId, options: &WindowOptions) -> Result<ValueId> {
        let window = self.window_over(x, options, "unfold")?;
        self.add_one(Unfold { window }, &[x])
    }
    /// The window over the spatial extents of `x [n, c, spatial…]`.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn window_over(&self, x: ValueId, options: &WindowOptions, operation: &str) -> Result<Window> {
        spatial_of(self.shape(x)).and_then(|s| options.resolve(&s)).map_err(|r| self.error_here(operation, r, &[x]))
    }
}
