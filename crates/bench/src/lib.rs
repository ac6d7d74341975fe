//! The workloads that are timed side by side with other libraries.
//!
//! Names and meaning are those of the peers' script: `layer/NAME/fwd/nB` and `layer/NAME/fwdbwd/nB` (one layer at batch
//! B, with the gradients of its input and weights), `chain/NAME/fwd/nB` (eight copies in a row, time divided by eight),
//! `infer/MODEL/nB` and `train/MODEL/nB` (one step: forward, cross-entropy, backward, SGD with momentum). Inputs are
//! random normal numbers, weights are random. (`coldstart/MODEL` is a process of its own, which the command times.)
//! Nothing is printed here; [`measure`] returns a [`Row`]. [`accuracy`] measures errors instead of time.
#![forbid(unsafe_code)]

mod accuracy;
mod answers;
mod case;
mod measure;
mod workload;

pub use accuracy::{Accuracy, Algorithm, Difference, Numbers, accuracy, algorithms};
pub use answers::{Answers, answers};
pub use case::memory;
pub use measure::{Measure, Profiled, Row, Threaded, measure, measure_in_turn, profile};
pub use workload::{Kind, Layer, Workload, scaling, workloads};
