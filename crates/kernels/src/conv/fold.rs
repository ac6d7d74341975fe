//! The input gradient of small planes under large kernels at stride 1: a product of matrices gives every tap's share of
//! every output, which is then added to the input element that the tap touches.
//!
//! Planes are laid out at the pitch of the padded input, with zeros between rows and around, so that the shares of a tap
//! are added to the whole plane at once, shifted.

use super::cut::BUDGET;
use super::lattice::three;
use crate::gemm::{Block, K_BLOCK, PITCH, Panel, block, tile_rows};
use crate::memory::{LINE, Pieces, copy, whole, zero};
use crate::reference::each_index;
use crate::shared::{MOST_TASKS, product, worth};
use crate::simd::{Kernel, Simd16};
use crate::{Epilogue, Isa, SharedMut, Work};
use gabor_tensor::{Axis, ConvGeometry};
use std::ops::Range;

/// The input gradient by folding.
#[derive(Clone, Debug)]
pub(super) struct FoldInputGrad {
    isa: Isa,
    n: usize,
    groups: usize,
    /// Input and output channels per group.
    channels: usize,
    filters: usize,
    axes: [Axis; 3],
    /// For each tap: how far its shares move in the padded plane.
    shifts: Vec<usize>,
    /// Elements of the outputs of an image at the pitch of the padded plane, and the zeros before and behind them.
    columns: usize,
    guard: usize,
    /// Input channels that are computed together; parts that the channels are split into; images of a unit.
    channel_block: usize,
    splits: usize,
    images: usize,
    units: usize,
    /// Where the outputs of each filter start in the packed dy.
    offsets: Vec<usize>,
    phases: [usize; 1],
}

impl FoldInputGrad {
    /// The kernel, if one input channel's share fits the scratch memory.
    pub(super) fn new(g: &ConvGeometry, n: usize, isa: Isa) -> Option<Self> {
        let axes = three(&g.window).ok()?;
        let (channels, filters, taps) = (g.ci / g.groups, g.co / g.groups, g.window.kernel_len());
        if axes.iter().any(|a| a.stride > 1) || filters > K_BLOCK {
            return None;
        }
        let [_, ph, pw] = axes.map(|a| padded(&a));
        let shift = |[d, h, w]: [usize; 3]| (d * ph + h) * pw + w;
        let mut shifts = Vec::with_capacity(taps);
        each_index(&axes.map(|a| a.kernel), |k| {
            shifts.push(shift(std::array::from_fn(|d| k[d] * axes[d].dilation)));
        });
        let run = shift(axes.map(|a| a.output - 1)) + 1;
        let columns = whole(run);
        let guard = whole(axes.iter().map(padded).product::<usize>() - run + 16);
        let share = taps * (columns + guard);
        if share > BUDGET || columns + guard > BUDGET / 16 {
            return None;
        }
        let wanted = worth(&[n, g.ci, filters, taps, columns], 16, MOST_TASKS);
        // A few rows of channels at a time, so that their shares stay in the first-level cache.
        let channel_block = 14usize.div_ceil(taps).min(BUDGET / share).min(channels);
        let most = (n * g.groups / wanted).max(1);
        let images = (512 / columns).min(BUDGET / (4 * channel_block * share)).min(most).min(n).max(1);
        let splits = wanted.div_ceil(g.groups * n.div_ceil(images)).min(channels.div_ceil(channel_block));
        let units = g.groups * splits * n.div_ceil(images);
        let offsets = (0..filters).map(|j| j * images * columns).collect();
        Some(FoldInputGrad {
            isa,
            n,
            groups: g.groups,
            channels,
            filters,
            axes,
            shifts,
            columns,
            guard,
            channel_block,
            splits,
            images,
            units,
            offsets,
            phases: [wanted.min(units)],
        })
    }
    /// Vector operations of one image: products and additions.
    pub(super) fn operations(&self) -> u64 {
        let adds = (2 * self.padded() / 16) as u64;
        let products = product(&[self.filters, self.columns]) / 16;
        product(&[self.groups, self.channels, self.shifts.len()]) * (products + adds)
    }
    /// Elements of a padded input plane.
    fn padded(&self) -> usize {
        self.axes.iter().map(padded).product()
    }
    fn source_len(&self) -> usize {
        self.offsets.len() * self.images * self.columns
    }
    /// Distance between the shares of one tap and of the next.
    fn pitch(&self) -> usize {
        self.images * (self.columns + self.guard)
    }
    fn shares_len(&self) -> usize {
        self.channel_block * self.shifts.len() * self.pitch() + self.guard
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
        let input: usize = self.axes.iter().map(|a| a.input).product();
        assert!(
            from.len() >= self.n * self.groups * self.filters * self.axes.iter().map(|a| a.output).product::<usize>()
        );
        assert!(to.len() >= self.n * self.groups * self.channels * input && scratch.len() >= self.scratch_len());
        assert!(w.len() >= self.groups * self.filters * self.channels * self.shifts.len());
        assert!(epilogue.bias.is_none_or(|b| b.len() >= self.groups * self.channels));
        assert!(epilogue.add.is_none_or(|a| a.len() >= to.len()));
        // SAFETY: lengths are checked; units write disjoint planes; the rest is the caller's promise.
        unsafe { self.isa.call(Run { k: self, task, from, w, epilogue, to, scratch }) }
    }
}

