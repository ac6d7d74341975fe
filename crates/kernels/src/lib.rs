//! Computations on slices: a readable reference of each primitive, then the fast ones.
//!
//! Begin reading at [`mod@reference`]: it says what every primitive means. The fast kernels are prepared from the extents
//! of a problem and an [`Isa`], say through [`Work`] how they are cut into tasks and how much memory they want, and are
//! then run task by task by an executor. They allocate nothing while they run.

// Loops over lanes and registers index several arrays at once.
#![allow(clippy::needless_range_loop)]

pub mod blocked;
#[cfg(test)]
mod check;
mod conv;
mod epilogue;
mod gemm;
mod matmul;
mod memory;
mod norm;
pub mod peak;
pub mod pointwise;
mod pool;
mod reduce;
pub mod reference;
mod shared;
mod shuffle;
mod simd;
mod softmax;
mod split;
mod sums;
mod turn;

pub use conv::{ConvFilterGradKernel, ConvKernel};
pub use epilogue::Epilogue;
pub use gemm::{MOST_OTHERS, MatMulKernel, ProductMapKernel};
pub use matmul::MatMul;
pub use norm::{
    BatchNormGradInputs, BatchNormGradKernel, BatchNormGradOutputs, BatchNormInputs, BatchNormKernel, BatchNormOutputs,
    FusedBatchNormGradKernel, FusedBatchNormKernel, Rectified,
};
pub use pool::{
    AvgPoolGradKernel, AvgPoolKernel, MaxPoolGatherKernel, MaxPoolKernel, MaxPoolValuesKernel, MaxUnpoolKernel,
};
pub use reduce::ReduceKernel;
pub use shared::{SharedMut, Work};
pub use shuffle::{CastKernel, ConcatKernel, OneHotKernel, PadKernel, RandomUniformKernel, StridedKernel};
pub use simd::Isa;
pub use softmax::SoftmaxKernel;
