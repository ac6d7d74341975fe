//! Pooling and its adjoints.
//!
//! Windows of 2 × 2 with stride 2 work on pairs of rows in registers. All other windows bring each input row into
//! [`rows`]: padded, and split by the stride, so that a tap of neighbouring windows is a vector of neighbours.

mod avg;
mod max;
mod rows;
#[cfg(test)]
mod tests;
mod unpool;

pub use avg::{AvgPoolGradKernel, AvgPoolKernel};
pub use max::MaxPoolKernel;
pub use unpool::{MaxPoolGatherKernel, MaxUnpoolKernel};

use gabor_tensor::Window;

/// Extents of a pooling with windows of 2 × 2, stride 2, that all lie inside the input.
#[derive(Clone, Copy, Debug)]
struct Quads {
    width: usize,
    rows: usize,
    columns: usize,
}

impl Quads {
    fn new(window: &Window) -> Option<Self> {
        let [y, x] = window.axes() else { return None };
        let fits = |a: &gabor_tensor::Axis| {
            (a.kernel, a.stride, a.dilation, a.pad_begin) == (2, 2, 1, 0) && 2 * a.output <= a.input
        };
        (fits(y) && fits(x)).then_some(Quads { width: x.input, rows: y.output, columns: x.output })
    }
}
