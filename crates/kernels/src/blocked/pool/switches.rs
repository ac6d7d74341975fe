//! Maxima and where they were.

use super::{clear_tail, row_tasks, strips};
use crate::blocked::layout::{Blocked, LANES};
use crate::blocked::slide::{Phase, RUN, Slide};
use crate::simd::{Kernel, Simd16};
use crate::{Isa, SharedMut, Work};
use gabor_tensor::Window;
use std::ops::Range;

/// A prepared max pooling of blocked tensors with switches: x `[n, c, input…]` to y and switches `[n, c, output…]`, as
/// [`reference::max_pool`](crate::reference::max_pool) defines them.
#[derive(Clone, Debug)]
pub struct MaxPoolSwitchesBlocked {
    y: Blocked,
    slide: Slide,
    /// Some windows lie wholly in padding.
    lonely: bool,
    isa: Isa,
    tasks: [usize; 1],
}

impl MaxPoolSwitchesBlocked {
    /// Prepares a pooling of `n` images of `c` channels.
    ///
    /// # Errors
    /// Enormous windows.
    pub fn new(window: &Window, n: usize, c: usize, isa: Isa) -> Result<Self, String> {
        let slide = Slide::forward(window)?;
        let (lonely, tasks) = (slide.has_lonely(), [row_tasks(&slide, n, c)]);
        Ok(MaxPoolSwitchesBlocked { y: Blocked { n, c, plane: slide.targets.len() }, slide, lonely, isa, tasks })
    }
    /// Runs one task: reads `x`, writes its part of `y` and `switches`.
    ///
    /// # Safety
    /// Nothing but other tasks of this kernel may touch the outputs meanwhile.
    ///
    /// # Panics
    /// If a slice is shorter than its extents demand.
    pub unsafe fn run(&self, task: usize, x: &[f32], y: SharedMut<'_, f32>, switches: SharedMut<'_, i32>) {
        let (planes, slide) = (self.y.n * self.y.blocks(), &self.slide);
        let (rows, columns) = (slide.targets.rows, slide.targets.columns * LANES);
        assert!(x.len() >= planes * slide.sources.len() * LANES);
        assert!(y.len() >= self.y.len() && switches.len() >= self.y.len());
        for (plane, strip) in strips(task, self.tasks[0], planes, rows) {
            let at = (plane * rows + strip.start) * columns;
            let x = &x[plane * slide.sources.len() * LANES..][..slide.sources.len() * LANES];
            // SAFETY: this task's rows.
            let (y, switches) =
                unsafe { (y.part(at, strip.len() * columns), switches.part(at, strip.len() * columns)) };
            let run = Strip { slide, rows: strip.clone(), x, y: &mut *y, switches: &mut *switches };
            // SAFETY: a plane, and as many rows of targets as the strip has.
            if !unsafe { self.isa.call(run) } {
                // Infinities compare equal to padding, and NaN to nothing.
                careful(slide, strip, x, y, switches);
            }
            if self.lonely {
                clear_tail(&self.y, plane, y);
            }
        }
    }
}

impl Work for MaxPoolSwitchesBlocked {
    fn phases(&self) -> &[usize] {
        &self.tasks
    }
}

/// Rows of windows by the definition.
fn careful(slide: &Slide, rows: Range<usize>, x: &[f32], y: &mut [f32], switches: &mut [i32]) {
    let (phase, columns) = (&slide.phases[0], slide.sources.columns);
    let mut at = 0;
    for row in rows {
        for o in 0..phase.count {
            for lane in 0..LANES {
                let (mut best, mut switch) = (f32::NEG_INFINITY, -1);
                for meet in slide.meets(row) {
                    for run in &phase.runs {
                        for k in 0..run.taps as isize {
                            let column = (o * phase.stride) as isize + run.offset + k;
                            if column as usize >= columns {
                                continue;
                            }
                            let i = meet.row * columns + column as usize;
                            let v = x[i * LANES + lane];
                            if switch < 0 || v > best || (v.is_nan() && !best.is_nan()) {
                                (best, switch) = (v, i as i32);
                            }
                        }
                    }
                }
                (y[at], switches[at]) = (best, switch);
                at += 1;
            }
        }
    }
}

/// Rows of windows of a plane. Its result says whether all elements were finite; only then is what it wrote right.
struct Strip<'a> {
    slide: &'a Slide,
    rows: Range<usize>,
    x: &'a [f32],
    y: &'a mut [f32],
    switches: &'a mut [i32],
}

