//! Elements that only change place or type, and random ones.

mod concat;
mod convert;
mod pad;
mod random;
mod strided;
#[cfg(test)]
mod tests;

pub use concat::ConcatKernel;
pub use convert::{CastKernel, OneHotKernel};
pub use pad::PadKernel;
pub use random::RandomUniformKernel;
pub use strided::StridedKernel;
