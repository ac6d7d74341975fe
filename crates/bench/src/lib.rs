//! The workloads that are timed side by side with other libraries.
