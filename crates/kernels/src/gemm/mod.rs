//! Products of matrices from register tiles.

mod dot;
mod few;
mod kernel;
mod product_map;
mod tile;

pub(crate) use dot::{DotTile, dot_tile, reduce_lanes};
pub use kernel::MatMulKernel;
pub use product_map::{MOST_OTHERS, ProductMapKernel};
pub(crate) use tile::{Block, K_BLOCK, PITCH, Panel, block, tile_rows};
