//! The convolution.

use super::band::{Band, Pixels, Region};
use super::packing::FilterBlocks;
use crate::blocked::{Blocked, BlockedEpilogue};
use crate::memory::{LINE, Pieces};
use crate::shared::{MOST_TASKS, TASK};
use crate::simd::{Kernel, Simd16};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::ConvGeometry;

/// Outputs of a block of rows: its band stays in the second cache.
const OUTPUTS: usize = 4096;
/// Most pixels of a register tile, where there are 32 registers of 16 lanes and elsewhere.
const WIDE: usize = 14;
const NARROW: usize = 6;

/// A prepared convolution of less than 16 input channels: x `[n, ci, input…]` in plain order and packed filters to y
/// `[n, co, output…]`, blocked.
///
/// Every sum runs over channels and taps in order with fused multiply-adds. Products with padding are part of it: a NaN
/// or an infinity among the weights may show at the border too.
#[derive(Clone, Debug)]
pub struct FirstConvKernel {
    isa: Isa,
    band: Band,
    output: Blocked,
    offsets: Vec<usize>,
    phases: [usize; 1],
}

impl FirstConvKernel {
    /// Prepares the convolution of `n` images.
    ///
    /// # Errors
    /// Groups, 16 or more input channels, more than three spatial dimensions.
    pub fn forward(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, String> {
        let axes = super::axes_of(g)?;
        let output = Blocked { n, c: g.co, plane: g.window.output_len() };
        let work = g.macs().saturating_mul(n as u64) / (16 * TASK as u64);
        let wanted = work.clamp(1, MOST_TASKS as u64) as usize;
        let band = Band::new(axes, g.ci, n, true, wanted, OUTPUTS);
        let phases = [wanted.min(band.units())];
        Ok(FirstConvKernel { isa, offsets: band.offsets(), band, output, phases })
    }
    /// The order of the filters that it reads.
    pub fn packing(&self) -> FilterBlocks {
        FilterBlocks::new(self.output.c, self.offsets.len(), self.isa)
    }
    /// Runs one task: reads `x` and the packed filters, writes its part of `y`.
    ///
    /// # Safety
    /// Tasks may run at the same time; nothing else may touch `y` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        task: usize,
        x: Pixels<'_>,
        w: &[f32],
        epilogue: BlockedEpilogue<'_>,
        y: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let b = &self.band;
        x.check(b.n * b.channels, b.axes.iter().map(|a| a.input).product(), b.channels);
        assert!(w.len() >= self.output.blocks() * self.offsets.len() * 16 && y.len() >= self.output.len());
        assert!(epilogue.bias.is_none_or(|b| b.len() >= self.output.c));
        assert!(epilogue.add.is_none_or(|a| a.len() >= self.output.len()));
        assert!(scratch.len() >= self.scratch_len());
        let run = Run { k: self, task, x, w: w.as_ptr(), epilogue, y: y.as_ptr(), scratch };
        // SAFETY: lengths are checked; blocks write disjoint outputs; the rest is the caller's promise.
        unsafe { self.isa.call(run) }
    }
}

impl Work for FirstConvKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn scratch_len(&self) -> usize {
        LINE + self.band.len() + self.band.line_len().next_multiple_of(LINE)
    }
}

struct Run<'a> {
    k: &'a FirstConvKernel,
    task: usize,
    x: Pixels<'a>,
    w: *const f32,
    epilogue: BlockedEpilogue<'a>,
    y: *mut f32,
    scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let (k, b) = (self.k, &self.k.band);
        let mut memory = Pieces::new(self.scratch);
        let (band, line) = (memory.take(b.len()).as_mut_ptr(), memory.take(b.line_len()).as_mut_ptr());
        let (units, tasks, blocks) = (b.units(), k.phases[0], k.output.blocks());
        for unit in units * self.task / tasks..units * (self.task + 1) / tasks {
            let (image, region) = b.unit(unit);
            // SAFETY: the contract of `FirstConvKernel::run`; scratch is as long as `scratch_len` says.
            unsafe { b.fill::<S>(&self.x, image, region, band, line) };
            let mut block = 0;
            while block < blocks {
                let rows = Rows { k, region, image, block, band, w: self.w, epilogue: self.epilogue, y: self.y };
                // SAFETY: as above.
                unsafe {
                    if S::WIDE && block + 2 <= blocks {
                        rows.deal::<S, 2>(WIDE);
                        block += 2;
                    } else {
                        rows.deal::<S, 1>(if S::WIDE { WIDE } else { NARROW });
                        block += 1;
                    }
                }
            }
        }
    }
}