/// Extent of a padded input dimension that every tap and every input element lies in.
fn padded(a: &Axis) -> usize {
    ((a.output - 1) * a.stride + a.reach()).max(a.pad_begin + a.input)
}

impl Work for FoldInputGrad {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn scratch_len(&self) -> usize {
        LINE + 16 * PITCH + whole(self.source_len()) + whole(self.shares_len()) + whole(self.padded())
    }
}

struct Run<'a> {
    k: &'a FoldInputGrad,
    task: usize,
    from: &'a [f32],
    w: &'a [f32],
    epilogue: Epilogue<'a>,
    to: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
}

/// Scratch memory of a task.
#[derive(Clone, Copy)]
struct Scratch {
    panel: *mut f32,
    source: *mut f32,
    shares: *mut f32,
    padded: *mut f32,
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(mut self) {
        let k = self.k;
        let mut memory = Pieces::new(std::mem::take(&mut self.scratch));
        let s = Scratch {
            panel: memory.take(16 * PITCH).as_mut_ptr(),
            source: memory.take(k.source_len()).as_mut_ptr(),
            shares: memory.take(k.shares_len()).as_mut_ptr(),
            padded: memory.take(k.padded()).as_mut_ptr(),
        };
        // The zeros between; products write zeros wherever a vector reaches beyond the outputs.
        // SAFETY: the shares are as long as said.
        unsafe { zero::<S>(s.shares, k.shares_len()) };
        let tasks = k.phases[0];
        for unit in k.units * self.task / tasks..k.units * (self.task + 1) / tasks {
            let batches = k.n.div_ceil(k.images);
            let (b, rest) = (unit % batches * k.images, unit / batches);
            let (split, group) = (rest % k.splits, rest / k.splits);
            let images = b..(b + k.images).min(k.n);
            let (mut c, end) = (k.channels * split / k.splits, k.channels * (split + 1) / k.splits);
            // SAFETY: the contract of `FoldInputGrad::run`; scratch is as long as `scratch_len` says.
            unsafe {
                self.pack::<S>(group, images.clone(), s);
                while c < end {
                    let channels = c..(c + k.channel_block).min(end);
                    self.product::<S>(group, images.len(), channels.clone(), s);
                    self.fold::<S>(group, images.clone(), channels, s);
                    c += k.channel_block;
                }
            }
        }
    }
}

