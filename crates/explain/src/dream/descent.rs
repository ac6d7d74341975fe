//! The seam between what is minimised and how: style transfer knows its loss, and whoever calls it knows a way down.

use crate::Result;

/// A function of a picture's values: writes its gradient and returns its value. An error ends the work.
pub type Loss<'a> = dyn FnMut(&[f32], &mut [f32]) -> Result<f64> + 'a;

/// A way down. [`Adam`](super::Adam) is one.
pub trait Descent {
    /// Goes down from `x`, in place, by at most so many evaluations of the loss. Values stay from 0 to 1.
    ///
    /// # Errors
    /// Those of the loss.
    fn descend(&mut self, x: &mut [f32], evaluations: usize, loss: &mut Loss<'_>) -> Result<()>;
}
