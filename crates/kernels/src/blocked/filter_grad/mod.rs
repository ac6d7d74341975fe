//! Filter gradients: sums over pixels.