impl Run<'_> {
    /// Packs dy at the pitch of the padded input.
    #[inline(always)]
    unsafe fn pack<S: Simd16>(&self, group: usize, images: Range<usize>, s: Scratch) {
        let k = self.k;
        let [d, h, w] = &k.axes;
        let (ph, pw) = (padded(h), padded(w));
        for j in 0..k.filters {
            for (i, image) in images.clone().enumerate() {
                let plane = (image * k.groups + group) * k.filters + j;
                // SAFETY: rows lie inside dy and the packed planes.
                unsafe {
                    let to = s.source.add((j * k.images + i) * k.columns);
                    zero::<S>(to, k.columns);
                    for od in 0..d.output {
                        for oh in 0..h.output {
                            let from = ((plane * d.output + od) * h.output + oh) * w.output;
                            copy::<S>(self.from.as_ptr().add(from), to.add((od * ph + oh) * pw), w.output);
                        }
                    }
                }
            }
        }
    }

    /// The share of every channel and tap in every output.
    #[inline(always)]
    unsafe fn product<S: Simd16>(&self, group: usize, images: usize, channels: Range<usize>, s: Scratch) {
        let k = self.k;
        let taps = k.shifts.len();
        let deal = tile_rows::<S>(channels.len() * taps);
        for t in 0..deal.tiles {
            let (first, last) = (deal.start(t), deal.start(t + 1));
            // SAFETY: rows lie inside the weight; scratch is as long as `scratch_len` says.
            unsafe {
                for j in 0..k.filters {
                    let row = ((group * k.filters + j) * k.channels + channels.start) * taps + first;
                    copy::<S>(self.w.as_ptr().add(row), s.panel.add(j * 16), last - first);
                }
                for i in 0..images {
                    block::<S>(Block {
                        a: s.panel,
                        panel: Panel::Columns,
                        rows: last - first,
                        b: s.source.add(i * k.columns),
                        b_step: 32,
                        offsets: k.offsets.as_ptr(),
                        k: k.filters,
                        c: s.shares.add(first * k.pitch() + i * (k.columns + k.guard) + k.guard),
                        ldc: k.pitch(),
                        columns: k.columns,
                        first: true,
                    });
                }
            }
        }
    }

    /// Adds the shares up in a padded plane and moves its inside to the target.
    #[inline(always)]
    unsafe fn fold<S: Simd16>(&self, group: usize, images: Range<usize>, channels: Range<usize>, s: Scratch) {
        let k = self.k;
        let [d, h, w] = &k.axes;
        let (ph, pw) = (padded(h), padded(w));
        for (i, image) in images.enumerate() {
            for (c, channel) in channels.clone().enumerate() {
                // SAFETY: shares have zeros before and behind them for every shift; input rows lie inside the padded
                // plane and the target.
                unsafe {
                    let shares = c * k.shifts.len() * k.pitch() + i * (k.columns + k.guard) + k.guard;
                    let shares = s.shares.add(shares);
                    let mut at = 0;
                    while at < k.padded() {
                        let mut sum = S::zero();
                        let mut share = shares.add(at);
                        for &shift in &k.shifts {
                            sum = S::add(sum, S::load(share.sub(shift)));
                            share = share.add(k.pitch());
                        }
                        S::store(s.padded.add(at), sum);
                        at += 16;
                    }
                    let channel = group * k.channels + channel;
                    let bias = self.epilogue.bias.map(|b| b[channel]);
                    for id in 0..d.input {
                        for ih in 0..h.input {
                            let row = ((id + d.pad_begin) * ph + ih + h.pad_begin) * pw + w.pad_begin;
                            let to = (image * k.groups * k.channels + channel) * d.input + id;
                            let place = ((to * h.input + ih) * w.input, 1);
                            self.epilogue.row::<S>(s.padded.add(row), self.to.as_ptr(), place, w.input, bias);
                        }
                    }
                }
            }
        }
    }
}
