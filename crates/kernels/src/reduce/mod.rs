//! Sums, means and maxima over some dimensions.

mod fold;
#[cfg(test)]
mod tests;

use crate::simd::{Kernel, Simd16};
use crate::split::{Planes, share, tasks};
use crate::sums::{Sums, padded};
use crate::{Isa, SharedMut, Work};
pub(crate) use fold::{Fold, Maxima};
use gabor_tensor::Reduction;
use std::ops::Range;

/// Most planes that are worked on together: their partial results stay in the first-level cache.
const TOGETHER: usize = 16;
/// Columns that are worked on together, in vectors of 16.
const VECTORS: usize = 4;

/// A prepared reduction, as [`reference::reduce`](crate::reference::reduce) defines it. Sums run in double precision on
/// 16 lanes; long ones are cut into parts, by extents alone.
#[derive(Clone, Debug)]
pub struct ReduceKernel {
    kind: Reduction,
    form: Form,
    /// Number of elements that each result is made of.
    count: usize,
    isa: Isa,
    phases: Vec<usize>,
}

/// What is left when neighbouring dimensions of one kind are taken as one.
#[derive(Clone, Debug)]
enum Form {
    /// `[n, c, s]` to `[c]`.
    Planes(Planes),
    /// `[outer, r, c]` to `[outer, c]`, each with `r` in parts; a unit is a block of columns.
    Columns { outer: usize, r: usize, c: usize, parts: usize, groups: usize },
}

impl ReduceKernel {
    /// Prepares the reduction of a tensor of shape `shape` over the dimensions `axes`.
    ///
    /// # Errors
    /// The reason, if there are no elements, or kept and reduced dimensions alternate too often.
    pub fn new(kind: Reduction, shape: &[usize], axes: &[usize], isa: Isa) -> Result<Self, String> {
        if shape.contains(&0) {
            return Err("there are no elements".to_string());
        }
        let mut runs: Vec<(usize, bool)> = Vec::new();
        for (d, &e) in shape.iter().enumerate().filter(|(_, e)| **e > 1) {
            let reduced = axes.contains(&d);
            match runs.last_mut() {
                Some(last) if last.1 == reduced => last.0 *= e,
                _ => runs.push((e, reduced)),
            }
        }
        let form = match runs[..] {
            [] => Form::columns(1, 1, 1),
            [(c, false)] => Form::columns(1, 1, c),
            [(s, true)] => Form::planes(1, 1, s),
            [(c, false), (s, true)] => Form::planes(1, c, s),
            [(n, true), (c, false), (s, true)] => Form::planes(n, c, s),
            [(r, true), (c, false)] => Form::columns(1, r, c),
            [(outer, false), (r, true), (c, false)] => Form::columns(outer, r, c),
            _ => {
                let rule = "kept and reduced dimensions alternate more than twice";
                return Err(format!("{rule}: {axes:?} of {shape:?}"));
            }
        };
        let count = axes.iter().map(|&d| shape[d]).product();
        let (first, parts) = match &form {
            Form::Planes(p) => (p.tasks(), p.parts),
            Form::Columns { parts, groups, .. } => (groups * parts, *parts),
        };
        let mut phases = vec![first];
        if parts > 1 {
            phases.push(1);
        }
        Ok(ReduceKernel { kind, form, count, isa, phases })
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
        assert!(x.len() >= self.form.elements() && y.len() >= self.form.results());
        assert!(workspace.len() >= self.workspace_len());
        // SAFETY: lengths are checked; tasks write disjoint results; the rest is the caller's promise.
        unsafe { self.isa.call(Run { kernel: self, phase, task, x, y, workspace }) }
    }
}

impl Work for ReduceKernel {
    fn phases(&self) -> &[usize] {
        &self.phases
    }
    fn workspace_len(&self) -> usize {
        if self.phases.len() > 1 { self.form.parts() * self.form.results() * 2 } else { 0 }
    }
}

impl Form {
    fn planes(n: usize, c: usize, s: usize) -> Self {
        Form::Planes(Planes::new([n, c, s], 1))
    }
    fn columns(outer: usize, r: usize, c: usize) -> Self {
        let units = outer * c.div_ceil(16 * VECTORS);
        let wanted = tasks(outer * r * c, usize::MAX);
        let groups = units.min(wanted);
        Form::Columns { outer, r, c, parts: (wanted / groups).clamp(1, r), groups }
    }
    fn elements(&self) -> usize {
        match self {
            Form::Planes(p) => p.n * p.c * p.s,
            Form::Columns { outer, r, c, .. } => outer * r * c,
        }
    }
    fn results(&self) -> usize {
        match self {
            Form::Planes(p) => p.c,
            Form::Columns { outer, c, .. } => outer * c,
        }
    }
    fn parts(&self) -> usize {
        match self {
            Form::Planes(p) => p.parts,
            Form::Columns { parts, .. } => *parts,
        }
    }
}

