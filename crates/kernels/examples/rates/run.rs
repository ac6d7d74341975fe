//! A small executor for measuring: all threads walk through all steps, with a spinning barrier between them.

use gabor_kernels::{SharedMut, Work};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::time::Instant;

/// A buffer that the kernels of a program write one after another.
pub struct Buffer<T = f32>(UnsafeCell<Vec<T>>);

// SAFETY: the executor's barriers keep writers and readers apart.
unsafe impl<T: Send> Sync for Buffer<T> {}

impl<T: Copy + Default> Buffer<T> {
    pub fn new(len: usize) -> Self {
        Buffer(UnsafeCell::new(vec![T::default(); len]))
    }
    pub fn shared(&self) -> SharedMut<'_, T> {
        // SAFETY: as above.
        SharedMut::new(unsafe { &mut *self.0.get() })
    }
    pub fn read(&self) -> &[T] {
        // SAFETY: as above.
        unsafe { &*self.0.get() }
    }
}

/// Arbitrary numbers in [−1, 1).
pub fn data(len: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 7919 + 13) % 1021) as f32 / 510.5 - 1.0).collect()
}

/// Runs of a measurement.
const ROUNDS: usize = 40;

type Run<'a> = Box<dyn Fn(usize, usize, SharedMut<'_, f32>, &mut [f32]) + Send + Sync + 'a>;

struct Step<'a> {
    phase: usize,
    tasks: usize,
    next: AtomicUsize,
    work: usize,
    run: std::sync::Arc<Run<'a>>,
}

/// Kernels in order.
#[derive(Default)]
pub struct Program<'a> {
    steps: Vec<Step<'a>>,
    workspace: Vec<usize>,
    scratch: usize,
}

impl<'a> Program<'a> {
    pub fn add(
        &mut self,
        work: &impl Work,
        run: impl Fn(usize, usize, SharedMut<'_, f32>, &mut [f32]) + Send + Sync + 'a,
    ) {
        let run: std::sync::Arc<Run<'a>> = std::sync::Arc::new(Box::new(run));
        for (phase, &tasks) in work.phases().iter().enumerate() {
            let next = AtomicUsize::new(0);
            self.steps.push(Step { phase, tasks, next, work: self.workspace.len(), run: run.clone() });
        }
        self.workspace.push(work.workspace_len());
        self.scratch = self.scratch.max(work.scratch_len());
    }
    /// Seconds of the fastest of many runs, from the moment that the first thread began.
    pub fn seconds(&self, threads: usize) -> f64 {
        let spaces: Vec<Buffer> = self.workspace.iter().map(|&n| Buffer::new(n)).collect();
        let arrived = AtomicUsize::new(0);
        let epoch = Instant::now();
        let begins: Vec<AtomicU64> = (0..ROUNDS).map(|_| AtomicU64::new(u64::MAX)).collect();
        let best = std::sync::Mutex::new(f64::MAX);
        std::thread::scope(|s| {
            for t in 0..threads {
                let (spaces, arrived, best, begins) = (&spaces, &arrived, &best, &begins);
                s.spawn(move || {
                    let mut scratch = vec![0.0; self.scratch];
                    let mut turn = 0;
                    let mut barrier = || {
                        turn += 1;
                        arrived.fetch_add(1, SeqCst);
                        while arrived.load(SeqCst) < turn * threads {
                            std::thread::yield_now();
                        }
                    };
                    let mut times = Vec::new();
                    for begin in begins {
                        barrier();
                        begin.fetch_min(epoch.elapsed().as_nanos() as u64, SeqCst);
                        for step in &self.steps {
                            loop {
                                let task = step.next.fetch_add(1, SeqCst);
                                if task >= step.tasks {
                                    break;
                                }
                                (step.run)(step.phase, task, spaces[step.work].shared(), &mut scratch);
                            }
                            barrier();
                        }
                        let end = epoch.elapsed().as_nanos() as u64;
                        times.push((end - begin.load(SeqCst)) as f64 * 1e-9);
                        if t == 0 {
                            for step in &self.steps {
                                step.next.store(0, SeqCst);
                            }
                        }
                    }
                    if t == 0 {
                        times.sort_by(f64::total_cmp);
                        *best.lock().unwrap() = times[0];
                    }
                });
            }
        });
        best.into_inner().unwrap()
    }
    /// Prints a line with the time and, if `flops` is not 0, the rate.
    pub fn report(&self, name: &str, threads: usize, flops: f64) {
        let t = self.seconds(threads);
        let tasks: usize = self.steps.iter().map(|s| s.tasks).sum();
        println!("{name:28} {:9.4} ms  {:6.1} GFLOP/s  {tasks} tasks", t * 1e3, flops / t / 1e9);
    }
}
