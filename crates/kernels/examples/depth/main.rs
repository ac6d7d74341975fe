//! Rates of depthwise and grouped convolution and of pooling on blocked tensors, one thread.
#![allow(clippy::print_stdout, clippy::undocumented_unsafe_blocks)]

use gabor_kernels::blocked::depthwise::{DepthwiseFilterGradKernel, DepthwiseKernel};
use gabor_kernels::blocked::{BlockedEpilogue, Packing};
use gabor_kernels::{Isa, SharedMut, Work};
use gabor_tensor::{ConvGeometry, Padding, WindowOptions};
use std::hint::black_box;
use std::time::Instant;

/// The least time of a run in microseconds.
fn least(mut f: impl FnMut()) -> f64 {
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed().as_secs_f64() < 0.3 {
        let t = Instant::now();
        f();
        best = best.min(t.elapsed().as_secs_f64() * 1e6);
    }
    best
}

fn data(len: usize) -> Vec<f32> {
    (0..len).map(|i| (i * 37 % 101) as f32 * 0.01).collect()
}

fn depthwise(c: usize, size: usize, input: usize, k: usize, stride: usize, n: usize) {
    let isa = std::env::args().nth(1).map_or(Isa::best(), |s| Isa::from_name(&s).expect("a set of this processor"));
    let options = WindowOptions::new(&[]).stride(&[stride]).padding(Padding::all(k / 2));
    let g = ConvGeometry::new(c, &[input, input], &[c, size, k, k], c / size, &options).expect("a geometry");
    let blocks = c.div_ceil(16) * 16 * n;
    let (x, mut y) = (data(blocks * g.window.input_len()), data(blocks * g.window.output_len()));
    let w = data(c * size * k * k);
    let forward = DepthwiseKernel::forward(&g, n, isa).expect("groups of few channels");
    let back = DepthwiseKernel::input_grad(&g, n, isa).expect("groups of few channels");
    let filter = DepthwiseFilterGradKernel::new(&g, n, isa).expect("groups of few channels");
    let mut packed = vec![0.0; forward.packing().packed_len()];
    // SAFETY: a single thread; so below.
    unsafe { forward.packing().pack(0, 0, &w, SharedMut::new(&mut packed), SharedMut::new(&mut []), &mut []) };
    let products = (n * c.div_ceil(16) * size * k * k * g.window.output_len()) as f64;
    let epilogue = BlockedEpilogue { relu: true, ..Default::default() };
    let f = least(|| {
        for t in 0..forward.phases()[0] {
            unsafe { forward.run(t, &x, &packed, epilogue, SharedMut::new(&mut y)) };
        }
    });
    let mut dx = vec![0.0; x.len()];
    let b = least(|| {
        for t in 0..back.phases()[0] {
            unsafe { back.run(t, &y, &packed, BlockedEpilogue::default(), SharedMut::new(&mut dx)) };
        }
    });
    let (mut dw, mut space) = (vec![0.0; w.len()], vec![0.0; filter.workspace_len()]);
    let d = least(|| {
        for (phase, &tasks) in filter.phases().iter().enumerate() {
            for t in 0..tasks {
                unsafe { filter.run(phase, t, &x, &y, SharedMut::new(&mut dw), SharedMut::new(&mut space)) };
            }
        }
    });
    let rate = |us: f64| format!("{us:9.1} us {:6.1} GF/s", products * 32e-3 / us);
    println!("{c:4}/{size} {input:3} k{k} s{stride} n{n:2} | {} | {} | {}", rate(f), rate(b), rate(d));
}

