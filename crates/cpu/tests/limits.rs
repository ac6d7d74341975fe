//! What safe code can do to the plan's assumptions: sizes, damaged tensors, parameters that trade values, deep graphs.

use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate};
use gabor_cpu::CpuBackend;
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Data, Shape, Tensor, Unary};

fn compile(g: Graph) -> Box<dyn Executable> {
    let program = Program::single("test", g.validate().unwrap());
    CpuBackend::default().compile(&program, &CompileOptions::default()).unwrap()
}

#[test]
fn a_batch_that_overflows_is_refused() {
    let mut g = Graph::new("g");
    let x = g.input("x", Shape::batch(&[1 << 20]), DType::F32).unwrap();
    let y = g.unary(Unary::Relu, x).unwrap();
    g.output("y", y);
    let mut run = compile(g);
    for n in [1 << 44, usize::MAX, 1 << 21] {
        let e = run.report(0, n).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(e.contains("is too large"), "{n}: {e}");
    }
}

#[test]
fn a_batch_without_memory_leaves_the_others_alone() {
    let mut g = Graph::new("g");
    let x = g.input("x", Shape::batch(&[1 << 10]), DType::F32).unwrap();
    let mut y = x;
    for i in 0..80 {
        y = g.softmax(y, 1).unwrap();
        g.output(format!("y{i}"), y);
    }
    let mut run = compile(g);
    let x = Tensor::zeros(&[2, 1 << 10], DType::F32);
    run.run(0, 2, &[("x", &x)]).unwrap();
    // 80 values of 4 TiB: more than processors have addresses, so that no system lends them. What it would take can be told.
    assert!(run.report(0, 1 << 30).unwrap().arena_bytes >= 80 << 42);
    let e = run.run(0, 1 << 30, &[]).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(e.contains("not to be had"), "{e}");
    run.run(0, 2, &[("x", &x)]).unwrap();
    assert!((run.output("y79").unwrap().as_f32().unwrap()[0] - 1.0 / 1024.0).abs() < 1e-6);
}

#[test]
fn a_tensor_without_its_elements_is_refused() {
    let mut g = Graph::new("g");
    let x = g.input("x", Shape::batch(&[1000]), DType::F32).unwrap();
    let w = g.parameter("w", &[1000], Parameter::weight(Initializer::Zeros)).unwrap();
    let y = g.mul(x, w).unwrap();
    g.output("y", y);
    let mut run = compile(g);
    let mut t = Tensor::zeros(&[1, 1000], DType::F32);
    *t.data_mut() = Data::F32(vec![1.0]);
    let e = run.run(0, 1, &[("x", &t)]).unwrap_err().to_string();
    assert_eq!(e, "x: a tensor of shape [1, 1000] with 1 elements; right would be: 1000 elements");
    let mut t = Tensor::zeros(&[1000], DType::F32);
    *t.data_mut() = Data::F32(vec![1.0]);
    assert!(run.write("w", &t).is_err());
}

#[test]
fn parameters_trade_values() {
    let mut g = Graph::new("g");
    let p: Vec<_> =
        (["a", "b", "c"].iter()).map(|n| g.parameter(n, &[2], Parameter::state(Initializer::Zeros)).unwrap()).collect();
    for i in 0..3 {
        g.update(p[i], p[(i + 1) % 3]).unwrap();
    }
    let mut run = compile(g);
    for (i, n) in ["a", "b", "c"].iter().enumerate() {
        run.write(n, &Tensor::f32(&[2], vec![i as f32; 2]).unwrap()).unwrap();
    }
    run.run(0, 1, &[]).unwrap();
    let first = |n| run.read(n).unwrap().to_f64()[0];
    assert_eq!([first("a"), first("b"), first("c")], [1.0, 2.0, 0.0]);
}

#[test]
fn a_deep_graph_needs_no_deep_stack() {
    let mut g = Graph::new("deep");
    let x = g.input("x", Shape::batch(&[3]), DType::F32).unwrap();
    let w = g.parameter("w", &[3], Parameter::weight(Initializer::Zeros)).unwrap();
    let mut y = g.mul(x, w).unwrap();
    for i in 0..3000 {
        y = g.unary([Unary::Tanh, Unary::Sin][i % 2], y).unwrap();
        y = g.add(y, x).unwrap();
        y = g.scale(y, [1.0, 0.5][i % 2]).unwrap();
    }
    let loss = g.mean_all(y).unwrap();
    let dw = differentiate(&mut g, loss, &[w]).unwrap()[0].unwrap();
    g.output("dw", dw);
    for fuse in [true, false] {
        let program = Program::single("deep", g.clone().validate().unwrap());
        let options = CompileOptions { fuse, ..Default::default() };
        let since = std::time::Instant::now();
        let mut run = CpuBackend::default().compile(&program, &options).unwrap();
        run.report(0, 2).unwrap();
        assert!(since.elapsed().as_secs() < 60, "{:?}", since.elapsed());
        run.run(0, 2, &[("x", &Tensor::zeros(&[2, 3], DType::F32))]).unwrap();
    }
}
