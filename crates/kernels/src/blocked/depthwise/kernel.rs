//! The convolution and its input gradient.

use super::packing::{DepthwisePacking, Groups};
use super::spreads;
use crate::blocked::layout::{Blocked, LANES};
use crate::blocked::slide::{Meet, Phase, Run, Slide, ZEROS, pixel};
use crate::blocked::{BlockedEpilogue, Packing};
use crate::shared::{MOST_TASKS, product};
use crate::simd::{Kernel, Simd16};
use crate::split::share;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Rule};

/// Smallest task worth handing to another thread, in fused multiply-adds of 16 lanes: few microseconds, so that the planes of
/// 7 × 7 pixels at the end of a network keep several threads busy for a single image.
const TASK: u64 = 1 << 13;

/// A prepared depthwise convolution on blocked tensors, or its input gradient; groups may have 1, 2, 4 or 8 channels.
///
/// Sums run over the rows of taps, then the channels of the group, then the taps of a row, with fused multiply-adds.
/// Taps beside the rows of the input count as products with zero.
#[derive(Clone, Debug)]
pub struct DepthwiseKernel {
    n: usize,
    groups: Groups,
    slide: Slide,
    spreads: Vec<[f32; LANES]>,
    packing: DepthwisePacking,
    isa: Isa,
    tasks: [usize; 1],
}

impl DepthwiseKernel {
    /// Prepares the convolution of `n` images: x `[n, ci, input…]` to y `[n, co, output…]`, both blocked.
    ///
    /// # Errors
    /// Groups of other sizes; enormous windows.
    pub fn forward(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        Self::new(g, n, isa, Slide::forward(&g.window), false)
    }
    /// Prepares the input gradient of `n` images: dy `[n, co, output…]` to dx `[n, ci, input…]`, both blocked.
    ///
    /// # Errors
    /// As [`DepthwiseKernel::forward`].
    pub fn input_grad(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        Self::new(g, n, isa, Slide::backward(&g.window), true)
    }
    fn new(g: &ConvGeometry, n: usize, isa: Isa, slide: Result<Slide, String>, transposed: bool) -> Result<Self, Rule> {
        let (groups, slide) = (Groups::new(g)?, slide.map_err(Rule::new)?);
        let rows = n * groups.blocks() * slide.targets.rows;
        // Each pair of a window and a tap is a product per channel of the group; a pixel is stored once.
        let products = product(&[n, groups.blocks(), g.window.output_len(), groups.taps, groups.size]);
        let work = products + product(&[rows, slide.targets.columns]);
        let tasks = [(work.div_ceil(TASK).clamp(1, MOST_TASKS as u64) as usize).min(rows.max(1))];
        let packing = DepthwisePacking::new(groups, transposed);
        Ok(DepthwiseKernel { n, groups, slide, spreads: spreads(groups.size), packing, isa, tasks })
    }
    /// The order in which the filter `[co, ci/groups, kernel…]` is read.
    pub fn packing(&self) -> &DepthwisePacking {
        &self.packing
    }
    /// Runs one task: reads the source (x or dy) and the packed filter, writes its part of the target (y or dx).
    ///
    /// # Safety
    /// Tasks may run at the same time; nothing else may touch `to` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        task: usize,
        from: &[f32],
        filter: &[f32],
        epilogue: BlockedEpilogue<'_>,
        to: SharedMut<'_, f32>,
    ) {
        let target = Blocked { n: self.n, c: self.groups.c, plane: self.slide.targets.len() };
        let source = Blocked { plane: self.slide.sources.len(), ..target };
        assert!(from.len() >= source.len() && to.len() >= target.len() && filter.len() >= self.packing.packed_len());
        assert!(epilogue.bias.is_none_or(|b| b.len() >= target.c));
        assert!(epilogue.add.is_none_or(|a| a.len() >= target.len()));
        let rows = Rows { kernel: self, task, from, filter, epilogue, to };
        // SAFETY: lengths are checked; tasks write disjoint rows; the rest is the caller's promise.
        unsafe {
            if self.groups.size == 1 {
                self.isa.call(Depthwise(rows));
            } else {
                self.isa.call(Grouped(rows));
            }
        }
    }
}

impl Work for DepthwiseKernel {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

struct Rows<'a> {
    kernel: &'a DepthwiseKernel,
    task: usize,
    from: &'a [f32],
    filter: &'a [f32],
    epilogue: BlockedEpilogue<'a>,
    to: SharedMut<'a, f32>,
}

/// What the tiles of a row share.
struct Row<'a> {
    /// The plane of sources, the block of the filter and the whole result.
    source: *const f32,
    filter: *const f32,
    to: *mut f32,
    /// Where the row lies in the result.
    at: usize,
    meets: &'a [Meet],
    /// Pixels of a row of sources.
    columns: usize,
    spreads: &'a [[f32; LANES]],
    epilogue: BlockedEpilogue<'a>,
    block: usize,
}

/// Groups of one channel.
struct Depthwise<'a>(Rows<'a>);

impl Kernel for Depthwise<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        // SAFETY: the caller's promise.
        unsafe { self.0.run::<S, false>() }
    }
}

/// Groups of several channels.
struct Grouped<'a>(Rows<'a>);

impl Kernel for Grouped<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        // SAFETY: the caller's promise.
        unsafe { self.0.run::<S, true>() }
    }
}

