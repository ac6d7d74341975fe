//! How work that moves memory is cut into tasks.

use crate::shared::MOST_TASKS;
use std::ops::Range;

/// Smallest number of elements worth handing to another thread.
pub(crate) const ELEMENTS: usize = 1 << 15;

/// Number of tasks for `total` elements in `units` pieces; it depends on these numbers alone.
pub(crate) fn tasks(total: usize, units: usize) -> usize {
    (total / ELEMENTS).clamp(1, MOST_TASKS).min(units.max(1))
}

/// The share of one of `tasks` tasks in `units` pieces.
pub(crate) fn share(task: usize, tasks: usize, units: usize) -> Range<usize> {
    units * task / tasks..units * (task + 1) / tasks
}
