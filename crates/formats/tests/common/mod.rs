//! What the tests of ONNX share: running graphs by the reference, writing cases for ONNX Runtime.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

use gabor_cpu::reference::{Precision, evaluate};
use gabor_formats::npy;
use gabor_graph::{Graph, Problem, Source};
use gabor_tensor::{Data, Stream, Tensor, Weights, rng::op::TEST};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The outputs of a graph for inputs by name, computed by the reference in 32 bits.
pub fn outputs(graph: &Graph, n: usize, inputs: &HashMap<String, Tensor>, weights: &Weights) -> Vec<Tensor> {
    let mut bindings = HashMap::new();
    for v in graph.value_ids() {
        let value = graph.value(v);
        let tensor = match value.source {
            Source::Input => inputs.get(&value.name),
            Source::Parameter(_) => weights.get(&value.name),
            _ => None,
        };
        if let Some(t) = tensor {
            bindings.insert(v, t.clone());
        }
    }
    let wanted: Vec<_> = graph.outputs().iter().map(|&(_, v)| v).collect();
    evaluate(graph, n, &bindings, Precision::F32, &wanted).unwrap()
}

/// Normal numbers in a tensor.
pub fn normal(shape: &[usize], seed: u32) -> Tensor {
    let mut s = Stream::new(3, 0, seed, TEST);
    Tensor::f32(shape, (0..shape.iter().product()).map(|_| s.normal() as f32).collect()).unwrap()
}

/// Small numbers for every parameter of a graph, positive ones where the name ends in `var`.
pub fn random_weights(graph: &Graph) -> Weights {
    let mut w = Weights::new();
    for (i, (v, _)) in graph.parameters().enumerate() {
        let value = graph.value(v);
        let shape = value.ty.shape.at(1);
        let fan: usize = shape.iter().skip(1).product();
        let mut t = normal(&shape, 100 + i as u32);
        if let Data::F32(x) = t.data_mut() {
            x.iter_mut().for_each(|x| {
                *x *= (1.0 / fan as f32).sqrt();
                if value.name.ends_with("var") {
                    *x = 0.5 + x.abs();
                }
            });
        }
        w.insert(value.name.clone(), t);
    }
    w
}

/// The largest difference of two tensors relative to their size; infinite for other shapes.
pub fn difference(a: &Tensor, b: &Tensor) -> f64 {
    if a.shape() != b.shape() || a.dtype() != b.dtype() {
        return f64::INFINITY;
    }
    let scale = a.to_f64().iter().fold(1.0, |m: f64, x| m.max(x.abs()));
    a.to_f64().iter().zip(b.to_f64()).fold(0.0, |m: f64, (x, y)| m.max((x - y).abs() / scale))
}

/// A graph of one operation over inputs, all outputs named `y0`, `y1`, ….
pub fn one_operation(p: &Problem) -> Graph {
    let mut g = Graph::new("sample");
    let ids: Vec<_> = (p.inputs.iter().enumerate())
        .map(|(i, (shape, dtype, _))| g.input(&format!("x{i}"), shape.clone(), *dtype).unwrap())
        .collect();
    g.scope("op");
    let out = g.add_shared(p.operation.clone(), &ids).unwrap();
    out.into_iter().enumerate().for_each(|(i, v)| g.output(format!("y{i}"), v));
    g
}

/// Cases for `check_onnx.py`, gathered in a directory.
pub struct Cases {
    directory: PathBuf,
    cases: Vec<serde_json::Value>,
}

impl Cases {
    pub fn new(name: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&directory);
        std::fs::create_dir_all(&directory).unwrap();
        Cases { directory, cases: Vec::new() }
    }
    pub fn len(&self) -> usize {
        self.cases.len()
    }
    pub fn add(&mut self, name: &str, model: &[u8], inputs: &HashMap<String, Tensor>, outputs: &[(String, Tensor)]) {
        let i = self.cases.len();
        let save = |what: &str, k: usize, t: &Tensor| {
            let file = format!("{i}.{what}{k}.npy");
            std::fs::write(self.directory.join(&file), npy::write(t)).unwrap();
            file
        };
        std::fs::write(self.directory.join(format!("{i}.onnx")), model).unwrap();
        let ins: HashMap<&str, String> =
            inputs.iter().enumerate().map(|(k, (name, t))| (name.as_str(), save("in", k, t))).collect();
        let outs: HashMap<&str, String> =
            outputs.iter().enumerate().map(|(k, (name, t))| (name.as_str(), save("out", k, t))).collect();
        self.cases.push(serde_json::json!({
            "name": name, "model": format!("{i}.onnx"), "inputs": ins, "outputs": outs, "tolerance": 2e-5,
        }));
    }
    /// Runs the script with `GABOR_PYTHON` or `python3`; says why where it cannot.
    pub fn check(&self) {
        let text = serde_json::Value::from(self.cases.clone()).to_string();
        std::fs::write(self.directory.join("cases.json"), text).unwrap();
        let python = std::env::var("GABOR_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_onnx.py");
        let Ok(out) = std::process::Command::new(&python).arg(script).arg(&self.directory).output() else {
            println!("skipped: {python} does not run");
            return;
        };
        let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        println!("{text}");
        assert!(matches!(out.status.code(), Some(0 | 3)), "{text}");
    }
}
