//! A pool of threads that spin for a moment before they sleep.
//!
//! A training step is hundreds of parallel regions of a few microseconds; waking a sleeping thread costs more than many
//! of them. Workers therefore watch a counter for a while after each region. Each thread begins with its own share of
//! the tasks, so that from kernel to kernel the same part of the data stays in the same core's cache, and then helps
//! the others with theirs. Which thread runs which task never changes a result, because a task's work depends on its
//! number alone.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};

/// Iterations of watching before a worker sleeps: roughly 50 microseconds.
const SPINS: u32 = 20_000;
/// The region takes no more workers.
const CLOSED: u64 = 1 << 31;
const ENTERED: u64 = CLOSED - 1;

type Job = dyn Fn(usize, usize) + Sync;

struct Shared {
    /// Number of the region (upper half), whether it is closed, and how many workers entered it.
    state: AtomicU64,
    /// Workers that have left the region.
    left: AtomicUsize,
    /// Each thread's share of the tasks.
    shares: Vec<Share>,
    /// The region's job; written only while no worker is inside.
    job: UnsafeCell<Option<*const Job>>,
    sleeping: Vec<AtomicBool>,
    stop: AtomicBool,
    failed: AtomicBool,
}

/// The next task of a share, and its end; alone on its cache line.
#[repr(align(64))]
#[derive(Default)]
struct Share {
    next: AtomicUsize,
    end: AtomicUsize,
}

// SAFETY: `job` is written by the owner of the pool alone, while no worker is inside a region (it waits for all that
// entered, and a closed region admits none); workers read it after entering, which synchronises by `state`.
unsafe impl Sync for Shared {}
// SAFETY: the job's pointer is used only while `Pool::run` keeps the job alive.
unsafe impl Send for Shared {}

/// An address that threads may share; what they do with it is said where it is used.
#[derive(Clone, Copy)]
pub(crate) struct Address(pub *mut u8);
// SAFETY: an address alone does nothing.
unsafe impl Sync for Address {}
impl Address {
    pub fn get(&self) -> *mut u8 {
        self.0
    }
}

/// A fixed set of threads, the calling one among them.
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<(JoinHandle<()>, Thread)>,
}

impl Pool {
    /// A pool of `threads` threads in all; the calling thread is one of them.
    pub fn new(threads: usize) -> Self {
        let extra = threads.max(1) - 1;
        let shared = Arc::new(Shared {
            state: AtomicU64::new(CLOSED),
            left: AtomicUsize::new(0),
            shares: (0..=extra).map(|_| Share::default()).collect(),
            job: UnsafeCell::new(None),
            sleeping: (0..extra).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
            failed: AtomicBool::new(false),
        });
        let mut workers = Vec::new();
        for i in 0..extra {
            let s = shared.clone();
            let built = std::thread::Builder::new().name(format!("gabor-{}", i + 1)).spawn(move || s.work(i));
            // A system that refuses more threads leaves a smaller pool: slower, with the same results.
            let Ok(handle) = built else { break };
            let thread = handle.thread().clone();
            workers.push((handle, thread));
        }
        Pool { shared, workers }
    }

