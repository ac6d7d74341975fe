//! The convolution and its input gradient.

use super::WinogradTile;
use super::filter::WinogradFilter;
use super::plan::Plan;
use super::product::{Product, product};
use super::tiling::{Square, Strided, Tiling};
use crate::blocked::BlockedEpilogue;
use crate::blocked::layout::LANES;
use crate::memory::{LINE, Pieces, whole};
use crate::simd::{Kernel, Simd16};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::ConvGeometry;
use std::marker::PhantomData;
use std::ops::Range;

/// A prepared Winograd convolution on blocked tensors, or its input gradient, which is the convolution of dy with the
/// turned filter.
///
/// Where a filter is small beside the tiles, each thread transforms, multiplies and transforms back some tiles in memory
/// of its own; else all threads share the transformed inputs of a span of tiles, and each multiplies them with other
/// output channels, so that the filter is read once.
#[derive(Clone, Debug)]
pub struct WinogradConvKernel {
    isa: Isa,
    tile: WinogradTile,
    turned: bool,
    n: usize,
    plan: Plan,
}

impl WinogradConvKernel {
    /// Prepares the convolution of `n` images.
    ///
    /// # Errors
    /// Windows other than 3x3, 4x4 and 5x5, strides (but 2 of 3x3 windows over whole blocks of channels), dilations, groups,
    /// and fewer than 12 channels.
    pub fn forward(g: &ConvGeometry, n: usize, tile: WinogradTile, isa: Isa) -> Result<Self, String> {
        Ok(WinogradConvKernel { isa, tile, turned: false, n, plan: Plan::forward(g, n, tile)? })
    }
    /// Prepares the input gradient of `n` images.
    ///
    /// # Errors
    /// As [`WinogradConvKernel::forward`], and any stride.
    pub fn input_grad(g: &ConvGeometry, n: usize, tile: WinogradTile, isa: Isa) -> Result<Self, String> {
        Ok(WinogradConvKernel { isa, tile, turned: true, n, plan: Plan::input_grad(g, n, tile)? })
    }
    /// Writes the result into a larger tensor from now on, of `pitch` blocks of channels an image. Then the epilogue has no
    /// other summand.
    pub fn spread(&mut self, pitch: usize) {
        self.plan.target.pitch = pitch;
    }
    /// The order in which it reads the filter.
    pub fn packing(&self) -> WinogradFilter {
        WinogradFilter::new(self.isa, self.tile, self.turned, self.plan.sizes)
    }
    /// Runs one task: reads x (dy for the input gradient) and the packed filter `u`, writes its part of y (dx).
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `y` and
    /// `workspace` meanwhile. `scratch` belongs to this call.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    #[allow(clippy::too_many_arguments)]
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        x: &[f32],
        u: &[f32],
        epilogue: BlockedEpilogue<'_>,
        y: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
        scratch: &mut [f32],
    ) {
        let p = &self.plan;
        let y_len = p.target.span();
        assert!(x.len() >= self.n * p.source_blocks() * p.from[0] * p.from[1] * LANES && y.len() >= y_len);
        assert!(u.len() >= p.sizes.filter_len());
        assert!(epilogue.bias.is_none_or(|b| b.len() >= p.sizes.outputs));
        assert!(epilogue.add.is_none_or(|a| p.target.is_whole() && a.len() >= y_len));
        assert!(workspace.len() >= self.workspace_len() && scratch.len() >= self.scratch_len());
        let at = At { phase, task };
        // SAFETY: lengths are checked; tasks write disjoint tiles or channels; the rest is the caller's promise.
        unsafe {
            if p.sizes.rows > 1 {
                self.isa.call(Run::<Strided>::new(p, at, x, u, epilogue, y, workspace, scratch));
            } else {
                with_algorithm!(self.tile, p.sizes.taps.isqrt(), A => {
                    self.isa.call(Run::<Square<A>>::new(p, at, x, u, epilogue, y, workspace, scratch))
                });
            }
        }
    }
}

impl Work for WinogradConvKernel {
    fn phases(&self) -> &[usize] {
        &self.plan.phases
    }
    fn workspace_len(&self) -> usize {
        if self.plan.shared { LINE + self.plan.v_len() } else { 0 }
    }
    fn scratch_len(&self) -> usize {
        let p = &self.plan;
        let private = if p.shared { 0 } else { whole(p.v_len()) };
        LINE + whole(p.sizes.points * LANES) + whole(p.m_len()) + private
    }
}

/// A task.
#[derive(Clone, Copy)]
struct At {
    phase: usize,
    task: usize,
}

