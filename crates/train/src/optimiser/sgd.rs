//! Stochastic gradient descent, with both forms of momentum.

use super::{Optimiser, Update};
use crate::Result;
use gabor_graph::ValueId;

/// Where the learning rate stands in a momentum update. For a constant rate both forms give the same weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MomentumForm {
    /// v ← μv + (1 − d)g, w ← w − ηv: PyTorch's, and that of lecture 7.
    #[default]
    RateOutside,
    /// v ← μv − η(1 − d)g, w ← w + v: the classical form (Polyak 1964; Sutskever et al. 2013), and that of lecture 4. A
    /// change of the learning rate acts on new gradients alone.
    RateInside,
}

/// Gradient descent: w ← w − ηg, with momentum μ and dampening d (lecture 4's Δ ← wg + (1 − w)Δ is μ = d = 1 − w).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// μ; 0 keeps no memory.
    pub momentum: f64,
    /// d, the part of a new gradient that is left out; the first step takes all of it, as in PyTorch.
    pub dampening: f64,
    /// Nesterov's form, PyTorch's approximation: w ← w − η(g + μv).
    pub nesterov: bool,
    /// Where the learning rate stands.
    pub form: MomentumForm,
}

impl Default for Sgd {
    fn default() -> Self {
        Sgd { momentum: 0.0, dampening: 0.0, nesterov: false, form: MomentumForm::RateOutside }
    }
}

impl Optimiser for Sgd {
    fn name(&self) -> &'static str {
        match (self.nesterov, self.momentum > 0.0) {
            (true, _) => "nesterov",
            (false, true) => "momentum",
            (false, false) => "sgd",
        }
    }
    fn default_lr(&self) -> f64 {
        if self.momentum > 0.0 { 0.01 } else { 0.1 }
    }
    fn scalars(&self, t: u64, lr: f64) -> Vec<(&'static str, f64)> {
        let mut all = vec![("lr", lr)];
        if self.dampening != 0.0 {
            all.push(("undamped", if t <= 1 { 1.0 } else { 1.0 - self.dampening }));
        }
        all
    }
    fn delta(&self, u: &mut Update<'_>) -> Result<ValueId> {
        let lr = u.rate("lr")?;
        let gradient = u.gradient;
        if self.momentum == 0.0 {
            return Ok(u.graph.mul(gradient, lr)?);
        }
        let fresh = if self.dampening == 0.0 {
            gradient
        } else {
            let undamped = u.scalar("undamped")?;
            u.graph.mul(gradient, undamped)?
        };
        let inside = self.form == MomentumForm::RateInside;
        let scaled = |u: &mut Update<'_>, v: ValueId, here: bool| if here { u.graph.mul(v, lr) } else { Ok(v) };
        // With the rate inside, the state is what is subtracted: −v of the classical form.
        let v = u.state("momentum")?;
        let fresh = scaled(u, fresh, inside)?;
        let new = u.combine(self.momentum, v, 1.0, fresh)?;
        u.graph.update(v, new)?;
        let step = if self.nesterov {
            let ahead = scaled(u, gradient, inside)?;
            u.combine(self.momentum, new, 1.0, ahead)?
        } else {
            new
        };
        Ok(scaled(u, step, !inside)?)
    }
}
