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

/// How `[n, c, s]` is cut where something is computed per channel: a task is a part of the elements of a group of
/// channels. A piece is a plane, or less of it where images are few.
#[derive(Clone, Debug)]
pub(crate) struct Planes {
    pub n: usize,
    pub c: usize,
    pub s: usize,
    /// Channels that are never separated.
    unit: usize,
    groups: usize,
    pub parts: usize,
    pieces: usize,
    piece_len: usize,
}

impl Planes {
    /// Cuts; all extents are at least 1 or there is nothing to do.
    pub(crate) fn new([n, c, s]: [usize; 3], unit: usize) -> Self {
        let wanted = tasks(n * c * s, usize::MAX);
        let groups = c.div_ceil(unit).clamp(1, wanted);
        let parts = wanted / groups;
        let piece_len = if n >= parts { s } else { s.div_ceil(parts.div_ceil(n.max(1))).next_multiple_of(16) };
        let pieces = s.div_ceil(piece_len.max(1));
        let parts = parts.min(n * pieces).max(1);
        Planes { n, c, s, unit, groups, parts, pieces, piece_len }
    }
    /// The same without parts: a task has all elements of its channels.
    pub(crate) fn unparted(self) -> Self {
        Planes { parts: 1, pieces: 1, piece_len: self.s, ..self }
    }
    /// Number of tasks.
    pub(crate) fn tasks(&self) -> usize {
        self.groups * self.parts
    }
    /// The channels of a task, the number of its part and its pieces.
    #[inline(always)]
    pub(crate) fn task(&self, task: usize) -> (Range<usize>, usize, Range<usize>) {
        let (group, part) = (task / self.parts, task % self.parts);
        let units = share(group, self.groups, self.c.div_ceil(self.unit));
        let channels = units.start * self.unit..(units.end * self.unit).min(self.c);
        (channels, part, share(part, self.parts, self.n * self.pieces))
    }
    /// The elements of a piece that belong to a channel.
    #[inline(always)]
    pub(crate) fn piece(&self, piece: usize, c: usize) -> Range<usize> {
        let (image, from) = (piece / self.pieces, piece % self.pieces * self.piece_len);
        let start = (image * self.c + c) * self.s;
        start + from..start + (from + self.piece_len).min(self.s)
    }
}
