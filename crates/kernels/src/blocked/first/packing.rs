//! Filters of a first layer.

use crate::blocked::{Block, Blocked, Packing};
use crate::{Isa, SharedMut, Work};

/// Filters `[co][k]` as `[co/16][k][16]`, with zeros behind the last filter; `k` counts channels and taps in plain order.
#[derive(Clone, Debug)]
pub struct FilterBlocks {
    extents: Blocked,
    block: Block,
}

impl FilterBlocks {
    /// Of `co` filters of `k` elements.
    pub(super) fn new(co: usize, k: usize, isa: Isa) -> Self {
        // In memory this is one image whose channels are the filters.
        let extents = Blocked { n: 1, c: co, plane: k };
        FilterBlocks { extents, block: Block::new(extents, isa) }
    }
}

impl Work for FilterBlocks {
    fn phases(&self) -> &[usize] {
        self.block.phases()
    }
}

impl Packing for FilterBlocks {
    fn key(&self) -> String {
        format!("first {}x{}", self.extents.c, self.extents.plane)
    }
    fn packed_len(&self) -> usize {
        self.extents.len()
    }
    unsafe fn pack(
        &self,
        phase: usize,
        task: usize,
        from: &[f32],
        to: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.block.pack(phase, task, from, to, workspace, scratch) }
    }
}
