//! Times of kernels on blocked tensors that move memory: `cargo run --release --example blocked_norm [threads]`.
#![allow(clippy::print_stdout)]
// Every unsafe block here runs a task of a kernel on buffers of its extents, which the executor's barriers keep apart.
#![allow(clippy::undocumented_unsafe_blocks)]

#[path = "../rates/run.rs"]
#[allow(dead_code)]
mod run;

use gabor_kernels::blocked::Blocked;
use gabor_kernels::blocked::norm::*;
use gabor_kernels::blocked::reduce::BlockedReduceKernel;
use gabor_kernels::pointwise::{self, Access, Instruction, MapKernel};
use gabor_kernels::{Isa, SharedMut};
use gabor_tensor::{Binary, Reduction, Unary};
use run::{Buffer, Program, data};

/// A buffer that begins on a cache line, as those of an arena do.
struct Aligned(Buffer, usize, usize);

impl Aligned {
    fn new(len: usize) -> Self {
        let buffer = Buffer::<f32>::new(len + 16);
        let skip = buffer.read().as_ptr().align_offset(64);
        Aligned(buffer, skip, len)
    }
    fn of(data: &[f32]) -> Self {
        let a = Self::new(data.len());
        unsafe { a.0.shared().part(a.1, a.2) }.copy_from_slice(data);
        a
    }
    fn shared(&self) -> SharedMut<'_, f32> {
        SharedMut::new(unsafe { self.0.shared().part(self.1, self.2) })
    }
    fn read(&self) -> &[f32] {
        &self.0.read()[self.1..]
    }
}

/// Element-wise programs and reductions over a blocked tensor, next to copies of the same bytes.
fn maps(threads: usize, isa: Isa) {
    let e = Blocked { n: 16, c: 64, plane: 4096 };
    for e in [e, Blocked { n: 1, ..e }] {
        let (x, z, y) = (Aligned::of(&data(e.len())), Aligned::of(&data(e.len())), Aligned::new(e.len()));
        let mb = e.len() as f64 * 4e-6;
        let [x, z] = [&x, &z].map(|v| v.read().as_ptr() as usize);
        let report = |name: &str, p: &Program<'_>, arrays: f64| {
            let t = p.seconds(threads);
            println!("{name} of {mb:5.1} MB: {:8.4} ms {:5.1} GB/s", t * 1e3, arrays * 1e-3 * mb / t);
        };
        let (load, y) = (Instruction::Load, &y);
        let copy = BlockedReduceKernel::new(Reduction::Sum, Blocked { plane: 1, ..e }, true, isa).unwrap();
        let mut p = Program::default();
        p.add(&copy, move |_, _, _, _| unsafe {
            std::ptr::copy_nonoverlapping(x as *const f32, y.shared().part(0, e.len()).as_mut_ptr(), e.len());
        });
        report("copy", &p, 2.0);
        let add_relu =
            vec![load(0), load(1), Instruction::Binary(Binary::Add, 0, 1), Instruction::Unary(Unary::Relu, 2)];
        let gate = vec![load(0), load(1), Instruction::Binary(Binary::Gate, 0, 1)];
        let bias = vec![load(0), load(1), Instruction::Binary(Binary::Add, 0, 1)];
        for (name, instructions, access) in [
            ("add relu", add_relu, Access::Full),
            ("relu gradient", gate, Access::Full),
            ("bias", bias, Access::Lanes { images: true }),
        ] {
            let outputs = vec![instructions.len() - 1];
            let program = pointwise::Program { instructions, outputs };
            let k = MapKernel::blocked(program, vec![Access::Full, access], e, isa);
            let (mut p, kr) = (Program::default(), &k);
            p.add(kr, move |_, task, _, s| unsafe { kr.run(task, &[x as _, z as _], &[y.shared()], s) });
            report(name, &p, if access == Access::Full { 3.0 } else { 2.0 });
            let (mut p, kr) = (Program::default(), &k);
            p.add(kr, move |_, task, _, s| unsafe {
                kr.run(task, &[y.read().as_ptr(), z as _], &[y.shared()], s);
            });
            report(&format!("{name} in place"), &p, if access == Access::Full { 3.0 } else { 2.0 });
        }
        for images in [true, false] {
            let k = BlockedReduceKernel::new(Reduction::Sum, e, images, isa).unwrap();
            let of = Buffer::new(e.n * e.c);
            let (mut p, kr, of) = (Program::default(), &k, &of);
            let from = unsafe { std::slice::from_raw_parts(x as *const f32, e.len()) };
            p.add(kr, move |phase, task, w, _| unsafe { kr.run(phase, task, from, of.shared(), w) });
            report(&format!("sum, images {images}"), &p, 1.0);
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(1);
    let isa = args.get(2).and_then(|n| Isa::from_name(n)).unwrap_or_else(Isa::best);
    maps(threads, isa);
    for (n, c, side) in [(1, 64, 112), (16, 64, 112), (1, 64, 56), (16, 64, 56), (16, 256, 14), (16, 512, 7)] {
        let e = Blocked { n, c, plane: side * side };
        let (x, dy) = (Aligned::of(&data(e.len())), Aligned::of(&data(e.len())));
        let v = vec![1.0f32; c];
        let (y, dx) = (Aligned::new(e.len()), Aligned::new(e.len()));
        let o: Vec<Buffer> = (0..6).map(|_| Buffer::new(c)).collect();
        let address = |v: &[f32]| v.as_ptr() as usize;
        let (xa, dya, va) = (address(x.read()), address(dy.read()), address(&v));
        let forward = BlockedBatchNormKernel::new(e, 1e-5, 0.1, Some(f32::INFINITY), isa);
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
                let limit = f32::INFINITY;
                let inputs = BlockedBatchNormGradInputs { dy, x, gamma: v, mean: v, inv_std: v, mask, limit };
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
