//! Measuring what the machine can do at most.

use crate::pool::Pool;
use gabor_kernels::{Isa, peak};
use std::hint::black_box;
use std::time::Instant;

/// The limits of a machine with some number of threads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Fused multiply-adds without memory, in GFLOP/s.
    pub gflops: f64,
    /// Reading memory beyond all caches, in GB/s.
    pub gb_s: f64,
}

impl Peak {
    /// Measures for about a tenth of a second.
    pub fn measure(threads: usize, isa: Isa) -> Self {
        const ROUNDS: usize = 400_000;
        // Beyond all caches together, and no more: on many threads each reads less.
        let floats = ((64usize << 20) / threads.max(1)).clamp(1 << 20, 16 << 20);
        let mut pool = Pool::new(threads);
        let mut best = |work: &(dyn Fn(usize) + Sync)| {
            let mut best = f64::MAX;
            for _ in 0..5 {
                let since = Instant::now();
                pool.run(threads, &|task, _| work(task));
                best = best.min(since.elapsed().as_secs_f64());
            }
            best
        };
        let compute = best(&|_| {
            black_box(peak::multiply_adds(isa, ROUNDS));
        });
        let memory = vec![1.0f32; floats * threads];
        let read = best(&|task| {
            black_box(peak::read(isa, &memory[task * floats..][..floats]));
        });
        Peak {
            gflops: (threads * ROUNDS * 384) as f64 / compute / 1e9,
            gb_s: (threads * floats * 4) as f64 / read / 1e9,
        }
    }
}
