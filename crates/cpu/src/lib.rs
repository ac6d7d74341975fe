//! The CPU backend.
//!
//! [`CpuBackend`] compiles a program: rules rewrite each graph, every node gets the first kernel of its candidate table
//! that accepts it, values are placed in one arena by their lifetimes, and a plan is a list of kernel calls on fixed
//! addresses. [`mod@reference`] is the readable interpreter that judges it. Begin reading at [`CpuBackend`], then
//! `plan.rs`, then `candidates/`.
//!
//! `unsafe` is confined to three places: `buffer.rs` (memory), `pool.rs` (threads) and the candidates' kernel calls;
//! who checks what is written there.

mod backend;
mod buffer;
mod candidates;
mod executor;
mod forms;
mod joined;
mod kernel;
mod parameters;
mod peak;
mod plan;
mod pool;
pub mod reference;
mod stage;
mod steps;
mod tune;

pub use backend::{CpuBackend, CpuOptions};
pub use buffer::{bytes_mut, take_memory, zeros, zeros_f32};
pub use gabor_kernels::Isa;
pub use gabor_kernels::blocked::winograd::WinogradTile;
pub use kernel::{Candidate, Io, Kernel, Order, Prepared, Problem, Slot, Stored, floats, ordered, whole};
pub use peak::Peak;
pub use pool::Pool;
pub use tune::Tuning;
