//! Two sums over every channel of a blocked tensor, then a function of its elements.

use crate::blocked::Blocked;
use crate::blocked::layout::LANES;
use crate::simd::{Kernel, Simd16};
use crate::split::{Planes, share};
use crate::{Isa, SharedMut};
use std::ops::Range;

/// Coefficients of a channel: what the sums need and what the function of the elements needs.
pub(super) const COEFFICIENTS: usize = 5;
/// Pixels whose terms are added in single precision before they join the sums in double precision: so few that no more
/// than a unit of the last place is lost.
const SHORT: usize = 32;
/// Sums that run at the same time, for the additions to follow each other closely.
const AT_ONCE: usize = 4;
/// Elements of a block of channels, all images together, that stay in a second-level cache between two passes.
const NEAR: usize = 1 << 18;
/// Bytes of a result that no cache keeps until it is read; few in tests, which try both ways.
const FAR: usize = if cfg!(test) { 1 << 18 } else { 1 << 25 };
/// Blocks of channels that one task finishes.
const FINISHED: usize = 16;

/// How the blocks of channels are worked on.
///
/// With blocks enough, or where a block of all images fits in a core's cache, a task makes both passes over its blocks in
/// one phase. Else the images of a block are dealt to parts: a phase of partial sums, one that joins them, and one that
/// applies the function.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    e: Blocked,
    isa: Isa,
    cut: Planes,
    pub phases: Vec<usize>,
}

impl Channels {
    pub(super) fn new(e: Blocked, isa: Isa) -> Self {
        let blocks = e.blocks();
        let mut cut = Planes::new([e.n, blocks, e.plane * LANES], 1);
        if blocks >= 8 || blocks >= 4 && e.n * e.plane * LANES <= NEAR {
            cut = cut.unparted();
        }
        let all = cut.tasks();
        let phases = if cut.parts == 1 { vec![all] } else { vec![all, blocks.div_ceil(FINISHED), all] };
        Channels { e, isa, cut, phases }
    }
    pub(super) fn extents(&self) -> Blocked {
        self.e
    }
    /// Of every part and block two sums of 16 channels in double precision, then the coefficients of every block.
    pub(super) fn workspace_len(&self) -> usize {
        if self.cut.parts > 1 { self.e.blocks() * LANES * (4 * self.cut.parts + COEFFICIENTS) } else { 0 }
    }
}

/// What is summed and what is computed of it. Channels beyond the last have coefficients of zero.
pub(super) trait Direction {
    /// The coefficients that the terms need, of a block of `lanes` channels.
    ///
    /// # Safety
    /// The processor must have the set.
    unsafe fn before(&self, block: usize, lanes: usize) -> [[f32; LANES]; COEFFICIENTS];
    /// The terms `u` and `d` of the vector at `at`; the sums are `Σ u` and `Σ u·d`.
    ///
    /// # Safety
    /// The vector lies inside the tensor.
    unsafe fn terms<S: Simd16>(&self, at: usize, c: &[S::V; COEFFICIENTS]) -> (S::V, S::V);
    /// The coefficients of the function, of channel `c` whose coefficients before were those. Writes the outputs of the
    /// channel.
    ///
    /// # Safety
    /// Nobody else touches the channel's outputs.
    unsafe fn finish(&self, c: usize, before: [f32; COEFFICIENTS], sums: [f64; 2]) -> [f32; COEFFICIENTS];
    /// The address of the result, and whether it lies over an input.
    fn result(&self) -> (*mut f32, bool);
    /// The result's vector at `at`. Writes other results.
    ///
    /// # Safety
    /// The vector lies inside the tensors, and nobody else touches what is written.
    unsafe fn apply<S: Simd16>(&self, at: usize, c: &[S::V; COEFFICIENTS]) -> S::V;
}

/// One task.
pub(super) struct Run<'a, D> {
    pub plan: &'a Channels,
    pub phase: usize,
    pub task: usize,
    pub workspace: SharedMut<'a, f32>,
    pub direction: D,
}

impl<D: Direction> Run<'_, D> {
    /// Checks the workspace and goes.
    ///
    /// # Safety
    /// As the public kernels say.
    pub(super) unsafe fn start(self) {
        assert!(self.workspace.len() >= self.plan.workspace_len());
        // SAFETY: tasks write disjoint elements; the rest is the caller's promise.
        unsafe { self.plan.isa.call(self) }
    }
    /// Address of the two sums of a part and block.
    fn partial(&self, part: usize, block: usize) -> *mut [[f64; LANES]; 2] {
        let at = (part * self.plan.e.blocks() + block) * LANES * 4;
        self.workspace.as_ptr().wrapping_add(at).cast()
    }
    /// Address of a block's coefficients.
    fn coefficients(&self, block: usize) -> *mut [[f32; LANES]; COEFFICIENTS] {
        let blocks = self.plan.e.blocks();
        let at = blocks * LANES * 4 * self.plan.cut.parts + block * LANES * COEFFICIENTS;
        self.workspace.as_ptr().wrapping_add(at).cast()
    }
}