struct Run<'a, T> {
    plan: &'a Plan,
    at: At,
    x: &'a [f32],
    u: &'a [f32],
    epilogue: BlockedEpilogue<'a>,
    y: SharedMut<'a, f32>,
    workspace: SharedMut<'a, f32>,
    scratch: &'a mut [f32],
    tile: PhantomData<T>,
}

impl<'a, T: Tiling> Run<'a, T> {
    #[allow(clippy::too_many_arguments)]
    fn new(
        plan: &'a Plan,
        at: At,
        x: &'a [f32],
        u: &'a [f32],
        epilogue: BlockedEpilogue<'a>,
        y: SharedMut<'a, f32>,
        workspace: SharedMut<'a, f32>,
        scratch: &'a mut [f32],
    ) -> Self {
        Run { plan, at, x, u, epilogue, y, workspace, scratch, tile: PhantomData }
    }
}

impl<T: Tiling> Kernel for Run<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let (p, At { phase, task }) = (self.plan, self.at);
        let mut pieces = Pieces::new(self.scratch);
        let patch = pieces.take(p.sizes.points * LANES).as_mut_ptr();
        let m = pieces.take(p.m_len()).as_mut_ptr();
        let job = |span, v| Job::<T> {
            plan: p,
            span,
            x: self.x.as_ptr(),
            u: self.u.as_ptr(),
            epilogue: self.epilogue,
            y: self.y.as_ptr(),
            patch,
            v,
            m,
            tile: PhantomData,
        };
        // SAFETY: the contract of `WinogradConvKernel::run`.
        unsafe {
            if !p.shared {
                let v = pieces.take(p.v_len()).as_mut_ptr();
                let tasks = p.phases[0];
                for span in p.spans * task / tasks..p.spans * (task + 1) / tasks {
                    let job = job(span, v);
                    for block in 0..p.blocks() {
                        for group in 0..p.groups {
                            S::call(Inputs(job, block, group));
                        }
                    }
                    for panel in 0..p.sizes.panels() {
                        job.outputs::<S>(panel, 0..p.groups);
                    }
                }
            } else {
                let start = self.workspace.as_ptr();
                let job = job(phase / 2, start.add(start.align_offset(LINE * 4).min(LINE)));
                if phase % 2 == 0 {
                    let (units, tasks) = (p.blocks() * p.groups, p.input_tasks);
                    for unit in units * task / tasks..units * (task + 1) / tasks {
                        S::call(Inputs(job, unit % p.blocks(), unit / p.blocks()));
                    }
                } else {
                    let (panel, part) = (task / p.parts, task % p.parts);
                    job.outputs::<S>(panel, p.groups * part / p.parts..p.groups * (part + 1) / p.parts);
                }
            }
        }
    }
}

/// The work on a span.
struct Job<'a, T> {
    plan: &'a Plan,
    span: usize,
    x: *const f32,
    u: *const f32,
    epilogue: BlockedEpilogue<'a>,
    y: *mut f32,
    /// A tile's inputs with zeros around the plane.
    patch: *mut f32,
    /// Transformed inputs: groups, points, blocks of input channels, tiles.
    v: *mut f32,
    /// Products of a panel: points, blocks of output channels, tiles.
    m: *mut f32,
    tile: PhantomData<T>,
}

impl<T> Clone for Job<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Job<'_, T> {}

/// Where a tile lies: image, row and column of tiles.
struct Spot {
    image: usize,
    row: usize,
    column: usize,
}

impl Spot {
    fn new(p: &Plan, tile: usize) -> Self {
        let (column, rest) = (tile % p.tiles[1], tile / p.tiles[1]);
        Spot { image: rest / p.tiles[0], row: rest % p.tiles[0], column }
    }
    /// The next tile.
    fn step(&mut self, p: &Plan) {
        self.column += 1;
        if self.column == p.tiles[1] {
            self.column = 0;
            self.row += 1;
            if self.row == p.tiles[0] {
                self.row = 0;
                self.image += 1;
            }
        }
    }
}

/// Transforms the inputs of a group, one block of channels.
struct Inputs<'a, T>(Job<'a, T>, usize, usize);

