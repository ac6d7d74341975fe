//! The workloads that are timed side by side with other libraries.
//!
//! Names and meaning are those of the peers' script: `layer/NAME/fwd/nB` and `layer/NAME/fwdbwd/nB` (one layer at batch
//! B, with the gradients of its input and weights), `chain/NAME/fwd/nB` (eight copies in a row, time divided by eight),
//! `infer/MODEL/nB` and `train/MODEL/nB` (one step: forward, cross-entropy, backward, SGD with momentum). Inputs are
//! random normal numbers, weights are random. Nothing is printed here; [`measure`] returns a [`Row`].
#![forbid(unsafe_code)]

mod answers;
mod case;
mod measure;
mod workload;

pub use answers::{Answers, answers};
pub use measure::{Measure, Profiled, Row, Threaded, measure, measure_in_turn, profile};
pub use workload::{Kind, Layer, Workload, scaling, workloads};
