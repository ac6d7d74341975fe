//! The candidate tables: for each operation an ordered list of kernels; the first that accepts a problem computes it and
//! the reference ends every list.

mod fused_reference;
mod reference;

use crate::kernel::Candidate;

/// All candidates; those of one operation stand in the order in which they are asked.
pub fn all() -> impl Iterator<Item = &'static Candidate> {
    let tables: [&'static [Candidate]; 2] = [reference::TABLE, fused_reference::TABLE];
    tables.into_iter().flatten()
}
