//! Winograd convolution: the tiles of a plane are transformed, multiplied point by point with the transformed filter, and
//! transformed back.
//!
//! Errors are a few times those of direct convolution, and an infinity or NaN spreads over its tile.

mod conv;
mod filter;
mod filter_grad;
mod plan;
mod product;
mod square;
mod transform;

pub use conv::WinogradConvKernel;
pub use filter::WinogradFilter;
pub use filter_grad::WinogradFilterGradKernel;

/// Which algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WinogradTile {
    /// F(2x2, 3x3): 2.25 times fewer products than direct convolution.
    F2,
    /// F(4x4, 3x3): 4 times fewer.
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
    /// Rows and columns of the filter.
    fn taps(self) -> usize {
        3
    }
}

#[cfg(test)]
mod tests;
