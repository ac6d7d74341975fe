//! What each operation on pixels does to a canvas.

use super::draw::symmetric;
use super::{Canvas, Operation};
use gabor_tensor::Stream;

impl Operation {
    pub(super) fn run_on_pixels(&self, canvas: &mut Canvas<'_>, s: &mut Stream) {
        match *self {
            Operation::Brightness { by } => {
                let factor = (1.0 + symmetric(s, by)).max(0.0);
                replace(canvas.pixels(), |v| v * factor);
            }
            Operation::Contrast { by } => {
                let factor = (1.0 + symmetric(s, by)).max(0.0);
                let pixels = canvas.pixels();
                let sum: u64 = pixels.iter().map(|&v| u64::from(v)).sum();
                let mean = sum as f64 / pixels.len().max(1) as f64;
                replace(pixels, |v| mean + (v - mean) * factor);
            }
            Operation::Cutout { side } => {
                let ([h, w], side) = (canvas.size, side as usize);
                let span = |centre: usize, n: usize| {
                    let first = (centre + side).saturating_sub(side + side / 2);
                    first..(centre + side - side / 2).min(n)
                };
                let (rows, columns) = (span(s.below(h), h), span(s.below(w), w));
                let (c, fill) = (canvas.channels(), canvas.fill);
                let pixels = canvas.pixels();
                for y in rows {
                    for p in pixels[(y * w + columns.start) * c..(y * w + columns.end) * c].chunks_exact_mut(c) {
                        p.copy_from_slice(&fill[..c]);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Replaces every value by a function of it, through a table.
fn replace(pixels: &mut [u8], f: impl Fn(f64) -> f64) {
    let table: [u8; 256] = std::array::from_fn(|v| f(v as f64) as u8);
    for v in pixels {
        *v = table[usize::from(*v)];
    }
}
