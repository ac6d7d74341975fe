//! Pooling and its gradients.

use crate::kernel::Candidate;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[];
