//! Adam (Kingma and Ba 2015), upwards and down.

use super::{Descent, Loss};
use crate::Result;

/// First and second moments of numbers that are optimised.
#[derive(Clone, Debug)]
pub struct Adam {
    rate: f32,
    step: i32,
    moments: Vec<[f32; 2]>,
}

const BETA: [f32; 2] = [0.9, 0.999];
const EPS: f32 = 1e-8;

impl Adam {
    /// At a learning rate.
    pub fn new(rate: f64) -> Self {
        Adam { rate: rate as f32, step: 0, moments: Vec::new() }
    }
    /// One step along the gradient of numbers that are always as many.
    pub(crate) fn climb(&mut self, parameters: &mut [f32], gradient: &[f32]) {
        self.moments.resize(parameters.len(), [0.0; 2]);
        self.step += 1;
        let power = |b: f32| 1.0 - libm::pow(f64::from(b), f64::from(self.step));
        let (one, two) = (power(BETA[0]), power(BETA[1]));
        let rate = (f64::from(self.rate) / one) as f32;
        let root = (1.0 / two.sqrt()) as f32;
        for ((p, &g), m) in parameters.iter_mut().zip(gradient).zip(&mut self.moments) {
            m[0] = BETA[0] * m[0] + (1.0 - BETA[0]) * g;
            m[1] = BETA[1] * m[1] + (1.0 - BETA[1]) * g * g;
            *p += rate * m[0] / (m[1].sqrt() * root + EPS);
        }
    }
}

impl Descent for Adam {
    fn descend(&mut self, x: &mut [f32], evaluations: usize, loss: &mut Loss<'_>) -> Result<()> {
        let mut d = vec![0.0; x.len()];
        for _ in 0..evaluations {
            loss(x, &mut d)?;
            // Upwards is away from the loss.
            d.iter_mut().for_each(|v| *v = -*v);
            self.climb(x, &d);
            x.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
        }
        Ok(())
    }
}
