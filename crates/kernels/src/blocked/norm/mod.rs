//! Batch normalisation in training, with what follows it, and the gradient.

mod channels;
mod grad;
#[cfg(test)]
mod tests;
mod train;

pub use grad::{BatchNormMask, BlockedBatchNormGradInputs, BlockedBatchNormGradKernel, BlockedBatchNormGradOutputs};
pub use train::{BlockedBatchNormInputs, BlockedBatchNormKernel, BlockedBatchNormOutputs};
