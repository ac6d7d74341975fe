//! Rates of the direct convolutions on blocked tensors, by one thread.
#![allow(clippy::print_stdout)]

use gabor_kernels::blocked::direct::BlockedConvKernel;
use gabor_kernels::blocked::{Blocked, BlockedEpilogue, Packing};
use gabor_kernels::{Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Padding, WindowOptions};
use std::time::Instant;

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn peak_loop(n: usize) -> f32 {
    use std::arch::x86_64::*;
    let x = _mm512_set1_ps(1.000001);
    let y = _mm512_set1_ps(1e-9);
    let mut a = [_mm512_setzero_ps(); 20];
    for _ in 0..n {
        for v in &mut a {
            *v = _mm512_fmadd_ps(*v, x, y);
        }
    }
    let mut s = _mm512_setzero_ps();
    for v in a {
        s = _mm512_add_ps(s, v);
    }
    _mm512_reduce_add_ps(s)
}

/// The rate of a loop that does nothing but multiply and add, in GFLOP/s.
fn peak() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        let n = 100_000;
        let mut best = f64::MAX;
        for _ in 0..5 {
            let t = Instant::now();
            // SAFETY: the processor has AVX-512.
            std::hint::black_box(unsafe { peak_loop(std::hint::black_box(n)) });
            best = best.min(t.elapsed().as_secs_f64());
        }
        return (n * 20 * 32) as f64 / best / 1e9;
    }
    f64::NAN
}

struct Case {
    name: &'static str,
    n: usize,
    ci: usize,
    co: usize,
    extent: usize,
    k: usize,
    s: usize,
    p: usize,
}

fn time(name: &str, k: &BlockedConvKernel, g: &ConvGeometry, n: usize, gradient: bool, cold: bool) {
    let x = Blocked { n, c: g.ci, plane: g.window.input_len() };
    let y = Blocked { n, c: g.co, plane: g.window.output_len() };
    let (x, y) = if gradient { (y, x) } else { (x, y) };
    let source = vec![0.5f32; x.len()];
    let mut target = vec![0f32; y.len()];
    let weights = vec![0.25f32; k.packing().packed_len()];
    let copies = if cold { 64_000_000 / (weights.len() * 4) + 1 } else { 1 };
    let weights: Vec<Vec<f32>> = (0..copies).map(|_| weights.clone()).collect();
    let mut workspace = vec![0f32; k.workspace_len()];
    let mut scratch = vec![0f32; k.scratch_len()];
    let (to, workspace) = (SharedMut::new(&mut target), SharedMut::new(&mut workspace));
    let mut best = f64::MAX;
    let begin = Instant::now();
    let mut runs = 0;
    while runs < 3 || (begin.elapsed().as_secs_f64() < 0.25 && runs < 400) {
        let t = Instant::now();
        for (phase, &tasks) in k.phases().iter().enumerate() {
            for task in 0..tasks {
                let w = &weights[runs % copies];
                // SAFETY: one thread.
                unsafe { k.run(phase, task, &source, w, BlockedEpilogue::default(), to, workspace, &mut scratch) }
            }
        }
        best = best.min(t.elapsed().as_secs_f64());
        runs += 1;
    }
    let rate = 2.0 * g.macs() as f64 * n as f64 / best / 1e9;
    let top = peak();
    let all = format!("{k:?}");
    let cut = all.split("cut: ").nth(1).and_then(|c| c.split(", band").next()).unwrap_or_default();
    let cold = if cold { "cold" } else { "" };
    println!("{name:28} {:8.3} ms {rate:7.1} GF/s {:5.1} % of {top:.0} {cold} {cut}", best * 1e3, 100.0 * rate / top);
}

