//! Rates of fully connected layers: `cargo run --release --example dense [threads [name]]`. GB/s count the weights once,
//! read or written; the first line is a plain reading loop over as much memory.
#![allow(clippy::print_stdout)]

#[path = "../rates/run.rs"]
#[allow(dead_code)]
mod run;

use gabor_kernels::{Epilogue, Isa, MatMul, MatMulKernel, Work};
use run::{Buffer, Program, data};

/// Tasks that add up disjoint ranges of a buffer.
struct Read([usize; 1]);

impl Work for Read {
    fn phases(&self) -> &[usize] {
        &self.0
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(2);
    let only = args.get(2).cloned().unwrap_or_default();
    let isa = Isa::best();
    println!("{isa}, {threads} threads");
    let layers = [("fc6", 25088, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000)];
    let weights = data(25088 * 4096);
    let (from, to) = (data(32 * 25088), Buffer::new(32 * 25088));
    let work = Read([64]);
    for len in [25088 * 4096, 4096 * 4096] {
        let part = len / 64;
        let mut program = Program::default();
        program.add(&work, |_, task, _, _| {
            let mut sums = [0.0; 64];
            for line in weights[part * task..part * (task + 1)].chunks_exact(64) {
                for (s, v) in sums.iter_mut().zip(line) {
                    *s += v;
                }
            }
            std::hint::black_box(sums);
        });
        let t = program.seconds(threads);
        println!(
            "{:28} {:9.3} ms  {:6.1} GB/s",
            format!("reading {} MB", len * 4 / 1_000_000),
            t * 1e3,
            4e-9 * len as f64 / t
        );
    }
    for n in [1, 2, 4, 8, 16, 32] {
        for (layer, k, m) in layers {
            let products = [
                ("forward", MatMul { transpose_b: true, ..MatMul::new(n, m, k) }),
                ("dx", MatMul::new(n, k, m)),
                ("dw", MatMul { transpose_a: true, ..MatMul::new(m, k, n) }),
            ];
            for (what, p) in products {
                let name = format!("{layer} n={n} {what}");
                if !name.contains(&only) {
                    continue;
                }
                let writes = p.m * p.n > 32 * 25088;
                let big = Buffer::new(if writes { p.m * p.n } else { 0 });
                let kernel = MatMulKernel::new(p, isa);
                let mut program = Program::default();
                program.add(&kernel, |phase, task, workspace, scratch| {
                    let (b, c) = if writes { (&from, big.shared()) } else { (&weights, to.shared()) };
                    // SAFETY: the program keeps phases apart.
                    unsafe { kernel.run(phase, task, &from, b, Epilogue::default(), c, workspace, scratch) }
                });
                let t = program.seconds(threads);
                let (flops, bytes) = (2.0 * (p.m * p.n * p.k) as f64, 4.0 * (k * m) as f64);
                println!(
                    "{name:28} {:9.3} ms  {:6.1} GB/s  {:6.1} GFLOP/s",
                    t * 1e3,
                    1e-9 * bytes / t,
                    1e-9 * flops / t
                );
            }
        }
    }
}
