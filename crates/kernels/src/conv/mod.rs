//! Convolution, its input gradient and its filter gradient, in up to three spatial dimensions.
//!
//! All three work on *lattices*: the source planes are copied band by band into scratch memory, padded, and split by
//! the remainder of their coordinates modulo the stride. In such a band every tap of the kernel is a constant offset,
//! so a run of neighbouring outputs is a product of matrices whose right side is the band itself, shifted.

mod cut;
mod filter;
mod filter_dots;
mod filter_product;
mod fold;
mod kernel;
pub(crate) mod lattice;
mod product;

pub use filter::ConvFilterGradKernel;
pub use kernel::ConvKernel;
pub(crate) use lattice::three;

#[cfg(test)]
mod tests;
