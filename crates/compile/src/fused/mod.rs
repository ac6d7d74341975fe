//! Operations that compilation makes of several. They never appear in a saved graph; each decomposes into what it was
//! made of, which is what they are tested against.

mod activation;
mod batch_norm;
mod conv;
mod map;
mod matmul;
mod product_map;

pub use activation::Activation;
pub use batch_norm::{FusedBatchNorm, FusedBatchNormGrad};
pub use conv::FusedConv;
pub use map::{FusedMap, MapProgram, Step};
pub use matmul::FusedMatMul;
pub use product_map::FusedProductMap;