impl Rows<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd16, const GROUPED: bool>(self) {
        let k = self.kernel;
        let slide = &k.slide;
        let blocks = k.groups.blocks();
        let wide = S::WIDE && !GROUPED;
        let most = if wide { 8 } else { 4 };
        for i in share(self.task, k.tasks[0], k.n * blocks * slide.targets.rows) {
            let (t, plane) = (i % slide.targets.rows, i / slide.targets.rows);
            // SAFETY: rows and planes lie inside the slices, whose lengths `run` checked; this task owns row `i`.
            unsafe {
                let row = Row {
                    source: self.from.as_ptr().add(plane * slide.sources.len() * LANES),
                    filter: self.filter.as_ptr().add(plane % blocks * k.groups.block_len()),
                    to: self.to.as_ptr(),
                    at: i * slide.targets.columns * LANES,
                    meets: slide.meets(t),
                    columns: slide.sources.columns,
                    spreads: &k.spreads,
                    epilogue: self.epilogue,
                    block: plane % blocks,
                };
                for phase in &slide.phases {
                    let mut t = 0;
                    while t < phase.count {
                        let (n, inside) = phase.tile(t, most);
                        // Long tiles are only checked where they must be.
                        match (n, phase.stride, inside) {
                            (8, 1, true) if S::WIDE && !GROUPED => tile::<S, GROUPED, 8, 1, false>(&row, phase, t),
                            (8, 1, false) if S::WIDE && !GROUPED => tile::<S, GROUPED, 8, 1, true>(&row, phase, t),
                            (8, 2, true) if S::WIDE && !GROUPED => tile::<S, GROUPED, 8, 2, false>(&row, phase, t),
                            (8, 2, false) if S::WIDE && !GROUPED => tile::<S, GROUPED, 8, 2, true>(&row, phase, t),
                            (7, 1, _) if S::WIDE && !GROUPED => tile::<S, GROUPED, 7, 1, true>(&row, phase, t),
                            (7, 2, _) if S::WIDE && !GROUPED => tile::<S, GROUPED, 7, 2, true>(&row, phase, t),
                            (4, 1, _) => tile::<S, GROUPED, 4, 1, true>(&row, phase, t),
                            (4, 2, _) => tile::<S, GROUPED, 4, 2, true>(&row, phase, t),
                            // Targets far apart share no sources.
                            _ => {
                                for t in t..t + n {
                                    tile::<S, GROUPED, 1, 1, true>(&row, phase, t);
                                }
                            }
                        }
                        t += n;
                    }
                }
            }
        }
    }
}

/// `P` targets of a phase whose sources lie `STEP` apart. `CHECK`: some source may lie beside its row.
#[inline(always)]
unsafe fn tile<S: Simd16, const GROUPED: bool, const P: usize, const STEP: usize, const CHECK: bool>(
    row: &Row<'_>,
    phase: &Phase,
    t: usize,
) {
    // SAFETY: the contract of `Rows::run`.
    unsafe {
        let mut sums = [S::zero(); P];
        for meet in row.meets {
            let source = row.source.add(meet.row * row.columns * LANES);
            for run in &phase.runs {
                let column = (t * phase.stride) as isize + run.offset;
                match run.taps {
                    1 => taps::<S, GROUPED, P, STEP, 1, CHECK>(row, source, meet.tap, run, column, &mut sums),
                    2 => taps::<S, GROUPED, P, STEP, 2, CHECK>(row, source, meet.tap, run, column, &mut sums),
                    3 => taps::<S, GROUPED, P, STEP, 3, CHECK>(row, source, meet.tap, run, column, &mut sums),
                    _ => taps::<S, GROUPED, P, STEP, 4, CHECK>(row, source, meet.tap, run, column, &mut sums),
                }
            }
        }
        let bias = row.epilogue.bias_of::<S>(row.block);
        for (p, &sum) in sums.iter().enumerate() {
            let at = row.at + (phase.first + (t + p) * phase.step) * LANES;
            S::store(row.to.add(at), row.epilogue.finish::<S>(sum, bias, at));
        }
    }
}

/// Adds the products of `K` neighbouring taps.
#[inline(always)]
unsafe fn taps<S: Simd16, const GROUPED: bool, const P: usize, const STEP: usize, const K: usize, const CHECK: bool>(
    row: &Row<'_>,
    source: *const f32,
    tap: usize,
    run: &Run,
    column: isize,
    sums: &mut [S::V; P],
) {
    let size = row.spreads.len();
    // SAFETY: as `tile`; only sources inside their row are read.
    unsafe {
        for (j, spread) in row.spreads.iter().enumerate().take(if GROUPED { size } else { 1 }) {
            let mut w = [S::zero(); K];
            for (k, w) in w.iter_mut().enumerate() {
                let tap = tap as isize + run.tap + k as isize * run.tap_step;
                *w = S::load(row.filter.add((tap as usize * size + j) * LANES));
            }
            let mut v = [S::zero(); 20];
            for (i, v) in v.iter_mut().enumerate().take((P - 1) * STEP + K) {
                let column = column + i as isize;
                if GROUPED {
                    let from = S::load(pixel(source, column, row.columns, &ZEROS));
                    *v = S::permute(from, S::load(spread.as_ptr()));
                } else if !CHECK || (column as usize) < row.columns {
                    // Jumps are predicted, and cost less here than addresses that are chosen.
                    *v = S::load(source.offset(column * LANES as isize));
                }
            }
            for p in 0..P {
                for k in 0..K {
                    sums[p] = S::fma(v[p * STEP + k], w[k], sums[p]);
                }
            }
        }
    }
}
