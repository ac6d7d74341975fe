//! A task's walk through its pixels, and the way of the sums to plain order.

use super::BlockedFilterGradKernel;
use super::plan::{Part, Pixels, Plan, TapRun};
use super::tile::{Tile, prefetch, tiles};
use crate::SharedMut;
use crate::blocked::layout::LANES;
use crate::memory::{LINE, Pieces};
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
            let sums = memory.take(plan.scratch_len() - LINE).as_mut_ptr();
            let part = plan.part(self.task);
            let to = match plan.parts {
                1 => self.dw.as_ptr(),
                _ => self.workspace.as_ptr().add(part.part * plan.len),
            };
            let units = plan.units(part.part);
            let mut pixels = plan.pixels(units.start);
            for unit in units.clone() {
                let last = unit + 1 == units.end;
                let next = if last { pixels.clone() } else { plan.pixels(unit + 1) };
                let step = Step { part: &part, pixels: &pixels, next: &next, sums, first: unit == units.start };
                self.unit::<S>(&step, last.then_some(to));
                pixels = next;
            }
        }
    }
}

/// A block of pixels on a task's walk.
struct Step<'a> {
    part: &'a Part,
    pixels: &'a Pixels,
    /// The block after it.
    next: &'a Pixels,
    sums: *mut f32,
    first: bool,
}

impl Run<'_> {
    /// Adds the products of a block of pixels to the sums: those of each block of input channels, tap by tap, channel by
    /// channel. The last block of pixels ends with plain sums.
    #[inline(always)]
    unsafe fn unit<S: Simd16>(&self, step: &Step<'_>, to: Option<*mut f32>) {
        let plan = &self.k.plan;
        let Step { part, pixels, next, .. } = *step;
        let [kd, kh, kw] = plan.axes.each_ref().map(|a| a.inside.len());
        let size = LANES * part.outputs.len() * LANES;
        let mut left = part.inputs.len() * plan.taps;
        for (i, block) in part.inputs.clone().enumerate() {
            let channels = (plan.ci - block * LANES).min(LANES);
            let own = step.sums.wrapping_add(i * plan.taps * size);
            let last = block + 1 == part.inputs.end;
            let (next_block, next_pixels) = if last { (part.inputs.start, next) } else { (block + 1, pixels) };
            let taps = (0..kd).flat_map(|d| (0..kh).flat_map(move |h| (0..kw).map(move |w| [d, h, w])));
            for (t, tap) in taps.enumerate() {
                let run = plan.tap_run(pixels, tap);
                if let Some(to) = to {
                    // Of each row, as many elements as the block has channels: by the last tap they are all asked for.
                    let (first, count) =
                        (part.group * plan.co + part.outputs.start * LANES, part.outputs.len() * LANES);
                    for row in first..first + count {
                        prefetch(to.wrapping_add((row * plan.ci + block * LANES) * plan.taps + t * LANES));
                    }
                }
                if step.first || !run.places.is_empty() {
                    let tile = Tile {
                        x: self.x(part, pixels, block, &run),
                        x_image: self.k.x.start(1, 0),
                        dy: self.dy(part, pixels, &run),
                        dy_image: self.k.dy.start(1, 0),
                        dy_block: self.k.dy.start(0, 1),
                        next_x: self.x(part, next_pixels, next_block, &plan.tap_run(next_pixels, tap)),
                        next_dy: self.dy(part, next, &plan.tap_run(next, tap)),
                        places: run.places.as_ptr(),
                        len: run.places.len(),
                        images: pixels.images.len(),
                        sums: own.wrapping_add(t * size),
                        width: part.outputs.len(),
                        first: step.first,
                    };
                    // SAFETY: pixels and taps are inside x and dy, the sums in scratch memory.
                    unsafe { tiles::<S>(tile, channels, left) }
                }
                left -= 1;
            }
            if let Some(to) = to {
                // SAFETY: all sums of this block are written.
                unsafe { plain::<S>(plan, part, block, own, to) }
            }
        }
    }
    /// The first element of x under a tap.
    #[inline(always)]
    fn x(&self, part: &Part, pixels: &Pixels, block: usize, run: &TapRun<'_>) -> *const f32 {
        let block = part.group * self.k.plan.ci.div_ceil(LANES) + block;
        self.x.as_ptr().wrapping_add(self.k.x.start(pixels.images.start, block) + run.x * LANES)
    }
    /// The first element of dy under a tap.
    #[inline(always)]
    fn dy(&self, part: &Part, pixels: &Pixels, run: &TapRun<'_>) -> *const f32 {
        let block = part.group * self.k.plan.co.div_ceil(LANES) + part.outputs.start;
        self.dy.as_ptr().wrapping_add(self.k.dy.start(pixels.images.start, block) + run.dy * LANES)
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

/// Turns the sums of a block of input channels, vectors of output channels in the order (tap, channel), to plain order:
/// for each output channel a row (input channel, tap).
#[inline(always)]
unsafe fn plain<S: Simd16>(plan: &Plan, part: &Part, block: usize, sums: *const f32, to: *mut f32) {
    let (taps, width) = (plan.taps, part.outputs.len());
    let row = plan.ci * taps;
    let len = (plan.ci - block * LANES).min(LANES) * taps;
    for (b, output) in part.outputs.clone().enumerate() {
        let rows = (plan.co - output * LANES).min(LANES);
        // SAFETY: inside the sums and the rows of these channels, which no other task writes.
        unsafe {
            let from = sums.add(b * LANES);
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
