//! Adagrad.

use super::{Optimiser, Update};
use crate::Result;
use gabor_graph::{Initializer, ValueId};
use gabor_tensor::Unary;

/// Adagrad (Duchi, Hazan and Singer 2011): s ← s + g², w ← w − η g / (√s + ε).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adagrad {
    /// The rate at step t is η / (1 + (t − 1)·lr_decay).
    pub lr_decay: f64,
    /// s before the first step.
    pub initial: f64,
    /// ε.
    pub eps: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad { lr_decay: 0.0, initial: 0.0, eps: 1e-10 }
    }
}

impl Optimiser for Adagrad {
    fn name(&self) -> &'static str {
        "adagrad"
    }
    fn default_lr(&self) -> f64 {
        0.01
    }
    fn scalars(&self, t: u64, lr: f64) -> Vec<(&'static str, f64)> {
        vec![("lr", lr), ("step_size", lr / (1.0 + t.saturating_sub(1) as f64 * self.lr_decay))]
    }
    fn delta(&self, u: &mut Update<'_>) -> Result<ValueId> {
        let step_size = u.rate("step_size")?;
        let sum = u.state_of("square_sum", Initializer::Constant(self.initial))?;
        let square = u.graph.unary(Unary::Square, u.gradient)?;
        let new = u.graph.add(sum, square)?;
        u.graph.update(sum, new)?;
        let root = u.graph.unary(Unary::Sqrt, new)?;
        let root = u.graph.shift(root, self.eps)?;
        let d = u.graph.div(u.gradient, root)?;
        Ok(u.graph.mul(d, step_size)?)
    }
}
