//! The filter gradient.

use super::packing::Groups;
use super::{TASK, spreads};
use crate::blocked::layout::{Blocked, LANES};
use crate::blocked::slide::{Phase, Run, Slide, ZEROS, pixel};
use crate::shared::{MOST_TASKS, product};
use crate::simd::{Kernel, Simd16};
use crate::split::{ELEMENTS, share};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Rule};
use std::ops::Range;

/// Most pixels of a sum that starts at zero; such sums are then added up.
const PIXELS: usize = 512;

/// A prepared filter gradient of a depthwise convolution, from blocked tensors; groups may have 1, 2, 4 or 8 channels.
///
/// The sum over images and rows is cut into parts, in which sums of some hundred pixels are added up; parts and pieces
/// depend on extents alone.
#[derive(Clone, Debug)]
pub struct DepthwiseFilterGradKernel {
    n: usize,
    groups: Groups,
    slide: Slide,
    /// For each row of windows: the end of the rows that meet the same taps.
    alike: Vec<usize>,
    spreads: Vec<[f32; LANES]>,
    parts: usize,
    isa: Isa,
    phases: [usize; 2],
}

impl DepthwiseFilterGradKernel {
    /// Prepares the filter gradient of `n` images: x `[n, ci, input…]` and dy `[n, co, output…]`, both blocked, to dw
    /// `[co, ci/groups, kernel…]`, in plain order.
    ///
    /// # Errors
    /// Groups of other sizes; enormous windows.
    pub fn new(g: &ConvGeometry, n: usize, isa: Isa) -> Result<Self, Rule> {
        let (groups, slide) = (Groups::new(g)?, Slide::forward(&g.window).map_err(Rule::new)?);
        let rows = slide.targets.rows;
        let mut alike = vec![rows; rows];
        for t in (0..rows.saturating_sub(1)).rev() {
            let taps = |t: usize| slide.meets(t).iter().map(|m| m.tap);
            alike[t] = if taps(t).eq(taps(t + 1)) { alike[t + 1] } else { t + 1 };
        }
        let blocks = groups.blocks();
        let products = product(&[n, blocks, g.window.output_len(), groups.taps, groups.size]);
        let wanted = (products / TASK as u64).clamp(1, MOST_TASKS as u64) as usize;
        let parts = wanted.div_ceil(blocks).min((n * rows).max(1));
        let join = (parts * groups.packed_len() / ELEMENTS).clamp(1, blocks);
        let phases = [wanted.min(blocks * parts), join];
        Ok(DepthwiseFilterGradKernel { n, groups, slide, alike, spreads: spreads(groups.size), parts, isa, phases })
    }
    /// Runs one task: reads `x` and `dy`, writes its part of `dw`.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `dw` and
    /// `workspace` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        x: &[f32],
        dy: &[f32],
        dw: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
    ) {
        let outputs = Blocked { n: self.n, c: self.groups.c, plane: self.slide.targets.len() };
        let inputs = Blocked { plane: self.slide.sources.len(), ..outputs };
        assert!(x.len() >= inputs.len() && dy.len() >= outputs.len());
        assert!(dw.len() >= self.groups.plain(self.groups.c, 0) && workspace.len() >= self.workspace_len());
        // SAFETY: lengths are checked; tasks write disjoint parts; the rest is the caller's promise.
        unsafe {
            match (phase, self.groups.size) {
                (0, 1) => self.isa.call(Sum::<false> { kernel: self, task, x, dy, workspace }),
                (0, _) => self.isa.call(Sum::<true> { kernel: self, task, x, dy, workspace }),
                _ => self.isa.call(Join { kernel: self, task, workspace, dw }),
            }
        }
    }
}

impl Work for DepthwiseFilterGradKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        self.parts * self.groups.packed_len()
    }
}

/// The sums of parts, packed as filters are, to the workspace. `GROUPED`: groups of several channels.
struct Sum<'a, const GROUPED: bool> {
    kernel: &'a DepthwiseFilterGradKernel,
    task: usize,
    x: &'a [f32],
    dy: &'a [f32],
    workspace: SharedMut<'a, f32>,
}

