//! One task of a filter gradient.

use super::super::transform::Tile;
use super::WinogradFilterGradKernel;
use super::bands::{self, BAND, Input, Output, Plane, Points};
use super::finish::{self, Plain, TAPS};
use super::product::{Factors, multiply};
use crate::SharedMut;
use crate::memory::{LINE, Pieces};
use crate::simd::{Kernel, Simd16};
use crate::split::share;
use std::marker::PhantomData;
use std::ops::Range;

pub(super) struct Run<'a, T> {
    pub k: &'a WinogradFilterGradKernel,
    pub phase: usize,
    pub task: usize,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dw: SharedMut<'a, f32>,
    pub workspace: SharedMut<'a, f32>,
    pub scratch: &'a mut [f32],
    pub tile: PhantomData<T>,
}

impl<T: Tile> Kernel for Run<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(mut self) {
        let p = &self.k.plan;
        let (len, task) = (p.sums_len(), self.task);
        // SAFETY: the contract of `WinogradFilterGradKernel::run`; memory is as long as `Work` says.
        unsafe {
            let mut memory = Pieces::new(std::mem::take(&mut self.scratch));
            let small = memory.take(BAND.max(TAPS)).as_mut_ptr();
            let own = memory.take(len).as_mut_ptr();
            let shared = self.workspace.as_ptr();
            let shared = shared.add(shared.align_offset(LINE * 4));
            if let Some(parts) = p.parts {
                if self.phase == 0 {
                    let points = memory.take(p.points_len()).as_mut_ptr();
                    self.part::<S>(points, shared.add(task * p.tasks() * len), small);
                } else {
                    join::<S>(shared.add(task * len), p.tasks() * len, parts, own, len);
                    self.taps::<S>(own, small);
                }
                return;
            }
            let (chunk, points) = (self.phase / 2, shared.add(p.sums() * len));
            let runs = share(chunk, p.chunks, p.runs);
            if self.phase.is_multiple_of(2) {
                let pieces = share(task, p.transforms(), runs.len() * (p.blocks[0] + p.blocks[1]));
                return self.transform::<S>(runs, pieces, points, small);
            }
            let sums = if p.chunks == 1 { own } else { shared.add(task * len) };
            self.sum::<S>(task, p.tiles_of(runs), points, sums, chunk > 0);
            if chunk + 1 == p.chunks {
                self.taps::<S>(sums, small);
            }
        }
    }
}

