//! A graph on the CPU backend against the reference in 64 bits.
#![allow(dead_code, reason = "each test uses its part")]

use gabor_compile::{Backend, CompileOptions, Executable, Program, differentiate};
use gabor_cpu::reference::{Precision, evaluate};
use gabor_cpu::{CpuBackend, CpuOptions};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::{Stream, Tensor, rng::op};
use std::collections::HashMap;

/// Normal numbers of that standard deviation.
pub fn random(shape: &[usize], scale: f64, key: u32) -> Tensor {
    let mut s = Stream::new(8, 0, key, op::TEST);
    let len: usize = shape.iter().product();
    Tensor::f32(shape, (0..len).map(|_| (scale * s.normal()) as f32).collect()).unwrap()
}

/// Makes `y` an output, and `d0`, `d1`, …: the gradients of the mean of its squares.
pub fn with_gradients(g: &mut Graph, y: ValueId, wrt: &[ValueId]) {
    g.output("y", y);
    let squares = g.mul(y, y).unwrap();
    let loss = g.mean_all(squares).unwrap();
    for (i, d) in differentiate(g, loss, wrt).unwrap().into_iter().enumerate() {
        g.output(format!("d{i}"), d.unwrap());
    }
}

/// A graph at a batch size, with numbers for its inputs and parameters.
pub struct Case {
    graph: Graph,
    n: usize,
    numbers: HashMap<ValueId, Tensor>,
}

impl Case {
    /// Inputs have standard deviation 1, parameters `scale`.
    pub fn new(graph: Graph, n: usize, scale: f64) -> Case {
        let inputs = graph.inputs().map(|v| (v, 1.0)).collect::<Vec<_>>();
        let all = inputs.into_iter().chain(graph.parameters().map(|(v, _)| (v, scale)));
        let numbers = all.map(|(v, scale)| (v, random(&graph.shape(v).at(n), scale, v.0))).collect();
        Case { graph, n, numbers }
    }
    fn name(&self, v: ValueId) -> &str {
        &self.graph.value(v).name
    }
    /// The graph, compiled and run once.
    pub fn run(&self, threads: usize, options: &CompileOptions) -> Box<dyn Executable> {
        let backend = CpuBackend::new(CpuOptions { threads: Some(threads), ..Default::default() }).unwrap();
        let program = Program::single("case", self.graph.clone().validate().unwrap());
        let mut run = backend.compile(&program, options).unwrap();
        for (v, _) in self.graph.parameters() {
            run.write(self.name(v), &self.numbers[&v]).unwrap();
        }
        let inputs: Vec<(&str, &Tensor)> = self.graph.inputs().map(|v| (self.name(v), &self.numbers[&v])).collect();
        run.run(0, self.n, &inputs).unwrap();
        run
    }
    /// Every output equals the reference's, as far as `tolerance` of its largest element.
    pub fn check(&self, run: &dyn Executable, tolerance: f64) {
        let outputs: Vec<ValueId> = self.graph.outputs().iter().map(|o| o.1).collect();
        let want = evaluate(&self.graph, self.n, &self.numbers, Precision::F64, &outputs).unwrap();
        for ((name, _), want) in self.graph.outputs().iter().zip(want) {
            let want = want.to_f64();
            let scale = want.iter().fold(1e-3, |m: f64, v| m.max(v.abs()));
            for (a, b) in run.output(name).unwrap().as_f32().unwrap().iter().zip(want) {
                assert!((f64::from(*a) - b).abs() < tolerance * scale, "{name}: {a} and {b}");
            }
        }
    }
    /// One thread and three give the same bits.
    pub fn check_threads(&self) {
        let (one, three) = (self.run(1, &CompileOptions::default()), self.run(3, &CompileOptions::default()));
        for (name, _) in self.graph.outputs() {
            let of = |run: &dyn Executable| run.output(name).unwrap().to_tensor();
            assert!(of(&*one) == of(&*three), "{name}");
        }
    }
    /// The kernels that compute the graph.
    pub fn kernels(&self, run: &mut dyn Executable) -> Vec<String> {
        run.report(0, self.n).unwrap().nodes.into_iter().map(|n| n.kernel).collect()
    }
    /// The graph equals the reference, and these kernels are among those that compute it.
    pub fn check_with(&self, kernels: &[&str], tolerance: f64) {
        let mut run = self.run(2, &CompileOptions::default());
        self.check(&*run, tolerance);
        let used = self.kernels(&mut *run);
        for kernel in kernels {
            assert!(used.iter().any(|k| k == kernel), "{kernel} is not among {used:?}");
        }
    }
}
