//! The first layer: few channels in plain order in, blocked channels out.
//!
//! With one or three channels there is nothing to block in the input, so images and bytes are read as they come: the
//! rows that a block of outputs needs are copied into a padded *band*, where every tap is a constant offset. The
//! convolution multiplies broadcast pixels with vectors of 16 filters; its filter gradient broadcast pixels with vectors
//! of 16 output gradients; its input gradient broadcast weights with vectors of 16 neighbouring output gradients. Where a
//! stride lets Winograd's algorithm do it with less work, [`cells`](super::cells) is asked before.

mod band;
mod filter_grad;
mod forward;
mod input_grad;
mod packing;
#[cfg(test)]
mod tests;

pub use band::Pixels;
pub use filter_grad::FirstFilterGradKernel;
pub use forward::FirstConvKernel;
pub use input_grad::FirstInputGradKernel;
pub use packing::FilterBlocks;

use crate::conv::three;
use gabor_tensor::{Axis, ConvGeometry};

/// From this many input channels on, blocked kernels waste no lanes worth speaking of.
const CHANNELS: usize = 16;

/// The window in three dimensions, if the geometry is that of a first layer.
fn axes_of(g: &ConvGeometry) -> Result<[Axis; 3], String> {
    if g.groups != 1 || g.ci >= CHANNELS {
        return Err(format!("{} groups and {} input channels, not one group of less than {CHANNELS}", g.groups, g.ci));
    }
    three(&g.window).map_err(|e| e.to_string())
}
