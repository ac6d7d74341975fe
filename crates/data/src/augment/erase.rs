//! Parts of the picture that are overwritten.

use super::Canvas;
use super::draw::within;
use gabor_tensor::Stream;
use std::ops::Range;

/// A square about a random pixel (DeVries and Taylor 2017), cut at the edges.
pub(super) fn cutout(canvas: &mut Canvas<'_>, side: usize, s: &mut Stream) {
    let [h, w] = canvas.size;
    let span = |centre: usize, n: usize| {
        let first = (centre + side).saturating_sub(side + side / 2);
        first..(centre + side - side / 2).min(n)
    };
    let (rows, columns) = (span(s.below(h), h), span(s.below(w), w));
    overwrite(canvas, rows, columns, None);
}

/// A box of random area and ratio inside the picture (Zhong et al. 2017), as torchvision's RandomErasing draws it: ten
/// tries, then none.
pub(super) fn erase(canvas: &mut Canvas<'_>, area: [f64; 2], ratio: [f64; 2], noise: bool, s: &mut Stream) {
    let [h, w] = canvas.size;
    let (all, logs) = ((h * w) as f64, ratio.map(libm::log));
    for _ in 0..10 {
        let (target, r) = (all * within(s, area), libm::exp(within(s, logs)));
        let (eh, ew) = ((target * r).sqrt().round() as usize, (target / r).sqrt().round() as usize);
        if eh < h && ew < w {
            let (top, left) = (s.below(h - eh + 1), s.below(w - ew + 1));
            return overwrite(canvas, top..top + eh, left..left + ew, noise.then_some(s));
        }
    }
}

/// Fills a box with random bytes, or with the fill colour.
fn overwrite(canvas: &mut Canvas<'_>, rows: Range<usize>, columns: Range<usize>, mut noise: Option<&mut Stream>) {
    let (c, fill, w) = (canvas.channels(), canvas.fill, canvas.size[1]);
    let pixels = canvas.pixels();
    for y in rows {
        let row = &mut pixels[(y * w + columns.start) * c..(y * w + columns.end) * c];
        match &mut noise {
            Some(s) => {
                for four in row.chunks_mut(4) {
                    let bytes = s.next_u32().to_le_bytes();
                    four.copy_from_slice(&bytes[..four.len()]);
                }
            }
            None => row.chunks_exact_mut(c).for_each(|p| p.copy_from_slice(&fill[..c])),
        }
    }
}
