//! Computations on slices: a readable reference of each primitive, then the fast ones.
//!
//! Begin reading at [`reference`]: it says what every primitive means.

mod matmul;
pub mod reference;

pub use matmul::MatMul;
