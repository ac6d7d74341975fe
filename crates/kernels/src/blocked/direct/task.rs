//! One task of a convolution: a piece of some images, some panels of target channels.

use super::band::Fill;
use super::pass::PIXELS;
use super::tile::{self, Tile, VECTORS};
use super::{BlockedConvKernel, Prepared};
use crate::SharedMut;
use crate::blocked::{BlockedEpilogue, layout::LANES};
use crate::memory::{LINE, Pieces};
use crate::simd::{Kernel, Simd16};
use crate::split::share;
use std::ops::Range;

/// How far weights that nothing else has fetched are fetched ahead of their use, in floats.
const AHEAD: usize = 1 << 11;
/// Tiles during which the next panel of weights is fetched.
const SPREAD: usize = 4;

pub(super) struct Task<'a> {
    pub kernel: &'a BlockedConvKernel,
    /// Whether this is a task of the phase that makes shared bands.
    pub copies: bool,
    pub task: usize,
    pub x: &'a [f32],
    pub w: &'a [f32],
    pub epilogue: BlockedEpilogue<'a>,
    pub y: SharedMut<'a, f32>,
    pub workspace: SharedMut<'a, f32>,
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
    blocks: Range<usize>,
    /// The band of the first image and block, and the distance between those of two images.
    band: *mut f32,
    band_image: usize,
}

impl Kernel for Task<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(mut self) {
        let k = self.kernel;
        let e = k.extents;
        let shared = self.workspace.as_ptr();
        let shared = shared.wrapping_add(shared.align_offset(LINE * size_of::<f32>()));
        if self.copies {
            // SAFETY: the contract of `BlockedConvKernel::run`; the workspace is as long as `workspace_len` says.
            return unsafe { self.copy::<S>(shared) };
        }
        let scratch = Pieces::new(std::mem::take(&mut self.scratch)).take(k.band).as_mut_ptr();
        let (part, rest) = (self.task % k.cut.parts, self.task / k.cut.parts);
        let all = k.cut.pieces.iter().product::<usize>();
        let (piece, batch) = (rest % all, rest / all);
        let images = batch * k.cut.images..((batch + 1) * k.cut.images).min(e.n);
        let units = share(part, k.cut.parts, e.groups * e.panels());
        for (pass, prepared) in k.passes.iter().enumerate() {
            let (from, len) = prepared.region(k.cut.pieces, piece);
            if len.contains(&0) {
                continue;
            }
            let mut unit = units.start;
            while unit < units.end {
                let group = unit / e.panels();
                let first = group * e.panels();
                let panels = unit - first..(units.end - first).min(e.panels());
                unit = first + panels.end;
                for chunk in 0..k.cut.chunks {
                    let blocks = share(chunk, k.cut.chunks, e.blocks());
                    let (band, band_image) = if k.cut.shared {
                        let image = (piece * e.n + images.start) * k.source.blocks();
                        let at = prepared.start + (image + group * e.blocks() + blocks.start) * prepared.band;
                        (shared.wrapping_add(at), k.source.blocks() * prepared.band)
                    } else {
                        (scratch, blocks.len() * prepared.band)
                    };
                    let (images, panels) = (images.clone(), panels.clone());
                    let step =
                        Step { pass, prepared, images, from, len, group, panels, chunk, blocks, band, band_image };
                    // SAFETY: the contract of `BlockedConvKernel::run`; scratch is as long as `scratch_len` says.
                    unsafe {
                        if !prepared.pass.in_place && !k.cut.shared {
                            self.fill::<S>(&step);
                        }
                        self.step::<S>(&step);
                    }
                }
            }
        }
    }
}

