//! Convolution and its input gradient as weights times bands.

use super::cut::{BUDGET, Cut};
use super::lattice::{Lattice, Region, fill_bands};
use crate::gemm::{Block, K_BLOCK, PITCH, Panel, block, tile_rows};
use crate::memory::{LINE, Pieces, copy, whole, zero};
use crate::shared::{MOST_TASKS, product, worth};
use crate::simd::{Kernel, Simd16};
use crate::{Epilogue, Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Rule};
use std::ops::Range;

/// A convolution or input gradient as weights times bands.
#[derive(Clone, Debug)]
pub(super) struct BandConv {
    isa: Isa,
    n: usize,
    groups: usize,
    /// Channels per group of the destination (rows of the product) and of the source.
    rows: usize,
    channels: usize,
    /// Weight elements of a channel pair, and how far the next row, channel and group are.
    kernel_len: usize,
    row_step: usize,
    channel_step: usize,
    group_step: usize,
    source_len: usize,
    target: [usize; 3],
    pieces: Vec<LatticePiece>,
    cut: Cut,
    units: usize,
    phases: [usize; 1],
}

/// A lattice with its tables.
#[derive(Clone, Debug)]
struct LatticePiece {
    lattice: Lattice,
    /// Extents of one band, elements of a channel's bands.
    extents: [usize; 3],
    channel_len: usize,
    /// Channels that are summed over in one go.
    chunk: usize,
    /// For each channel of a chunk and tap: its offset in the bands.
    offsets: Vec<usize>,
    /// Whether the taps are all elements of the kernel, in order.
    all_taps: bool,
}

impl BandConv {
    pub(super) fn forward(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        let (rows, channels, kl) = (g.co / g.groups, g.ci / g.groups, g.window.kernel_len());
        let lattices = vec![Lattice::forward(&g.window)?];
        Ok(Self::new(g, n, isa, lattices, [rows, channels], [channels * kl, kl], &g.window.output()))
    }
    pub(super) fn input_grad(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        let (rows, channels, kl) = (g.ci / g.groups, g.co / g.groups, g.window.kernel_len());
        let lattices = Lattice::backward(&g.window)?;
        Ok(Self::new(g, n, isa, lattices, [rows, channels], [kl, rows * kl], &g.window.input()))
    }

    fn new(
        g: &ConvGeometry,
        n: usize,
        isa: Isa,
        lattices: Vec<Lattice>,
        [rows, channels]: [usize; 2],
        [row_step, channel_step]: [usize; 2],
        target: &[usize],
    ) -> Self {
        let mut extents = [1; 3];
        extents[3 - target.len()..].copy_from_slice(target);
        let taps: usize = lattices.iter().map(|l| l.taps.len()).sum();
        let counts: [usize; 3] = std::array::from_fn(|d| lattices.iter().map(|l| l.axes[d].count).max().unwrap_or(1));
        let per_output = (rows * channels * taps).div_ceil(lattices.len().max(1));
        let [d, h, w] = counts;
        let wanted = worth(&[n, g.groups, per_output, lattices.len(), d, h, w], 16, MOST_TASKS);
        let cut = Cut::new(&lattices, counts, n, g.groups, [rows, channels], wanted);
        let mut cut = cut;
        let pieces: Vec<LatticePiece> =
            lattices.into_iter().map(|l| LatticePiece::new(l, cut, channels, g.window.kernel_len())).collect();
        cut.band = pieces.iter().map(|p| cut.images * p.chunk * p.channel_len).max().unwrap_or(0) + 32;
        let units = cut.row_blocks * g.groups * n.div_ceil(cut.images) * cut.blocks.iter().product::<usize>();
        BandConv {
            isa,
            n,
            groups: g.groups,
            rows,
            channels,
            kernel_len: g.window.kernel_len(),
            row_step,
            channel_step,
            group_step: rows.max(1) * channels * g.window.kernel_len(),
            source_len: pieces.first().map_or(0, |p| p.lattice.axes.iter().map(|a| a.source).product()),
            target: extents,
            pieces,
            cut,
            units,
            phases: [wanted.min(units)],
        }
    }
    /// Vector operations of the products of one image.
    pub(super) fn products(&self) -> u64 {
        let lattice = |p: &LatticePiece| {
            let [d, h, w] = [0, 1, 2].map(|i| (p.lattice.axes[i].count, p.lattice.axes[i].reach));
            let columns = ((d.0 - 1) * (h.0 + h.1) + h.0 - 1) * (w.0 + w.1) + w.0;
            product(&[columns, p.lattice.taps.len()]) / 16
        };
        product(&[self.groups, self.rows, self.channels]) * self.pieces.iter().map(lattice).sum::<u64>()
    }
    /// # Safety
    /// As [`super::ConvKernel::run`].
    pub(super) unsafe fn run(
        &self,
        task: usize,
        from: &[f32],
        w: &[f32],
        epilogue: Epilogue<'_>,
        to: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        assert!(from.len() >= self.n * self.groups * self.channels * self.source_len);
        assert!(w.len() >= self.groups * self.group_step && scratch.len() >= self.scratch_len());
        assert!(to.len() >= self.n * self.groups * self.rows * self.target.iter().product::<usize>());
        assert!(epilogue.bias.is_none_or(|b| b.len() >= self.groups * self.rows));
        assert!(epilogue.add.is_none_or(|a| a.len() >= to.len()));
        // SAFETY: lengths are checked; units write disjoint outputs; the rest is the caller's promise.
        unsafe { self.isa.call(Run { kernel: self, task, from, w, epilogue, to, scratch }) }
    }
    /// Largest number of rows of a unit.
    fn unit_rows(&self) -> usize {
        self.rows.div_ceil(self.cut.row_blocks)
    }
}

