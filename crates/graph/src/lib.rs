//! Networks as graphs of operations.
//!
//! A [`Graph`] has a [`Node`] per operation and a [`Value`] per edge. Shapes are checked as a node is added; the batch
//! size is the symbol `n` until compilation. An operation is one file under `ops/`: attributes, shape rule, gradient,
//! decomposition, cost, documentation and sample problems; [`registry`] lists them all, and everything else (summary,
//! command, import, export, tests) reads that list.
//!
//! This crate does no I/O, starts no threads, reads no environment and contains no `unsafe`. It never hears of a
//! backend. Begin reading at [`Graph`], then [`Operation`], then `ops/conv.rs`.
#![forbid(unsafe_code)]

mod error;
mod gradient;
mod graph;
mod operation;
pub mod ops;
mod parameter;
mod receptive_field;
mod text;

pub use error::{Error, Result};
pub use gradient::{Gradient, GradientOf};
pub use graph::{Graph, Node, NodeId, Phase, Source, ValidGraph, Value, ValueId, ValueType};
pub use operation::{AttributeText, Cost, Described, Fill, FromText, Operation, OperationSpec, Problem};
pub use ops::registry;
pub use parameter::{Initializer, Parameter};
pub use receptive_field::{ReceptiveField, receptive_field};
pub use text::Text;
// For the expansion of `operation!` in crates that do not depend on gabor-tensor themselves.
#[doc(hidden)]
pub use gabor_tensor::Rule as __Rule;
