//! How kernels are run by many threads: a grid of tasks that depends on shapes alone, and memory that tasks share.

use std::marker::PhantomData;

/// Smallest task worth handing to another thread, in fused multiply-adds of 16 lanes.
pub(crate) const TASK: usize = 1 << 16;
/// The same where there are no more tasks than [`FEW`]: several microseconds, so that short layers use several threads.
const SHORT: usize = 1 << 14;
const FEW: usize = 4;
/// Most tasks that a kernel is cut into; more would only cost repeated packing.
pub(crate) const MOST_TASKS: usize = 32;

/// The product of `factors`, counted in 64 bits, so that what is chosen by it, and with it the order of sums, is the same
/// where addresses have 32.
pub(crate) fn product(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |all, &f| all.saturating_mul(f as u64))
}

/// How many tasks are worth while for the [`product`] of `factors` multiply-adds, `lanes` at a time: from 1 to `most`.
pub(crate) fn worth(factors: &[usize], lanes: usize, most: usize) -> usize {
    let work = product(factors) / lanes as u64;
    let at_least = |task: usize, most: usize| (work / task as u64).clamp(1, most as u64) as usize;
    // Few tasks are a power of two, so that two or four threads end at the same time.
    let few = 1 << at_least(SHORT, FEW).ilog2();
    at_least(TASK, most).max(few).min(most)
}

#[cfg(test)]
#[test]
fn the_number_of_tasks_does_not_wrap() {
    assert_eq!(worth(&[1 << 16, 1 << 16], 1, usize::MAX), 1 << 16);
    assert_eq!(worth(&[1 << 20; 4], 16, 32), 32);
    assert_eq!(worth(&[3, 5], 16, 32), 1);
    assert_eq!([1, 2, 3, 4, 16, 19, 20].map(|n| worth(&[n, SHORT], 1, 32)), [1, 2, 2, 4, 4, 4, 5]);
    assert_eq!(worth(&[4, SHORT], 1, 3), 3);
}

/// What an executor must know to run a prepared kernel.
///
/// A kernel works in phases, one after another; the tasks of a phase may run at the same time and in any order, and the
/// result has the same bits whatever the order and number of threads.
pub trait Work {
    /// The number of tasks of each phase. It depends on shapes alone.
    fn phases(&self) -> &[usize];
    /// Number of `f32` that all tasks of all phases share during one run; their contents at the start do not matter.
    fn workspace_len(&self) -> usize {
        0
    }
    /// Number of `f32` that each running task needs for itself; their contents at the start do not matter.
    fn scratch_len(&self) -> usize {
        0
    }
}

/// A mutable slice that several tasks write at the same time, each its own part.
///
/// It is as long-lived as the slice that it was made from, and may be copied to any thread.
#[derive(Debug)]
pub struct SharedMut<'a, T> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

impl<T> Clone for SharedMut<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for SharedMut<'_, T> {}

// SAFETY: a part becomes accessible only through an unsafe function whose contract forbids overlap between threads.
unsafe impl<T: Send> Send for SharedMut<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    /// Shares a slice.
    pub fn new(slice: &'a mut [T]) -> Self {
        SharedMut { start: slice.as_mut_ptr(), len: slice.len(), life: PhantomData }
    }
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// The first element, for kernels that compute addresses themselves.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.start
    }
    /// What follows the first `from` elements.
    ///
    /// # Panics
    /// If there are not as many.
    pub(crate) fn from(self, from: usize) -> Self {
        assert!(from <= self.len, "{from} of {} elements", self.len);
        SharedMut { start: self.start.wrapping_add(from), len: self.len - from, life: PhantomData }
    }
    /// The elements `from..from + len`.
    ///
    /// # Safety
    /// As long as the slice lives, nothing else may read or write these elements.
    ///
    /// # Panics
    /// If they are not inside the shared slice.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn part(&self, from: usize, len: usize) -> &'a mut [T] {
        assert!(from <= self.len && len <= self.len - from, "{from} + {len} of {} elements", self.len);
        // SAFETY: inside the slice, and the caller promises that nobody else touches it.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(from), len) }
    }
}

impl<'a> SharedMut<'a, i32> {
    /// The same memory as floats of the same bits, for kernels that only move elements.
    pub fn as_f32(self) -> SharedMut<'a, f32> {
        SharedMut { start: self.start.cast(), len: self.len, life: PhantomData }
    }
}
