//! The candidate tables: for each operation an ordered list of kernels; the first that accepts a problem computes it and
//! the reference ends every list.

mod blocked;
mod conv;
mod fused_reference;
mod map;
mod matmul;
mod norm;
mod pool;
mod reduce;
mod reference;
mod shuffle;
mod softmax;
mod tasks;

use crate::kernel::Candidate;

/// All candidates; those of one operation stand in the order in which they are asked.
pub fn all() -> impl Iterator<Item = &'static Candidate> {
    TABLES.iter().copied().flatten()
}

/// Fast kernels first; the two reference tables come last.
const TABLES: &[&[Candidate]] = &[
    blocked::depthwise::TABLE,
    blocked::cells::TABLE,
    blocked::first::TABLE,
    blocked::winograd::TABLE,
    blocked::winograd_filter_grad::TABLE,
    blocked::conv::TABLE,
    blocked::filter_grad::TABLE,
    blocked::pool::TABLE,
    blocked::norm::TABLE,
    blocked::map::TABLE,
    blocked::reduce::TABLE,
    blocked::shuffle::TABLE,
    conv::TABLE,
    map::TABLE,
    matmul::TABLE,
    norm::TABLE,
    pool::TABLE,
    reduce::TABLE,
    shuffle::TABLE,
    softmax::TABLE,
    reference::TABLE,
    fused_reference::TABLE,
];
