//! One task of a convolution: a piece of some images, some panels of target channels.

use super::band::Fill;
use super::pass::PIXELS;
use super::tile::{self, Tile, VECTORS};
use super::{BlockedConvKernel, Prepared};
use crate::SharedMut;
use crate::blocked::{BlockedEpilogue, layout::LANES};
use crate::memory::Pieces;
use crate::simd::{Kernel, Simd16};
use crate::split::share;
use std::ops::Range;

pub(super) struct Task<'a> {
    pub kernel: &'a BlockedConvKernel,
    pub task: usize,
    pub x: &'a [f32],
    pub w: &'a [f32],
    pub epilogue: BlockedEpilogue<'a>,
    pub y: SharedMut<'a, f32>,
    pub scratch: &'a mut [f32],
}

/// A part of a task: outputs of one pass, panels of one group, blocks of source channels of one chunk.
struct Step<'a> {
    pass: usize,
    prepared: &'a Prepared,
    images: Range<usize>,
    /// The first output and the number of outputs per axis.
    from: [usize; 3],
    len: [usize; 3],
    group: usize,
    panels: Range<usize>,
    chunk: usize,
    band: *mut f32,
}

impl Kernel for Task<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(mut self) {
        let k = self.kernel;
        let e = k.extents;
        let band = Pieces::new(std::mem::take(&mut self.scratch)).take(k.band).as_mut_ptr();
        let (part, rest) = (self.task % k.cut.parts, self.task / k.cut.parts);
        let [pd, ph, pw] = k.cut.pieces;
        let piece = [rest / (pw * ph) % pd, rest / pw % ph, rest % pw];
        let batch = rest / (pd * ph * pw);
        let images = batch * k.cut.images..((batch + 1) * k.cut.images).min(e.n);
        let units = share(part, k.cut.parts, e.groups * e.panels());
        for (pass, prepared) in k.passes.iter().enumerate() {
            let pieces: [Range<usize>; 3] =
                std::array::from_fn(|i| share(piece[i], k.cut.pieces[i], prepared.pass.axes[i].count));
            if pieces.iter().any(Range::is_empty) {
                continue;
            }
            let (from, len) = (pieces.each_ref().map(|p| p.start), pieces.each_ref().map(Range::len));
            let mut unit = units.start;
            while unit < units.end {
                let group = unit / e.panels();
                let first = group * e.panels();
                let panels = unit - first..(units.end - first).min(e.panels());
                unit = first + panels.end;
                for chunk in 0..k.cut.chunks {
                    let panels = panels.clone();
                    let step = Step { pass, prepared, images: images.clone(), from, len, group, panels, chunk, band };
                    // SAFETY: the contract of `BlockedConvKernel::run`; scratch is as long as `scratch_len` says.
                    unsafe {
                        self.fill::<S>(&step);
                        self.step::<S>(&step);
                    }
                }
            }
        }
    }
}