/// Some blocks of filters at the outputs of a region.
#[derive(Clone, Copy)]
struct Rows<'a> {
    k: &'a FirstConvKernel,
    region: Region,
    image: usize,
    block: usize,
    band: *const f32,
    w: *const f32,
    epilogue: BlockedEpilogue<'a>,
    y: *mut f32,
}

impl Rows<'_> {
    /// Deals the pixels of a row to tiles of at most `most`, as evenly as can be: a small tile at the end would run badly.
    #[inline(always)]
    unsafe fn deal<S: Simd16, const NB: usize>(self, most: usize) {
        let width = self.region.len[2];
        let tiles = width.div_ceil(most);
        let (size, larger) = (width / tiles, width % tiles);
        // SAFETY: as this function.
        unsafe {
            if larger > 0 {
                self.tiles::<S, NB>(size + 1, 0, larger);
            }
            self.tiles::<S, NB>(size, larger * (size + 1), tiles - larger);
        }
    }

    /// `count` tiles of `size` pixels in every row, from pixel `first` on.
    #[inline(always)]
    unsafe fn tiles<S: Simd16, const NB: usize>(self, size: usize, first: usize, count: usize) {
        macro_rules! choose {
            ($($m:literal)*) => {
                match size {
                    // SAFETY: as this function.
                    $($m => unsafe { S::call(Tiles::<$m, NB> { rows: self, first, count }) },)*
                    _ => unreachable!("a tile of {size} pixels"),
                }
            };
        }
        if S::WIDE { choose!(1 2 3 4 5 6 7 8 9 10 11 12 13 14) } else { choose!(1 2 3 4 5 6) }
    }
}

/// Tiles of `MR` pixels and `NB` blocks of filters.
struct Tiles<'a, const MR: usize, const NB: usize> {
    rows: Rows<'a>,
    first: usize,
    count: usize,
}

impl<const MR: usize, const NB: usize> Kernel for Tiles<'_, MR, NB> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let Rows { k, region, image, block, band, w, epilogue, y } = self.rows;
        let (steps, [_, h, wide]) = (k.offsets.len(), k.band.axes.map(|a| a.output));
        let (offsets, w_step, y_step) = (k.offsets.as_ptr(), steps * 16, k.output.plane * 16);
        // SAFETY: the contract of `FirstConvKernel::run`: the band has all taps of the region, w the blocks, y the outputs.
        unsafe {
            let w = w.add(block * w_step);
            let mut bias = [S::zero(); NB];
            for n in 0..NB {
                bias[n] = epilogue.bias_of::<S>(block + n);
            }
            for td in 0..region.len[0] {
                for th in 0..region.len[1] {
                    let row = ((region.from[0] + td) * h + region.from[1] + th) * wide + region.from[2] + self.first;
                    let mut at = k.output.start(image, block) + row * 16;
                    let mut x = band.add(k.band.start(td, th) + self.first);
                    for _ in 0..self.count {
                        let mut acc = [[S::zero(); NB]; MR];
                        let mut w = w;
                        for i in 0..steps {
                            let x = x.add(*offsets.add(i));
                            let mut f = [S::zero(); NB];
                            for n in 0..NB {
                                f[n] = S::load(w.add(n * w_step));
                            }
                            for m in 0..MR {
                                let x = S::splat(*x.add(m));
                                for n in 0..NB {
                                    acc[m][n] = S::fma(x, f[n], acc[m][n]);
                                }
                            }
                            w = w.add(16);
                        }
                        for n in 0..NB {
                            for m in 0..MR {
                                let at = at + n * y_step + m * 16;
                                S::store(y.add(at), epilogue.finish::<S>(acc[m][n], bias[n], at));
                            }
                        }
                        at += MR * 16;
                        x = x.add(MR);
                    }
                }
            }
        }
    }
}
