//! Adadelta.

use super::{Optimiser, Update};
use crate::Result;
use gabor_graph::ValueId;
use gabor_tensor::Unary;

/// Adadelta (Zeiler 2012): s ← ρs + (1 − ρ)g², Δ = √(a + ε) / √(s + ε) · g, a ← ρa + (1 − ρ)Δ², w ← w − ηΔ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adadelta {
    /// ρ.
    pub rho: f64,
    /// ε, inside both roots.
    pub eps: f64,
}

impl Default for Adadelta {
    fn default() -> Self {
        Adadelta { rho: 0.9, eps: 1e-6 }
    }
}

impl Optimiser for Adadelta {
    fn name(&self) -> &'static str {
        "adadelta"
    }
    fn default_lr(&self) -> f64 {
        1.0
    }
    fn scalars(&self, _t: u64, lr: f64) -> Vec<(&'static str, f64)> {
        vec![("lr", lr)]
    }
    fn delta(&self, u: &mut Update<'_>) -> Result<ValueId> {
        let lr = u.rate("lr")?;
        let average = u.state("square_average")?;
        let steps = u.state("step_average")?;
        let square = u.graph.unary(Unary::Square, u.gradient)?;
        let new = u.combine(self.rho, average, 1.0 - self.rho, square)?;
        u.graph.update(average, new)?;
        let above = u.graph.shift(steps, self.eps)?;
        let above = u.graph.unary(Unary::Sqrt, above)?;
        let below = u.graph.shift(new, self.eps)?;
        let below = u.graph.unary(Unary::Sqrt, below)?;
        let ratio = u.graph.div(above, below)?;
        let step = u.graph.mul(ratio, u.gradient)?;
        let square = u.graph.unary(Unary::Square, step)?;
        let new = u.combine(self.rho, steps, 1.0 - self.rho, square)?;
        u.graph.update(steps, new)?;
        Ok(u.graph.mul(step, lr)?)
    }
}
