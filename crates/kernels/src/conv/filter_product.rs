//! The filter gradient for many filters: `dw[j, (c, k)] = Σ dy[j, pixel] · x[(c, k), pixel]` as a product of matrices.
//!
//! The rows of the left side lie in dy as they are. The right side is made from bands, sixteen pixels of sixteen pairs of
//! channel and tap at a time, turned so that pairs lie side by side; pixels between rows of the band are left out.

use super::filter::join;
use super::lattice::{Lattice, Region, fill_bands};
use crate::gemm::{Block, K_BLOCK, PITCH, Panel, block, tile_rows};
use crate::memory::{LINE, Pieces, copy, whole, zero};
use crate::shared::worth;
use crate::simd::{Kernel, Simd16};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Rule};

/// Tasks that are aimed at: each packs its own right side.
const TASKS: usize = 16;
/// Pairs of channel and tap of a block.
const PAIRS: usize = 256;
/// Most elements of the parts of the sum together.
const PARTS: usize = 1 << 20;

/// The filter gradient as a product of matrices.
#[derive(Clone, Debug)]
pub(super) struct ProductFilterGrad {
    isa: Isa,
    n: usize,
    groups: usize,
    /// Output and input channels per group.
    rows: usize,
    channels: usize,
    lattice: Lattice,
    source_len: usize,
    target: [usize; 3],
    /// Outputs of a block of pixels (contiguous in a plane), number of blocks, extents of a band.
    block: [usize; 3],
    blocks: [usize; 3],
    extents: [usize; 3],
    channel_len: usize,
    /// Elements of a band that pixels are taken from, whole vectors.
    columns: usize,
    /// Images that are packed together.
    images: usize,
    channel_block: usize,
    row_blocks: usize,
    parts: usize,
    /// Where each pair starts in the bands of a block of channels.
    pairs: Vec<usize>,
    /// Where each pixel of the images of a block starts in the packed right side.
    pixels: Vec<usize>,
    phases: Vec<usize>,
}

