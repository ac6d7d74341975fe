//! Adam (Kingma and Ba 2015), upwards.

/// First and second moments of numbers that are optimised.
pub(crate) struct Adam {
    rate: f32,
    step: i32,
    moments: Vec<[f32; 2]>,
}

const BETA: [f32; 2] = [0.9, 0.999];
const EPS: f32 = 1e-8;

impl Adam {
    pub(crate) fn new(count: usize, rate: f64) -> Self {
        Adam { rate: rate as f32, step: 0, moments: vec![[0.0; 2]; count] }
    }
    /// One step along the gradient.
    pub(crate) fn climb(&mut self, parameters: &mut [f32], gradient: &[f32]) {
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
