//! Winograd convolution.

#[allow(dead_code)] // Until forward and filter gradient use all of it.
mod transform;
