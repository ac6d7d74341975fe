//! Kernels on blocked tensors: `[N][C/16][spatial…][16]`, one vector of 16 channels after the other.
//!
//! [`Blocked`] says where an element lies. A vector holds the same 16 channels of one pixel on every instruction set, so
//! sums run in the same order everywhere. Lanes beyond the last channel are zero: every kernel writes them so, and may
//! rely on it. Filters are read in an order of the kernel's own, its [`Packing`].

pub mod cells;
pub mod depthwise;
pub mod direct;
mod epilogue;
pub mod filter_grad;
pub mod first;
mod layout;
pub mod norm;
mod packing;
pub mod pool;
pub mod reduce;
mod reorder;
pub mod shuffle;
mod slide;
pub mod winograd;

pub use epilogue::BlockedEpilogue;
pub use filter_grad::BlockedFilterGradKernel;
pub use layout::{Blocked, LANES, span};
pub use packing::Packing;
pub use reorder::{Block, Unblock};
