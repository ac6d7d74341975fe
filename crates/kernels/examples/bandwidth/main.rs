//! Rates of the kernels that move memory, in GB/s read and written:
//! `cargo run --release --example bandwidth [threads [name]]`.
#![allow(clippy::print_stdout)]

#[path = "../rates/run.rs"]
#[allow(dead_code)]
mod run;

use gabor_kernels::reference::BatchNorm;
use gabor_kernels::{
    AvgPoolGradKernel, AvgPoolKernel, BatchNormGradInputs, BatchNormGradKernel, BatchNormGradOutputs, BatchNormInputs,
    BatchNormKernel, BatchNormOutputs, CastKernel, Isa, MaxPoolKernel, MaxUnpoolKernel, RandomUniformKernel,
    ReduceKernel, SharedMut, SoftmaxKernel, StridedKernel,
};
use gabor_tensor::{Padding, PoolDivisor, Reduction, WindowOptions};
use run::{Buffer, Program, data};

/// What every measurement needs.
struct Bench {
    isa: Isa,
    threads: usize,
    only: String,
}

impl Bench {
    fn report(&self, name: &str, program: &Program<'_>, floats: usize) {
        if name.contains(&self.only) {
            let t = program.seconds(self.threads);
            println!("{name:40} {:9.4} ms  {:6.1} GB/s", t * 1e3, 4e-9 * floats as f64 / t);
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let threads = args.get(1).and_then(|a| a.parse().ok()).unwrap_or(2);
    let isa = args.get(3).and_then(|n| Isa::from_name(n)).unwrap_or_else(Isa::best);
    let b = Bench { isa, threads, only: args.get(2).cloned().unwrap_or_default() };
    println!("{}, {threads} threads", b.isa);
    for (name, planes, size, k, s, p) in [
        ("lenet pool1 n=64", 64 * 6, 28, 2, 2, 0),
        ("lenet pool2 n=64", 64 * 16, 10, 2, 2, 0),
        ("vgg pool 64x112 n=4", 4 * 64, 112, 2, 2, 0),
        ("resnet pool 64x112 3x3 s2 n=4", 4 * 64, 112, 3, 2, 1),
        ("pool 192x28 3x3 s1 n=8", 8 * 192, 28, 3, 1, 1),
        ("global 512x7 n=16", 16 * 512, 7, 7, 1, 0),
    ] {
        pool(&b, name, planes, size, k, s, p);
    }
    for (name, n, c, s) in [
        ("batch norm 16x28 n=64", 64, 16, 784),
        ("batch norm 64x56 n=16", 16, 64, 3136),
        ("batch norm 512x7 n=16", 16, 512, 49),
        ("batch norm 4096 n=64", 64, 4096, 1),
    ] {
        norm(&b, name, BatchNorm { n, c, s, eps: 1e-5, momentum: 0.1 });
    }
    reductions(&b);
    for (name, shape, axis) in [
        ("softmax 64x10", vec![64, 10], 1),
        ("softmax 256x1000", vec![256, 1000], 1),
        ("softmax 4x21x128x128", vec![4, 21, 128, 128], 1),
    ] {
        for log in [false, true] {
            let len = shape.iter().product();
            let (x, y, kernel) = (data(len), Buffer::new(len), SoftmaxKernel::new(&shape, axis, log, b.isa));
            let mut program = Program::default();
            // SAFETY: tasks of one kernel, here and below.
            program.add(&kernel, |_, task, _, scratch| unsafe { kernel.run(task, &x, y.shared(), scratch) });
            b.report(&format!("{}{name}", if log { "log " } else { "" }), &program, 2 * len);
        }
    }
    copies(&b);
}

fn reductions(b: &Bench) {
    for (name, shape, axes) in [
        ("sum 64x10 rows", vec![64, 10], vec![1]),
        ("sum 256x4096 rows", vec![256, 4096], vec![1]),
        ("sum 64x120 columns", vec![64, 120], vec![0]),
        ("sum 4096x256 columns", vec![4096, 256], vec![0]),
        ("sum 64x6x28x28 channels", vec![64, 6, 28, 28], vec![0, 2, 3]),
        ("sum 16x64x56x56 channels", vec![16, 64, 56, 56], vec![0, 2, 3]),
        ("sum 16x512x7x7 channels", vec![16, 512, 7, 7], vec![0, 2, 3]),
        ("sum of all of 1M", vec![1 << 20], vec![0]),
    ] {
        for kind in [Reduction::Sum, Reduction::Max] {
            let name = if kind == Reduction::Max { name.replace("sum", "max") } else { name.to_string() };
            let len: usize = shape.iter().product();
            let kernel = ReduceKernel::new(kind, &shape, &axes, b.isa).expect("a form");
            let (x, y) = (data(len), Buffer::new(len));
            let mut program = Program::default();
            program.add(&kernel, |phase, task, workspace, _| {
                // SAFETY: the program keeps phases apart.
                unsafe { kernel.run(phase, task, &x, y.shared(), workspace) }
            });
            b.report(&name, &program, len);
        }
    }
}

fn copies(b: &Bench) {
    let transpose = |shape: &[usize], perm: &[usize]| StridedKernel::transpose(shape, perm, b.isa).expect("few axes");
    let broadcast = |from: &[usize], to: &[usize]| StridedKernel::broadcast(from, to, b.isa).expect("few axes");
    for (name, kernel, from, to) in [
        ("transpose 64x400", transpose(&[64, 400], &[1, 0]), 25_600, 25_600),
        ("transpose 1024x1024", transpose(&[1024, 1024], &[1, 0]), 1 << 20, 1 << 20),
        ("nhwc to nchw 16x56x56x64", transpose(&[16, 56, 56, 64], &[0, 3, 1, 2]), 16 * 3136 * 64, 16 * 3136 * 64),
        ("swap 64x100x49", transpose(&[64, 100, 49], &[1, 0, 2]), 313_600, 313_600),
        ("repeat channels 16x64x56x56", broadcast(&[64, 1, 1], &[16, 64, 56, 56]), 64, 16 * 3136 * 64),
        ("repeat rows 4096x256", broadcast(&[256], &[4096, 256]), 256, 1 << 20),
        ("repeat a number 64x10", broadcast(&[], &[64, 10]), 1, 640),
    ] {
        let (x, y) = (data(from), Buffer::new(to));
        let mut program = Program::default();
        // SAFETY: tasks of one kernel, here and below.
        program.add(&kernel, |_, task, _, _| unsafe { kernel.run(task, &x, y.shared()) });
        b.report(name, &program, from + to);
    }
    let (x, y) = (vec![7u8; 1 << 20], Buffer::new(1 << 20));
    let kernel = CastKernel::new(1 << 20, b.isa);
    let mut program = Program::default();
    // SAFETY: as above.
    program.add(&kernel, |_, task, _, _| unsafe { kernel.run(task, &x, f32::from, y.shared()) });
    b.report("bytes to floats 1M", &program, 5 << 18);
    let kernel = RandomUniformKernel::new(1 << 20, 1, b.isa);
    let mut program = Program::default();
    // SAFETY: as above.
    program.add(&kernel, |_, task, _, _| unsafe { kernel.run(task, 1, 2, y.shared()) });
    b.report("random 1M", &program, 1 << 20);
}

fn pool(b: &Bench, name: &str, planes: usize, size: usize, k: usize, s: usize, p: usize) {
    let w = WindowOptions::new(&[k]).stride(&[s]).padding(Padding::all(p)).resolve(&[size; 2]).expect("a window");
    let (xl, yl) = (planes * w.input_len(), planes * w.output_len());
    let (x, y, dx) = (data(xl), Buffer::new(yl), Buffer::new(xl));
    let mut switches = vec![0i32; yl];
    let shared = SharedMut::new(&mut switches);
    let kernel = MaxPoolKernel::new(&w, planes, b.isa).expect("a window");
    let mut program = Program::default();
    program.add(&kernel, |_, task, _, scratch| {
        // SAFETY: the program gives each thread its own scratch, here and below.
        unsafe { kernel.run(task, &x, y.shared(), shared, scratch) }
    });
    b.report(&format!("{name} max"), &program, xl + 2 * yl);
    drop(program);
    let dy = data(yl);
    let kernel = MaxUnpoolKernel::new(&w, planes, b.isa);
    let mut program = Program::default();
    // SAFETY: as above.
    program.add(&kernel, |_, task, _, _| unsafe { kernel.run(task, &dy, &switches, dx.shared()) });
    b.report(&format!("{name} max grad"), &program, xl + 2 * yl);
    let kernel = AvgPoolKernel::new(&w, planes, PoolDivisor::CountIncludePad, b.isa).expect("a window");
    let mut program = Program::default();
    // SAFETY: as above.
    program.add(&kernel, |_, task, _, scratch| unsafe { kernel.run(task, &x, y.shared(), scratch) });
    b.report(&format!("{name} avg"), &program, xl + yl);
    let kernel = AvgPoolGradKernel::new(&w, planes, PoolDivisor::CountIncludePad, b.isa).expect("a window");
    let mut program = Program::default();
    // SAFETY: as above.
    program.add(&kernel, |_, task, _, scratch| unsafe { kernel.run(task, &dy, dx.shared(), scratch) });
    b.report(&format!("{name} avg grad"), &program, xl + yl);
}

fn norm(b: &Bench, name: &str, p: BatchNorm) {
    let len = p.n * p.c * p.s;
    let (x, dy, y, v) = (data(len), data(len), Buffer::new(len), data(p.c));
    let out = [0; 4].map(|_| Buffer::new(p.c));
    let kernel = BatchNormKernel::new(p, b.isa);
    let inputs = BatchNormInputs { x: &x, gamma: &v, beta: &v, running_mean: &v, running_var: &v };
    let mut program = Program::default();
    program.add(&kernel, |phase, task, workspace, _| {
        let [mean, inv_std, new_running_mean, new_running_var] = out.each_ref().map(|o| o.shared());
        let outputs = BatchNormOutputs { y: y.shared(), mean, inv_std, new_running_mean, new_running_var };
        // SAFETY: the program keeps phases apart.
        unsafe { kernel.run(phase, task, inputs, outputs, workspace) }
    });
    b.report(name, &program, 3 * len);
    let kernel = BatchNormGradKernel::new(p, b.isa);
    let inputs = BatchNormGradInputs { dy: &dy, x: &x, gamma: &v, mean: &v, inv_std: &v };
    let mut program = Program::default();
    program.add(&kernel, |phase, task, workspace, _| {
        let [dgamma, dbeta, ..] = out.each_ref().map(|o| o.shared());
        let outputs = BatchNormGradOutputs { dx: y.shared(), dgamma, dbeta };
        // SAFETY: as above.
        unsafe { kernel.run(phase, task, inputs, outputs, workspace) }
    });
    b.report(&format!("{name} grad"), &program, 5 * len);
}