impl Work for BandConv {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn scratch_len(&self) -> usize {
        LINE + 16 * PITCH + whole(self.cut.band) + self.unit_rows() * self.cut.images * self.cut.columns
    }
}

impl LatticePiece {
    fn new(lattice: Lattice, cut: Cut, channels: usize, kernel_len: usize) -> Self {
        let extents = lattice.extents(cut.block);
        let band = extents.iter().product::<usize>();
        let channel_len = lattice.bands() * band;
        let taps = lattice.taps.len();
        let room = (BUDGET / (channel_len * cut.images).max(1)).max(1);
        let chunk = (K_BLOCK / taps.max(1)).clamp(1, channels.max(1)).min(room);
        let mut offsets = Vec::with_capacity(chunk * taps);
        for c in 0..chunk {
            for &(_, r, [od, oh, ow]) in &lattice.taps {
                offsets.push(c * channel_len + r * band + (od * extents[1] + oh) * extents[2] + ow);
            }
        }
        let all_taps = taps == kernel_len;
        LatticePiece { lattice, extents, channel_len, chunk, offsets, all_taps }
    }
}

struct Run<'a> {
    kernel: &'a BandConv,
    task: usize,
    from: &'a [f32],
    w: &'a [f32],
    epilogue: Epilogue<'a>,
    to: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

/// One unit of work, resolved.
struct Unit<'a> {
    k: &'a BandConv,
    piece: &'a LatticePiece,
    region: Region,
    group: usize,
    images: Range<usize>,
    rows: Range<usize>,
    panel: *mut f32,
    band: *mut f32,
    sums: *mut f32,
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let (k, cut) = (self.kernel, self.kernel.cut);
        let mut memory = Pieces::new(self.scratch);
        let panel = memory.take(16 * PITCH).as_mut_ptr();
        let band = memory.take(cut.band).as_mut_ptr();
        let sums = memory.take(k.unit_rows() * cut.images * cut.columns).as_mut_ptr();
        let tasks = k.phases[0];
        for unit in k.units * self.task / tasks..k.units * (self.task + 1) / tasks {
            // Order of the units: blocks of a plane, then images, groups, row blocks.
            let (bw, rest) = (unit % cut.blocks[2], unit / cut.blocks[2]);
            let (bh, rest) = (rest % cut.blocks[1], rest / cut.blocks[1]);
            let (bd, rest) = (rest % cut.blocks[0], rest / cut.blocks[0]);
            let batches = k.n.div_ceil(cut.images);
            let (b, rest) = (rest % batches * cut.images, rest / batches);
            let (group, r) = (rest % k.groups, rest / k.groups);
            for piece in &k.pieces {
                let at = [bd * cut.block[0], bh * cut.block[1], bw * cut.block[2]];
                let axes = &piece.lattice.axes;
                let len: [usize; 3] = std::array::from_fn(|d| axes[d].count.saturating_sub(at[d]).min(cut.block[d]));
                if len.contains(&0) {
                    continue;
                }
                let unit = Unit {
                    k,
                    piece,
                    region: Region { from: at, len },
                    group,
                    images: b..(b + cut.images).min(k.n),
                    rows: k.rows * r / cut.row_blocks..k.rows * (r + 1) / cut.row_blocks,
                    panel,
                    band,
                    sums,
                };
                // SAFETY: the contract of `BandConv::run`; scratch is as long as `scratch_len` says.
                unsafe {
                    unit.compute::<S>(self.from.as_ptr(), self.w);
                    unit.write::<S>(&self.epilogue, self.to.as_ptr());
                }
            }
        }
    }
}

