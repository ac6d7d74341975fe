//! Concatenation, slices, padding.
