//! Adam and AdamW.

use super::{Optimiser, Update};
use crate::Result;
use gabor_graph::ValueId;
use gabor_tensor::Unary;

/// Adam (Kingma and Ba 2015): m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g²,
/// w ← w − η/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε). AdamW (Loshchilov and Hutter 2019) shrinks w by ηλ directly instead
/// of adding λw to the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// β₁ and β₂.
    pub betas: (f64, f64),
    /// ε.
    pub eps: f64,
    /// AMSGrad (Reddi et al. 2018): the largest v so far takes v's place in the step.
    pub amsgrad: bool,
    /// Whether weight decay is decoupled from the gradient: AdamW.
    pub decoupled: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { betas: (0.9, 0.999), eps: 1e-8, amsgrad: false, decoupled: false }
    }
}

impl Adam {
    /// AdamW.
    pub fn decoupled() -> Self {
        Adam { decoupled: true, ..Default::default() }
    }
}

impl Optimiser for Adam {
    fn name(&self) -> &'static str {
        if self.decoupled { "adamw" } else { "adam" }
    }
    fn default_lr(&self) -> f64 {
        0.001
    }
    fn decoupled(&self) -> bool {
        self.decoupled
    }
    fn scalars(&self, t: u64, lr: f64) -> Vec<(&'static str, f64)> {
        let power = |beta: f64| libm::pow(beta, t as f64);
        let (first, second) = (1.0 - power(self.betas.0), 1.0 - power(self.betas.1));
        vec![("lr", lr), ("step_size", lr / first), ("inverse_root", 1.0 / second.sqrt())]
    }
    fn delta(&self, u: &mut Update<'_>) -> Result<ValueId> {
        let step_size = u.rate("step_size")?;
        let inverse_root = u.scalar("inverse_root")?;
        let mean = u.state("average")?;
        let average = u.state("square_average")?;
        let new_mean = u.combine(self.betas.0, mean, 1.0 - self.betas.0, u.gradient)?;
        u.graph.update(mean, new_mean)?;
        let square = u.graph.unary(Unary::Square, u.gradient)?;
        let mut spread = u.combine(self.betas.1, average, 1.0 - self.betas.1, square)?;
        u.graph.update(average, spread)?;
        if self.amsgrad {
            let most = u.state("square_average_max")?;
            spread = u.graph.maximum(most, spread)?;
            u.graph.update(most, spread)?;
        }
        let root = u.graph.unary(Unary::Sqrt, spread)?;
        let root = u.graph.mul(root, inverse_root)?;
        let root = u.graph.shift(root, self.eps)?;
        let d = u.graph.div(new_mean, root)?;
        Ok(u.graph.mul(d, step_size)?)
    }
}
