//! Training blocks with batch normalisation, shortcuts and squeeze-excite: in plain order and in blocked order.

use gabor_compile::{Backend, CompileOptions, Program, Report, differentiate};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_cpu::{Candidate, CpuBackend, CpuOptions, Io, Kernel, Order, Prepared, Problem};
use gabor_graph::ops::BatchNorm;
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_kernels::blocked::Blocked;
use gabor_kernels::pointwise::{self, Access, Instruction, MapKernel};
use gabor_kernels::{Isa, SharedMut, Work};
use gabor_tensor::{DType, Reduction, Shape, Stream, Tensor, Unary, WindowOptions, rng::op};
use std::collections::HashMap;

const C: usize = 20;

fn random(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(7, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| s.normal() as f32).collect()).unwrap()
}

/// Two normalisations, the second in a residual block, then squeeze and excite; the outputs are the loss and gradients.
/// `six`: rectifiers with a limit.
fn graph(six: bool) -> Graph {
    let rectify = |g: &mut Graph, y| if six { g.relu6(y) } else { g.unary(Unary::Relu, y) };
    let mut g = Graph::new("norms");
    let x = g.input("x", Shape::batch(&[C, 5, 6]), DType::F32).unwrap();
    let weight = Parameter::weight(Initializer::Zeros);
    let mut trained = Vec::new();
    let mut parameter = |g: &mut Graph, name: &str, shape: &[usize]| -> ValueId {
        trained.push(g.parameter(name, shape, weight.clone()).unwrap());
        trained[trained.len() - 1]
    };
    let scale = parameter(&mut g, "scale", &[C, 1, 1]);
    let mut norm = |g: &mut Graph, name: &str, x: ValueId| {
        let [gamma, beta] = ["gamma", "beta"].map(|p| parameter(g, &format!("{name}.{p}"), &[C]));
        let state = Parameter::state(Initializer::Zeros);
        let [mean, var] = ["mean", "var"].map(|p| g.parameter(&format!("{name}.{p}"), &[C], state.clone()).unwrap());
        let out = g.add_node(BatchNorm { eps: 1e-3, momentum: 0.1 }, &[x, gamma, beta, mean, var]).unwrap();
        g.update(mean, out[3]).unwrap();
        g.update(var, out[4]).unwrap();
        out[0]
    };
    let x = g.max_pool(x, &WindowOptions::new(&[1, 1])).unwrap();
    let h = g.mul(x, scale).unwrap();
    let y = norm(&mut g, "first", h);
    let y = rectify(&mut g, y).unwrap();
    let y = norm(&mut g, "second", y);
    let shortcut = norm(&mut g, "shortcut", h);
    let y = g.add(y, shortcut).unwrap();
    let y = rectify(&mut g, y).unwrap();
    let squeezed = g.reduce(Reduction::Mean, y, &[2, 3]).unwrap();
    let excited = g.unary(Unary::Sigmoid, squeezed).unwrap();
    let z = g.mul(y, excited).unwrap();
    let z = norm(&mut g, "last", z);
    let z = g.add(z, y).unwrap();
    let z = g.unary(Unary::Square, z).unwrap();
    let z = g.mul(z, x).unwrap();
    let loss = g.mean_all(z).unwrap();
    let gradients = differentiate(&mut g, loss, &trained).unwrap();
    g.output("loss", loss);
    for (w, d) in trained.into_iter().zip(gradients) {
        let name = format!("d {}", g.value(w).name);
        g.output(name, d.unwrap());
    }
    g
}

/// Pooling over single pixels, which is a copy: in blocked order wherever its input lies, so that all behind it follows.
fn blocked_copy(p: &Problem<'_>) -> Prepared {
    let program = pointwise::Program { instructions: vec![Instruction::Load(0)], outputs: vec![0] };
    let e = Blocked::new(&p.inputs[0]).ok_or("a vector")?;
    Ok(Box::new(BlockedCopy(MapKernel::blocked(program, vec![Access::Full], e, p.isa))))
}

struct BlockedCopy(MapKernel);

impl Kernel for BlockedCopy {
    fn work(&self) -> &dyn Work {
        &self.0
    }
    fn reads(&self, _i: usize) -> Order {
        Order::Blocked
    }
    fn writes_blocked(&self, _i: usize) -> bool {
        true
    }
    unsafe fn run(&self, _p: usize, task: usize, io: &Io<'_>, _w: SharedMut<'_, f32>, scratch: &mut [f32]) {
        // SAFETY: the contract of the call is the kernel's.
        unsafe { self.0.run(task, &[io.address_f32(0)], &[io.out_f32(0)], scratch) }
    }
}

