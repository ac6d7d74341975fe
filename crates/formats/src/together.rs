//! One job by several threads.

use std::num::NonZero;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

/// Works on the parts one after the other, on as many threads as there are cores and parts; this one is among them, and
/// does all where the system has no others. For large arrays: most of the time goes by at the first touch of new memory.
pub fn together<I: ExactSizeIterator + Send>(parts: I, work: impl Fn(I::Item) + Sync) {
    let others = cores().min(parts.len()).saturating_sub(1);
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
        run();
    });
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
    }
}
