//! Times of kernels on blocked tensors that move memory: `cargo run --release --example blocked_norm [threads]`.
#![allow(clippy::print_stdout)]

#[path = "../rates/run.rs"]
#[allow(dead_code)]
mod run;

use gabor_kernels::Isa;
use gabor_kernels::blocked::Blocked;
use gabor_kernels::blocked::norm::*;
use run::{Buffer, Program, data};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(1);
    let isa = args.get(2).and_then(|n| Isa::from_name(n)).unwrap_or_else(Isa::best);
    for (n, c, side) in [(1, 64, 112), (16, 64, 112), (1, 64, 56), (16, 64, 56), (16, 256, 14), (16, 512, 7)] {
        let e = Blocked { n, c, plane: side * side };
        let (x, dy) = (data(e.len()), data(e.len()));
        let v = vec![1.0f32; c];
        let (y, dx) = (Buffer::new(e.len()), Buffer::new(e.len()));
        let o: Vec<Buffer> = (0..6).map(|_| Buffer::new(c)).collect();
        let address = |v: &[f32]| v.as_ptr() as usize;
        let (xa, dya, va) = (address(&x), address(&dy), address(&v));
        let forward = BlockedBatchNormKernel::new(e, 1e-5, 0.1, true, isa);
        let backward = BlockedBatchNormGradKernel::new(e, isa);
        let of = &o;
        let (y, dx) = (&y, &dx);
        let (fk, bk) = (&forward, &backward);
        let mut f = Program::default();
        f.add(fk, move |phase, task, w, _| {
            let (v, x) = (va as *const f32, xa as *const f32);
            let inputs = BlockedBatchNormInputs { x, gamma: v, beta: v, running_mean: v, running_var: v, add: None };
            let outputs = BlockedBatchNormOutputs {
                y: y.shared(),
                mean: of[0].shared(),
                inv_std: of[1].shared(),
                new_running_mean: of[2].shared(),
                new_running_var: of[3].shared(),
            };
            unsafe { fk.run(phase, task, inputs, outputs, w) }
        });
        let [b, over] = [dya, address(dx.read())].map(|dy| {
            let mut p = Program::default();
            p.add(bk, move |phase, task, w, _| {
                let (v, x, dy) = (va as *const f32, xa as *const f32, dy as *const f32);
                let mask = BatchNormMask::Shift(v);
                let inputs = BlockedBatchNormGradInputs { dy, x, gamma: v, mean: v, inv_std: v, mask };
                let (dx, dgamma, dbeta) = (dx.shared(), of[4].shared(), of[5].shared());
                let outputs = BlockedBatchNormGradOutputs { dx, dgamma, dbeta, dadd: None };
                unsafe { bk.run(phase, task, inputs, outputs, w) }
            });
            p
        });
        let mb = e.len() as f64 * 4e-6;
        let (f, b, over) = (f.seconds(threads), b.seconds(threads), over.seconds(threads));
        println!(
            "{n:3} x {c} x {side}²  {mb:6.1} MB: forward {:8.4} ms {:5.1} GB/s, gradient {:8.4} ms {:5.1} GB/s, in place {:8.4} ms {:5.1} GB/s",
            f * 1e3,
            3e-3 * mb / f,
            b * 1e3,
            5e-3 * mb / b,
            over * 1e3,
            5e-3 * mb / over
        );
    }
}
