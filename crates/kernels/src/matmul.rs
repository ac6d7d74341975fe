//! The matrix product as a problem.

/// A batch of matrix products `c = op(a) · op(b)` of row-major matrices.
///
/// c is `[batch, m, n]`; a is `[batch, m, k]`, or `[batch, k, m]` with `transpose_a`; b is `[batch, k, n]`, or
/// `[batch, n, k]` with `transpose_b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatMul {
    /// Number of products.
    pub batch: usize,
    /// Rows of c.
    pub m: usize,
    /// Columns of c.
    pub n: usize,
    /// Extent that is summed over.
    pub k: usize,
    /// Whether a is stored transposed.
    pub transpose_a: bool,
    /// Whether b is stored transposed.
    pub transpose_b: bool,
}

impl MatMul {
    /// A single product without transposition: `[m, k] · [k, n]`.
    pub fn new(m: usize, n: usize, k: usize) -> Self {
        MatMul { batch: 1, m, n, k, transpose_a: false, transpose_b: false }
    }
}
