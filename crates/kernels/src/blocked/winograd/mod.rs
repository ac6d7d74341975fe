//! Winograd convolution: the tiles of a plane are transformed, multiplied point by point with the transformed filter, and
//! transformed back.
//!
//! Errors are a few times those of direct convolution, and an infinity or NaN spreads over its tile.

mod choice;
mod conv;
mod filter;
mod filter_grad;
mod plan;
mod product;
mod square;
mod transform;
mod transform5;

pub use choice::winograd_tile;
pub use conv::WinogradConvKernel;
pub use filter::WinogradFilter;
pub use filter_grad::WinogradFilterGradKernel;

/// Which algorithm: outputs per tile, for the taps of a window of 3 or 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WinogradTile {
    /// F(2x2, 3x3) with 2.25 times fewer products than direct convolution, F(2x2, 5x5) with 2.8 times fewer.
    F2,
    /// F(4x4, 3x3) with 4 times fewer, F(4x4, 5x5) with 6.25 times fewer.
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
