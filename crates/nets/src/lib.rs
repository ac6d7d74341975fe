//! Layers, initialisers, the lectures' notation and the zoo of networks.
//!
//! A network is described once, by a function on a [`Net`], and built as a graph for training or for inference by a
//! [`Network`]. The zoo ([`zoo::by_name`]) and the lectures' notation ([`notation::parse`]) give such networks;
//! [`network`] takes either. [`initialize`] draws the parameters, [`summary()`] prints the lecture's table.
//!
//! ```
//! use gabor_nets::{Mode, Network, conv, initialize, summary};
//! let net = Network::new("small", &[1, 28, 28], 10, |net| {
//!     net.conv("conv1", conv(8, 5).pad(2))?.relu()?.max_pool(2)?;
//!     net.conv2d("conv2", 16, 5)?.relu()?.max_pool(2)?;
//!     net.flatten()?.linear("fc", 10)?;
//!     Ok(())
//! });
//! let graph = net.graph(Mode::Infer).unwrap();
//! let weights = initialize(&graph, 1);
//! assert_eq!(weights.get("conv2.weight").unwrap().shape(), [16, 8, 5, 5]);
//! assert_eq!(summary(&graph).parameters as usize, weights.elements());
//! ```
//!
//! This crate does no I/O, starts no threads and contains no `unsafe`. Begin reading at [`Net`].
#![forbid(unsafe_code)]

mod activation;
mod initialize;
mod names;
mod nearest;
mod net;
mod network;
pub mod notation;
mod scheme;
mod summary;
pub mod zoo;

pub use activation::Activation;
pub use gabor_graph::{Error, Result};
pub use initialize::{draw, initial_values, initialize};
pub use names::{Head, MatchOptions, Matched, Mismatch, Pair, match_weights};
pub use net::{Auxiliary, Branch, ConvOptions, LrnOptions, Mode, Net, NormOptions, PoolOptions, conv, pool};
pub use network::{Network, network};
pub use scheme::Scheme;
pub use summary::{LayerRow, Memory, Sketch, SketchBlock, SketchKind, Summary, TableOptions, sketch, summary};
