//! Convolutional networks, from pixels to understanding.
//!
//! This crate is the one to depend on: it gathers the crates of the house under one roof and adds the two things that
//! need them all, a [`Model`] (one `.onnx` file that predicts) and [`train_run`] (a training that leaves a run
//! directory).
//!
//! ```
//! use gabor::prelude::*;
//!
//! // A network, its weights, and the gradient of a loss by any of its values: graphs all the way.
//! let net = Network::new("small", &[1, 8, 8], 10, |net| {
//!     net.conv("conv1", conv(8, 3).pad(1))?.relu()?.max_pool(2)?;
//!     net.flatten()?.linear("fc", 10)?;
//!     Ok(())
//! });
//! let digits = gabor::data::digits();
//! let test = digits.evaluation().unwrap().1.clone();
//! let preprocessing = Preprocessing::for_dataset(&*test, [1, 8, 8]).unwrap();
//! let mut model = Model::of_network(&net, net.initialize(0).unwrap(), preprocessing, test.classes().to_vec()).unwrap();
//! let best = &model.top(&test.image(0).unwrap(), 1).unwrap()[0];
//! assert!(best.probability > 0.0 && best.class.len() == 1);
//! ```
//!
//! # Where to look
//!
//! | module | what |
//! |---|---|
//! | [`tensor`] | shapes, tensors, window geometry, random numbers |
//! | [`graph`] | networks as graphs; the operations; how to add one |
//! | [`nets`] | layers, initialisation, the lectures' notation, the zoo, the summary table |
//! | [`data`] | data sets, decoding, preprocessing, augmentation, batches |
//! | [`compile`] | differentiation, rewriting by rules, memory plans, the backend seam |
//! | [`cpu`] | the CPU backend; how to add a kernel |
//! | [`train`] | losses, optimisers, schedules, the loop, checkpoints |
//! | [`formats`] | ONNX, safetensors, npy |
//! | [`explain`] | why a network answers as it does |
//! | [`features`], [`top`] | what its layers make of a picture, what excites its units |
//! | [`neighbors`] | pictures that a network finds alike |
//! | [`surface`] | losses as landscapes, and the ways of optimisers over them |
//! | [`report`] | the report of a run as one page, and every other picture |
//! | [`picture`] | pictures as files |
//!
//! # Examples
//!
//! Each is a short program: `cargo run --release -p gabor --example NAME`.
//!
//! | example | what it shows |
//! |---|---|
//! | `define` | a residual network of one's own, its table, the same from the lectures' notation |
//! | `train` | training on the digits with own settings, events as they come, a model file |
//! | `listener` | listeners of one's own to the events of a training |
//! | `predict` | a model file names pictures |
//! | `gradient` | the gradient of anything by anything, and its gradient again |
//! | `custom_operation` | an operation by the `operation!` macro, and a kernel of one's own for it |
//! | `export` | a network of the zoo as an ONNX file for other runtimes |
#![forbid(unsafe_code)]

pub use gabor_compile as compile;
pub use gabor_cpu as cpu;
pub use gabor_data as data;

pub use gabor_formats as formats;
pub use gabor_graph as graph;
pub use gabor_hub as hub;
pub use gabor_nets as nets;
pub use gabor_report as report;
pub use gabor_tensor as tensor;
pub use gabor_train as train;

mod again;
mod arithmetic;
mod bound;
mod card;
mod check_page;
mod diagram;
pub mod dream;
mod ensemble;
mod error;
mod evaluate;
pub mod explain;
pub mod features;
mod files;
mod filtering;
mod filters;
mod folded;
mod forecast;
mod inside;
mod judged;
mod load;
mod model;
pub mod neighbors;
mod page;
pub mod picture;
mod raw;
mod run;
mod runs;
mod show;
pub mod surface;
pub mod top;

pub use self::again::{RunReport, run_report};
pub use self::arithmetic::{
    Arithmetic, ArithmeticOptions, Matrix, Step as ArithmeticStep, Term, animated_gif, arithmetic, gif_scale,
};
pub use self::explain::{ExplainOptions, Explanation, ModelExplainer};
pub use bound::{Bound, Once};
pub use card::published_preprocessing;
pub use check_page::check_page;
pub use diagram::diagram;
pub use ensemble::Ensemble;
pub use error::{Error, Result};
pub use evaluate::{EvaluateOptions, Evaluated, Scored};
pub use files::{read_limited, write_aside};
pub use filtering::{
    Border, Classic, ClassicFilter, ClassicNumbers, Drawn, Filtered, FilteringOptions, classic, filtered,
};
pub use filters::{
    BankKind, FilterBank, FilterFit, FilterKind, FilterOrder, Filters, FiltersOptions, ShapeNumbers, ShownFilter,
    fit_words, nearest,
};
pub use forecast::{Forecast, forecast};
pub use gabor_graph::operation;
pub use judged::{EvaluationPage, confusion};
pub use load::{
    Content, Difference, FORMATS, Format, Hear, LoadOptions, Loaded, Origin, Parts, Write, compare, format_of,
    hub_name, load, load_with, model_file, writer,
};
pub use model::{Model, Prediction};
pub use page::{explain_methods, page};
pub use raw::Gradients;
pub use run::{Finished, read_events, resolve_directory, train_run};
pub use runs::{EpochEnd, RunComparison, RunRecord, RunState, compare_runs, read_run};
pub use show::{Show, ShowOptions, ShownBatch, ShownSample, show};

/// What most programs need.
pub mod prelude {
    pub use crate::{Ensemble, EvaluateOptions, Model, Prediction, train_run};
    pub use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate, differentiate_with};
    pub use gabor_cpu::{CpuBackend, CpuOptions};
    pub use gabor_data::{Dataset, Image, Preprocessing};
    pub use gabor_graph::{Graph, Parameter, ValueId};
    pub use gabor_nets::{Mode, Net, Network, conv, network, pool};
    pub use gabor_tensor::{DType, Shape, Tensor, Weights};
    pub use gabor_train::{Config, Event};
}
