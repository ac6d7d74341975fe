//! L∞ pooling.

use super::{MaxPool, sample_window, want_type};
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Rule, Unary, Window, WindowOptions};

operation! {
    /// L∞ pooling: `y[n, c, o] = max_k |x[n, c, s·o + d·k - p]|`, the limit of Lp pooling for p → ∞.
    ///
    /// Shapes: x `[n, c, spatial…]` → y `[n, c, spatial…]`.
    pub struct LinfPool("linf_pool", ["x"]) {
        /// The sliding window.
        window: Window,
    }
}

impl Operation for LinfPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        let mut outputs = MaxPool { window: self.window.clone() }.infer(inputs)?;
        outputs.truncate(1);
        Ok(outputs)
    }
    fn notes(&self) -> Vec<String> {
        self.window.notes()
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        let size = g.unary(Unary::Abs, inputs[0]);
        Some(size.and_then(|s| g.add_node(MaxPool { window: self.window.clone() }, &[s])).map(|y| vec![y[0]]))
    }
    fn samples() -> Vec<Problem> {
        let p = |w: &str, x: &str| Problem::new(LinfPool { window: sample_window(w) }).f32(x);
        let distinct =
            |w: &str, x: &str| Problem::new(LinfPool { window: sample_window(w) }).input(x, DType::F32, Fill::Positive);
        vec![p("in4,4/k2,2/s2,2/d1,1/p0:0,0:0", "nx3x4x4"), distinct("in7/k3/s2/d1/p1:1", "nx2x7")]
    }
}

impl Graph {
    /// max |x| over the windows of `x [n, c, spatial…]`.
    ///
    /// # Errors
    /// A window that does not fit.
    pub fn linf_pool(&mut self, x: ValueId, options: &WindowOptions) -> Result<ValueId> {
        let window = self.window_over(x, options, "linf_pool")?;
        self.add_one(LinfPool { window }, &[x])
    }
}
