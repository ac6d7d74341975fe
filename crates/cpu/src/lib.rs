//! The CPU backend: candidate tables, plan executor, thread pool.

pub mod reference;
