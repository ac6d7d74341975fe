//! RMSProp.

use super::{Optimiser, Update};
use crate::Result;
use gabor_graph::ValueId;
use gabor_tensor::Unary;

/// RMSProp (Hinton 2012): s ← αs + (1 − α)g², w ← w − η g / (√s + ε); centred, s is reduced by the square of the
/// average gradient; with momentum μ, v ← μv + g / (√s + ε), w ← w − ηv.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RmsProp {
    /// α.
    pub alpha: f64,
    /// ε, added to the root.
    pub eps: f64,
    /// μ; 0 keeps no memory of the direction.
    pub momentum: f64,
    /// Whether the variance of the gradient is used instead of its mean square.
    pub centred: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp { alpha: 0.99, eps: 1e-8, momentum: 0.0, centred: false }
    }
}

impl Optimiser for RmsProp {
    fn name(&self) -> &'static str {
        "rmsprop"
    }
    fn default_lr(&self) -> f64 {
        0.01
    }
    fn scalars(&self, _t: u64, lr: f64) -> Vec<(&'static str, f64)> {
        vec![("lr", lr)]
    }
    fn delta(&self, u: &mut Update<'_>) -> Result<ValueId> {
        let lr = u.rate("lr")?;
        let average = u.state("square_average")?;
        let square = u.graph.unary(Unary::Square, u.gradient)?;
        let mut spread = u.combine(self.alpha, average, 1.0 - self.alpha, square)?;
        u.graph.update(average, spread)?;
        if self.centred {
            let mean = u.state("average")?;
            let new = u.combine(self.alpha, mean, 1.0 - self.alpha, u.gradient)?;
            u.graph.update(mean, new)?;
            let square = u.graph.unary(Unary::Square, new)?;
            spread = u.graph.sub(spread, square)?;
        }
        let root = u.graph.unary(Unary::Sqrt, spread)?;
        let root = u.graph.shift(root, self.eps)?;
        let mut step = u.graph.div(u.gradient, root)?;
        if self.momentum > 0.0 {
            let v = u.state("momentum")?;
            step = u.combine(self.momentum, v, 1.0, step)?;
            u.graph.update(v, step)?;
        }
        Ok(u.graph.mul(step, lr)?)
    }
}
