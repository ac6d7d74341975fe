//! The first layer: plain pictures in, blocked feature maps out.

use crate::kernel::Candidate;

/// Rows of this area.
pub const TABLE: &[Candidate] = &[];
