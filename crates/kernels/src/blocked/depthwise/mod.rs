//! Depthwise and grouped convolution within vectors: groups of 1, 2, 4 or 8 channels, as many read as written.
//!
//! An output vector is a sum over taps of input vectors times vectors of weights. Where a group has several channels, an
//! input vector is used once for each of them, spread over the lanes of its group. Rows run in tiles of pixels whose
//! sums stay in registers; see `Slide` (in `slide.rs`) for how rows and columns meet.

mod filter_grad;
mod kernel;
mod packing;
#[cfg(test)]
mod tests;

pub use filter_grad::DepthwiseFilterGradKernel;
pub use kernel::DepthwiseKernel;
pub use packing::DepthwisePacking;

use super::layout::LANES;

/// Smallest task worth handing to another thread, in fused multiply-adds of 16 lanes: some microseconds.
const TASK: usize = 1 << 14;

/// For each channel `j` of a group: the lane from which each lane receives channel `j` of its own group, as bits.
fn spreads(size: usize) -> Vec<[f32; LANES]> {
    (0..size).map(|j| std::array::from_fn(|l| f32::from_bits((l / size * size + j) as u32))).collect()
}
