//! Sums over pixels and images.

use crate::kernel::Candidate;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[];