fn main() {
    let filter = std::env::args().nth(1).unwrap_or_default();
    let isa = Isa::from_name(&std::env::args().nth(2).unwrap_or("avx512".into())).unwrap();
    let c = |name, n, ci, co, extent, k, s, p| Case { name, n, ci, co, extent, k, s, p };
    let cases = [
        c("3x3 64 56", 1, 64, 64, 56, 3, 1, 1),
        c("3x3 128 28", 1, 128, 128, 28, 3, 1, 1),
        c("3x3 256 14", 1, 256, 256, 14, 3, 1, 1),
        c("3x3 512 7", 1, 512, 512, 7, 3, 1, 1),
        c("3x3 512 7 n16", 16, 512, 512, 7, 3, 1, 1),
        c("3x3 256 56", 1, 256, 256, 56, 3, 1, 1),
        c("3x3 192 19", 1, 192, 192, 19, 3, 1, 1),
        c("1x1 256-64 56", 1, 256, 64, 56, 1, 1, 0),
        c("1x1 64-256 56", 1, 64, 256, 56, 1, 1, 0),
        c("1x1 64-64 56", 1, 64, 64, 56, 1, 1, 0),
        c("1x1 1024-256 14", 1, 1024, 256, 14, 1, 1, 0),
        c("1x1 256-1024 14", 1, 256, 1024, 14, 1, 1, 0),
        c("1x1 512-2048 7", 1, 512, 2048, 7, 1, 1, 0),
        c("1x1 2048-512 7", 1, 2048, 512, 7, 1, 1, 0),
        c("1x1s2 256-512 56", 1, 256, 512, 56, 1, 2, 0),
        c("3x3s2 128 56", 1, 128, 128, 56, 3, 2, 1),
        c("3x3s2 512 14", 1, 512, 512, 14, 3, 2, 1),
        c("5x5 96-256 27", 1, 96, 256, 27, 5, 1, 2),
        c("7x7s2 16-64 112", 1, 16, 64, 112, 7, 2, 3),
        c("1x1 64-256 56 n8", 8, 64, 256, 56, 1, 1, 0),
        c("1x1 64-64 28 ", 1, 64, 64, 28, 1, 1, 0),
        c("1x1 64-64 14 ", 1, 64, 64, 14, 1, 1, 0),
        c("1x1 16-96 112", 1, 16, 96, 112, 1, 1, 0),
        c("1x1 576-96 14", 1, 576, 96, 14, 1, 1, 0),
        c("small 3x3 16 32 n32", 32, 16, 16, 32, 3, 1, 1),
        c("small 3x3 32 16 n32", 32, 32, 32, 16, 3, 1, 1),
        c("small 3x3 64 8 n32", 32, 64, 64, 8, 3, 1, 1),
        c("small 3x3s2 32 32 n32", 32, 16, 32, 32, 3, 2, 1),
        c("small 3x3 192-384 13", 1, 192, 384, 13, 3, 1, 1),
        c("small 3x3 128-32 14", 1, 128, 32, 14, 3, 1, 1),
        c("small 3x3 128-32 7", 1, 128, 32, 7, 3, 1, 1),
        c("small 1x1 32-16 112", 1, 32, 16, 112, 1, 1, 0),
        c("small 1x1 96-24 56", 1, 96, 24, 56, 1, 1, 0),
        c("small 1x1 24-144 56", 1, 24, 144, 56, 1, 1, 0),
        c("small 1x1 192-32 28", 1, 192, 32, 28, 1, 1, 0),
        c("small 1x1 32-192 28", 1, 32, 192, 28, 1, 1, 0),
        c("small 1x1 320-1280 7", 1, 320, 1280, 7, 1, 1, 0),
        c("small 1x1 512-24 14", 1, 512, 24, 14, 1, 1, 0),
        c("small 1x1 1280-1000 1", 1, 1280, 1000, 1, 1, 1, 0),
        c("small 3x3 64-12 28", 1, 64, 12, 28, 3, 1, 1),
        c("small 5x5 6-16 14 n4", 4, 6, 16, 14, 5, 1, 0),
        c("small 5x5 16-120 5", 1, 16, 120, 5, 5, 1, 0),
    ];
    for case in cases.iter().filter(|c| c.name.contains(&filter)) {
        let o = WindowOptions::new(&[]).stride(&[case.s]).padding(Padding::all(case.p));
        let weight = [case.co, case.ci, case.k, case.k];
        let g = ConvGeometry::new(case.ci, &[case.extent; 2], &weight, 1, &o).unwrap();
        let k = BlockedConvKernel::forward(&g, case.n, isa).unwrap();
        time(case.name, &k, &g, case.n, false, false);
        if case.ci * case.co * case.k * case.k > 500_000 {
            time(case.name, &k, &g, case.n, false, true);
        }
        let k = BlockedConvKernel::input_grad(&g, case.n, isa).unwrap();
        time(&format!("{} dx", case.name), &k, &g, case.n, true, false);
    }
}
