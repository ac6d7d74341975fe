//! Computations on slices: a readable reference of each primitive, then the fast ones.
