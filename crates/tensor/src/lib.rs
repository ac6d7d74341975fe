//! Shapes, element types, tensors, window geometry and counter-based random numbers.
//!
//! The lowest floor of the house: plain values without behaviour of their own. Nothing here does I/O, starts a
//! thread or contains `unsafe`. Begin reading at [`window`]: the size rule of convolution and pooling lives there
//! and nowhere else.
#![forbid(unsafe_code)]

mod dtype;
mod eigen;
mod function;
mod real;
pub mod rng;
mod rule;
mod shape;
mod tensor;
mod unread;
mod weights;
pub mod window;

pub use dtype::DType;
pub use eigen::symmetric_eigen;
pub use function::{Binary, PadMode, PoolDivisor, Reduction, Unary};
pub use real::Real;
pub use rng::Stream;
pub use rule::Rule;
pub use shape::{Dim, Shape, strides_of};
pub use tensor::{Data, Tensor};
pub use unread::{Floats, Unread};
pub use weights::Weights;
pub use window::{Axis, ConvGeometry, Padding, Window, WindowOptions};
