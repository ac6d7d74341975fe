//! The filter gradient.

use super::band::{Band, Pixels, Region};
use crate::blocked::Blocked;
use crate::memory::{LINE, Pieces};
use crate::shared::worth;
use crate::simd::{Kernel, Simd16};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::ConvGeometry;

/// Tasks that are aimed at: each part of the pixels has a partial result of its own.
const TASKS: usize = 16;
/// Outputs of a block of rows: their gradients stay in the second cache while all taps pass over them.
const OUTPUTS: usize = 1024;
/// Most elements of the partial results together.
const PARTS: usize = 1 << 20;
/// Blocks of filters of a task.
const GROUP: usize = 2;
/// Most taps of a register tile, where there are 32 registers of 16 lanes and elsewhere.
const WIDE: usize = 14;
const NARROW: usize = 6;

/// A prepared filter gradient of less than 16 input channels: x `[n, ci, input…]` in plain order and dy
/// `[n, co, output…]`, blocked, to dw `[co, ci, kernel…]` in plain order.
///
/// Sums run over the pixels of a block of rows in order with fused multiply-adds; the blocks of a part of the pixels are
/// added up in order, and the parts in order by the second phase.
#[derive(Clone, Debug)]
pub struct FirstFilterGradKernel {
    isa: Isa,
    band: Band,
    output: Blocked,
    offsets: Vec<usize>,
    /// Taps of a row of the kernel that are neighbours in memory: all, or one if they are dilated.
    run: usize,
    parts: usize,
    phases: [usize; 2],
}

impl FirstFilterGradKernel {
    /// Prepares the filter gradient of `n` images.
    ///
    /// # Errors
    /// Groups, 16 or more input channels, more than three spatial dimensions.
    pub fn new(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, String> {
        let axes = super::axes_of(g)?;
        let output = Blocked { n, c: g.co, plane: g.window.output_len() };
        let steps = g.ci * g.window.kernel_len();
        let groups = output.blocks().div_ceil(GROUP);
        let wanted = worth(&[n, output.plane, output.blocks(), steps], 1, TASKS)
            .div_ceil(groups)
            .min(PARTS / (output.blocks() * 16 * steps))
            .max(1);
        let band = Band::new(axes, g.ci, n, false, wanted, OUTPUTS);
        let parts = wanted.min(band.units()).max(1);
        let run = if axes[2].dilation == 1 { axes[2].kernel } else { 1 };
        let phases = [groups * parts, output.blocks()];
        Ok(FirstFilterGradKernel { isa, offsets: band.offsets(), band, output, run, parts, phases })
    }
    /// Runs one task: reads `x` and `dy`, writes its part of `dw`.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `dw` and
    /// `workspace` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        x: Pixels<'_>,
        dy: &[f32],
        dw: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let b = &self.band;
        x.check(b.n * b.channels, b.axes.iter().map(|a| a.input).product(), b.channels);
        assert!(dy.len() >= self.output.len() && dw.len() >= self.output.c * self.offsets.len());
        assert!(workspace.len() >= self.workspace_len() && scratch.len() >= self.scratch_len());
        let (dw, sums) = (dw.as_ptr(), workspace.as_ptr());
        // SAFETY: lengths are checked; tasks write disjoint parts; the rest is the caller's promise.
        unsafe {
            if phase == 0 {
                self.isa.call(Sum { k: self, task, x, dy: dy.as_ptr(), sums, scratch });
            } else {
                self.isa.call(Join { k: self, block: task, sums, dw });
            }
        }
    }
    /// Elements of a partial result: `[co/16][ci · taps][16]`.
    fn part_len(&self) -> usize {
        self.output.blocks() * self.offsets.len() * 16
    }
}

impl Work for FirstFilterGradKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        self.parts * self.part_len()
    }
    fn scratch_len(&self) -> usize {
        LINE + self.band.len() + self.band.line_len().next_multiple_of(LINE)
    }
}

/// A group of filters, summed over a part of the blocks of outputs.
struct Sum<'a> {
    k: &'a FirstFilterGradKernel,
    task: usize,
    x: Pixels<'a>,
    dy: *const f32,
    sums: *mut f32,
    scratch: &'a mut [f32],
}

impl Kernel for Sum<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let (k, b) = (self.k, &self.k.band);
        let mut memory = Pieces::new(self.scratch);
        let (band, line) = (memory.take(b.len()).as_mut_ptr(), memory.take(b.line_len()).as_mut_ptr());
        let (part, group) = (self.task % k.parts, self.task / k.parts);
        let blocks = group * GROUP..((group + 1) * GROUP).min(k.output.blocks());
        let (units, steps) = (b.units(), k.offsets.len());
        let (begin, end) = (units * part / k.parts, units * (part + 1) / k.parts);
        // SAFETY: the contract of `FirstFilterGradKernel::run`; scratch is as long as `scratch_len` says.
        unsafe {
            let sums = self.sums.add(part * k.part_len());
            for unit in begin..end {
                let (image, region) = b.unit(unit);
                b.fill::<S>(&self.x, image, region, band, line);
                let mut block = blocks.start;
                while block < blocks.end {
                    let dy = self.dy.add(k.output.start(image, block));
                    let to = sums.add(block * steps * 16);
                    let rows = Rows { k, region, band, dy, sums: to, first: unit == begin };
                    if S::WIDE && block + 2 <= blocks.end {
                        rows.taps::<S, 2>();
                        block += 2;
                    } else {
                        rows.taps::<S, 1>();
                        block += 1;
                    }
                }
            }
        }
    }
}

