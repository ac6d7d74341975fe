//! The movement itself, row by row.

use super::plan::{BlockPlan, BlockedMove, Lanes, NONE};
use crate::memory::copy;
use crate::simd::{Kernel, Simd16};
use crate::split::share;
use std::ops::Range;

/// One task of a [`BlockedMove`].
pub(super) struct Run<'k, 'a> {
    pub k: &'k BlockedMove,
    pub task: usize,
    pub input: &'k dyn Fn(usize) -> &'a [f32],
    pub y: *mut f32,
}

impl Kernel for Run<'_, '_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let k = self.k;
        let [depth, height, width] = k.to;
        for unit in share(self.task, k.phases[0], k.units) {
            let (piece, row) = (unit % k.pieces, unit / k.pieces);
            let (h, rest) = (row % height, row / height);
            let (d, rest) = (rest % depth, rest / depth);
            let (b, n) = (rest % k.blocks.len(), rest / k.blocks.len());
            let pixels = piece * k.piece..((piece + 1) * k.piece).min(width);
            let at = k.result.start(n, b) + ((d * height + h) * width + pixels.start) * 16;
            let (block, source) = (&k.blocks[b], [k.maps[0][n], k.maps[1][d], k.maps[2][h]]);
            // SAFETY: the contract of `BlockedMove::run`; pixels and sources lie inside their tensors.
            unsafe {
                let y = self.y.add(at);
                if block.lanes.is_empty() || source.contains(&NONE) {
                    for i in 0..pixels.len() {
                        S::store(y.add(i * 16), S::load(block.fill.as_ptr()));
                    }
                } else if block.whole {
                    self.vectors::<S>(block, source, pixels, y);
                } else {
                    self.lanes::<S>(block, source, pixels, y);
                }
            }
        }
    }
}

/// Where lanes come from in one row.
#[derive(Clone, Copy)]
struct Row<'a> {
    lanes: &'a Lanes,
    x: &'a [f32],
    /// The vector of the row's first pixel.
    start: usize,
}

impl<'a> Run<'_, 'a> {
    #[inline(always)]
    fn row<'l>(&self, lanes: &'l Lanes, [n, d, h]: [usize; 3]) -> Row<'l>
    where
        'a: 'l,
    {
        let k = self.k;
        let start = k.sources[lanes.source].start(n, lanes.block) + (d * k.from[1] + h) * k.from[2] * 16;
        Row { lanes, x: (self.input)(lanes.source), start }
    }

    /// Whole vectors.
    #[inline(always)]
    unsafe fn vectors<S: Simd16>(&self, block: &BlockPlan, source: [usize; 3], pixels: Range<usize>, y: *mut f32) {
        let map = &self.k.maps[3][pixels];
        let row = self.row(&block.lanes[0], source);
        // SAFETY: as the caller promises.
        unsafe {
            let x = row.x.as_ptr().add(row.start);
            if self.k.contiguous {
                return copy::<S>(x.add(map[0] * 16), y, map.len() * 16);
            }
            for (i, &w) in map.iter().enumerate() {
                let from = if w == NONE { block.fill.as_ptr() } else { x.add(w * 16) };
                S::store(y.add(i * 16), S::load(from));
            }
        }
    }

    /// Vectors whose lanes come from several places.
    #[inline(always)]
    unsafe fn lanes<S: Simd16>(&self, block: &BlockPlan, source: [usize; 3], pixels: Range<usize>, y: *mut f32) {
        let mut rows = [self.row(&block.lanes[0], source); 16];
        for (row, lanes) in rows.iter_mut().zip(&block.lanes) {
            *row = self.row(lanes, source);
        }
        let rows = &rows[..block.lanes.len()];
        for (i, &w) in self.k.maps[3][pixels].iter().enumerate() {
            // SAFETY: as the caller promises.
            unsafe {
                if w == NONE {
                    S::store(y.add(i * 16), S::load(block.fill.as_ptr()));
                    continue;
                }
                let mut v = S::load(block.rest.as_ptr());
                for row in rows {
                    v = S::or(v, row.shifted::<S>(w));
                }
                S::store(y.add(i * 16), v);
            }
        }
    }
}

impl Row<'_> {
    /// The lanes of pixel `w` at their new places, zero elsewhere.
    #[inline(always)]
    unsafe fn shifted<S: Simd16>(&self, w: usize) -> S::V {
        let l = self.lanes;
        let at = self.start + w * 16 + l.from;
        // SAFETY: the caller promises the pixel; beyond the tensor's ends nothing is read.
        unsafe {
            // Lanes move by reading at another place; what is read of the neighbours is masked.
            if at >= l.to && at - l.to + 16 <= self.x.len() {
                return S::and(S::load(self.x.as_ptr().add(at - l.to)), S::load(l.mask.as_ptr()));
            }
            let mut v = [0.0; 16];
            v[l.to..l.to + l.count].copy_from_slice(&self.x[at..at + l.count]);
            S::load(v.as_ptr())
        }
    }
}
