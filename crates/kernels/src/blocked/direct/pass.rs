//! A lattice of outputs and how its taps find their source.

use crate::conv::lattice::{Lattice, LatticeAxis};
use gabor_tensor::Window;

/// Most pixels of a register tile.
pub(super) const PIXELS: usize = 14;
/// Rows whose tiles would have fewer pixels than this are cut across instead.
const FEW: usize = 8;

/// Outputs that share their taps: all of them in the forward pass, those of one remainder modulo the strides in the
/// input gradient.
///
/// A tap is a constant offset between pixels, both where the source is read in place and in a *band*, its padded copy.
/// A band of a block of channels consists of parts, one per combination of the axes' remainders; neighbouring outputs
/// have neighbouring pixels in each.
#[derive(Clone, Debug)]
pub(super) struct Pass {
    /// Depth, height, width.
    pub axes: [LatticeAxis; 3],
    /// For each tap, in the kernel's order: its index in the kernel, the part of the band, its offsets there.
    pub taps: Vec<(usize, usize, [usize; 3])>,
    /// Whether every tap lies inside the source at a pixel step of one, so that no band is needed.
    pub in_place: bool,
    /// Whether the pixels of all rows of a depth follow one another, so that tiles may run across rows.
    pub flat: bool,
}

impl Pass {
    /// The one pass of the forward direction.
    pub(super) fn forward(window: &Window) -> Result<Vec<Self>, String> {
        Ok(vec![Self::new(Lattice::forward(window).map_err(|e| e.to_string())?)])
    }
    /// The passes of the input gradient.
    pub(super) fn backward(window: &Window) -> Result<Vec<Self>, String> {
        Ok(Lattice::backward(window).map_err(|e| e.to_string())?.into_iter().map(Self::new).collect())
    }

    fn new(lattice: Lattice) -> Self {
        let Lattice { axes, taps } = lattice;
        let inside = |a: &LatticeAxis| {
            a.source_step == 1 && a.remainders == [0] && a.base >= 0 && a.base as usize + a.count + a.reach <= a.source
        };
        let in_place = taps.is_empty() || axes.iter().all(inside);
        let width = axes[2].count;
        let narrow = axes[1].count > 1 && width / width.div_ceil(PIXELS) < FEW;
        let close = if in_place { width == axes[2].source } else { axes[2].reach == 0 };
        // Where outputs of different rows do not follow one another, tiles across rows cost a copy of theirs.
        let flat = close && (narrow || axes.iter().all(|a| a.step == 1));
        let mut pass = Pass { axes, taps, in_place, flat };
        if narrow && !in_place && !close {
            pass.unfold();
        }
        pass
    }

    /// Gives every tap of the width a part of the band of its own: rows then are as long as those of the outputs.
    fn unfold(&mut self) {
        let width = &mut self.axes[2];
        let parts = width.remainders.len();
        for (_, part, [_, _, shift]) in &mut self.taps {
            let own = width.taps.iter().position(|&(_, r, s)| (r, s) == (*part % parts, *shift));
            *part = *part / parts * width.taps.len() + own.expect("a tap of the width");
            *shift = 0;
        }
        let step = width.source_step;
        width.remainders = width.taps.iter().map(|&(_, r, s)| width.remainders[r] + s * step).collect();
        width.taps.iter_mut().enumerate().for_each(|(i, t)| (t.1, t.2) = (i, 0));
        width.reach = 0;
        self.flat = true;
    }

    /// Most outputs of a region, per axis, where the axes are cut into so many pieces.
    pub(super) fn region(&self, pieces: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|i| self.axes[i].count.div_ceil(pieces[i]))
    }
    /// Extents of a part of the band of a region.
    pub(super) fn extents(&self, region: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|i| region[i] + self.axes[i].reach)
    }
    /// Pixels of the band of a block of channels; none where the source is read in place.
    pub(super) fn band(&self, region: [usize; 3]) -> usize {
        if self.in_place {
            return 0;
        }
        let parts: usize = self.axes.iter().map(|a| a.remainders.len()).product();
        parts * self.extents(region).iter().product::<usize>()
    }
    /// Offsets of the taps in floats, from a region's first pixel in the band or in the source.
    pub(super) fn offsets(&self, region: [usize; 3]) -> Vec<usize> {
        let [d, h, w] = if self.in_place { std::array::from_fn(|i| self.axes[i].source) } else { self.extents(region) };
        self.taps.iter().map(|&(_, part, [od, oh, ow])| (part * d * h * w + (od * h + oh) * w + ow) * 16).collect()
    }
    /// Tiles of a region.
    pub(super) fn tiles(&self, [d, h, w]: [usize; 3]) -> usize {
        d * if self.flat { (h * w).div_ceil(PIXELS) } else { h * w.div_ceil(PIXELS) }
    }
}
