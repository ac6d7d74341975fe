//! Local response normalisation.

use super::{AvgPool, activation::want_positive, spatial_of, want_type};
use crate::{Cost, Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Binary, DType, Dim, Padding, PoolDivisor, Rule, Shape, Unary, WindowOptions};

operation! {
    /// Local response normalisation across channels (AlexNet, Krizhevsky et al. 2012):
    /// `y[n, c, …] = x[n, c, …] / (k + alpha/size · Σ_j x[n, j, …]²)^beta`, the sum over `size` channels around c.
    ///
    /// Shapes: x and y `[n, c, spatial…]`. As in PyTorch (and ONNX) alpha is divided by the size; the paper's
    /// alpha = 1e-4 for size 5 is alpha = 5e-4 here. The window has `size/2` channels before c and `(size-1)/2` after.
    pub struct LocalResponseNorm("local_response_norm", ["x"]) {
        /// Number of channels of the window.
        size: usize,
        /// Factor of the mean square (times the window's size, see above).
        alpha: f64,
        /// Exponent.
        beta: f64,
        /// Added to the sum.
        k: f64,
    }
}

impl LocalResponseNorm {
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let shape = g.shape(x).clone();
        let (n, c) = (shape.0[0], shape.0[1]);
        let rest = spatial_of(&shape).map_err(|r| g.error_here("local_response_norm", r, &[x]))?.iter().product();
        // The channels become the rows of one plane, so the window runs over them.
        let square = g.unary(Unary::Square, x)?;
        let rows = g.reshape(square, &Shape(vec![n, Dim::Fixed(1), c, Dim::Fixed(rest)]))?;
        let pads = Padding::Explicit(vec![(self.size / 2, (self.size - 1) / 2), (0, 0)]);
        let window = g.window_over(rows, &WindowOptions::new(&[self.size, 1]).padding(pads), "local_response_norm")?;
        let mean = g.add_one(AvgPool { window, divisor: PoolDivisor::CountIncludePad }, &[rows])?;
        let mean = g.reshape(mean, &shape)?;
        let scaled = g.scale(mean, self.alpha)?;
        let base = g.shift(scaled, self.k)?;
        let beta = g.number(self.beta);
        let divisor = g.binary(Binary::Pow, base, beta)?;
        g.div(x, divisor)
    }
}

impl Operation for LocalResponseNorm {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        spatial_of(&inputs[0].shape)?;
        if self.size == 0 || self.size > 1 << 20 {
            return Err(Rule::new(format!("a window of {} channels", self.size)).right("at least 1"));
        }
        want_positive("k", self.k)?;
        if !(self.alpha.is_finite() && self.alpha >= 0.0 && self.beta.is_finite()) {
            return Err(
                Rule::new(format!("alpha {} and beta {}", self.alpha, self.beta)).right("alpha ≥ 0, beta finite")
            );
        }
        Ok(inputs.to_vec())
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn cost(&self, inputs: &[ValueType], _outputs: &[ValueType], n: usize) -> Cost {
        Cost { flops: (self.size + 5) as u64 * inputs[0].shape.len_at(n) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let p = |size, alpha, x: &str| Problem::new(LocalResponseNorm { size, alpha, beta: 0.75, k: 2.0 }).f32(x);
        vec![p(5, 5e-4, "nx7x2x3"), p(4, 0.5, "nx6x3"), p(5, 1.0, "nx2x2x2")]
    }
}

impl Graph {
    /// Local response normalisation of `x [n, c, spatial…]`; AlexNet: size 5, alpha 5e-4, beta 0.75, k 2.
    ///
    /// # Errors
    /// A value without spatial dimensions, or a constant out of range.
    pub fn local_response_norm(&mut self, x: ValueId, size: usize, alpha: f64, beta: f64, k: f64) -> Result<ValueId> {
        self.add_one(LocalResponseNorm { size, alpha, beta, k }, &[x])
    }
}
