//! Rates of the fast kernels, in GFLOP/s and milliseconds: `cargo run --release --example rates [threads [name [isa]]]`.
#![allow(clippy::print_stdout)]

mod lenet;
mod run;

use gabor_kernels::{ConvFilterGradKernel, ConvKernel, Epilogue, Isa, MatMul, MatMulKernel};
use gabor_tensor::{ConvGeometry, Padding, WindowOptions};
use run::{Buffer, Program, data};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(2);
    let only = args.get(2).cloned().unwrap_or_default();
    let isa = args.get(3).and_then(|a| Isa::from_name(a)).unwrap_or_else(Isa::best);
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
    if "lenet step".contains(&only) {
        lenet::step(64, isa, threads);
    }
    for (name, n, ci, co, size, kernel, stride, pad, groups) in [
        ("lenet conv1 n=64", 64, 1, 6, 28, 5, 1, 2, 1),
        ("lenet conv2 n=64", 64, 6, 16, 14, 5, 1, 0, 1),
        ("64 ch 56", 1, 64, 64, 56, 3, 1, 1, 1),
        ("128 ch 28", 1, 128, 128, 28, 3, 1, 1, 1),
        ("256 ch 14", 1, 256, 256, 14, 3, 1, 1, 1),
        ("512 ch 7", 1, 512, 512, 7, 3, 1, 1, 1),
        ("64-128 ch 56 stride 2", 1, 64, 128, 56, 3, 2, 1, 1),
        ("64 ch 56 1x1", 1, 64, 256, 56, 1, 1, 0, 1),
        ("3-64 ch 224 7x7 stride 2", 1, 3, 64, 224, 7, 2, 3, 1),
        ("64 ch 112 depthwise", 1, 64, 64, 112, 3, 1, 1, 64),
        ("256 ch 14 n=16", 16, 256, 256, 14, 3, 1, 1, 1),
    ] {
        if name.contains(&only) {
            let o = WindowOptions::new(&[]).stride(&[stride]).padding(Padding::all(pad));
            let g =
                ConvGeometry::new(ci, &[size; 2], &[co, ci / groups, kernel, kernel], groups, &o).expect("a geometry");
            conv(name, &g, n, isa, threads);
        }
    }
}

/// A convolution and its two gradients.
fn conv(name: &str, g: &ConvGeometry, n: usize, isa: Isa, threads: usize) {
    let flops = 2.0 * (g.macs() * n as u64) as f64;
    let [lx, lw, ly] = [g.input_shape(n), g.weight_shape(), g.output_shape(n)].map(|s| s.iter().product());
    let (x, w, dy) = (data(lx), data(lw), data(ly));
    let (y, dx, dw) = (Buffer::new(ly), Buffer::new(lx), Buffer::new(lw));
    let kernel = ConvKernel::forward(g, n, isa).expect("two dimensions");
    let mut program = Program::default();
    program.add(&kernel, |_, task, _, scratch| {
        // SAFETY: the program gives each thread its own scratch.
        unsafe { kernel.run(task, &x, &w, Epilogue::default(), y.shared(), scratch) }
    });
    program.report(&format!("{name} forward"), threads, flops);
    let kernel = ConvKernel::input_grad(g, n, isa).expect("two dimensions");
    let mut program = Program::default();
    program.add(&kernel, |_, task, _, scratch| {
        // SAFETY: as above.
        unsafe { kernel.run(task, &dy, &w, Epilogue::default(), dx.shared(), scratch) }
    });
    program.report(&format!("{name} dx"), threads, flops);
    let kernel = ConvFilterGradKernel::new(g, n, isa).expect("two dimensions");
    let mut program = Program::default();
    program.add(&kernel, |phase, task, workspace, scratch| {
        // SAFETY: as above, and it keeps the phases apart.
        unsafe { kernel.run(phase, task, &x, &dy, dw.shared(), workspace, scratch) }
    });
    program.report(&format!("{name} dw"), threads, flops);
}
