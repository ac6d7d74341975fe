//! Element-wise operations.

use crate::kernel::Candidate;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[];