impl ProductFilterGrad {
    pub(super) fn new(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        let lattice = Lattice::forward(&g.window)?;
        let (rows, channels, taps) = (g.co / g.groups, g.ci / g.groups, g.window.kernel_len());
        let mut target = [1; 3];
        target[3 - g.window.rank()..].copy_from_slice(&g.window.output());
        let [d, h, w] = target;
        // As many whole planes, rows or pixels as one block of the sum holds, evenly dealt.
        let even = |extent: usize, most: usize| extent.div_ceil(extent.div_ceil(most.max(1)));
        let block = if h * w <= K_BLOCK {
            [even(d, K_BLOCK / (h * w)), h, w]
        } else if w <= K_BLOCK {
            [1, even(h, K_BLOCK / w), w]
        } else {
            [1, 1, even(w, K_BLOCK)]
        };
        let blocks: [usize; 3] = std::array::from_fn(|i| target[i].div_ceil(block[i]));
        let extents = lattice.extents(block);
        let channel_len = lattice.bands() * extents.iter().product::<usize>();
        let columns = whole(((block[0] - 1) * extents[1] + block[1] - 1) * extents[2] + block[2]);
        let size: usize = block.iter().product();
        let images = if blocks == [1; 3] { (K_BLOCK / size).clamp(1, n.max(1)) } else { 1 };
        let room = (PAIRS / taps).max(1);
        let channel_block = channels.div_ceil(channels.div_ceil(room));
        let base = g.groups * channels.div_ceil(channel_block);
        let wanted = worth(&[n, g.window.output_len(), g.groups, rows, channels, taps], 16, TASKS).div_ceil(base);
        let units = n.div_ceil(images) * blocks.iter().product::<usize>();
        let len = g.co * channels * taps;
        let parts = wanted.min(units).min(PARTS / len).max(1);
        let row_blocks = wanted.div_ceil(parts).min(rows / 56).max(1);
        let mut phases = vec![base * row_blocks * parts];
        if parts > 1 {
            phases.push(len.div_ceil(1 << 14));
        }
        let band: usize = extents.iter().product();
        let mut pairs = Vec::with_capacity(channel_block * taps);
        for c in 0..channel_block {
            for &(_, r, [od, oh, ow]) in &lattice.taps {
                pairs.push(c * channel_len + r * band + (od * extents[1] + oh) * extents[2] + ow);
            }
        }
        let mut pixels = Vec::with_capacity(images * size);
        for i in 0..images {
            for td in 0..block[0] {
                for th in 0..block[1] {
                    let row = (td * extents[1] + th) * extents[2];
                    pixels.extend((0..block[2]).map(|tw| (i * columns + row + tw) * 32));
                }
            }
        }
        Ok(ProductFilterGrad {
            isa,
            n,
            groups: g.groups,
            rows,
            channels,
            lattice,
            source_len: g.window.input_len(),
            target,
            block,
            blocks,
            extents,
            channel_len,
            columns,
            images,
            channel_block,
            row_blocks,
            parts,
            pairs,
            pixels,
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
        assert!(dw.len() >= self.len());
        let run = Run { k: self, phase, task, x, dy, dw, workspace, scratch };
        // SAFETY: lengths are checked; tasks write disjoint parts; the rest is the caller's promise.
        unsafe { self.isa.call(run) }
    }
    /// Number of weights.
    fn len(&self) -> usize {
        self.groups * self.rows * self.channels * self.lattice.taps.len()
    }
    /// Elements of the bands, with room for the last vector.
    fn band_len(&self) -> usize {
        self.images * self.channel_block * self.channel_len + 32
    }
    /// Elements of 32 pairs of the packed right side.
    fn group_len(&self) -> usize {
        self.images * self.columns * 32
    }
}

impl Work for ProductFilterGrad {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        if self.parts > 1 { self.parts * self.len() } else { 0 }
    }
    fn scratch_len(&self) -> usize {
        LINE + 16 * PITCH + whole(self.band_len()) + self.pairs.len().div_ceil(32) * self.group_len()
    }
}

struct Run<'a> {
    k: &'a ProductFilterGrad,
    phase: usize,
    task: usize,
    x: &'a [f32],
    dy: &'a [f32],
    dw: SharedMut<'a, f32>,
    workspace: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(mut self) {
        let k = self.k;
        // SAFETY: the contract of `ProductFilterGrad::run`; scratch is as long as `scratch_len` says.
        unsafe {
            if self.phase == 1 {
                return join::<S>(self.workspace.as_ptr(), self.dw.as_ptr(), k.len(), k.parts, self.task, k.phases[1]);
            }
            let mut memory = Pieces::new(std::mem::take(&mut self.scratch));
            let panel = memory.take(16 * PITCH).as_mut_ptr();
            let band = memory.take(k.band_len()).as_mut_ptr();
            let packed = memory.take(k.pairs.len().div_ceil(32) * k.group_len()).as_mut_ptr();
            self.unit::<S>(panel, band, packed);
        }
    }
}

