//! Element-wise programs.
