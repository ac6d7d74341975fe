//! File formats: bytes to graphs and weights, and back.
