//! The filter gradient for few filters: every pair of a filter and a tap is a dot product along the pixels.

use super::cut::ROW;
use super::filter::join;
use super::lattice::{Lattice, Region, fill_bands};
use crate::gemm::{DotTile, dot_tile, reduce_lanes};
use crate::memory::{LINE, Pieces, copy, whole, zero};
use crate::shared::{MOST_TASKS, worth};
use crate::simd::{Kernel, Simd16};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Rule};

/// Most pairs of a block: their 16 lanes stay in the second-level cache.
const PAIRS: usize = 4096;
/// Most elements of the packed pixels of each side.
const PIXELS: usize = 1 << 15;
/// Most rows of filters of a block.
const ROWS: usize = 24;

/// The filter gradient as dot products. Each element adds up on 16 lanes along the pixels of each image; where blocks are few, the images are split into
/// parts (by extents alone) that a second phase adds up in order. An infinity or NaN in x may also show in the
/// gradients of neighbouring taps, because products with the zeros between rows are part of the sums.
#[derive(Clone, Debug)]
pub(super) struct DotFilterGrad {
    isa: Isa,
    n: usize,
    groups: usize,
    /// Output and input channels per group.
    rows: usize,
    channels: usize,
    lattice: Lattice,
    source_len: usize,
    target: [usize; 3],
    /// Outputs of a block of pixels, number of blocks, extents of a band, elements of a channel's bands.
    block: [usize; 3],
    blocks: [usize; 3],
    extents: [usize; 3],
    channel_len: usize,
    /// Packed pixels of one image.
    columns: usize,
    /// Images that are packed together.
    images: usize,
    row_block: usize,
    channel_block: usize,
    parts: usize,
    offsets: Vec<usize>,
    phases: Vec<usize>,
}

impl DotFilterGrad {
    pub(super) fn new(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        let lattice = Lattice::forward(&g.window)?;
        let (rows, channels, taps) = (g.co / g.groups, g.ci / g.groups, g.window.kernel_len());
        let counts: [usize; 3] = std::array::from_fn(|d| lattice.axes[d].count);
        let [d, h, all] = counts;
        // A block of pixels: as many rows (or whole planes) as make a thousand columns, evenly dealt.
        let even = |extent: usize, most: usize| extent.div_ceil(extent.div_ceil(most.max(1)));
        let w = even(all, ROW);
        let most = (ROW / (w + lattice.axes[2].reach)).max(1);
        let block = if h <= most && w == all { [even(d, (most / h).max(1)), h, w] } else { [1, even(h, most), w] };
        let extents = lattice.extents(block);
        let channel_len = lattice.bands() * extents.iter().product::<usize>();
        let columns = whole(((block[0] - 1) * extents[1] + block[1] - 1) * extents[2] + w);
        let blocks: [usize; 3] = std::array::from_fn(|i| counts[i].div_ceil(block[i]));
        let row_block = rows.div_ceil(rows.div_ceil(ROWS));
        let room = (PAIRS / (row_block * taps)).min(PIXELS / channel_len).max(1);
        let channel_block = channels.div_ceil(channels.div_ceil(room));
        let images = (1024 / columns)
            .min(PIXELS / (channel_block * channel_len).max(1))
            .min(PIXELS / (row_block * columns).max(1))
            .clamp(1, n.max(1));
        let all = n * blocks.iter().product::<usize>();
        let wanted = worth(&[all, columns / 16, g.groups, rows, channels, taps], 1, MOST_TASKS);
        let units = g.groups * rows.div_ceil(row_block) * channels.div_ceil(channel_block);
        let pixels = n.div_ceil(images) * blocks.iter().product::<usize>();
        let parts = wanted.div_ceil(units).min(16).min(pixels).max(1);
        let mut phases = vec![if parts > 1 { units * parts } else { wanted.min(units) }];
        let len = g.co * channels * taps;
        if parts > 1 {
            phases.push(len.div_ceil(1 << 14));
        }
        let mut offsets = Vec::with_capacity(channel_block * taps);
        let band: usize = extents.iter().product();
        for c in 0..channel_block {
            for &(_, r, [od, oh, ow]) in &lattice.taps {
                offsets.push(c * channel_len + r * band + (od * extents[1] + oh) * extents[2] + ow);
            }
        }
        let mut target = [1; 3];
        target[3 - g.window.rank()..].copy_from_slice(&g.window.output());
        Ok(DotFilterGrad {
            isa,
            n,
            groups: g.groups,
            rows,
            channels,
            source_len: g.window.input_len(),
            target,
            lattice,
            block,
            blocks,
            extents,
            channel_len,
            columns,
            images,
            row_block,
            channel_block,
            parts,
            offsets,
            phases,
        })
    }
    /// # Safety
    /// As [`super::ConvFilterGradKernel::run`].
    #[allow(clippy::too_many_arguments)]
    pub(super) unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        x: &[f32],
        dy: &[f32],
        dw: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        assert!(x.len() >= self.n * self.groups * self.channels * self.source_len);
        assert!(dy.len() >= self.n * self.groups * self.rows * self.target.iter().product::<usize>());
        assert!(dw.len() >= self.len() && workspace.len() >= self.workspace_len());
        assert!(scratch.len() >= self.scratch_len());
        let run = Run { k: self, phase, task, x, dy, dw, workspace, scratch };
        // SAFETY: lengths are checked; tasks write disjoint parts; the rest is the caller's promise.
        unsafe { self.isa.call(run) }
    }
    /// Number of weights.
    fn len(&self) -> usize {
        self.groups * self.rows * self.channels * self.lattice.taps.len()
    }
    fn row_blocks(&self) -> usize {
        self.rows.div_ceil(self.row_block)
    }
    fn channel_blocks(&self) -> usize {
        self.channels.div_ceil(self.channel_block)
    }
    /// Elements of the packed x, with room for the last vector.
    fn band_len(&self) -> usize {
        self.images * self.channel_block * self.channel_len + 32
    }
    fn sums_len(&self) -> usize {
        self.row_block * self.channel_block * self.lattice.taps.len() * 16 + 256
    }
}