fn pool(c: usize, input: usize, k: usize, stride: usize, pad: usize, n: usize) {
    use gabor_kernels::blocked::pool::*;
    let isa = std::env::args().nth(1).map_or(Isa::best(), |s| Isa::from_name(&s).expect("a set of this processor"));
    let options = WindowOptions::new(&[k]).stride(&[stride]).padding(Padding::all(pad));
    let w = options.resolve(&[input, input]).expect("a window");
    let blocks = c.div_ceil(16) * 16 * n;
    let (mut x, mut y) = (data(blocks * w.input_len()), data(blocks * w.output_len()));
    let mut s = vec![0; y.len()];
    let divisor = gabor_tensor::PoolDivisor::CountExcludePad;
    let max = MaxPoolBlocked::new(&w, n, c, isa).unwrap();
    let switches = MaxPoolSwitchesBlocked::new(&w, n, c, isa).unwrap();
    let unpool = MaxUnpoolBlocked::new(&w, n, c, isa).unwrap();
    let avg = AvgPoolBlocked::new(&w, n, c, divisor, isa).unwrap();
    let back = AvgPoolGradBlocked::new(&w, n, c, divisor, isa).unwrap();
    let bytes = (x.len() + y.len()) as f64 * 4e-3;
    let mut line = format!("pool {c:4} {input:3} k{k} s{stride} p{pad} n{n:2}");
    let mut note = |us: f64, extra: f64| {
        line += &format!(" | {us:8.1} us {:5.1} GB/s", (bytes + extra) / us);
    };
    note(least(|| (0..max.phases()[0]).for_each(|t| unsafe { max.run(t, &x, SharedMut::new(&mut y)) })), 0.0);
    let more = y.len() as f64 * 4e-3;
    note(
        least(|| {
            (0..switches.phases()[0])
                .for_each(|t| unsafe { switches.run(t, &x, SharedMut::new(&mut y), SharedMut::new(&mut s)) })
        }),
        more,
    );
    note(
        least(|| (0..unpool.phases()[0]).for_each(|t| unsafe { unpool.run(t, &y, &s, SharedMut::new(&mut x)) })),
        more,
    );
    note(least(|| (0..avg.phases()[0]).for_each(|t| unsafe { avg.run(t, &x, SharedMut::new(&mut y)) })), 0.0);
    note(least(|| (0..back.phases()[0]).for_each(|t| unsafe { back.run(t, &y, SharedMut::new(&mut x)) })), 0.0);
    println!("{line}");
}

/// Fused multiply-adds of registers alone, by the best set: GFLOP/s.
fn peak() -> f64 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        #[target_feature(enable = "avx512f")]
        fn run(times: usize) -> [f32; 16] {
            use std::arch::x86_64::*;
            let (a, b) = (_mm512_set1_ps(black_box(0.999)), _mm512_set1_ps(black_box(1e-3)));
            let mut s = [b; 12];
            for _ in 0..times {
                for s in &mut s {
                    *s = _mm512_fmadd_ps(*s, a, b);
                }
            }
            let mut out = [0.0; 16];
            let total = s.into_iter().fold(_mm512_setzero_ps(), |a, b| _mm512_add_ps(a, b));
            // SAFETY: 16 elements.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), total) };
            out
        }
        // SAFETY: the processor has the set.
        let us = least(|| {
            black_box(unsafe { run(black_box(10_000)) });
        });
        return 10_000.0 * 12.0 * 32e-3 / us;
    }
    0.0
}

fn main() {
    println!("peak {:.1} GF/s", peak());
    println!("max, max with switches, unpool, average, its gradient");
    pool(64, 112, 3, 2, 1, 1);
    pool(64, 112, 3, 2, 1, 8);
    pool(64, 224, 2, 2, 0, 1);
    pool(256, 56, 2, 2, 0, 1);
    pool(512, 28, 2, 2, 0, 1);
    pool(256, 28, 3, 1, 1, 1);
    pool(512, 14, 3, 1, 1, 1);
    pool(2048, 7, 7, 1, 0, 1);
    pool(2048, 7, 7, 1, 0, 16);
    println!("channels/group, input, kernel, stride, images | forward | input gradient | filter gradient");
    for (c, size, input, k, stride, n) in [
        (384, 1, 14, 3, 1, 1),
        (384, 1, 14, 3, 1, 16),
        (32, 1, 112, 3, 1, 1),
        (96, 1, 112, 3, 2, 1),
        (144, 1, 56, 3, 1, 1),
        (192, 1, 28, 3, 1, 1),
        (192, 1, 28, 3, 2, 1),
        (576, 1, 14, 3, 2, 1),
        (960, 1, 7, 3, 1, 1),
        (240, 1, 28, 5, 1, 1),
        (240, 1, 28, 5, 2, 1),
        (96, 1, 56, 7, 1, 1),
        (128, 4, 56, 3, 1, 1),
        (256, 8, 28, 3, 1, 1),
        (512, 8, 14, 3, 2, 1),
    ] {
        depthwise(c, size, input, k, stride, n);
    }
    println!("peak {:.1} GF/s", peak());
}
