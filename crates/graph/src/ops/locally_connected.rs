//! Locally connected layer.

use super::{Unfold, sample_window, spatial_shape, want_spatial, want_type};
use crate::{Cost, Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule, Window, WindowOptions};

operation! {
    /// A convolution without weight sharing: every output position has filters of its own (lecture `004_…`; Taigman et
    /// al. 2014). `y[n, co, o] = Σ_r columns(x)[n, r, o] · w[o, co, r]` with im2col's columns.
    ///
    /// Shapes: x `[n, ci, spatial…]`, w `[outputs, co, ci·kernel]` with outputs the product of y's extents,
    /// y `[n, co, spatial…]`. Padding is zero. Cost: 2·n·co·ci·kernel·outputs, as the convolution.
    pub struct LocallyConnected("locally_connected", ["x", "w"]) {
        /// The sliding window.
        window: Window,
    }
}

impl LocallyConnected {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId, w: ValueId) -> Result<ValueId> {
        let n = g.shape(x).0[0];
        let co = g.shape(w).0[1];
        let columns = g.add_one(Unfold { window: self.window.clone() }, &[x])?;
        let columns = g.transpose(columns, &[2, 0, 1])?;
        let y = g.matmul(columns, w, false, true)?;
        let y = g.transpose(y, &[1, 2, 0])?;
        g.reshape(y, &spatial_shape(n, co, self.window.output()))
    }
}

impl Operation for LocallyConnected {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        want_type("w", &inputs[1], DType::F32)?;
        let (n, c) = want_spatial("x", &inputs[0].shape, &self.window.input())?;
        let (outputs, kernel) = (self.window.output_len(), self.window.kernel_len());
        let columns = c.fixed().map(|c| c.saturating_mul(kernel));
        match inputs[1].shape.dims() {
            &[Dim::Fixed(o), co @ Dim::Fixed(_), Dim::Fixed(r)] if o == outputs && Some(r) == columns => {
                Ok(vec![ValueType::f32(spatial_shape(n, co, self.window.output()))])
            }
            _ => Err(Rule::new(format!("a weight {} for {outputs} output positions", inputs[1].shape))
                .right(format!("[{outputs}, co, {}]: positions, filters, {c}·{kernel}", columns.unwrap_or(kernel)))),
        }
    }
    fn notes(&self) -> Vec<String> {
        self.window.notes()
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0], inputs[1]).map(|y| vec![y]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: 2 * (inputs[0].shape.0[0].at(n) * inputs[1].shape.len_at(n)) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |w: &str, x: &str, weight: &str| {
            Problem::new(LocallyConnected { window: sample_window(w) }).f32(x).f32(weight)
        };
        vec![p("in4,5/k3,2/s1,2/d1,1/p1:0,0:0", "nx2x4x5", "6x3x12"), p("in6/k3/s1/d1/p0:0", "nx2x6", "4x3x6")]
    }
}

impl Graph {
    /// A convolution of `x [n, ci, spatial…]` without weight sharing: w `[outputs, co, ci·kernel]`.
    ///
    /// # Errors
    /// A window or weight that does not fit.
    pub fn locally_connected(&mut self, x: ValueId, w: ValueId, options: &WindowOptions) -> Result<ValueId> {
        let window = self.window_over(x, options, "locally_connected")?;
        self.add_one(LocallyConnected { window }, &[x, w])
    }
}