impl Work for DotFilterGrad {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        if self.parts > 1 { self.parts * self.len() } else { 0 }
    }
    fn scratch_len(&self) -> usize {
        LINE + whole(self.band_len()) + self.row_block * self.images * self.columns + self.sums_len()
    }
}

struct Run<'a> {
    k: &'a DotFilterGrad,
    phase: usize,
    task: usize,
    x: &'a [f32],
    dy: &'a [f32],
    dw: SharedMut<'a, f32>,
    workspace: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

/// Scratch memory of a task.
#[derive(Clone, Copy)]
struct Scratch {
    band: *mut f32,
    pixels: *mut f32,
    sums: *mut f32,
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(mut self) {
        let k = self.k;
        if self.phase == 1 {
            // SAFETY: the contract of `DotFilterGrad::run`.
            return unsafe {
                join::<S>(self.workspace.as_ptr(), self.dw.as_ptr(), k.len(), k.parts, self.task, k.phases[1])
            };
        }
        let mut memory = Pieces::new(std::mem::take(&mut self.scratch));
        let s = Scratch {
            band: memory.take(k.band_len()).as_mut_ptr(),
            pixels: memory.take(k.row_block * k.images * k.columns).as_mut_ptr(),
            sums: memory.take(k.sums_len()).as_mut_ptr(),
        };
        let units = k.groups * k.row_blocks() * k.channel_blocks();
        // SAFETY: the contract of `DotFilterGrad::run`; scratch is as long as `scratch_len` says.
        unsafe {
            // What lies between rows and behind the last one meets zeros, but must itself be finite.
            zero::<S>(s.band, k.band_len());
            if k.parts > 1 {
                let part = self.task % k.parts;
                let to = self.workspace.as_ptr().add(part * k.len());
                self.unit::<S>(self.task / k.parts, part, to, s);
            } else {
                let tasks = k.phases[0];
                for unit in units * self.task / tasks..units * (self.task + 1) / tasks {
                    self.unit::<S>(unit, 0, self.dw.as_ptr(), s);
                }
            }
        }
    }
}