impl<const GROUPED: bool> Kernel for Sum<'_, GROUPED> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let k = self.kernel;
        let (blocks, len, rows) = (k.groups.blocks(), k.groups.block_len(), k.slide.targets.rows);
        for unit in share(self.task, k.phases[0], blocks * k.parts) {
            let (part, block) = (unit % k.parts, unit / k.parts);
            // SAFETY: this task's part; planes lie inside the slices, whose lengths `run` checked.
            unsafe {
                let sums = self.workspace.part((part * blocks + block) * len, len);
                sums.fill(0.0);
                let Range { start: mut at, end } = share(part, k.parts, k.n * rows);
                while at < end {
                    let (image, t) = (at / rows, at % rows);
                    let most = (PIXELS / k.slide.targets.columns).max(1);
                    let count = (k.alike[t] - t).min(end - at).min(most);
                    let plane = image * blocks + block;
                    let strip = Strip {
                        slide: &k.slide,
                        rows: t..t + count,
                        x: self.x.as_ptr().add(plane * k.slide.sources.len() * LANES),
                        dy: self.dy.as_ptr().add(plane * k.slide.targets.len() * LANES),
                        sums: sums.as_mut_ptr(),
                        spreads: &k.spreads,
                    };
                    strip.add::<S, GROUPED>();
                    at += count;
                }
            }
        }
    }
}

/// Rows of windows of a plane that meet the same taps.
struct Strip<'a> {
    slide: &'a Slide,
    rows: Range<usize>,
    x: *const f32,
    dy: *const f32,
    sums: *mut f32,
    spreads: &'a [[f32; LANES]],
}

