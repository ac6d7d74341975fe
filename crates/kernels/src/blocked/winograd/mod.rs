//! Winograd convolution: the tiles of a plane are transformed, multiplied point by point with the transformed filter, and
//! transformed back.
//!
//! Errors are a few times those of direct convolution, and an infinity or NaN spreads over its tile.

mod choice;
#[macro_use]
mod dispatch;
mod conv;
mod filter;
mod filter_grad;
mod plan;
mod product;
mod square;
mod tiling;
mod transform;
mod transform5;

pub(super) use choice::best_tile;
pub use choice::winograd_tile;
pub use conv::WinogradConvKernel;
pub use filter::WinogradFilter;
pub use filter_grad::WinogradFilterGradKernel;

/// Which algorithm: outputs per tile, for the taps of a window of 3, 4 or 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WinogradTile {
    /// F(2x2, 3x3) with 2.25 times fewer products than direct convolution; 2.6 times fewer for 4x4, 2.8 for 5x5.
    F2,
    /// F(4x4, 3x3) with 4 times fewer; 5.2 times fewer for 4x4, 6.25 for 5x5, 1.33 for 3x3 with a stride of 2.
    F4,
}

impl WinogradTile {
    /// Rows and columns of outputs of a tile.
    fn outputs(self) -> usize {
        match self {
            WinogradTile::F2 => 2,
            WinogradTile::F4 => 4,
        }
    }
}

#[cfg(test)]
mod tests;