impl Run<'_> {
    /// A block of rows and channels of one group, summed over a part of the pixels.
    #[inline(always)]
    unsafe fn unit<S: Simd16>(&self, panel: *mut f32, band: *mut f32, packed: *mut f32) {
        let k = self.k;
        let taps = k.lattice.taps.len();
        let (part, rest) = (self.task % k.parts, self.task / k.parts);
        let (rb, rest) = (rest % k.row_blocks, rest / k.row_blocks);
        let channel_blocks = k.channels.div_ceil(k.channel_block);
        let (cb, group) = (rest % channel_blocks, rest / channel_blocks);
        let rows = k.rows * rb / k.row_blocks..k.rows * (rb + 1) / k.row_blocks;
        let channels = cb * k.channel_block..((cb + 1) * k.channel_block).min(k.channels);
        let pairs = channels.len() * taps;
        let ldc = k.channels * taps;
        let blocks: usize = k.blocks.iter().product();
        let units = k.n.div_ceil(k.images) * blocks;
        let (begin, end) = (units * part / k.parts, units * (part + 1) / k.parts);
        let image_len = k.channel_block * k.channel_len;
        let plane_len: usize = k.target.iter().product();
        // SAFETY: as the caller promises.
        unsafe {
            let to = if k.parts > 1 { self.workspace.as_ptr().add(part * k.len()) } else { self.dw.as_ptr() };
            let to = to.add((group * k.rows * k.channels + channels.start) * taps);
            if begin == end {
                for row in rows.clone() {
                    zero::<S>(to.add(row * ldc), pairs);
                }
            }
            for at in begin..end {
                let (block_at, batch) = (at % blocks, at / blocks);
                let images = batch * k.images..((batch + 1) * k.images).min(k.n);
                let (bw, rest) = (block_at % k.blocks[2], block_at / k.blocks[2]);
                let (bh, bd) = (rest % k.blocks[1], rest / k.blocks[1]);
                let from = [bd * k.block[0], bh * k.block[1], bw * k.block[2]];
                let len: [usize; 3] = std::array::from_fn(|d| (k.target[d] - from[d]).min(k.block[d]));
                let region = Region { from, len };
                for (i, image) in images.clone().enumerate() {
                    for (j, c) in channels.clone().enumerate() {
                        let plane = (image * k.groups + group) * k.channels + c;
                        let plane = self.x.as_ptr().add(plane * k.source_len);
                        let band = band.add(i * image_len + j * k.channel_len);
                        fill_bands::<S>(&k.lattice, region, k.extents, plane, band);
                    }
                    self.turn::<S>(band.add(i * image_len), pairs, packed.add(i * k.columns * 32));
                }
                // Pixels of a region are neighbours in a plane, and those of several images follow one another.
                let size: usize = len.iter().product();
                let first_pixel = (from[0] * k.target[1] + from[1]) * k.target[2] + from[2];
                let deal = tile_rows::<S>(rows.len());
                for t in 0..deal.tiles {
                    let tile = rows.start + deal.start(t)..rows.start + deal.start(t + 1);
                    for (r, row) in tile.clone().enumerate() {
                        for (i, image) in images.clone().enumerate() {
                            let plane = (image * k.groups + group) * k.rows + row;
                            let from = self.dy.as_ptr().add(plane * plane_len + first_pixel);
                            copy::<S>(from, panel.add(r * PITCH + i * size), size);
                        }
                    }
                    block::<S>(Block {
                        a: panel,
                        panel: Panel::Rows,
                        rows: tile.len(),
                        b: packed,
                        b_step: k.group_len(),
                        offsets: k.pixels.as_ptr(),
                        k: images.len() * size,
                        c: to.add(tile.start * ldc),
                        ldc,
                        columns: pairs,
                        first: at == begin,
                    });
                }
            }
        }
    }

    /// Turns the bands of an image: for each pixel the values of all pairs side by side, 32 to a group.
    #[inline(always)]
    unsafe fn turn<S: Simd16>(&self, band: *const f32, pairs: usize, to: *mut f32) {
        let k = self.k;
        let mut pair = 0;
        while pair < pairs {
            // Behind the last pair it is repeated; nobody reads that.
            let offsets: [usize; 16] = std::array::from_fn(|i| k.pairs[(pair + i).min(pairs - 1)]);
            let mut q = 0;
            while q < k.columns {
                // SAFETY: bands have room for whole vectors, the packed side for whole groups.
                unsafe {
                    let mut v = [S::zero(); 16];
                    for i in 0..16 {
                        v[i] = S::load(band.add(offsets[i] + q));
                    }
                    let v = S::transpose(v);
                    let to = to.add(pair / 32 * k.group_len() + q * 32 + pair % 32);
                    for i in 0..16 {
                        S::store(to.add(i * 32), v[i]);
                    }
                }
                q += 16;
            }
            pair += 16;
        }
    }
}
