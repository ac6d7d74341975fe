//! Test support for operations and backends: what the samples of the registry are filled with, what they should give,
//! and whether their gradients are right.
//!
//! - [`fill`] gives a sample problem its numbers, [`reference`](fn@reference) its right outputs.
//! - [`conforms`] compares a backend with the reference on every sample of every operation.
//! - [`check_gradients`] and [`check_second_derivatives`] compare derivatives with differences in 64 bits.
//!
//! For development only: wrong input panics.
#![forbid(unsafe_code)]

mod conform;
mod derivative;
mod fill;
mod problem;

pub use conform::{Tolerance, conforms, difference, tolerance};
pub use derivative::{check_gradients, check_scalar, check_second_derivatives};
pub use fill::{Bindings, fill, normal};
pub use problem::{Built, build, problems, reference};
