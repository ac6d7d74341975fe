//! Help for tests: data, the running of kernels by several threads in several orders, and the comparison of bits.

use crate::{Isa, SharedMut, Work};
use gabor_tensor::{Stream, rng::op};
use std::sync::Mutex;

/// Small integers, so that every order of a sum gives the same number.
pub(crate) fn integers(seed: u64, len: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, 0, 0, op::TEST);
    (0..len).map(|_| s.below(17) as f32 - 8.0).collect()
}

/// Uniform numbers in [−1, 1).
pub(crate) fn uniform(seed: u64, len: usize) -> Vec<f32> {
    let mut s = Stream::new(seed, 0, 0, op::TEST);
    (0..len).map(|_| s.range(-1.0, 1.0) as f32).collect()
}

/// Runs all tasks: order 0 in order by one thread, other orders shuffled and by several threads. Workspace and scratch
/// start as NaN, so that reading what was never written shows.
pub(crate) fn run_all(
    work: &(impl Work + Sync),
    order: u64,
    run: impl Fn(usize, usize, SharedMut<'_, f32>, &mut [f32]) + Sync,
) {
    let mut memory = vec![f32::NAN; work.workspace_len()];
    let workspace = SharedMut::new(&mut memory);
    for (phase, &tasks) in work.phases().iter().enumerate() {
        let mut list: Vec<usize> = (0..tasks).rev().collect();
        let alone = order == 0 || tasks == 1 || cfg!(target_family = "wasm");
        let threads = if alone { 1 } else { 2 + order as usize % 2 };
        if order > 0 {
            Stream::new(order, 0, 0, op::TEST).shuffle(&mut list);
        }
        let list = Mutex::new(list);
        let drain = || {
            let mut scratch = vec![f32::NAN; work.scratch_len()];
            while let Some(task) = { list.lock().unwrap().pop() } {
                run(phase, task, workspace, &mut scratch);
            }
        };
        if threads == 1 {
            drain();
        } else {
            std::thread::scope(|s| {
                for _ in 0..threads {
                    s.spawn(drain);
                }
            });
        }
    }
}

/// The first result of the exact instruction sets and of the others: every later one must have its bits.
pub(crate) struct Same<T>([Option<T>; 2]);

impl<T: Clone + PartialEq> Same<T> {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Same([None, None])
    }
    /// Whether a result equals the first of its kind.
    pub(crate) fn holds(&mut self, isa: Isa, got: &T) -> bool {
        self.0[usize::from(isa.is_exact())].get_or_insert_with(|| got.clone()) == got
    }
}
