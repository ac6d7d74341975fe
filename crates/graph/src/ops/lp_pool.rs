//! Lp pooling.

use super::{AvgPoolGrad, sample_window, spatial_shape, want_spatial, want_type};
use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Binary, DType, PoolDivisor, Rule, Unary, Window, WindowOptions};

operation! {
    /// Lp pooling: `y[n, c, o] = (Σ_k |x[n, c, s·o + d·k - p]|^p)^(1/p)`; with p = 2 the L2 norm of the lectures.
    ///
    /// Shapes: x `[n, c, spatial…]` → y `[n, c, spatial…]`; padding is zero. The derivative of an all-zero window is 0.
    /// Source: lecture `000_…` (pooling by L2 norm), Sermanet et al. 2012. p = 1 is sum pooling of |x|; for p → ∞ see
    /// [`LinfPool`](super::LinfPool).
    pub struct LpPool("lp_pool", ["x"]) {
        /// The exponent, at least 1.
        p: f64,
        /// The sliding window.
        window: Window,
    }
}

/// An error unless the exponent is one of a norm.
pub(super) fn want_exponent(p: f64) -> Result<(), Rule> {
    if p.is_finite() && p >= 1.0 {
        return Ok(());
    }
    Err(Rule::new(format!("exponent p is {p}")).right("a finite number of at least 1, or linf pooling"))
}

/// |x|^p for a constant p.
fn power(g: &mut Graph, x: ValueId, p: f64) -> Result<ValueId> {
    if p == 1.0 {
        return g.unary(Unary::Abs, x);
    }
    if p == 2.0 {
        return g.unary(Unary::Square, x);
    }
    let size = g.unary(Unary::Abs, x)?;
    let p = g.number(p);
    g.binary(Binary::Pow, size, p)
}

impl LpPool {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let powers = power(g, x, self.p)?;
        let sum_pool = super::AvgPool { window: self.window.clone(), divisor: PoolDivisor::One };
        let sums = g.add_one(sum_pool, &[powers])?;
        match self.p {
            1.0 => Ok(sums),
            2.0 => g.unary(Unary::Sqrt, sums),
            p => power(g, sums, 1.0 / p),
        }
    }
}

impl Operation for LpPool {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_exponent(self.p)?;
        want_type("x", &inputs[0], DType::F32)?;
        let (n, c) = want_spatial("x", &inputs[0].shape, &self.window.input())?;
        Ok(vec![ValueType::f32(spatial_shape(n, c, self.window.output()))])
    }
    fn notes(&self) -> Vec<String> {
        self.window.notes()
    }
    /// `dx = sign(x)·|x|^(p-1) · Σ_o dy[o] / y[o]^(p-1)`, windows with y = 0 left out.
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let (x, y) = (cx.inputs[0], cx.outputs[0]);
        let g = &mut *cx.graph;
        let zero = g.number(0.0);
        let empty = g.equal(y, zero)?;
        let safe = g.add(y, empty)?;
        let norm = power(g, safe, self.p - 1.0)?;
        let share = g.div(dy, norm)?;
        let share = g.gate(share, y)?;
        let spread = AvgPoolGrad { window: self.window.clone(), divisor: PoolDivisor::One };
        let spread = g.add_one(spread, &[share])?;
        let along = if self.p == 2.0 {
            x
        } else {
            let sign = g.unary(Unary::Sign, x)?;
            let size = power(g, x, self.p - 1.0)?;
            g.mul(sign, size)?
        };
        Ok(GradientOf::Inputs(vec![Some(g.mul(spread, along)?)]))
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |p, w: &str, x: &str| Problem::new(LpPool { p, window: sample_window(w) }).f32(x);
        vec![
            p(2.0, "in4,4/k2,2/s2,2/d1,1/p0:0,0:0", "nx3x4x4"),
            p(3.0, "in5,5/k3,3/s1,1/d1,1/p1:1,0:1", "nx2x5x5"),
            p(1.5, "in7/k3/s2/d1/p1:0", "nx2x7"),
            p(1.0, "in6/k2/s2/d1/p0:0/ceil", "nx2x6"),
        ]
    }
}

impl Graph {
    /// (Σ |x|ᵖ)^(1/p) over the windows of `x [n, c, spatial…]`.
    ///
    /// # Errors
    /// A window that does not fit, or an exponent below 1.
    pub fn lp_pool(&mut self, x: ValueId, p: f64, options: &WindowOptions) -> Result<ValueId> {
        let window = self.window_over(x, options, "lp_pool")?;
        self.add_one(LpPool { p, window }, &[x])
    }
}