/// Some blocks of filters and the outputs of a region.
#[derive(Clone, Copy)]
struct Rows<'a> {
    k: &'a FirstFilterGradKernel,
    region: Region,
    band: *const f32,
    dy: *const f32,
    sums: *mut f32,
    /// Whether the sums begin here.
    first: bool,
}

impl Rows<'_> {
    /// All taps, some neighbours of some rows of the kernel at a time.
    #[inline(always)]
    unsafe fn taps<S: Simd16, const NB: usize>(self) {
        let (run, steps) = (self.k.run, self.k.offsets.len());
        let most = if S::WIDE { WIDE } else { NARROW };
        // Lengths for which there is a tile.
        let longest = if S::WIDE && run % 11 == 0 { 11 } else { 7.min(most) };
        let pieces = run.div_ceil(longest);
        let lines = steps / run;
        for piece in 0..pieces {
            let (from, to) = (run * piece / pieces, run * (piece + 1) / pieces);
            let together = (most / (to - from)).min(4);
            let groups = lines.div_ceil(together);
            for group in 0..groups {
                let (top, bottom) = (lines * group / groups, lines * (group + 1) / groups);
                // SAFETY: as this function.
                unsafe { self.tile::<S, NB>(top * run + from, bottom - top, to - from) };
            }
        }
    }

    /// The taps `tap..tap + count` and those of the following rows of the kernel, `lines` in all.
    #[inline(always)]
    unsafe fn tile<S: Simd16, const NB: usize>(self, tap: usize, lines: usize, count: usize) {
        macro_rules! choose {
            ($($r:literal $t:literal),*) => {
                match (lines, count) {
                    // SAFETY: as this function.
                    $(($r, $t) => unsafe { S::call(Tile::<$r, $t, NB> { rows: self, tap }) },)*
                    _ => unreachable!("{lines} rows of {count} taps"),
                }
            };
        }
        if S::WIDE {
            choose!(1 1, 2 1, 3 1, 4 1, 1 2, 2 2, 3 2, 4 2, 1 3, 2 3, 3 3, 4 3, 1 4, 2 4, 3 4, 1 5, 2 5, 1 6, 2 6, 1 7,
                2 7, 1 11)
        } else {
            choose!(1 1, 2 1, 3 1, 4 1, 1 2, 2 2, 3 2, 1 3, 2 3, 1 4, 1 5, 1 6)
        }
    }
}

/// `T` neighbouring taps of `R` rows of the kernel times `NB` blocks of filters.
struct Tile<'a, const R: usize, const T: usize, const NB: usize> {
    rows: Rows<'a>,
    tap: usize,
}

impl<const R: usize, const T: usize, const NB: usize> Kernel for Tile<'_, R, T, NB> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let Rows { k, region, band, dy, sums, first } = self.rows;
        let [_, h, w] = k.band.axes.map(|a| a.output);
        let (step, steps, dy_step) = (k.band.pixel_step(), k.offsets.len(), k.output.plane * 16);
        // SAFETY: the contract of `FirstFilterGradKernel::run`: the band has all taps of the region, dy the outputs.
        unsafe {
            let mut acc = [[[S::zero(); NB]; T]; R];
            for td in 0..region.len[0] {
                for th in 0..region.len[1] {
                    let row = ((region.from[0] + td) * h + region.from[1] + th) * w + region.from[2];
                    let mut dy = dy.add(row * 16);
                    let mut x: [*const f32; R] = std::array::from_fn(|r| {
                        band.add(k.band.start(td, th) + *k.offsets.as_ptr().add(self.tap + r * k.run))
                    });
                    for _ in 0..region.len[2] {
                        let mut g = [S::zero(); NB];
                        for n in 0..NB {
                            g[n] = S::load(dy.add(n * dy_step));
                        }
                        for r in 0..R {
                            for t in 0..T {
                                let x = S::splat(*x[r].add(t));
                                for n in 0..NB {
                                    acc[r][t][n] = S::fma(x, g[n], acc[r][t][n]);
                                }
                            }
                            x[r] = x[r].add(step);
                        }
                        dy = dy.add(16);
                    }
                }
            }
            for n in 0..NB {
                for r in 0..R {
                    for t in 0..T {
                        let to = sums.add((n * steps + self.tap + r * k.run + t) * 16);
                        let sum = if first { acc[r][t][n] } else { S::add(S::load(to), acc[r][t][n]) };
                        S::store(to, sum);
                    }
                }
            }
        }
    }
}

/// Adds up the parts of a block of filters and writes them in plain order.
struct Join<'a> {
    k: &'a FirstFilterGradKernel,
    block: usize,
    sums: *const f32,
    dw: *mut f32,
}

impl Kernel for Join<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let (k, steps) = (self.k, self.k.offsets.len());
        let mut i = 0;
        while i < steps {
            let m = (steps - i).min(16);
            // SAFETY: the contract of `FirstFilterGradKernel::run`.
            unsafe {
                let from = self.sums.add((self.block * steps + i) * 16);
                let mut v = [S::zero(); 16];
                for j in 0..m {
                    v[j] = S::load(from.add(j * 16));
                    for part in 1..k.parts {
                        v[j] = S::add(v[j], S::load(from.add(part * k.part_len() + j * 16)));
                    }
                }
                let v = S::transpose(v);
                for r in 0..k.output.lanes(self.block) {
                    S::store_up_to(self.dw.add((self.block * 16 + r) * steps + i), v[r], m);
                }
            }
            i += m;
        }
    }
}
