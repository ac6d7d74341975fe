//! Rates of Winograd convolutions on one thread, in direct GFLOP/s:
//! `cargo run --release --example winograd [name [tile [isa [cold]]]]`.
#![allow(clippy::print_stdout)]

use gabor_kernels::blocked::winograd::{WinogradConvKernel, WinogradTile};
use gabor_kernels::blocked::{BlockedEpilogue, Packing};
use gabor_kernels::{Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Padding, WindowOptions};
use std::time::Instant;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let only = args.get(1).cloned().unwrap_or_default();
    let tile = args.get(2).cloned().unwrap_or_default();
    let isa = args.get(3).and_then(|a| Isa::from_name(a)).unwrap_or_else(Isa::best);
    let cold = args.get(4).is_some();
    for (ci, co, size, k, n) in [
        (256, 256, 56, 3, 1),
        (512, 512, 28, 3, 1),
        (128, 128, 112, 3, 1),
        (64, 64, 224, 3, 1),
        (64, 64, 56, 3, 1),
        (128, 128, 28, 3, 1),
        (192, 192, 19, 3, 1),
        (256, 256, 14, 3, 1),
        (512, 512, 14, 3, 1),
        (512, 512, 7, 3, 1),
        (32, 32, 56, 3, 1),
        (16, 16, 32, 3, 16),
        (256, 256, 56, 3, 16),
        (512, 512, 28, 3, 16),
        (64, 64, 56, 3, 16),
        (256, 256, 14, 3, 16),
        (512, 512, 14, 3, 16),
        (512, 512, 7, 3, 16),
        (192, 192, 19, 3, 16),
        (64, 64, 224, 3, 16),
        (96, 256, 27, 5, 1),
        (96, 256, 27, 5, 16),
        (32, 96, 14, 5, 1),
        (32, 96, 14, 5, 16),
    ] {
        for t in [WinogradTile::F2, WinogradTile::F4] {
            let name = format!("{ci}-{co} {size} k{k} n{n}");
            if name.contains(&only) && format!("{t:?}").contains(&tile) {
                let o = WindowOptions::new(&[]).padding(Padding::all(k / 2));
                let g = ConvGeometry::new(ci, &[size; 2], &[co, ci, k, k], 1, &o).expect("a geometry");
                time(&name, &g, n, t, isa, cold);
            }
        }
    }
}

fn data(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 7919 % 1000) as f32 / 1000.0 - 0.5).collect()
}

/// Floats of the filters that are read in turn for cold rates: more than any cache holds.
const COLD: usize = 24 << 20;

/// Shortest of several runs.
fn shortest(mut run: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = f64::MAX;
    let mut runs = 0;
    while runs < 3 || start.elapsed().as_secs_f64() < 0.4 {
        let t = Instant::now();
        run();
        best = best.min(t.elapsed().as_secs_f64());
        runs += 1;
    }
    best
}

fn time(name: &str, g: &ConvGeometry, n: usize, tile: WinogradTile, isa: Isa, cold: bool) {
    let kernel = WinogradConvKernel::forward(g, n, tile, isa).expect("a kernel");
    let packing = kernel.packing();
    let block = |shape: Vec<usize>| shape.iter().product::<usize>();
    let x = data(block(g.input_shape(n)));
    let w = data(block(g.weight_shape()));
    let mut y = vec![0.0f32; block(g.output_shape(n))];
    let mut u = vec![0.0f32; packing.packed_len()];
    let mut copies = vec![u.clone(); if cold { COLD / u.len() + 2 } else { 0 }];
    let mut workspace = vec![0.0f32; kernel.workspace_len()];
    let mut scratch = vec![0.0f32; kernel.scratch_len()];
    let (y, workspace) = (SharedMut::new(&mut y), SharedMut::new(&mut workspace));
    let to = SharedMut::new(&mut u);
    let pack = shortest(|| {
        for task in 0..packing.phases()[0] {
            // SAFETY: one thread.
            unsafe { packing.pack(0, task, &w, to, workspace, &mut []) }
        }
    });
    copies.iter_mut().for_each(|c| c.copy_from_slice(&u));
    let mut parts = [0.0f64; 2];
    let mut turn = 0;
    let all = shortest(|| {
        let u = if cold { &copies[turn % copies.len()] } else { &u };
        turn += 1;
        for (phase, &tasks) in kernel.phases().iter().enumerate() {
            let t = Instant::now();
            for task in 0..tasks {
                // SAFETY: one thread.
                unsafe { kernel.run(phase, task, &x, u, BlockedEpilogue::default(), y, workspace, &mut scratch) }
            }
            parts[phase % 2] += t.elapsed().as_secs_f64();
        }
    });
    let flops = 2.0 * (g.macs() * n as u64) as f64;
    println!(
        "{name:24} {tile:?} {:8.3} ms {:6.1} GF/s | {:2.0} % inputs | filter {:6.3} ms {:5.1} GB/s written | {:?} tasks, \
         workspace {} kB, scratch {} kB",
        all * 1e3,
        flops / all / 1e9,
        if kernel.workspace_len() > 0 { 100.0 * parts[0] / (parts[0] + parts[1]) } else { 0.0 },
        pack * 1e3,
        u.len() as f64 * 4e-9 / pack,
        &kernel.phases()[..kernel.phases().len().min(4)],
        kernel.workspace_len() / 256,
        kernel.scratch_len() / 256,
    );
}