impl Task<'_> {
    /// Copies the source of a step into the band, unless it is read in place.
    #[inline(always)]
    unsafe fn fill<S: Simd16>(&self, s: &Step<'_>) {
        let (k, e, p) = (self.kernel, self.kernel.extents, s.prepared);
        if p.pass.in_place {
            return;
        }
        let blocks = share(s.chunk, k.cut.chunks, e.blocks());
        for (i, image) in s.images.clone().enumerate() {
            for (j, block) in blocks.clone().enumerate() {
                let plane = self.x[k.source.start(image, s.group * e.blocks() + block)..].as_ptr();
                // SAFETY: room for all images and blocks of a chunk.
                unsafe {
                    let to = s.band.add((i * blocks.len() + j) * p.band);
                    let fill = Fill { pass: &p.pass, from: s.from, len: s.len, extents: p.extents, plane, to };
                    S::call(fill);
                }
            }
        }
    }

    /// All tiles of a step.
    #[inline(always)]
    unsafe fn step<S: Simd16>(&self, s: &Step<'_>) {
        let (k, e, p) = (self.kernel, self.kernel.extents, s.prepared);
        let axes = &p.pass.axes;
        let blocks = share(s.chunk, k.cut.chunks, e.blocks());
        let channels = blocks.start * LANES..(blocks.end * LANES).min(e.source);
        let rows = channels.len() * p.offsets.len();
        let [_, height, width] = if p.pass.in_place { std::array::from_fn(|i| axes[i].source) } else { p.extents };
        for panel in s.panels.clone() {
            let (start, row) = k.filter.panel(s.pass, s.group, panel * VECTORS);
            let w = start + channels.start * p.offsets.len() * row;
            let vectors = row / LANES;
            let channel_block = s.group * e.vectors() + panel * VECTORS;
            // What comes after this panel: the next one of the chunk, or the first of the next chunk.
            let next = if panel + 1 < s.panels.end {
                let (start, row) = k.filter.panel(s.pass, s.group, (panel + 1) * VECTORS);
                start + channels.start * p.offsets.len() * row
            } else {
                let (start, row) = k.filter.panel(s.pass, s.group, s.panels.start * VECTORS);
                start + channels.end * p.offsets.len() * row
            };
            let mut done = 0;
            for (i, image) in s.images.clone().enumerate() {
                for d in 0..s.len[0] {
                    // Runs of pixels that tiles may share.
                    let (runs, pixels) = if p.pass.flat { (1, s.len[1] * s.len[2]) } else { (s.len[1], s.len[2]) };
                    for run in 0..runs {
                        let tiles = tile::tiles::<S>(pixels);
                        for t in 0..tiles {
                            let pixel = pixels * t / tiles;
                            let (h, w0) = (run + pixel / s.len[2], pixel % s.len[2]);
                            let count = pixels * (t + 1) / tiles - pixel;
                            let at = self.places(s, [d, h, w0], count);
                            // SAFETY: inside the source or the band, at a pixel of the region.
                            let x = unsafe {
                                if p.pass.in_place {
                                    let at = [d, h, w0];
                                    let at: [usize; 3] =
                                        std::array::from_fn(|i| axes[i].base.max(0) as usize + s.from[i] + at[i]);
                                    let block = s.group * e.blocks() + blocks.start;
                                    let plane = self.x.as_ptr().add(k.source.start(image, block));
                                    plane.add(((at[0] * height + at[1]) * width + at[2]) * LANES)
                                } else {
                                    let band = s.band.add(i * blocks.len() * p.band);
                                    band.add(((d * height + h) * width + w0) * LANES)
                                }
                            };
                            let far = done * rows * LANES;
                            let ahead = if far < rows * row { next + far } else { w };
                            let tile = Tile {
                                x,
                                x_block: if p.pass.in_place { k.source.plane * LANES } else { p.band },
                                blocks: blocks.len(),
                                lanes: channels.len() - (blocks.len() - 1) * LANES,
                                taps: &p.offsets,
                                // SAFETY: inside the packed filter.
                                w: unsafe { self.w.as_ptr().add(w) },
                                w_row: row,
                                y: self.y.as_ptr(),
                                y_start: k.target.start(image, channel_block),
                                at: &at,
                                y_block: k.target.plane * LANES,
                                channels: channel_block,
                                first: s.chunk == 0,
                                last: s.chunk + 1 == k.cut.chunks,
                                epilogue: self.epilogue,
                                ahead: self.w.as_ptr().wrapping_add(ahead),
                                ahead_step: if far < rows * row { LANES } else { 0 },
                            };
                            // SAFETY: all pixels of the tile are outputs of the region.
                            unsafe { tile::run::<S>(tile, count, vectors) }
                            done += 1;
                        }
                    }
                }
            }
        }
    }

    /// Where the outputs of a tile lie in their block, given the first of them and their number.
    #[inline(always)]
    fn places(&self, s: &Step<'_>, [d, h, w]: [usize; 3], count: usize) -> [usize; PIXELS] {
        let axes = &s.prepared.pass.axes;
        let [_, th, tw] = self.kernel.extent;
        let coordinate = |i: usize, at: usize| axes[i].first + (s.from[i] + at) * axes[i].step;
        let row = |h: usize| ((coordinate(0, d) * th + coordinate(1, h)) * tw + coordinate(2, 0)) * LANES;
        let step = axes[2].step * LANES;
        let mut places = [0; PIXELS];
        let (mut h, mut w, mut start) = (h, w, row(h));
        for place in &mut places[..count] {
            *place = start + w * step;
            w += 1;
            if w == s.len[2] {
                (h, w) = (h + 1, 0);
                start = row(h);
            }
        }
        places
    }
}