impl Run<'_> {
    /// A block of rows and channels of one group, summed over a part of the pixels.
    #[inline(always)]
    unsafe fn unit<S: Simd16>(&self, unit: usize, part: usize, to: *mut f32, s: Scratch) {
        let k = self.k;
        let taps = k.lattice.taps.len();
        let (cb, rest) = (unit % k.channel_blocks(), unit / k.channel_blocks());
        let (rb, group) = (rest % k.row_blocks(), rest / k.row_blocks());
        let rows = rb * k.row_block..((rb + 1) * k.row_block).min(k.rows);
        let channels = cb * k.channel_block..((cb + 1) * k.channel_block).min(k.channels);
        let pairs = channels.len() * taps;
        let blocks: usize = k.blocks.iter().product();
        let all = k.n.div_ceil(k.images) * blocks;
        let image_len = k.channel_block * k.channel_len;
        // SAFETY: as the caller promises.
        unsafe {
            zero::<S>(s.sums, rows.len() * pairs * 16);
            for at in all * part / k.parts..all * (part + 1) / k.parts {
                let (block, batch) = (at % blocks, at / blocks);
                let images = batch * k.images..((batch + 1) * k.images).min(k.n);
                let (bw, rest) = (block % k.blocks[2], block / k.blocks[2]);
                let (bh, bd) = (rest % k.blocks[1], rest / k.blocks[1]);
                let from = [bd * k.block[0], bh * k.block[1], bw * k.block[2]];
                let len = std::array::from_fn(|d| (k.target[d] - from[d]).min(k.block[d]));
                let region = Region { from, len };
                for (i, image) in images.clone().enumerate() {
                    for (j, c) in channels.clone().enumerate() {
                        let plane = (image * k.groups + group) * k.channels + c;
                        let plane = self.x.as_ptr().add(plane * k.source_len);
                        let band = s.band.add(i * image_len + j * k.channel_len);
                        fill_bands::<S>(&k.lattice, region, k.extents, plane, band);
                    }
                    for (j, row) in rows.clone().enumerate() {
                        let plane = (image * k.groups + group) * k.rows + row;
                        let to = s.pixels.add((j * k.images + i) * k.columns);
                        self.pack_pixels::<S>(plane, region, to);
                    }
                }
                dot_tile::<S>(DotTile {
                    ahead: 0,
                    y: s.pixels,
                    y_row: k.images * k.columns,
                    rows: rows.len(),
                    y_run: k.columns,
                    x: s.band,
                    offsets: &k.offsets[..pairs],
                    x_run: image_len,
                    runs: images.len(),
                    steps: k.columns / 16,
                    sums: s.sums,
                    sums_row: pairs,
                });
            }
            for (j, row) in rows.clone().enumerate() {
                let to = to.add(((group * k.rows + row) * k.channels + channels.start) * taps);
                reduce_lanes::<S>(s.sums.add(j * pairs * 16), pairs, to);
            }
        }
    }

    /// Packs the outputs of a region at the distances that their inputs have in a band, zeros between.
    #[inline(always)]
    unsafe fn pack_pixels<S: Simd16>(&self, plane: usize, region: Region, to: *mut f32) {
        let k = self.k;
        let [depth, height, width] = k.target;
        // SAFETY: the region lies inside the plane, the rows inside the packed pixels.
        unsafe {
            zero::<S>(to, k.columns);
            for td in 0..region.len[0] {
                for th in 0..region.len[1] {
                    let row = (plane * depth + region.from[0] + td) * height + region.from[1] + th;
                    let at = (td * k.extents[1] + th) * k.extents[2];
                    let from = self.dy.as_ptr().add(row * width + region.from[2]);
                    copy::<S>(from, to.add(at), region.len[2]);
                }
            }
        }
    }
}
