//! Losses, optimisers, schedules, the training loop and checkpoints.
//!
//! A training step is one graph: forward, loss, backward, clipping and the optimiser's update ([`step`]). The loop
//! feeds it batches and reports [`Event`]s, plain data that files, terminal and pages read alike.
#![forbid(unsafe_code)]

mod error;
pub mod loss;
pub mod optimiser;
mod pattern;
mod schedule;
pub mod step;

pub use error::{Error, Result};
pub use loss::Loss;
pub use schedule::{Kind, PlateauState, Rate, Schedule};