    /// Number of threads, the calling one included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `job(task, thread)` for every task below `tasks`, on all threads; returns when all are done.
    /// `thread` is below [`threads`](Pool::threads) and differs between calls that run at the same time.
    ///
    /// # Panics
    /// If a task panicked.
    pub fn run(&mut self, tasks: usize, job: &(dyn Fn(usize, usize) + Sync)) {
        if tasks <= 1 || self.workers.is_empty() {
            (0..tasks).for_each(|t| job(t, 0));
            return;
        }
        let s = &*self.shared;
        // SAFETY: only the lifetime is changed. The pointer is used by workers inside this region alone, and this
        // function returns only when all of them have left. No worker is inside now: the last region was waited for.
        unsafe {
            let job = std::mem::transmute::<*const (dyn Fn(usize, usize) + Sync + '_), *const Job>(job);
            *s.job.get() = Some(job);
        }
        let threads = self.threads();
        for (i, share) in s.shares.iter().enumerate() {
            // Shares of threads that the system refused are empty.
            share.next.store((i * tasks / threads).min(tasks), Ordering::Relaxed);
            share.end.store(((i + 1) * tasks / threads).min(tasks), Ordering::Relaxed);
        }
        s.left.store(0, Ordering::Relaxed);
        let region = (s.state.load(Ordering::Relaxed) >> 32) + 1;
        s.state.store(region << 32, Ordering::SeqCst);
        for (sleeping, (_, thread)) in s.sleeping.iter().zip(&self.workers) {
            if sleeping.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
        // The region is closed and waited for even if a task panics on this thread.
        let wait = Wait(s);
        s.tasks(job, 0);
        drop(wait);
        assert!(!s.failed.load(Ordering::Relaxed), "a task of the thread pool panicked");
    }
}

struct Wait<'a>(&'a Shared);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let s = self.0;
        let entered = (s.state.fetch_or(CLOSED, Ordering::AcqRel) & ENTERED) as usize;
        let mut spins = 0u32;
        while s.left.load(Ordering::Acquire) != entered {
            spins += 1;
            // A worker that lost its processor needs ours.
            if spins.is_multiple_of(1 << 14) { std::thread::yield_now() } else { std::hint::spin_loop() }
        }
    }
}

struct Leave<'a>(&'a Shared);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.failed.store(true, Ordering::Relaxed);
        }
        self.0.left.fetch_add(1, Ordering::Release);
    }
}

impl Shared {
    fn tasks(&self, job: &(dyn Fn(usize, usize) + Sync), thread: usize) {
        for i in 0..self.shares.len() {
            let share = &self.shares[(thread + i) % self.shares.len()];
            let end = share.end.load(Ordering::Relaxed);
            // Looked at first, so that an empty share costs no write.
            while share.next.load(Ordering::Relaxed) < end {
                let t = share.next.fetch_add(1, Ordering::Relaxed);
                if t < end {
                    job(t, thread);
                }
            }
        }
    }

    fn work(&self, worker: usize) {
        let mut seen = 0;
        let mut spins = 0u32;
        loop {
            let state = self.state.load(Ordering::Acquire);
            let (region, open) = (state >> 32, state & CLOSED == 0);
            if region != seen && open {
                if self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
                    continue;
                }
                seen = region;
                let leave = Leave(self);
                // SAFETY: this thread has entered the region, so its job is alive until this thread leaves.
                if let Some(job) = unsafe { *self.job.get() } {
                    // SAFETY: as above.
                    self.tasks(unsafe { &*job }, worker + 1);
                }
                drop(leave);
                spins = 0;
                continue;
            }
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            spins += 1;
            if spins < SPINS {
                std::hint::spin_loop();
                continue;
            }
            // Sleep, unless a region was opened since: the owner opens it before it looks at `sleeping`.
            self.sleeping[worker].store(true, Ordering::SeqCst);
            let state = self.state.load(Ordering::SeqCst);
            let nothing = state >> 32 == seen || state & CLOSED != 0;
            if nothing && !self.stop.load(Ordering::SeqCst) {
                std::thread::park();
            }
            self.sleeping[worker].store(false, Ordering::SeqCst);
            spins = 0;
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for (handle, thread) in self.workers.drain(..) {
            thread.unpark();
            // A worker's panic was reported when it happened.
            let _ = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once() {
        for threads in 1..5 {
            let mut pool = Pool::new(threads);
            for round in 0..2000 {
                let tasks = round % 9;
                let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                pool.run(tasks, &|t, thread| {
                    assert!(thread < threads);
                    counts[t].fetch_add(1, Ordering::Relaxed);
                });
                assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 1));
                if round % 500 == 499 {
                    // Long enough for the workers to sleep.
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
            }
        }
    }

    #[test]
    #[cfg_attr(target_family = "wasm", ignore = "a panic ends the module")]
    fn a_panic_reaches_the_caller() {
        let result = std::panic::catch_unwind(|| Pool::new(2).run(8, &|t, _| assert!(t != 5, "task 5")));
        assert!(result.is_err());
    }
}
