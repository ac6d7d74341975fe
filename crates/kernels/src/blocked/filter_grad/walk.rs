//! A task's walk through its pixels, and the way of the sums to plain order.

use super::BlockedFilterGradKernel;
use super::plan::{Part, Plan};
use super::tile::{Tile, tiles};
use crate::SharedMut;
use crate::blocked::layout::LANES;
use crate::memory::Pieces;
use crate::simd::{Kernel, Simd16};
use crate::split::share;

/// One task.
pub(super) struct Run<'a> {
    pub k: &'a BlockedFilterGradKernel,
    pub phase: usize,
    pub task: usize,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub dw: SharedMut<'a, f32>,
    pub workspace: SharedMut<'a, f32>,
    pub scratch: &'a mut [f32],
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(mut self) {
        let plan = &self.k.plan;
        // SAFETY: the contract of `BlockedFilterGradKernel::run`, which has checked all lengths.
        unsafe {
            if self.phase == 1 {
                return self.join::<S>();
            }
            let mut memory = Pieces::new(std::mem::take(&mut self.scratch));
            let sums = memory.take(plan.scratch_len() - LANES).as_mut_ptr();
            let part = plan.part(self.task);
            for (i, unit) in plan.units(part.part).enumerate() {
                self.unit::<S>(&part, unit, sums, i == 0);
            }
            let to = if plan.parts > 1 { self.workspace.as_ptr().add(part.part * plan.len) } else { self.dw.as_ptr() };
            plain::<S>(plan, &part, sums, to);
        }
    }
}

impl Run<'_> {
    /// Adds the products of a block of pixels to the sums: those of each block of input channels, tap by tap, channel by
    /// channel.
    #[inline(always)]
    unsafe fn unit<S: Simd16>(&self, part: &Part, unit: usize, mut sums: *mut f32, first: bool) {
        let (k, plan) = (self.k, &self.k.plan);
        let pixels = plan.pixels(unit);
        let (image, width) = (pixels.images.start, part.outputs.len());
        let outputs = part.group * plan.co.div_ceil(LANES) + part.outputs.start;
        let dy = self.dy.as_ptr().wrapping_add(k.dy.start(image, outputs));
        let [kd, kh, kw] = plan.axes.each_ref().map(|a| a.inside.len());
        for block in part.inputs.clone() {
            let channels = (plan.ci - block * LANES).min(LANES);
            let x = self.x.as_ptr().wrapping_add(k.x.start(image, part.group * plan.ci.div_ceil(LANES) + block));
            for (d, h, w) in (0..kd).flat_map(|d| (0..kh).flat_map(move |h| (0..kw).map(move |w| (d, h, w)))) {
                let run = plan.tap_run(&pixels, [d, h, w]);
                if first || !run.places.is_empty() {
                    let tile = Tile {
                        x: x.wrapping_add(run.x * LANES),
                        x_image: k.x.start(1, 0),
                        dy: dy.wrapping_add(run.dy * LANES),
                        dy_image: k.dy.start(1, 0),
                        dy_block: k.dy.start(0, 1),
                        places: run.places.as_ptr(),
                        len: run.places.len(),
                        images: pixels.images.len(),
                        sums,
                        width,
                        first,
                    };
                    // SAFETY: pixels and taps are inside x and dy, the sums in scratch memory.
                    unsafe { tiles::<S>(tile, channels) }
                }
                sums = sums.wrapping_add(LANES * width * LANES);
            }
        }
    }
    /// Adds the parts up, in order.
    #[inline(always)]
    unsafe fn join<S: Simd16>(&self) {
        let (plan, from, to) = (&self.k.plan, self.workspace.as_ptr(), self.dw.as_ptr());
        let range = share(self.task, self.k.phases[1], plan.len);
        let mut i = range.start;
        while i < range.end {
            let m = (range.end - i).min(16);
            // SAFETY: inside dw and the parts; other tasks have other ranges.
            unsafe {
                let mut sum = S::load_up_to(from.add(i), m);
                for part in 1..plan.parts {
                    sum = S::add(sum, S::load_up_to(from.add(i + part * plan.len), m));
                }
                S::store_up_to(to.add(i), sum, m);
            }
            i += m;
        }
    }
}

/// Turns a task's sums, vectors of output channels in the order (block of input channels, tap, channel), to plain order:
/// for each output channel a row (input channel, tap).
#[inline(always)]
unsafe fn plain<S: Simd16>(plan: &Plan, part: &Part, sums: *const f32, to: *mut f32) {
    let (taps, width) = (plan.taps, part.outputs.len());
    let row = plan.ci * taps;
    for (i, block) in part.inputs.clone().enumerate() {
        let len = (plan.ci - block * LANES).min(LANES) * taps;
        for (b, output) in part.outputs.clone().enumerate() {
            let rows = (plan.co - output * LANES).min(LANES);
            // SAFETY: inside the sums and the rows of these channels, which no other task writes.
            unsafe {
                let from = sums.add((i * taps * LANES * width + b) * LANES);
                let to = to.add((part.group * plan.co + output * LANES) * row + block * LANES * taps);
                let (mut channel, mut tap, mut at) = (0, 0, 0);
                while at < len {
                    let m = (len - at).min(16);
                    let mut v = [S::zero(); 16];
                    for v in &mut v[..m] {
                        *v = S::load(from.add((tap * LANES + channel) * width * LANES));
                        tap += 1;
                        if tap == taps {
                            (channel, tap) = (channel + 1, 0);
                        }
                    }
                    for (r, v) in S::transpose(v).into_iter().enumerate().take(rows) {
                        S::store_up_to(to.add(r * row + at), v, m);
                    }
                    at += m;
                }
            }
        }
    }
}
