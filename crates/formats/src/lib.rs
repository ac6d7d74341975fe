//! File formats: bytes to graphs and weights, and back.
//!
//! Nothing here opens a file: every reader takes bytes and every writer returns them. A reader believes no number of a
//! file before it has compared it with the bytes that are there, so a damaged or hostile file costs an [`Error`], not
//! memory. Begin reading at [`npy`], then [`safetensors`], [`pytorch`] and [`onnx`].
#![forbid(unsafe_code)]

pub mod array;
pub mod caffe;
pub mod convnetjs;
pub mod darknet;
mod elements;
mod error;
mod half;
mod model;
pub mod npy;
pub mod onnx;
pub mod pytorch;
pub mod safetensors;
mod together;
mod wire;

pub use array::{Array, ElementType, Elements};
pub use error::{Error, Refusal, Result};
pub use model::{Imported, Metadata};
pub use together::together;
