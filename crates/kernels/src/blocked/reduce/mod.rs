//! Sums, means and maxima over pixels, or over pixels and images.

#[cfg(test)]
mod tests;

use crate::blocked::Blocked;
use crate::blocked::layout::LANES;
use crate::reduce::{Fold, Maxima};
use crate::simd::{Kernel, Simd16};
use crate::split::Planes;
use crate::sums::Sums;
use crate::{Isa, SharedMut, Work};
use gabor_tensor::Reduction;

/// A prepared reduction of a blocked tensor to one number per channel, or per channel of each image. The result is plain:
/// `[c]` or `[n, c]`. Sums run in double precision; long ones are cut into parts, by extents alone.
#[derive(Clone, Debug)]
pub struct BlockedReduceKernel {
    kind: Reduction,
    e: Blocked,
    /// Rows of blocks, each with a result: those of one image or of all.
    cut: Planes,
    /// Number of elements that each result is made of.
    count: usize,
    isa: Isa,
    phases: Vec<usize>,
}

impl BlockedReduceKernel {
    /// Prepares the reduction over the pixels of a plane, and over the images too if `images`.
    ///
    /// # Errors
    /// The reason, if there are no elements.
    pub fn new(kind: Reduction, extents: Blocked, images: bool, isa: Isa) -> Result<Self, String> {
        let e = extents;
        if e.is_empty() {
            return Err("there are no elements".to_string());
        }
        let (n, rows) = if images { (e.n, e.blocks()) } else { (1, e.n * e.blocks()) };
        let cut = Planes::new([n, rows, e.plane * LANES], 1);
        let mut phases = vec![cut.tasks()];
        if cut.parts > 1 {
            phases.push(1);
        }
        Ok(BlockedReduceKernel { kind, e, cut, count: n * e.plane, isa, phases })
    }
    /// Runs one task of one phase: reads `x`, writes its part of `y`.
    ///
    /// # Safety
    /// Tasks of one phase may run at the same time, those of the next only after them; nothing else may touch `y` and
    /// `workspace` meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(
        &self,
        phase: usize,
        task: usize,
        x: &[f32],
        y: SharedMut<'_, f32>,
        workspace: SharedMut<'_, f32>,
    ) {
        let results = self.cut.c / self.e.blocks() * self.e.c;
        assert!(x.len() >= self.e.len() && y.len() >= results && workspace.len() >= self.workspace_len());
        // SAFETY: lengths are checked; tasks write disjoint results; the rest is the caller's promise.
        unsafe { self.isa.call(Run { kernel: self, phase, task, x, y, workspace }) }
    }
}

impl Work for BlockedReduceKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        if self.cut.parts > 1 { self.cut.parts * self.cut.c * LANES * 2 } else { 0 }
    }
}

struct Run<'a> {
    kernel: &'a BlockedReduceKernel,
    phase: usize,
    task: usize,
    x: &'a [f32],
    y: SharedMut<'a, f32>,
    workspace: SharedMut<'a, f32>,
}

impl Kernel for Run<'_> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) {
        // SAFETY: the contract of `BlockedReduceKernel::run`.
        unsafe {
            match self.kernel.kind {
                Reduction::Max => self.fold::<Maxima>(),
                Reduction::Sum | Reduction::Mean => self.fold::<Sums>(),
            }
        }
    }
}

impl Run<'_> {
    #[inline(always)]
    unsafe fn fold<F: Fold>(&self) {
        let cut = &self.kernel.cut;
        // SAFETY: lengths were checked; a task owns its rows or its part of them.
        unsafe {
            if self.phase == 1 {
                for row in 0..cut.c {
                    let mut all = [F::NEUTRAL.into(); LANES];
                    for part in 0..cut.parts {
                        let more = self.partial(part, row).read_unaligned();
                        for (all, more) in all.iter_mut().zip(more) {
                            *all = F::join(*all, more);
                        }
                    }
                    self.result(row, all);
                }
                return;
            }
            let (rows, part, pieces) = cut.task(self.task);
            for row in rows {
                let mut all = F::START;
                for piece in pieces.clone() {
                    for x in self.x[cut.piece(piece, row)].as_chunks::<LANES>().0 {
                        all.add(x);
                    }
                }
                let all = std::array::from_fn(|l| all.lane(l));
                if cut.parts > 1 {
                    self.partial(part, row).write_unaligned(all);
                } else {
                    self.result(row, all);
                }
            }
        }
    }
    /// Address of the results of a part of a row.
    fn partial(&self, part: usize, row: usize) -> *mut [f64; LANES] {
        self.workspace.as_ptr().wrapping_add((part * self.kernel.cut.c + row) * LANES * 2).cast()
    }
    /// Writes the results of a row.
    #[inline(always)]
    unsafe fn result(&self, row: usize, all: [f64; LANES]) {
        let e = &self.kernel.e;
        let (image, block) = (row / e.blocks(), row % e.blocks());
        for (l, v) in all.into_iter().enumerate().take(e.lanes(block)) {
            let v = if self.kernel.kind == Reduction::Mean { v / self.kernel.count as f64 } else { v };
            // SAFETY: the caller owns the row; the length was checked.
            unsafe { *self.y.as_ptr().add(image * e.c + block * LANES + l) = v as f32 };
        }
    }
}
