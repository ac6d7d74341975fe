//! Losses, optimisers, schedules, the training loop and checkpoints.
//!
//! A training step is one graph: forward, loss, backward, clipping and the optimiser's update ([`step`]). The loop
//! feeds it batches and reports [`Event`]s, plain data that files, terminal and pages read alike.
#![forbid(unsafe_code)]

pub mod calibration;
pub mod checkpoint;
mod checksum;
mod config;
mod error;
mod event;
pub mod inspect;
pub mod loss;
mod memory;
pub mod metrics;
pub mod optimiser;
mod pattern;
mod schedule;
mod setup;
mod sink;
pub mod step;
mod trainer;
mod whiten;

pub use calibration::{Calibration, Calibrator, Scores};
pub use checkpoint::{Checkpoints, RunLock};
pub use config::{Amount, Auto, Bytes, Config, InputSize, Key, Pipeline, Setting, Span, parse_augmentation};
pub use error::{Error, Result};
pub use event::{Event, FnSink, Sink, Sinks};
pub use loss::Loss;
pub use memory::available as memory_left;
pub use metrics::{ClassMetrics, Evaluation, Evaluator, SampleScore, Tally, Verdict};
pub use schedule::{Kind, PlateauState, Rate, Schedule};
pub use setup::{Setup, open_data, open_divided, open_undivided};
pub use sink::{Jsonl, TensorBoard};
pub use trainer::{
    Outcome, Pace, RangeCurve, RangePoint, RangeTest, RunOptions, Stop, evaluate, range_test, run_evaluation, train,
    write_weights,
};