impl Unit<'_> {
    /// Distance between rows of the scratch result.
    fn pitch(&self) -> usize {
        self.images.len() * self.k.cut.columns
    }
    /// Number of columns of the scratch result of one image: the outputs of the region and the gaps between its rows.
    fn columns(&self) -> usize {
        let ([d, h, w], e) = (self.region.len, self.piece.extents);
        whole(((d - 1) * e[1] + h - 1) * e[2] + w)
    }

    #[inline(always)]
    unsafe fn compute<S: Simd16>(&self, from: *const f32, w: &[f32]) {
        let (k, p) = (self.k, self.piece);
        let taps = p.lattice.taps.len();
        let image_len = p.chunk * p.channel_len;
        // SAFETY: as the caller promises.
        unsafe {
            if taps == 0 {
                return zero::<S>(self.sums, self.rows.len() * self.pitch());
            }
            let mut c0 = 0;
            while c0 < k.channels {
                let c1 = (c0 + p.chunk).min(k.channels);
                for (i, image) in self.images.clone().enumerate() {
                    for c in c0..c1 {
                        let plane = (image * k.groups + self.group) * k.channels + c;
                        let band = self.band.add(i * image_len + (c - c0) * p.channel_len);
                        let plane = from.add(plane * k.source_len);
                        fill_bands::<S>(&p.lattice, self.region, p.extents, plane, band);
                    }
                }
                if k.rows == 1 && k.channels == 1 {
                    self.single::<S>(w.as_ptr().add(self.group * k.group_step));
                } else {
                    let mut t0 = 0;
                    while t0 < taps {
                        let t1 = taps.min(t0 + K_BLOCK);
                        self.product::<S>(w, c0..c1, t0..t1);
                        t0 = t1;
                    }
                }
                c0 = c1;
            }
        }
    }

    /// Adds the product of the weights of some channels and taps with their bands to the scratch result.
    #[inline(always)]
    unsafe fn product<S: Simd16>(&self, w: &[f32], channels: Range<usize>, taps: Range<usize>) {
        let (k, p) = (self.k, self.piece);
        let steps = channels.len() * taps.len();
        let by_columns = k.kernel_len == 1 && k.row_step == 1;
        let deal = tile_rows::<S>(self.rows.len());
        // SAFETY: rows, channels and taps are inside the weight; the rest is the caller's promise.
        unsafe {
            let w = w.as_ptr().add(self.group * k.group_step);
            for t in 0..deal.tiles {
                let (first, last) = (deal.start(t), deal.start(t + 1));
                let w = w.add((self.rows.start + first) * k.row_step + channels.start * k.channel_step);
                if by_columns {
                    for c in 0..channels.len() {
                        copy::<S>(w.add(c * k.channel_step), self.panel.add(c * 16), last - first);
                    }
                } else {
                    for r in 0..last - first {
                        self.pack_row::<S>(w.add(r * k.row_step), channels.len(), &taps, self.panel.add(r * PITCH));
                    }
                }
                for i in 0..self.images.len() {
                    block::<S>(Block {
                        a: self.panel,
                        panel: if by_columns { Panel::Columns } else { Panel::Rows },
                        rows: last - first,
                        b: self.band.add(i * p.chunk * p.channel_len),
                        b_step: 32,
                        offsets: p.offsets.as_ptr().add(taps.start),
                        k: steps,
                        c: self.sums.add(first * self.pitch() + i * k.cut.columns),
                        ldc: self.pitch(),
                        columns: self.columns(),
                        first: channels.start == 0 && taps.start == 0,
                    });
                }
            }
        }
    }

    /// Packs the weights of one row: channel by channel, tap by tap.
    #[inline(always)]
    unsafe fn pack_row<S: Simd16>(&self, w: *const f32, channels: usize, taps: &Range<usize>, to: *mut f32) {
        let (k, p) = (self.k, self.piece);
        let n = taps.len();
        // SAFETY: as the caller promises.
        unsafe {
            if p.all_taps && (k.channel_step == k.kernel_len || channels == 1) {
                return copy::<S>(w.add(taps.start), to, channels * n);
            }
            for c in 0..channels {
                let w = w.add(c * k.channel_step);
                if p.all_taps {
                    copy::<S>(w.add(taps.start), to.add(c * n), n);
                } else {
                    for (i, tap) in p.lattice.taps[taps.clone()].iter().enumerate() {
                        *to.add(c * n + i) = *w.add(tap.0);
                    }
                }
            }
        }
    }

    /// A group of one channel: no product of matrices, but the taps one after another.
    #[inline(always)]
    unsafe fn single<S: Simd16>(&self, w: *const f32) {
        let columns = self.columns();
        for i in 0..self.images.len() {
            let mut at = 0;
            while at < columns {
                // SAFETY: bands and result are valid for whole vectors.
                unsafe {
                    let row = Single {
                        piece: self.piece,
                        w,
                        band: self.band.add(i * self.piece.channel_len + at),
                        to: self.sums.add(i * self.k.cut.columns + at),
                    };
                    if columns - at >= 128 && S::WIDE {
                        S::call(Vectors::<8>(row));
                        at += 128;
                    } else if columns - at >= 64 {
                        S::call(Vectors::<4>(row));
                        at += 64;
                    } else {
                        S::call(Vectors::<1>(row));
                        at += 16;
                    }
                }
            }
        }
    }

    /// Moves the scratch result to its place.
    #[inline(always)]
    unsafe fn write<S: Simd16>(&self, epilogue: &Epilogue<'_>, to: *mut f32) {
        let (k, p) = (self.k, self.piece);
        let [_, height, width] = k.target;
        let axes = &p.lattice.axes;
        let at = |d: usize, t: usize| axes[d].first + (self.region.from[d] + t) * axes[d].step;
        for (i, image) in self.images.clone().enumerate() {
            for (r, row) in self.rows.clone().enumerate() {
                let channel = self.group * k.rows + row;
                let plane = (image * k.groups * k.rows + channel) * k.target.iter().product::<usize>();
                let bias = epilogue.bias.map(|b| b[channel]);
                for td in 0..self.region.len[0] {
                    for th in 0..self.region.len[1] {
                        let from = r * self.pitch() + i * k.cut.columns + (td * p.extents[1] + th) * p.extents[2];
                        let target = plane + (at(0, td) * height + at(1, th)) * width + at(2, 0);
                        let place = (target, axes[2].step);
                        // SAFETY: the rows lie inside the scratch result and the target.
                        unsafe { epilogue.row::<S>(self.sums.add(from), to, place, self.region.len[2], bias) }
                    }
                }
            }
        }
    }
}

struct Single<'a> {
    piece: &'a LatticePiece,
    w: *const f32,
    band: *const f32,
    to: *mut f32,
}

/// `NV` vectors of outputs of a single channel.
struct Vectors<'a, const NV: usize>(Single<'a>);

impl<const NV: usize> Kernel for Vectors<'_, NV> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let p = self.0;
        // SAFETY: the contract of `Unit::single`.
        unsafe {
            let mut acc = [S::zero(); NV];
            for (tap, offset) in p.piece.lattice.taps.iter().zip(&p.piece.offsets) {
                let w = S::splat(*p.w.add(tap.0));
                for i in 0..NV {
                    acc[i] = S::fma(w, S::load(p.band.add(offset + 16 * i)), acc[i]);
                }
            }
            for i in 0..NV {
                S::store(p.to.add(16 * i), acc[i]);
            }
        }
    }
}
