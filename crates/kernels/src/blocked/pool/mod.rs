//! Pooling and its adjoints on blocked tensors: a vector of 16 channels under each tap.
//!
//! Rows run in tiles of pixels, see `Slide` (in `slide.rs`). Maxima and sums first join the rows under a tile
//! column by column, then the columns of each window. Switches are `i32` tensors in the same blocked order; in the lanes
//! beyond the last channel they mean nothing.

mod average;
mod fold;
mod global;
mod max;
mod switches;
#[cfg(test)]
mod tests;
mod unpool;

pub use average::{AvgPoolBlocked, AvgPoolGradBlocked};
pub use max::MaxPoolBlocked;
pub use switches::MaxPoolSwitchesBlocked;
pub use unpool::{MaxPoolGatherBlocked, MaxUnpoolBlocked};

use super::layout::{Blocked, LANES};
use super::slide::Slide;
use crate::split::{share, tasks};
use std::ops::Range;

/// Number of tasks of an operation that writes the rows of all planes of targets.
fn row_tasks(slide: &Slide, n: usize, c: usize) -> usize {
    let planes = n * c.div_ceil(LANES);
    let pixels = slide.targets.len().max(slide.sources.len());
    tasks(planes * pixels * LANES, planes * slide.targets.rows)
}

/// The rows of a task, plane by plane: calls `f` with a plane and a range of its rows.
#[inline(always)]
fn strips(task: usize, tasks: usize, planes: usize, rows: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let Range { start, end } = share(task, tasks, planes * rows);
    let first = if start < end { start / rows } else { 0 };
    let last = if start < end { (end - 1) / rows + 1 } else { 0 };
    (first..last).map(move |p| (p, start.max(p * rows) - p * rows..end.min((p + 1) * rows) - p * rows))
}

/// Sets the lanes beyond the last channel to zero, in rows of a plane.
fn clear_tail(e: &Blocked, plane: usize, pixels: &mut [f32]) {
    let lanes = e.lanes(plane % e.blocks());
    if lanes < LANES {
        pixels.chunks_exact_mut(LANES).for_each(|v| v[lanes..].fill(0.0));
    }
}
