//! From plain to blocked order and back.

use super::layout::{Blocked, LANES};
use super::packing::Packing;
use crate::memory::{LINE, Pieces, copy};
use crate::shared::MOST_TASKS;
use crate::simd::{Kernel, Simd16};
use crate::turn::{Rows, turn};
use crate::{Isa, SharedMut, Work};

/// Elements worth a task of their own.
const TASK: usize = 1 << 15;
/// Pixels that [`Unblock`] turns in scratch before it writes them: planes that lie far apart get long runs, not single lines.
const RUN: usize = 256;
/// Distance between the planes in scratch, so that their lines do not fall into one set of the cache.
const PITCH: usize = RUN + LANES;
/// A result from this many floats on would push everything else out of the caches: it is written past them.
const LARGE: usize = 4 << 20;

/// Planes of 16 channels are dealt to tasks.
fn deal(e: &Blocked) -> usize {
    let most = (e.n * e.blocks()).clamp(1, MOST_TASKS);
    (e.len() / TASK).clamp(1, most)
}

/// Plain to blocked.
#[derive(Clone, Debug)]
pub struct Block {
    extents: Blocked,
    isa: Isa,
    phases: [usize; 1],
}

impl Block {
    /// Of a tensor of these extents.
    pub fn new(extents: Blocked, isa: Isa) -> Self {
        Block { extents, isa, phases: [deal(&extents)] }
    }
}

impl Work for Block {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
}

impl Packing for Block {
    fn key(&self) -> String {
        "blocked".into()
    }
    fn packed_len(&self) -> usize {
        self.extents.len()
    }
    unsafe fn pack(
        &self,
        _phase: usize,
        task: usize,
        from: &[f32],
        to: SharedMut<'_, f32>,
        _workspace: SharedMut<'_, f32>,
        _scratch: &mut [f32],
    ) {
        let e = self.extents;
        assert!(from.len() >= e.n * e.c * e.plane && to.len() >= e.len());
        let (total, tasks) = (e.n * e.blocks(), self.phases[0]);
        for i in total * task / tasks..total * (task + 1) / tasks {
            let (n, b) = (i / e.blocks(), i % e.blocks());
            let planes = &from[(n * e.c + b * LANES) * e.plane..];
            // SAFETY: the block of one image, which no other task writes.
            let to = unsafe { to.part(e.start(n, b), e.plane * LANES) };
            let run = Interleave { from: planes.as_ptr(), to: to.as_mut_ptr(), lanes: e.lanes(b), plane: e.plane };
            // SAFETY: `lanes` planes lie at `from`, the block at `to`.
            unsafe { self.isa.call(run) }
        }
    }
}

/// Blocked to plain.
#[derive(Clone, Debug)]
pub struct Unblock {
    extents: Blocked,
    isa: Isa,
    phases: [usize; 1],
}

impl Unblock {
    /// Of a tensor of these extents.
    pub fn new(extents: Blocked, isa: Isa) -> Self {
        Unblock { extents, isa, phases: [deal(&extents)] }
    }
    /// Runs one task.
    ///
    /// # Safety
    /// Nothing else may touch `to` meanwhile but other tasks.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, from: &[f32], to: SharedMut<'_, f32>, scratch: &mut [f32]) {
        let e = self.extents;
        assert!(from.len() >= e.len() && to.len() >= e.n * e.c * e.plane && scratch.len() >= self.scratch_len());
        let turned = Pieces::new(scratch).take(LANES * PITCH).as_mut_ptr();
        let stream = e.n * e.c * e.plane >= LARGE;
        let (total, tasks) = (e.n * e.blocks(), self.phases[0]);
        for i in total * task / tasks..total * (task + 1) / tasks {
            let (n, b) = (i / e.blocks(), i % e.blocks());
            let from = &from[e.start(n, b)..];
            // SAFETY: the planes of these channels, which no other task writes.
            let to = unsafe { to.part((n * e.c + b * LANES) * e.plane, e.lanes(b) * e.plane) };
            let (from, to) = (from.as_ptr(), to.as_mut_ptr());
            let run = Separate { from, to, turned, lanes: e.lanes(b), plane: e.plane, stream };
            // SAFETY: the block lies at `from`, `lanes` planes at `to`.
            unsafe { self.isa.call(run) }
        }
    }
}