impl<T: Tile> Run<'_, T> {
    /// The sums of all channels over a part of the runs.
    #[inline(always)]
    unsafe fn part<S: Simd16>(&self, points: *mut f32, sums: *mut f32, small: *mut f32) {
        let p = &self.k.plan;
        for chunk in 0..p.chunks {
            let runs = share(self.task * p.chunks + chunk, self.k.phases[0] * p.chunks, p.runs);
            let tiles = p.tiles_of(runs.clone());
            let pieces = 0..runs.len() * (p.blocks[0] + p.blocks[1]);
            // SAFETY: inside the points and sums of the plan.
            unsafe {
                self.transform::<S>(runs, pieces, points, small);
                for group in 0..p.tasks() {
                    self.sum::<S>(group, tiles, points, sums.add(group * p.sums_len()), chunk > 0);
                }
            }
        }
    }

    /// Transforms pieces of a chunk: a piece is a run of a block of channels, first those of inputs, then of outputs.
    #[inline(always)]
    unsafe fn transform<S: Simd16>(&self, runs: Range<usize>, pieces: Range<usize>, points: *mut f32, band: *mut f32) {
        let (k, p) = (self.k, &self.k.plan);
        let [block_step, x_step, dy_step] = p.steps();
        let first = p.first_tile(runs.start);
        for piece in pieces {
            let (block, run) = (piece / runs.len(), runs.start + piece % runs.len());
            let (image, at) = (run / p.runs_of_image, run % p.runs_of_image);
            let (row, column) = (at / p.runs_of_row, at % p.runs_of_row * p.run);
            let tiles = p.run.min(p.row - column);
            let t = p.first_tile(run) - first;
            let [y, x] = [(row * p.m) as isize, (column * p.m) as isize];
            // SAFETY: blocks and runs are those of the tensors.
            unsafe {
                if block < p.blocks[0] {
                    let [height, width] = k.input;
                    let start = self.x.as_ptr().add((image * p.blocks[0] + block) * height * width * 16);
                    let plane = Plane { start, height, width };
                    let from = [y - k.padding[0] as isize, x - k.padding[1] as isize];
                    let to = Points { start: points.add(block * block_step + t * 16), step: x_step };
                    bands::transform::<S, T, Input>(plane, from, tiles, band, to);
                } else {
                    let block = block - p.blocks[0];
                    let [height, width] = k.output;
                    let start = self.dy.as_ptr().add((image * p.blocks[1] + block) * height * width * 16);
                    let plane = Plane { start, height, width };
                    let start = points.add(p.points * x_step + block * block_step + t * 16);
                    bands::transform::<S, T, Output>(plane, [y, x], tiles, band, Points { start, step: dy_step });
                }
            }
        }
    }

    /// The blocks of input and output channels of a group.
    #[inline(always)]
    fn blocks(&self, group: usize) -> [Range<usize>; 2] {
        let p = &self.k.plan;
        [share(group % p.groups[0], p.groups[0], p.blocks[0]), share(group / p.groups[0], p.groups[1], p.blocks[1])]
    }

    /// Multiplies the points of a chunk for a group of channels.
    #[inline(always)]
    unsafe fn sum<S: Simd16>(&self, group: usize, tiles: usize, points: *const f32, sums: *mut f32, add: bool) {
        let p = &self.k.plan;
        let [step, x_step, dy_step] = p.steps();
        let [ci, co] = self.blocks(group);
        // SAFETY: inside the points and sums of the plan.
        unsafe {
            for i in 0..p.points {
                let x = points.add(i * x_step + ci.start * step);
                let dy = points.add(p.points * x_step + i * dy_step + co.start * step);
                let factors = Factors { x, dy, step, tiles, ahead: [x_step, dy_step] };
                multiply::<S>(factors, ci.len(), co.len(), sums.add(i * ci.len() * co.len() * 256), add);
            }
        }
    }

    /// Gathers the taps of the task's group of channels.
    #[inline(always)]
    unsafe fn taps<S: Simd16>(&self, sums: *const f32, small: *mut f32) {
        let k = self.k;
        let [ci, co] = self.blocks(self.task);
        let (point, row) = (ci.len() * co.len() * 256, co.len() * 16);
        let all = T::R * T::R;
        for (a, i) in ci.clone().enumerate() {
            for (b, j) in co.clone().enumerate() {
                // SAFETY: only channels that the gradient has are written.
                unsafe {
                    let to = Plain {
                        start: self.dw.as_ptr().add((j * 16 * k.ci + i * 16) * all),
                        step: k.ci * all,
                        ci: (k.ci - i * 16).min(16),
                        co: (k.co - j * 16).min(16),
                    };
                    finish::finish::<S, T>(sums.add(a * 16 * row + b * 16), point, row, small, to);
                }
            }
        }
    }
}

/// Adds up the parts of a sum, in order.
///
/// # Safety
/// Parts and sum must be valid, and whole vectors.
#[inline(always)]
unsafe fn join<S: Simd16>(from: *const f32, step: usize, parts: usize, to: *mut f32, len: usize) {
    for i in (0..len).step_by(16) {
        // SAFETY: as the caller promises.
        unsafe {
            let mut sum = S::load(from.add(i));
            for part in 1..parts {
                sum = S::add(sum, S::load(from.add(part * step + i)));
            }
            S::store(to.add(i), sum);
        }
    }
}
