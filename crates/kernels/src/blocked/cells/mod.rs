//! Strided convolution of pictures without the stride: cells of `s × s` pixels become channels, and Winograd's algorithm
//! does the rest.
//!
//! A window with stride `s` over pixels is one with stride 1 over cells: tap `s·q + r` over pixels is tap `q` of channel
//! `r` of a cell. AlexNet's first layer, 11 × 11 with stride 4, becomes 3 × 3 over 48 channels; that of a ResNet, 7 × 7
//! with stride 2, becomes 4 × 4 over 12. Tiles then need 3 to 5 times fewer products than
//! the direct sums of [`first`](super::first); errors are those of the Winograd convolution.

mod conv;
mod filter;
mod filter_grad;
mod input_grad;
mod pixels;
#[cfg(test)]
mod tests;

pub use conv::CellsConvKernel;
pub use filter::CellsFilter;
pub use filter_grad::CellsFilterGradKernel;
pub use input_grad::CellsInputGradKernel;

use crate::blocked::layout::LANES;
use crate::blocked::winograd::{WinogradTile, best_tile};
use gabor_tensor::{ConvGeometry, WindowOptions};

/// Most channels of what is taken for a picture.
const CHANNELS: usize = 4;
/// Floats of the cells of the images that are convolved at a time: a part of the last level cache.
const CHUNK: usize = 3 << 19;
/// Most floats of cells that a kernel keeps.
const MOST: usize = 1 << 26;

/// A strided convolution of pictures, and the convolution over cells that it becomes.
#[derive(Clone, Debug)]
pub struct Cells {
    /// Over pixels.
    pixels: ConvGeometry,
    /// Over cells.
    cells: ConvGeometry,
    /// Rows and columns of pixels of a cell: the stride, 2 or 4.
    side: usize,
}

impl Cells {
    /// Of pictures of 1 to 4 channels under a window with stride 2 or 4.
    ///
    /// # Errors
    /// Other strides, dilations, groups, more channels, windows of more than 5 cells.
    pub fn new(g: &ConvGeometry) -> Result<Self, String> {
        let [h, w] = g.window.axes() else {
            return Err(format!("cells have 2 dimensions, the window has {}", g.window.rank()));
        };
        if g.groups != 1 || g.ci > CHANNELS {
            return Err(format!("{} groups and {} channels, not 1 and at most {CHANNELS}", g.groups, g.ci));
        }
        let side = h.stride;
        if w.stride != side || ![2, 4].contains(&side) || (h.dilation, w.dilation) != (1, 1) {
            return Err(format!("cells need stride 2 or 4 and dilation 1, not {}", g.window));
        }
        let taps = match h.kernel.max(w.kernel).div_ceil(side) {
            0..=3 => 3,
            cells @ (4 | 5) => cells,
            more => return Err(format!("windows of {more} cells, 5 are the most: {}", g.window)),
        };
        let ci = g.ci * side * side;
        let input = [h, w].map(|a| a.output + taps - 1);
        let cells = ConvGeometry::new(ci, &input, &[g.co, ci, taps, taps], 1, &WindowOptions::new(&[]))
            .map_err(|e| e.to_string())?;
        Ok(Cells { pixels: g.clone(), cells, side })
    }
    /// The tiles that convolve `n` pictures fastest, if that is expected to be faster than direct sums: see
    /// [`winograd_tile`](super::winograd::winograd_tile).
    pub fn tile(&self, n: usize, fixed: bool) -> Option<WinogradTile> {
        // Cycles for a cell of a block.
        const GATHER: f64 = 16.0;
        best_tile(&self.pixels, &self.cells, (n * self.image_len() / LANES) as f64 * GATHER, n, fixed)
    }
    /// Floats of the cells of a picture.
    fn image_len(&self) -> usize {
        self.blocks() * self.cells.window.input_len() * LANES
    }
    fn blocks(&self) -> usize {
        self.cells.ci.div_ceil(LANES)
    }
    /// Floats of the blocked output of a picture.
    fn output_len(&self) -> usize {
        self.cells.co.div_ceil(LANES) * self.cells.window.output_len() * LANES
    }
    /// Floats of a picture.
    fn picture_len(&self) -> usize {
        self.pixels.ci * self.pixels.window.input_len()
    }
    /// Floats of the filters over pixels.
    fn filter_len(&self) -> usize {
        self.pixels.weight_shape().iter().product()
    }
    /// How many of `n` pictures are convolved at a time, so that their cells stay in a cache: a divisor of `n`.
    fn chunk(&self, n: usize) -> usize {
        let most = (CHUNK / self.image_len().max(1)).clamp(1, n.max(1));
        (1..=most).rev().find(|m| n.is_multiple_of(*m)).unwrap_or(1)
    }
    /// Whether the cells of `n` pictures are not too many.
    fn check(&self, n: usize) -> Result<(), String> {
        match n.checked_mul(self.image_len()) {
            Some(len) if len <= MOST => Ok(()),
            _ => Err(format!("cells of {n} pictures need more than {} MiB", MOST >> 18)),
        }
    }
}
