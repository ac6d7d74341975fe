//! The order in which in-lane kernels read a filter.

use crate::blocked::Packing;
use crate::blocked::layout::LANES;
use crate::{SharedMut, Work};
use gabor_tensor::{ConvGeometry, Rule};

/// Channels, channels of a group and taps of a convolution whose groups lie within vectors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Groups {
    /// Channels.
    pub c: usize,
    /// Channels of a group: 1, 2, 4 or 8.
    pub size: usize,
    /// Elements of the window.
    pub taps: usize,
}

impl Groups {
    /// Of a geometry whose groups lie within halves of vectors.
    pub fn new(g: &ConvGeometry) -> Result<Self, Rule> {
        let (from, to) = (g.ci / g.groups, g.co / g.groups);
        if from != to || ![1, 2, 4, 8].contains(&from) {
            return Err(Rule::new(format!("groups of {from} input and {to} output channels"))
                .right("1, 2, 4 or 8 input channels, and as many output channels"));
        }
        Ok(Groups { c: g.ci, size: from, taps: g.window.kernel_len() })
    }
    pub fn blocks(&self) -> usize {
        self.c.div_ceil(LANES)
    }
    /// Number of `f32` of a packed filter.
    pub fn packed_len(&self) -> usize {
        self.blocks() * self.block_len()
    }
    /// Number of `f32` of a block of 16 channels of it.
    pub fn block_len(&self) -> usize {
        self.taps * self.size * LANES
    }
    /// Where in a plain filter the weight from channel `j` of its group to output channel `c` lies, of the first tap.
    pub fn plain(&self, c: usize, j: usize) -> usize {
        (c * self.size + j) * self.taps
    }
}

/// A filter of depthwise or grouped convolution as `[C/16][taps][channel of the group][16]`: vectors hold the weights
/// into 16 channels of the target, from the same channel of each of their groups.
#[derive(Clone, Debug)]
pub struct DepthwisePacking {
    groups: Groups,
    /// For the input gradient: the target's channels are those that the convolution reads.
    transposed: bool,
    phases: [usize; 1],
}

impl DepthwisePacking {
    pub(super) fn new(groups: Groups, transposed: bool) -> Self {
        DepthwisePacking { groups, transposed: transposed && groups.size > 1, phases: [1] }
    }
}

impl Work for DepthwisePacking {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
}

impl Packing for DepthwisePacking {
    fn key(&self) -> String {
        let Groups { c, size, taps } = self.groups;
        format!("in-lane {c}x{size}x{taps}{}", if self.transposed { " transposed" } else { "" })
    }
    fn packed_len(&self) -> usize {
        self.groups.packed_len()
    }
    unsafe fn pack(
        &self,
        _phase: usize,
        _task: usize,
        from: &[f32],
        to: SharedMut<'_, f32>,
        _workspace: SharedMut<'_, f32>,
        _scratch: &mut [f32],
    ) {
        let g = self.groups;
        assert!(from.len() >= g.c * g.size * g.taps);
        // SAFETY: the only task.
        let to = unsafe { to.part(0, g.packed_len()) };
        for (i, v) in to.chunks_exact_mut(LANES).enumerate() {
            let (j, tap, b) = (i % g.size, i / g.size % g.taps, i / g.size / g.taps);
            for (l, v) in v.iter_mut().enumerate() {
                let c = b * LANES + l;
                let first = c / g.size * g.size;
                let (into, out_of) = if self.transposed { (first + j, c - first) } else { (c, j) };
                *v = if c < g.c { from[g.plain(into, out_of) + tap] } else { 0.0 };
            }
        }
    }
}
