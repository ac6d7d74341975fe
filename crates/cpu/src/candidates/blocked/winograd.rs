//! Winograd convolution and its gradients, asked before the direct kernels.

use crate::kernel::Candidate;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[];
