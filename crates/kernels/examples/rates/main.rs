//! Rates of the fast kernels, in GFLOP/s and milliseconds: `cargo run --release --example rates [threads [name]]`.
#![allow(clippy::print_stdout)]

mod run;

use gabor_kernels::{Epilogue, Isa, MatMul, MatMulKernel};
use run::{Buffer, Program, data};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(2);
    let only = args.get(2).cloned().unwrap_or_default();
    let isa = Isa::best();
    println!("{isa}, {threads} threads");
    for (name, p) in [
        ("matmul 256", MatMul::new(256, 256, 256)),
        ("matmul 1024", MatMul::new(1024, 1024, 1024)),
        ("matmul 1024 bT", MatMul { transpose_b: true, ..MatMul::new(1024, 1024, 1024) }),
        ("matmul 1024 aT", MatMul { transpose_a: true, ..MatMul::new(1024, 1024, 1024) }),
        ("fc1 forward", MatMul { transpose_b: true, ..MatMul::new(64, 120, 400) }),
        ("fc1 dx", MatMul::new(64, 400, 120)),
        ("fc1 dw", MatMul { transpose_a: true, ..MatMul::new(120, 400, 64) }),
        ("vgg fc6 n=1", MatMul { transpose_b: true, ..MatMul::new(1, 4096, 25088) }),
    ] {
        if name.contains(&only) {
            let (a, b, c) = (data(p.m * p.k), data(p.k * p.n), Buffer::new(p.m * p.n));
            let kernel = MatMulKernel::new(p, isa);
            let mut program = Program::default();
            program.add(&kernel, |phase, task, workspace, scratch| {
                // SAFETY: the program keeps phases apart.
                unsafe { kernel.run(phase, task, &a, &b, Epilogue::default(), c.shared(), workspace, scratch) }
            });
            program.report(name, threads, 2.0 * (p.m * p.n * p.k) as f64);
        }
    }
}
