//! Datasets, decoding, preprocessing, augmentation and batches: from files to `[n, c, h, w]` tensors.
//!
//! The way of an image: a [`Dataset`] gives an [`Image`] of bytes (h × w × c, interleaved), [`Preprocessing`] brings it
//! to the size and colour mode of the model, [`Augmentation`] varies it while training, and [`Loader`] packs normalised
//! floats into a [`Batch`]. Preprocessing is plain data that travels inside the model file, so prediction cannot differ
//! from validation. Everything is a function of (seed, epoch, sample): neither the number of workers nor the order of
//! their work changes a bit.
//!
//! ```
//! use gabor_data::{Loader, LoaderOptions, Preprocessing, digits};
//! let digits = digits();
//! let train = digits.train().unwrap().clone();
//! let preprocessing = Preprocessing::for_dataset(&*train, [1, 8, 8]).unwrap();
//! let loader = Loader::new(train, preprocessing, LoaderOptions { batch_size: 32, ..Default::default() }).unwrap();
//! let batch = loader.epoch(0, 0).next().unwrap().unwrap();
//! assert_eq!(batch.images.shape(), [32, 1, 8, 8]);
//! ```
#![forbid(unsafe_code)]

mod augment;
mod batch;
mod check;
mod convert;
pub mod decode;
mod error;
mod image;
mod limits;
mod preprocess;
pub mod source;
mod views;

pub use augment::{Augmentation, Operation, OperationPage, Step, Style, Targets};
pub use batch::{Batch, Epoch, Loader, LoaderOptions, Mix, Mixing, OnBad};
pub use check::{
    CheckOptions, CheckReport, Depth, Example, Finding, FindingKind, Header, Near, PartReport, Place, Severity, Stored,
    check,
};
pub use convert::{ConvertOptions, Converted, Target, convert};
pub use decode::{decode, decode_file};
pub use error::Error;
pub use image::{Color, Image};
pub use limits::Limits;
pub use preprocess::{Filter, Preprocessing, Resize, Scratch, common_shape};
pub use source::{
    Blocks, Changes, Dataset, MemoryDataset, Newcomers, OpenOptions, Part, Sample, Splits, WrittenSplit, digits, open,
    stratified, stratified_groups,
};
pub use views::{ViewDataset, Views};
