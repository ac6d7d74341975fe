//! Seeing inside a network: what it has learned and why it answers as it does.
//!
//! Nothing hooks into execution. An explanation is another graph: the network's own with more outputs, or with gradients by
//! other rules (guided backpropagation, the deconvnet), compiled and run like any other. So it works on every network that
//! is a graph, at the speed of the backend.
//!
//! Begin reading at [`Subject`], a network with its weights as this crate looks at it, then [`attribution`].
#![forbid(unsafe_code)]

pub mod attribution;
mod backward;
pub mod classic;
pub mod dream;
mod extents;
mod extract;
pub mod features;
mod field;
pub mod filters;
mod layers;
mod nearest;
pub mod neighbors;
mod patch;
mod room;
mod subject;
pub mod top;

pub use attribution::{Attribution, Explainer, Method, Options, attribute};
pub use backward::Backpropagation;
pub use field::{Field, Part};
pub use gabor_compile::{Error, Result};
pub use layers::Layer;
pub use room::{Left, Room};
pub use subject::Subject;