impl Kernel for Strip<'_> {
    type Out = bool;
    /// `x` is a plane of sources; `y` and `switches` have the rows.
    #[inline(always)]
    unsafe fn run<S: Simd16>(self) -> bool {
        let (phase, columns) = (&self.slide.phases[0], self.slide.sources.columns);
        let most = if S::WIDE { 4 } else { 2 };
        // SAFETY: the contract.
        unsafe {
            let mut zeros = [S::zero(); 2];
            let (mut y, mut switches) = (self.y.as_mut_ptr(), self.switches.as_mut_ptr().cast::<f32>());
            for row in self.rows {
                let row = Row { slide: self.slide, row, x: self.x.as_ptr(), columns };
                let mut o = 0;
                while o < phase.count {
                    let (n, _) = phase.tile(o, most);
                    match (n, phase.stride) {
                        (4, 1) if S::WIDE => row.tile::<S, 4, 1>(phase, o, &mut zeros, y, switches),
                        (4, 2) if S::WIDE => row.tile::<S, 4, 2>(phase, o, &mut zeros, y, switches),
                        (2, 1) if !S::WIDE => row.tile::<S, 2, 1>(phase, o, &mut zeros, y, switches),
                        (2, 2) if !S::WIDE => row.tile::<S, 2, 2>(phase, o, &mut zeros, y, switches),
                        _ => {
                            for i in 0..n {
                                let (y, switches) = (y.add(i * LANES), switches.add(i * LANES));
                                row.tile::<S, 1, 1>(phase, o + i, &mut zeros, y, switches);
                            }
                        }
                    }
                    (y, switches) = (y.add(n * LANES), switches.add(n * LANES));
                    o += n;
                }
            }
            S::sum(S::add(zeros[0], zeros[1])) == 0.0
        }
    }
}

/// A row of windows.
struct Row<'a> {
    slide: &'a Slide,
    row: usize,
    x: *const f32,
    columns: usize,
}

impl Row<'_> {
    /// `P` windows that lie `STEP` apart. All elements times zero are added to `zeros`.
    #[inline(always)]
    unsafe fn tile<S: Simd16, const P: usize, const STEP: usize>(
        &self,
        phase: &Phase,
        o: usize,
        zeros: &mut [S::V; 2],
        y: *mut f32,
        switches: *mut f32,
    ) {
        // SAFETY: the contract of `Strip`.
        unsafe {
            let mut best = [(S::splat(f32::NEG_INFINITY), S::bits(u32::MAX)); P];
            for meet in self.slide.meets(self.row) {
                for run in &phase.runs {
                    let column = (o * phase.stride) as isize + run.offset;
                    let row = meet.row * self.columns;
                    match run.taps {
                        1 => self.taps::<S, P, STEP, 1>(row, column, &mut best, zeros),
                        2 => self.taps::<S, P, STEP, 2>(row, column, &mut best, zeros),
                        3 => self.taps::<S, P, STEP, 3>(row, column, &mut best, zeros),
                        _ => self.taps::<S, P, STEP, RUN>(row, column, &mut best, zeros),
                    }
                }
            }
            for (p, best) in best.iter().enumerate() {
                S::store(y.add(p * LANES), best.0);
                S::store(switches.add(p * LANES), best.1);
            }
        }
    }
    /// `K` neighbouring taps, in scan order; `row` is the first pixel of the row of sources.
    #[inline(always)]
    unsafe fn taps<S: Simd16, const P: usize, const STEP: usize, const K: usize>(
        &self,
        row: usize,
        column: isize,
        best: &mut [(S::V, S::V); P],
        zeros: &mut [S::V; 2],
    ) {
        // SAFETY: as `tile`; only sources inside their row are read.
        unsafe {
            let mut v = [S::splat(f32::NEG_INFINITY); 12];
            let first = (row as isize + column) as u32;
            for (i, v) in v.iter_mut().enumerate().take((P - 1) * STEP + K) {
                let column = column + i as isize;
                if (column as usize) < self.columns {
                    *v = S::load(self.x.add((row + column as usize) * LANES));
                    zeros[i % 2] = S::fma(*v, S::zero(), zeros[i % 2]);
                }
            }
            for (p, best) in best.iter_mut().enumerate() {
                for k in 0..K {
                    let i = p * STEP + k;
                    let wins = S::gt(v[i], best.0);
                    best.0 = S::select(wins, v[i], best.0);
                    best.1 = S::select(wins, S::bits(first.wrapping_add(i as u32)), best.1);
                }
            }
        }
    }
}