impl Strip<'_> {
    /// Adds the strip's products, for some rows of taps at once.
    #[inline(always)]
    unsafe fn add<S: Simd16, const GROUPED: bool>(&self) {
        let meets = self.slide.meets(self.rows.start).len();
        for phase in &self.slide.phases {
            for run in &phase.runs {
                let mut first = 0;
                while first < meets {
                    // SAFETY: the contract of `Sum::run`; rows of taps below `meets`.
                    unsafe {
                        if S::WIDE && meets - first >= 3 {
                            self.rows_of_taps::<S, GROUPED, 3>(phase, run, first);
                            first += 3;
                        } else {
                            self.rows_of_taps::<S, GROUPED, 1>(phase, run, first);
                            first += 1;
                        }
                    }
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn rows_of_taps<S: Simd16, const GROUPED: bool, const R: usize>(
        &self,
        phase: &Phase,
        run: &Run,
        first: usize,
    ) {
        for j in 0..if GROUPED { self.spreads.len() } else { 1 } {
            // SAFETY: as `add`.
            unsafe {
                match run.taps {
                    1 => self.products::<S, GROUPED, R, 1>(phase, run, first, j),
                    2 => self.products::<S, GROUPED, R, 2>(phase, run, first, j),
                    3 => self.products::<S, GROUPED, R, 3>(phase, run, first, j),
                    _ => self.products::<S, GROUPED, R, 4>(phase, run, first, j),
                }
            }
        }
    }
    /// The sums of `R` rows of `K` taps, with channel `j` of each group.
    #[inline(always)]
    unsafe fn products<S: Simd16, const GROUPED: bool, const R: usize, const K: usize>(
        &self,
        phase: &Phase,
        run: &Run,
        first: usize,
        j: usize,
    ) {
        let (width, columns) = (self.slide.targets.columns, self.slide.sources.columns);
        let most = if S::WIDE { 4 } else { 2 };
        // SAFETY: as `add`.
        unsafe {
            let spread = S::load(self.spreads[j].as_ptr());
            let mut sums = [[S::zero(); K]; R];
            for t in self.rows.clone() {
                let meets = &self.slide.meets(t)[first..];
                let rows: [_; R] = std::array::from_fn(|r| self.x.add(meets[r].row * columns * LANES));
                let dy = self.dy.add(t * width * LANES);
                let mut o = 0;
                while o < phase.count {
                    let n = phase.inner_tile(o, most);
                    let tile = Tile {
                        rows: &rows,
                        dy: dy.add(o * LANES),
                        column: (o * phase.stride) as isize + run.offset,
                        columns,
                    };
                    match (n, phase.stride) {
                        (4, 1) if S::WIDE => tile.add::<S, GROUPED, K, 4, 1, false>(spread, &mut sums),
                        (4, 2) if S::WIDE => tile.add::<S, GROUPED, K, 4, 2, false>(spread, &mut sums),
                        (2, 1) if !S::WIDE => tile.add::<S, GROUPED, K, 2, 1, false>(spread, &mut sums),
                        (2, 2) if !S::WIDE => tile.add::<S, GROUPED, K, 2, 2, false>(spread, &mut sums),
                        // Windows far apart share no inputs.
                        _ => {
                            for i in 0..n {
                                let column = tile.column + (i * phase.stride) as isize;
                                let one = Tile { dy: tile.dy.add(i * LANES), column, ..tile };
                                one.add::<S, GROUPED, K, 1, 1, true>(spread, &mut sums);
                            }
                        }
                    }
                    o += n;
                }
            }
            let meets = self.slide.meets(self.rows.start);
            for (r, sums) in sums.iter().enumerate() {
                for (k, &sum) in sums.iter().enumerate() {
                    let tap = meets[first + r].tap as isize + run.tap + k as isize * run.tap_step;
                    let to = self.sums.add((tap as usize * self.spreads.len() + j) * LANES);
                    S::store(to, S::add(S::load(to), sum));
                }
            }
        }
    }
}

/// Neighbouring windows of a row, and the rows of inputs under `R` rows of taps.
#[derive(Clone, Copy)]
struct Tile<'a, const R: usize> {
    rows: &'a [*const f32; R],
    dy: *const f32,
    /// The input under the first tap at the first window.
    column: isize,
    /// Pixels of a row of inputs.
    columns: usize,
}

impl<const R: usize> Tile<'_, R> {
    /// The products of `P` windows whose inputs lie `STEP` apart. `CHECK`: some input may lie beside its row.
    #[inline(always)]
    unsafe fn add<
        S: Simd16,
        const GROUPED: bool,
        const K: usize,
        const P: usize,
        const STEP: usize,
        const CHECK: bool,
    >(
        self,
        spread: S::V,
        sums: &mut [[S::V; K]; R],
    ) {
        // SAFETY: the contract of `Strip::products`; only inputs inside their row are read.
        unsafe {
            let mut dy = [S::zero(); P];
            for (p, dy) in dy.iter_mut().enumerate() {
                *dy = S::load(self.dy.add(p * LANES));
            }
            for r in 0..R {
                let mut v = [S::zero(); 12];
                for (i, v) in v.iter_mut().enumerate().take((P - 1) * STEP + K) {
                    let column = self.column + i as isize;
                    let from = self.rows[r].wrapping_offset(column * LANES as isize);
                    *v = S::load(if CHECK { pixel(self.rows[r], column, self.columns, &ZEROS) } else { from });
                    if GROUPED {
                        *v = S::permute(*v, spread);
                    }
                }
                for p in 0..P {
                    for k in 0..K {
                        sums[r][k] = S::fma(v[p * STEP + k], dy[p], sums[r][k]);
                    }
                }
            }
        }
    }
}

/// Adds up the parts and brings the sums into plain order.
struct Join<'a> {
    kernel: &'a DepthwiseFilterGradKernel,
    task: usize,
    workspace: SharedMut<'a, f32>,
    dw: SharedMut<'a, f32>,
}

impl Kernel for Join<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let (k, g) = (self.kernel, self.kernel.groups);
        let sums = self.workspace.as_ptr().cast_const();
        for block in share(self.task, k.phases[1], g.blocks()) {
            let channels = block * LANES..((block + 1) * LANES).min(g.c);
            // SAFETY: this task's channels; the sums of all parts lie in the workspace and are complete.
            unsafe {
                let dw = self.dw.part(g.plain(channels.start, 0), channels.len() * g.size * g.taps);
                for i in 0..g.taps * g.size {
                    let from = sums.add(block * g.block_len() + i * LANES);
                    let mut sum = S::load(from);
                    for part in 1..k.parts {
                        sum = S::add(sum, S::load(from.add(part * g.packed_len())));
                    }
                    let (tap, j) = (i / g.size, i % g.size);
                    for (l, v) in S::lanes(sum).into_iter().take(channels.len()).enumerate() {
                        dw[g.plain(l, j) + tap] = v;
                    }
                }
            }
        }
    }
}