impl<D: Direction> Kernel for Run<'_, D> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let (e, cut) = (&self.plan.e, &self.plan.cut);
        // SAFETY: the contract of `start`; the workspace was checked.
        unsafe {
            if self.phase == 1 {
                let tasks = self.plan.phases[1];
                for block in share(self.task, tasks, e.blocks()) {
                    let mut sums = [[0.0; LANES]; 2];
                    for part in 0..cut.parts {
                        let more = self.partial(part, block).read_unaligned();
                        for (sum, more) in sums.as_flattened_mut().iter_mut().zip(more.as_flattened()) {
                            *sum += more;
                        }
                    }
                    let before = self.direction.before(block, e.lanes(block));
                    self.coefficients(block).write_unaligned(self.finish(block, &before, &sums));
                }
                return;
            }
            // The last phase walks backwards: what was read last is still near.
            let task = if self.phase == 0 { self.task } else { cut.tasks() - 1 - self.task };
            let (blocks, part, pieces) = cut.task(task);
            for block in blocks {
                if self.phase == 2 {
                    let after = self.coefficients(block).read_unaligned();
                    self.apply::<S>(block, pieces.clone(), &after);
                    continue;
                }
                let before = self.direction.before(block, e.lanes(block));
                let sums = self.sum::<S>(block, pieces.clone(), &before);
                if cut.parts > 1 {
                    self.partial(part, block).write_unaligned(sums);
                } else {
                    self.apply::<S>(block, pieces.clone(), &self.finish(block, &before, &sums));
                }
            }
        }
    }
}

impl<D: Direction> Run<'_, D> {
    #[inline(always)]
    unsafe fn finish(
        &self,
        block: usize,
        before: &[[f32; LANES]; COEFFICIENTS],
        sums: &[[f64; LANES]; 2],
    ) -> [[f32; LANES]; COEFFICIENTS] {
        let mut after = [[0.0; LANES]; COEFFICIENTS];
        for l in 0..self.plan.e.lanes(block) {
            // SAFETY: the caller owns the channels of the block.
            let of = unsafe { self.direction.finish(block * LANES + l, before.map(|b| b[l]), sums.map(|s| s[l])) };
            for (to, v) in after.iter_mut().zip(of) {
                to[l] = v;
            }
        }
        after
    }

    #[inline(always)]
    unsafe fn sum<S: Simd16>(
        &self,
        block: usize,
        pieces: Range<usize>,
        before: &[[f32; LANES]; COEFFICIENTS],
    ) -> [[f64; LANES]; 2] {
        let mut sums = [[0.0; LANES]; 2];
        // SAFETY: pieces lie inside the tensor.
        unsafe {
            let c = before.map(|c| S::load(c.as_ptr()));
            for piece in pieces {
                let run = self.plan.cut.piece(piece, block);
                let mut at = run.start;
                while at < run.end {
                    let end = (at + SHORT * LANES).min(run.end);
                    let (mut a, mut b) = ([S::zero(); AT_ONCE], [S::zero(); AT_ONCE]);
                    while at + AT_ONCE * LANES <= end {
                        for k in 0..AT_ONCE {
                            let (u, d) = self.direction.terms::<S>(at + k * LANES, &c);
                            (a[k], b[k]) = (S::add(a[k], u), S::fma(u, d, b[k]));
                        }
                        at += AT_ONCE * LANES;
                    }
                    while at < end {
                        let (u, d) = self.direction.terms::<S>(at, &c);
                        (a[0], b[0]) = (S::add(a[0], u), S::fma(u, d, b[0]));
                        at += LANES;
                    }
                    for (sum, v) in sums.iter_mut().zip([a, b]) {
                        let v = S::lanes(S::add(S::add(v[0], v[1]), S::add(v[2], v[3])));
                        for l in 0..LANES {
                            sum[l] += f64::from(v[l]);
                        }
                    }
                }
            }
        }
        sums
    }

    #[inline(always)]
    unsafe fn apply<S: Simd16>(&self, block: usize, pieces: Range<usize>, after: &[[f32; LANES]; COEFFICIENTS]) {
        let (to, is_over) = self.direction.result();
        let far = self.plan.e.len() * 4 >= FAR && !is_over && (to as usize).is_multiple_of(LANES * 4);
        // SAFETY: pieces lie inside the tensor.
        unsafe {
            let c = after.map(|c| S::load(c.as_ptr()));
            // Backwards, for the same reason as the tasks.
            for piece in pieces.rev() {
                let run = self.plan.cut.piece(piece, block);
                if far {
                    for at in run.step_by(LANES) {
                        S::stream(to.add(at), self.direction.apply::<S>(at, &c));
                    }
                    S::fence();
                } else {
                    for at in run.step_by(LANES) {
                        S::store(to.add(at), self.direction.apply::<S>(at, &c));
                    }
                }
            }
        }
    }
}
