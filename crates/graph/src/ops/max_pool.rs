//! Max pooling.

use super::{MaxUnpool, sample_window, spatial_shape, want_spatial, want_type};
use crate::{Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule, Window, WindowOptions};

operation! {
    /// Max pooling with its switches: the place of each maximum.
    ///
    /// `y[n, c, o] = max_k x[n, c, s·o + d·k - p]`; padding never wins. The second output holds, as flat indices into
    /// the input plane, where the first maximum in scan order was; the backward pass and Zeiler and Fergus's deconvnet
    /// use it. Shapes: x `[n, c, spatial…]` → y, switches (i32) `[n, c, spatial…]`.
    pub struct MaxPool("max_pool", ["x"]) {
        /// The sliding window.
        window: Window,
    }
}

impl Operation for MaxPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        if let Some(a) = self.window.axes().iter().find(|a| a.pad_begin >= a.reach() || a.pad_end >= a.reach()) {
            return Err(Rule::new(format!(
                "padding {}:{} must be smaller than the window's reach {}, or a window holds padding alone",
                a.pad_begin,
                a.pad_end,
                a.reach()
            )));
        }
        let (n, c) = want_spatial("x", &inputs[0].shape, &self.window.input())?;
        let y = ValueType::f32(spatial_shape(n, c, self.window.output()));
        let switches = y.with(DType::I32);
        Ok(vec![y, switches])
    }
    fn notes(&self) -> Vec<String> {
        self.window.notes()
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let dx = cx.graph.add_one(MaxUnpool { window: self.window.clone() }, &[dy, cx.outputs[1]])?;
        Ok(GradientOf::Inputs(vec![Some(dx)]))
    }
    fn samples() -> Vec<Problem> {
        let p =
            |w: &str, x: &str| Problem::new(MaxPool { window: sample_window(w) }).input(x, DType::F32, Fill::Distinct);
        vec![
            p("in4,4/k2,2/s2,2/d1,1/p0:0,0:0", "nx3x4x4"),
            p("in7,6/k3,3/s2,2/d1,1/p1:1,1:1", "nx2x7x6"),
            p("in5,5/k3,3/s1,1/d1,1/p0:0,0:0", "nx2x5x5"),
            p("in6,6/k2,2/s3,3/d1,1/p0:0,0:0", "nx1x6x6"),
            p("in6,5/k3,2/s2,2/d1,1/p0:0,0:0/ceil", "nx2x6x5"),
            p("in9,9/k3,3/s1,2/d2,2/p1:2,2:1", "nx1x9x9"),
            p("in7/k3/s2/d1/p1:0", "nx2x7"),
            p("in4,4,4/k2,2,2/s2,2,2/d1,1,1/p0:0,0:0,0:0", "nx1x4x4x4"),
        ]
    }
}

impl Graph {
    /// Max pooling of `x [n, c, spatial…]`; returns the maxima and their switches.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn max_pool_with_switches(&mut self, x: ValueId, options: &WindowOptions) -> Result<(ValueId, ValueId)> {
        let window = self.window_over(x, options, "max_pool")?;
        let out = self.add_node(MaxPool { window }, &[x])?;
        Ok((out[0], out[1]))
    }
    /// Max pooling of `x [n, c, spatial…]`.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn max_pool(&mut self, x: ValueId, options: &WindowOptions) -> Result<ValueId> {
        Ok(self.max_pool_with_switches(x, options)?.0)
    }
}
