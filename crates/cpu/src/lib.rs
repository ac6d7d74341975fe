//! The CPU backend: candidate tables, plan executor, thread pool.