impl Work for Unblock {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn scratch_len(&self) -> usize {
        LINE + LANES * PITCH
    }
}

/// `lanes` planes become vectors of 16 lanes.
struct Interleave {
    from: *const f32,
    to: *mut f32,
    lanes: usize,
    plane: usize,
}

impl Kernel for Interleave {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let mut i = 0;
        while i < self.plane {
            let m = (self.plane - i).min(LANES);
            // SAFETY: never beyond the planes and the block.
            unsafe {
                let planes = Rows { start: self.from.add(i), step: self.plane };
                let pixels = Rows { start: self.to.add(i * LANES), step: LANES };
                turn::<S>(planes, (self.lanes, m), pixels, LANES);
            }
            i += m;
        }
    }
}

/// The reverse of [`Interleave`].
struct Separate {
    from: *const f32,
    to: *mut f32,
    /// Scratch for `LANES` runs, `PITCH` apart.
    turned: *mut f32,
    lanes: usize,
    plane: usize,
    /// Whether the result is written past the caches.
    stream: bool,
}

impl Kernel for Separate {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        let mut first = 0;
        while first < self.plane {
            let run = (self.plane - first).min(RUN);
            // SAFETY: never beyond the block and the planes; scratch holds whole vectors of every run.
            unsafe {
                for i in (0..run).step_by(LANES) {
                    let pixels = Rows { start: self.from.add((first + i) * LANES), step: LANES };
                    let planes = Rows { start: self.turned.add(i), step: PITCH };
                    turn::<S>(pixels, ((run - i).min(LANES), self.lanes), planes, LANES);
                }
                for r in 0..self.lanes {
                    let (from, to) = (self.turned.add(r * PITCH), self.to.add(r * self.plane + first));
                    let head = if self.stream { to.align_offset(4 * LANES).min(run) } else { run };
                    copy::<S>(from, to, head);
                    let mut i = head;
                    while i + LANES <= run {
                        S::stream(to.add(i), S::load(from.add(i)));
                        i += LANES;
                    }
                    copy::<S>(from.add(i), to.add(i), run - i);
                }
            }
            first += run;
        }
        if self.stream {
            // SAFETY: the processor has the set.
            unsafe { S::fence() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{run_all, uniform};

    #[test]
    fn there_and_back() {
        for (n, c, plane) in [(1, 1, 1), (2, 16, 9), (3, 35, 50), (1, 64, 784), (2, 7, 17), (4, 33, 40_001)] {
            let e = Blocked { n, c, plane };
            let x = uniform(1, n * c * plane);
            for isa in Isa::available() {
                let (mut blocked, mut back) = (vec![f32::NAN; e.len()], vec![f32::NAN; x.len()]);
                let block = Block::new(e, isa);
                let to = SharedMut::new(&mut blocked);
                // SAFETY: `run_all` keeps tasks apart.
                run_all(&block, 1, |p, t, w, s| unsafe { block.pack(p, t, &x, to, w, s) });
                for (i, &v) in blocked.iter().enumerate() {
                    let (lane, pixel, b) = (i % 16, i / 16 % plane, i / 16 / plane);
                    let (image, channel) = (b / e.blocks(), b % e.blocks() * 16 + lane);
                    let want = if channel < c { x[(image * c + channel) * plane + pixel] } else { 0.0 };
                    assert_eq!(v, want);
                }
                let unblock = Unblock::new(e, isa);
                let to = SharedMut::new(&mut back);
                // SAFETY: as above.
                run_all(&unblock, 1, |_, t, _, s| unsafe { unblock.run(t, &blocked, to, s) });
                assert_eq!(back, x);
            }
        }
    }
}