struct Run<'a> {
    kernel: &'a ReduceKernel,
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
        // SAFETY: the contract of `ReduceKernel::run`.
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
        // SAFETY: as `run`.
        unsafe {
            match &self.kernel.form {
                _ if self.phase == 1 => self.join::<F>(),
                Form::Planes(p) => self.planes::<F>(p),
                &Form::Columns { outer, r, c, parts, groups } => {
                    let (group, part) = (self.task / parts, self.task % parts);
                    let blocks = c.div_ceil(16 * VECTORS);
                    for unit in share(group, groups, outer * blocks) {
                        let (o, first) = (unit / blocks, unit % blocks * 16 * VECTORS);
                        let columns = first..(first + 16 * VECTORS).min(c);
                        self.columns::<F>(o, columns, share(part, parts, r), part);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn planes<F: Fold>(&self, p: &Planes) {
        let (channels, part, pieces) = p.task(self.task);
        let together = (512 / p.s).clamp(1, TOGETHER);
        for first in channels.clone().step_by(together) {
            let channels = first..(first + together).min(channels.end);
            let mut all = [F::START; TOGETHER];
            for piece in pieces.clone() {
                for (all, c) in all.iter_mut().zip(channels.clone()) {
                    let mut sums = *all;
                    let (whole, rest) = self.x[p.piece(piece, c)].as_chunks::<16>();
                    for x in whole {
                        sums.add(x);
                    }
                    if !rest.is_empty() {
                        sums.add(&padded(rest, F::NEUTRAL));
                    }
                    *all = sums;
                }
            }
            for (all, c) in all.iter().zip(channels) {
                // SAFETY: this task's channels.
                unsafe { self.result(c, part, all.total()) };
            }
        }
    }

    #[inline(always)]
    unsafe fn columns<F: Fold>(&self, o: usize, columns: Range<usize>, rows: Range<usize>, part: usize) {
        let &Form::Columns { r, c, .. } = &self.kernel.form else { return };
        let mut all = [F::START; VECTORS];
        for row in rows {
            let x = &self.x[(o * r + row) * c..][columns.clone()];
            if let Some(x) = x.as_chunks::<16>().0.first_chunk::<VECTORS>() {
                for v in 0..VECTORS {
                    all[v].add(&x[v]);
                }
            } else {
                for (all, x) in all.iter_mut().zip(x.chunks(16)) {
                    all.add(&padded(x, F::NEUTRAL));
                }
            }
        }
        for (i, column) in columns.enumerate() {
            // SAFETY: this task's columns.
            unsafe { self.result(o * c + column, part, all[i / 16].lane(i % 16)) };
        }
    }

    /// Writes a result, or that of a part to the workspace.
    #[inline(always)]
    unsafe fn result(&self, at: usize, part: usize, v: f64) {
        // SAFETY: lengths were checked; the caller owns the result.
        unsafe {
            if self.kernel.phases.len() == 1 {
                *self.y.as_ptr().add(at) = self.finish(v);
            } else {
                let all = self.kernel.form.results();
                self.workspace.as_ptr().cast::<f64>().add(part * all + at).write_unaligned(v);
            }
        }
    }

    fn finish(&self, v: f64) -> f32 {
        match self.kernel.kind {
            Reduction::Mean => (v / self.kernel.count as f64) as f32,
            _ => v as f32,
        }
    }

    #[inline(always)]
    unsafe fn join<F: Fold>(&self) {
        let results = self.kernel.form.results();
        for at in 0..results {
            let mut all = F::NEUTRAL.into();
            for part in 0..self.kernel.form.parts() {
                // SAFETY: the phase before wrote every part.
                let v = unsafe { self.workspace.as_ptr().cast::<f64>().add(part * results + at).read_unaligned() };
                all = F::join(all, v);
            }
            // SAFETY: a single task.
            unsafe { *self.y.as_ptr().add(at) = self.finish(all) };
        }
    }
}