/// All outputs and the running statistics after a step.
fn step(backend: &CpuBackend, g: &Graph, fuse: bool, n: usize) -> (Vec<Vec<f32>>, Report) {
    let names: Vec<String> = g.outputs().iter().map(|o| o.0.clone()).collect();
    let options = CompileOptions { fuse, ..Default::default() };
    let program = Program::single("train", g.clone().validate().unwrap());
    let mut run = backend.compile(&program, &options).unwrap();
    for (i, (v, _)) in g.parameters().enumerate() {
        let t = random(&g.shape(v).known().unwrap(), i as u32);
        run.write(&g.value(v).name, &t).unwrap();
    }
    run.run(0, n, &[("x", &random(&[n, C, 5, 6], 99))]).unwrap();
    let mut all: Vec<Vec<f32>> =
        names.iter().map(|name| run.output(name).unwrap().as_f32().unwrap().to_vec()).collect();
    all.extend(["first.mean", "second.var", "last.var"].map(|p| run.read(p).unwrap().as_f32().unwrap().to_vec()));
    (all, run.report(0, n).unwrap())
}

#[test]
fn training_blocks_equal_the_reference_in_both_orders() {
    check(&graph(false));
}

#[test]
fn so_do_blocks_with_relu6() {
    check(&graph(true));
}

fn check(g: &Graph) {
    let n = 3;
    let mut bindings = HashMap::new();
    for (i, (v, _)) in g.parameters().enumerate() {
        bindings.insert(v, random(&g.shape(v).known().unwrap(), i as u32));
    }
    bindings.insert(g.inputs().next().unwrap(), random(&[n, C, 5, 6], 99));
    let updated = |name: &str| g.updates().iter().find(|u| g.value(u.0).name == name).unwrap().1;
    let mut wanted: Vec<ValueId> = g.outputs().iter().map(|o| o.1).collect();
    wanted.extend(["first.mean", "second.var", "last.var"].map(updated));
    let want = evaluate(g, n, &bindings, Precision::F64, &wanted).unwrap();

    let row = Candidate { name: "max_pool.blocked_copy", operation: "max_pool", prepare: blocked_copy };
    for blocked in [false, true] {
        let mut first = None;
        for (i, isa) in Isa::available().into_iter().enumerate() {
            let options = CpuOptions { threads: Some(1 + i % 3), isa: Some(isa), ..Default::default() };
            let backend = CpuBackend::new(options).unwrap();
            let backend = if blocked { backend.with_candidate(row) } else { backend };
            for fuse in [true, false] {
                let (got, report) = step(&backend, g, fuse, n);
                for (got, want) in got.iter().zip(&want) {
                    let want = want.to_f64();
                    let scale = want.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
                    for (a, b) in got.iter().zip(&want) {
                        assert!(
                            (f64::from(*a) - b).abs() < 3e-5 * scale,
                            "{a} and {b}, blocked {blocked}, fuse {fuse}, {isa}"
                        );
                    }
                }
                if fuse {
                    check_kernels(&report, blocked);
                }
                if fuse && isa.is_exact() {
                    let bits: Vec<u32> = got.iter().flatten().map(|v| v.to_bits()).collect();
                    assert!(*first.get_or_insert_with(|| bits.clone()) == bits, "blocked {blocked}, {isa}");
                }
            }
        }
    }
}

/// What became of the rectifiers, and that nothing but the ends is reordered.
fn check_kernels(report: &Report, blocked: bool) {
    let kernels: Vec<&str> = report.nodes.iter().map(|n| n.kernel.as_str()).collect();
    let count = |start: &str| kernels.iter().filter(|k| k.starts_with(start)).count();
    let order = if blocked { "blocked" } else { "channels" };
    // The last normalisation is followed by a sum without a rectifier.
    assert_eq!(count(&format!("fused_batch_norm.{order}")), 3, "{kernels:?}");
    assert_eq!(count(&format!("batch_norm.{order}")), 1, "{kernels:?}");
    assert_eq!(count(&format!("fused_batch_norm_grad.{order}")), 2, "{kernels:?}");
    assert_eq!(count(&format!("batch_norm_grad.{order}")), 2, "{kernels:?}");
    if blocked {
        // Pixels come in plain order, and the mean over everything reads it.
        assert_eq!((count("reorder.blocked"), count("reorder.plain")), (1, 1), "{kernels:?}");
        assert!(count("reduce.blocked") >= 2, "{kernels:?}");
    }
}
