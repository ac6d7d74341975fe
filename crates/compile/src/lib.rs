//! From graph to plan.
//!
//! [`differentiate`] adds backward nodes to a graph; [`optimise`] rewrites a graph by named rules; [`MemoryPlan`] places
//! every value in one arena by its lifetime; [`Backend`] is the seam behind which a plan is executed. The graph is
//! portable and saved; a plan belongs to one target and is never saved. No backend's name appears here, nothing here
//! does I/O, starts threads or contains `unsafe`. Begin reading at [`Backend`].
#![forbid(unsafe_code)]

mod backend;
mod differentiate;
pub mod fused;
mod memory;
mod recompute;
mod rewrite;
pub mod rules;
mod schedule;

pub use backend::{Backend, CompileOptions, Error, Executable, Holder, NodeReport, Program, Report, Result, View};
pub use differentiate::{GradientRule, differentiate, differentiate_with};
pub use memory::{MemoryPlan, Place};
pub use recompute::Recompute;

pub use rewrite::{Applied, NewNode, Operand, Patch, Rule, RuleContext, optimise};
