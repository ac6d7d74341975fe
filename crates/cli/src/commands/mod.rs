//! One file per command.

pub mod bench;
pub mod compare;
pub mod compile;
pub mod conv;
pub mod convert;
pub mod data;
pub mod dream;
pub mod eval;
pub mod explain;
pub mod features;
pub mod filter;
pub mod filters;
pub mod lr_find;
pub mod neighbors;
pub mod predict;
pub mod report;
pub mod run;
pub mod summary;
pub mod surface;
pub mod top;
pub mod train;