impl<T: Tiling> Kernel for Inputs<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let Inputs(job, block, group) = self;
        let (p, [h, w]) = (job.plan, job.plan.from);
        let tiles = p.group(job.span, group);
        let mut spot = Spot::new(p, tiles.start);
        // SAFETY: tiles lie inside the planes or are copied from there; `v` has room for all groups.
        unsafe {
            let to = job.v.add(group * p.v_group + block * p.slot * LANES);
            let (tap_row, source) = (block / p.source_blocks(), block % p.source_blocks());
            let first = |i: usize, tile: usize| (tile * T::OUTPUTS[i] * T::STRIDE) as isize - p.pad[i];
            for slot in 0..tiles.len() {
                let plane = job.x.add((spot.image * p.source_blocks() + source) * h * w * LANES);
                let (y, x) = (first(0, spot.row) + tap_row as isize, first(1, spot.column));
                let inside = |i: usize, at: isize, len: usize| at >= 0 && at as usize + T::INPUTS[i] <= len;
                let (from, row) = if inside(0, y, h) && inside(1, x, w) {
                    (plane.offset((y * w as isize + x) * LANES as isize), w * LANES)
                } else {
                    copy_patch::<S, T>(plane, [h, w], [y, x], job.patch);
                    (job.patch.cast_const(), T::INPUTS[1] * LANES)
                };
                T::input::<S>(from, row, to.add(slot * LANES), p.v_point);
                spot.step(p);
            }
        }
    }
}

/// Copies the inputs of a tile, zeros where it reaches beyond the plane.
#[inline(always)]
unsafe fn copy_patch<S: Simd16, T: Tiling>(plane: *const f32, [h, w]: [usize; 2], [y, x]: [isize; 2], to: *mut f32) {
    for r in 0..T::INPUTS[0] {
        let row = y + r as isize;
        let row_inside = row >= 0 && (row as usize) < h;
        for c in 0..T::INPUTS[1] {
            let column = x + c as isize;
            let inside = row_inside && column >= 0 && (column as usize) < w;
            // SAFETY: read only inside the plane; the patch has a vector for each input.
            unsafe {
                let v =
                    if inside { S::load(plane.add((row as usize * w + column as usize) * LANES)) } else { S::zero() };
                S::store(to.add((r * T::INPUTS[1] + c) * LANES), v);
            }
        }
    }
}

impl<T: Tiling> Job<'_, T> {
    /// Multiplies the groups with the filters of a panel and transforms the products back.
    #[inline(always)]
    unsafe fn outputs<S: Simd16>(&self, panel: usize, groups: Range<usize>) {
        let (p, z) = (self.plan, self.plan.sizes);
        let vectors = z.vectors(panel);
        let lines = z.channels.div_ceil(LANES) * 2 * LANES / groups.len().max(1) / p.blocks();
        // SAFETY: all offsets lie inside the buffers, as `Plan` lays them out.
        unsafe {
            for point in 0..z.points {
                let u = self.u.add((panel * z.filter_points + point.min(z.filter_points - 1)) * z.u_point);
                for (i, group) in groups.clone().enumerate() {
                    let rows = p.group(self.span, group).len();
                    if rows == 0 {
                        continue;
                    }
                    product::<S>(Product {
                        a: self.v.add(group * p.v_group + point * p.v_point),
                        a_block: p.slot * LANES,
                        channels: z.channels,
                        rows,
                        u,
                        vectors,
                        c: self.m.add(point * p.m_point + i * p.slot * LANES),
                        c_block: groups.len() * p.slot * LANES,
                        ahead: u.wrapping_add(z.u_point + i * lines * p.blocks() * LANES),
                        ahead_lines: lines,
                    });
                }
            }
            for j in 0..vectors {
                for (i, group) in groups.clone().enumerate() {
                    let m = self.m.add((j * groups.len() + i) * p.slot * LANES);
                    S::call(Outputs(*self, 2 * panel + j, group, m));
                }
            }
        }
    }
}

/// Transforms the products of a group back, one block of channels.
struct Outputs<'a, T>(Job<'a, T>, usize, usize, *const f32);

impl<T: Tiling> Kernel for Outputs<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let Outputs(job, block, group, m) = self;
        let (p, [h, w]) = (job.plan, job.plan.to);
        let tiles = p.group(job.span, group);
        let mut spot = Spot::new(p, tiles.start);
        // SAFETY: only outputs inside the planes are written; `m` holds the products of the group.
        unsafe {
            let bias = job.epilogue.bias_of::<S>(block);
            for slot in 0..tiles.len() {
                let plane = p.target.start(spot.image, block);
                let (y, x) = (spot.row * T::OUTPUTS[0], spot.column * T::OUTPUTS[1]);
                let lines = T::output::<S>(m.add(slot * LANES), p.m_point);
                for r in 0..T::OUTPUTS[0] {
                    if y + r < h {
                        for c in 0..T::OUTPUTS[1] {
                            if x + c < w {
                                let at = plane + ((y + r) * w + x + c) * LANES;
                                S::store(job.y.add(at), job.epilogue.finish::<S>(lines[r][c], bias, at));
                            }
                        }
                    }
                }
                spot.step(p);
            }
        }
    }
}
