//! One job by several threads.

use std::num::NonZero;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// Works on the parts one after the other, on as many threads as there are cores and parts; this one is among them, and
/// does all where the system has no others. For large arrays: most of the time goes by at the first touch of new memory.
pub fn together<I: ExactSizeIterator + Send>(parts: I, work: impl Fn(I::Item) + Sync) {
    share(parts, work, 1, || ());
}

/// The same, but this thread has something else to do first. Gives back what came of that.
pub fn beside<I: ExactSizeIterator + Send, R>(parts: I, work: impl Fn(I::Item) + Sync, first: impl FnOnce() -> R) -> R {
    share(parts, work, 0, first)
}

/// `own` of the parts are this thread's, when there are as many cores.
fn share<I: ExactSizeIterator + Send, R>(
    parts: I,
    work: impl Fn(I::Item) + Sync,
    own: usize,
    first: impl FnOnce() -> R,
) -> R {
    let others = parts.len().saturating_sub(own).min(cores() - 1);
    let parts = Mutex::new(parts);
    let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let run = || {
        while let Some(part) = next() {
            work(part);
        }
    };
    thread::scope(|s| {
        for _ in 0..others {
            if thread::Builder::new().spawn_scoped(s, run).is_err() {
                break;
            }
        }
        let done = first();
        run();
        done
    })
}

/// How many threads this process may run at once. Asked once: the system answers from several files.
fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get))
}

#[cfg(test)]
#[test]
fn every_part_is_worked_on_once() {
    for len in [0, 1, 1000] {
        let mut v = vec![0; len];
        together(v.chunks_mut(7), |part| part.iter_mut().for_each(|x| *x += 1));
        assert!(v.iter().all(|&x| x == 1));
        let first = beside(v.chunks_mut(7), |part| part.iter_mut().for_each(|x| *x += 1), || "done");
        assert!(first == "done" && v.iter().all(|&x| x == 2));
    }
}