impl Task<'_> {
    /// Makes a share of the shared bands.
    #[inline(always)]
    unsafe fn copy<S: Simd16>(&self, shared: *mut f32) {
        let k = self.kernel;
        let bands = share(self.task, k.phases[0], k.passes.iter().map(|p| p.bands).sum());
        let mut first = 0;
        for p in &k.passes {
            for at in bands.start.max(first)..bands.end.min(first + p.bands) {
                let (block, rest) = ((at - first) % k.source.blocks(), (at - first) / k.source.blocks());
                let (from, len) = p.region(k.cut.pieces, rest / k.extents.n);
                let plane = self.x[k.source.start(rest % k.extents.n, block)..].as_ptr();
                let to = shared.wrapping_add(p.start + (at - first) * p.band);
                // SAFETY: every band has its own place in the workspace.
                unsafe { S::call(Fill { pass: &p.pass, from, len, extents: p.extents, plane, to }) }
            }
            first += p.bands;
        }
    }

    /// Copies the source of a step into the band.
    #[inline(always)]
    unsafe fn fill<S: Simd16>(&self, s: &Step<'_>) {
        let (k, p) = (self.kernel, s.prepared);
        for (i, image) in s.images.clone().enumerate() {
            for (j, block) in s.blocks.clone().enumerate() {
                let plane = self.x[k.source.start(image, s.group * k.extents.blocks() + block)..].as_ptr();
                // SAFETY: room for all images and blocks of a chunk.
                unsafe {
                    let to = s.band.add(i * s.band_image + j * p.band);
                    S::call(Fill { pass: &p.pass, from: s.from, len: s.len, extents: p.extents, plane, to });
                }
            }
        }
    }

    /// All tiles of a step.
    #[inline(always)]
    unsafe fn step<S: Simd16>(&self, s: &Step<'_>) {
        let (k, e, p) = (self.kernel, self.kernel.extents, s.prepared);
        let axes = &p.pass.axes;
        let blocks = s.blocks.clone();
        let channels = blocks.start * LANES..(blocks.end * LANES).min(e.source);
        let [_, height, width] = if p.pass.in_place { std::array::from_fn(|i| axes[i].source) } else { p.extents };
        // Runs of pixels that tiles may share.
        let (runs, pixels) = if p.pass.flat { (1, s.len[1] * s.len[2]) } else { (s.len[1], s.len[2]) };
        let tiles = tile::tiles::<S>(pixels);
        let all = s.images.len() * s.len[0] * runs * tiles;
        let scattered = runs < s.len[1] && self.place(s, [0, 1, 0]) != self.place(s, [0, 0, s.len[2]]);
        let rows = channels.len() * p.offsets.len();
        for panel in s.panels.clone() {
            let (start, row) = k.filter.panel(s.pass, s.group, panel * VECTORS);
            let w = start + channels.start * p.offsets.len() * row;
            let channel_block = s.group * e.vectors() + panel * VECTORS;
            // What comes after this panel: the next one of the chunk, or the first of the next chunk.
            let next = if panel + 1 < s.panels.end {
                let (start, row) = k.filter.panel(s.pass, s.group, (panel + 1) * VECTORS);
                start + channels.start * p.offsets.len() * row
            } else {
                let (start, row) = k.filter.panel(s.pass, s.group, s.panels.start * VECTORS);
                start + channels.end * p.offsets.len() * row
            };
            // Nobody has fetched the first panel of a task: it is fetched shortly before its use. Later panels are while
            // some tiles of the one before are computed.
            let fresh = if all == 1 || s.chunk == 0 && panel == s.panels.start { 1 } else { 0 };
            let spread = (all - fresh).min(SPREAD);
            let next_step = row.div_ceil(spread.max(1));
            let mut done = 0;
            for (i, image) in s.images.clone().enumerate() {
                for d in 0..s.len[0] {
                    for run in 0..runs {
                        // The region's first pixel of the run; where there are no taps it may lie anywhere.
                        let x = if p.pass.in_place {
                            let block = s.group * e.blocks() + blocks.start;
                            let plane = self.x.as_ptr().wrapping_add(k.source.start(image, block));
                            let [d, h, w] =
                                std::array::from_fn(|i| axes[i].base.max(0) as usize + s.from[i] + [d, run, 0][i]);
                            plane.wrapping_add(((d * height + h) * width + w) * LANES)
                        } else {
                            s.band.wrapping_add(i * s.band_image + (d * height + run) * width * LANES).cast_const()
                        };
                        let mut t = 0;
                        while t < tiles {
                            // Tiles of equal size that fetch alike are computed together.
                            let (pixel, larger) = (pixels / tiles * t + t.min(pixels % tiles), pixels % tiles);
                            let (size, alike) =
                                if t < larger { (pixels / tiles + 1, larger - t) } else { (pixels / tiles, tiles - t) };
                            let (ahead, ahead_step, alike) = if done < fresh {
                                (w + AHEAD, row, 1)
                            } else if done < fresh + spread {
                                let at = done - fresh;
                                (next + at * rows * next_step, next_step, alike.min(spread - at))
                            } else {
                                (w, 0, alike)
                            };
                            let alike = if scattered { 1 } else { alike };
                            let at = [d, run + pixel / s.len[2], pixel % s.len[2]];
                            let tile = Tile {
                                tiles: alike,
                                x: x.wrapping_add(pixel * LANES),
                                x_block: if p.pass.in_place { k.source.plane * LANES } else { p.band },
                                blocks: blocks.len(),
                                lanes: channels.len() - (blocks.len() - 1) * LANES,
                                taps: &p.offsets,
                                w: self.w[w..].as_ptr(),
                                w_row: row,
                                y: self.y.as_ptr(),
                                y_start: k.target.start(image, channel_block) + self.place(s, at),
                                y_pixel: axes[2].step * LANES,
                                y_block: k.target.tensor.plane * LANES,
                                channels: channel_block,
                                first: s.chunk == 0,
                                last: s.chunk + 1 == k.cut.chunks,
                                epilogue: self.epilogue,
                                ahead: self.w.as_ptr().wrapping_add(ahead),
                                ahead_step,
                            };
                            // SAFETY: all pixels of the tiles are outputs of the region.
                            unsafe {
                                if scattered {
                                    let block = k.target.start(image, channel_block);
                                    self.scattered::<S>(s, tile, size, row / LANES, block, at);
                                } else {
                                    tile::run::<S>(tile, size, row / LANES);
                                }
                            }
                            (t, done) = (t + alike, done + alike);
                        }
                    }
                }
            }
        }
    }

    /// A tile whose outputs lie in several rows: it is computed in a buffer.
    #[inline(always)]
    unsafe fn scattered<S: Simd16>(
        &self,
        s: &Step<'_>,
        t: Tile<'_>,
        size: usize,
        vectors: usize,
        block: usize,
        [d, h, w]: [usize; 3],
    ) {
        let mut buffer = [0f32; PIXELS * VECTORS * LANES];
        let y = buffer.as_mut_ptr();
        let place = |m: usize| block + self.place(s, [d, h + (w + m) / s.len[2], (w + m) % s.len[2]]);
        // SAFETY: the buffer has room for a tile; the rest is the caller's promise.
        unsafe {
            for m in 0..if t.first { 0 } else { size } {
                for v in 0..vectors {
                    S::store(y.add((v * PIXELS + m) * LANES), S::load(t.y.add(place(m) + v * t.y_block)));
                }
            }
            let there = Tile { y, y_start: 0, y_pixel: LANES, y_block: PIXELS * LANES, last: false, ..t };
            tile::run::<S>(there, size, vectors);
            for v in 0..vectors {
                let bias = t.epilogue.bias_of::<S>(t.channels + v);
                for m in 0..size {
                    let (sum, at) = (S::load(y.add((v * PIXELS + m) * LANES)), place(m) + v * t.y_block);
                    S::store(t.y.add(at), if t.last { t.epilogue.finish::<S>(sum, bias, at) } else { sum });
                }
            }
        }
    }

    /// Where an output of a region lies in its block.
    #[inline(always)]
    fn place(&self, s: &Step<'_>, at: [usize; 3]) -> usize {
        let axes = &s.prepared.pass.axes;
        let [_, th, tw] = self.kernel.extent;
        let [d, h, w] = std::array::from_fn(|i| axes[i].first + (s.from[i] + at[i]) * axes[i].step);
        ((d * th + h) * tw + w) * LANES
    }
}
