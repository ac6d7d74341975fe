//! Trajectories of every optimiser against PyTorch's over 100 steps (goldens/optimisers.py).

use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Shape, Tensor};
use gabor_train::optimiser::{Adadelta, Adagrad, Adam, MomentumForm, Optimiser, RmsProp, Scalars, Sgd};
use gabor_train::step::{Entry, Forward, SHARE, StepOptions, program, reset_optimiser};
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("goldens/optimisers.json")).unwrap()
}

fn numbers(v: &Value) -> Vec<f32> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

/// Scores of softmax regression.
fn regression() -> Forward {
    let mut g = Graph::new("regression");
    let x = g.input("x", Shape::batch(&[4]), DType::F32).unwrap();
    let w = g.parameter("fc.weight", &[3, 4], Parameter::weight(Initializer::Zeros)).unwrap();
    let b = g.parameter("fc.bias", &[3], Parameter::bias(Initializer::Zeros)).unwrap();
    let y = g.matmul(x, w, false, true).unwrap();
    let logits = g.add(y, b).unwrap();
    Forward { graph: g, logits, auxiliary: Vec::new() }
}

struct Run {
    exe: Box<dyn Executable>,
    program: Program,
    options: StepOptions,
    scalars: Scalars,
    x: Vec<f32>,
    parts: usize,
    step: u64,
}

impl Run {
    fn new(options: StepOptions) -> Run {
        let golden = golden();
        let f = regression();
        let p = program(&f, &f, &options).unwrap();
        let mut exe = gabor_cpu::CpuBackend::default().compile(&p, &CompileOptions::default()).unwrap();
        exe.write("fc.weight", &Tensor::f32(&[3, 4], numbers(&golden["w"])).unwrap()).unwrap();
        exe.write("fc.bias", &Tensor::f32(&[3], numbers(&golden["b"])).unwrap()).unwrap();
        reset_optimiser(&p, &mut *exe).unwrap();
        let scalars = Scalars::new(&*options.optimiser);
        let parts = if options.accumulate { 3 } else { 1 };
        Run { exe, program: p, options, scalars, x: numbers(&golden["x"]), parts, step: 0 }
    }
    /// One step on the 12 samples, in equal parts.
    fn step(&mut self, lr: f64) {
        self.step += 1;
        self.scalars.set(&*self.options.optimiser, self.step, lr);
        let n = 12 / self.parts;
        for part in 0..self.parts {
            let x = Tensor::f32(&[n, 4], self.x[part * n * 4..][..n * 4].to_vec()).unwrap();
            let labels = Tensor::i32(&[n], (part * n..(part + 1) * n).map(|i| i as i32 % 3).collect()).unwrap();
            let share = Tensor::scalar(1.0 / self.parts as f32);
            let mut inputs: Vec<(&str, &Tensor)> = vec![("x", &x), ("labels", &labels)];
            if self.options.accumulate {
                inputs.push((SHARE, &share));
            }
            if part + 1 < self.parts {
                self.exe.run(Entry::Accumulate.of(&self.program).unwrap(), n, &inputs).unwrap();
            } else {
                inputs.extend(self.scalars.inputs());
                self.exe.run(Entry::Step.of(&self.program).unwrap(), n, &inputs).unwrap();
            }
        }
    }
    fn parameters(&self) -> Vec<f32> {
        let read = |name: &str| self.exe.read(name).unwrap().as_f32().unwrap().to_vec();
        [read("fc.weight"), read("fc.bias")].concat()
    }
}

fn options(optimiser: impl Optimiser + 'static, weight_decay: f64) -> StepOptions {
    StepOptions { weight_decay, decay_all: true, ..StepOptions::new(Box::new(optimiser)) }
}

#[test]
fn trajectories_equal_pytorchs() {
    let golden = golden();
    let steps: Vec<u64> = golden["steps"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect();
    let momentum = Sgd { momentum: 0.9, ..Default::default() };
    let inside = MomentumForm::RateInside;
    let clipped = || options(Sgd::default(), 0.0);
    let cases: Vec<(&str, f64, StepOptions)> = vec![
        ("sgd", 0.1, options(Sgd::default(), 0.0)),
        ("sgd decay", 0.1, options(Sgd::default(), 0.05)),
        ("momentum", 0.05, options(momentum, 1e-3)),
        // For a constant learning rate both forms of momentum give the same weights.
        ("momentum", 0.05, options(Sgd { form: inside, ..momentum }, 1e-3)),
        ("dampened", 0.05, options(Sgd { dampening: 0.5, ..momentum }, 0.0)),
        ("dampened", 0.05, options(Sgd { dampening: 0.5, form: inside, ..momentum }, 0.0)),
        ("nesterov", 0.05, options(Sgd { nesterov: true, ..momentum }, 0.0)),
        ("nesterov", 0.05, options(Sgd { nesterov: true, form: inside, ..momentum }, 0.0)),
        ("adagrad", 0.1, options(Adagrad { lr_decay: 0.01, ..Default::default() }, 1e-3)),
        ("adagrad initial", 0.1, options(Adagrad { initial: 0.1, ..Default::default() }, 0.0)),
        ("rmsprop", 0.01, options(RmsProp::default(), 1e-3)),
        ("rmsprop centred", 0.01, options(RmsProp { momentum: 0.5, centred: true, ..Default::default() }, 0.0)),
        ("adadelta", 1.0, options(Adadelta::default(), 1e-3)),
        ("adam", 0.01, options(Adam::default(), 1e-3)),
        ("amsgrad", 0.01, options(Adam { amsgrad: true, ..Default::default() }, 0.0)),
        ("adamw", 0.01, options(Adam::decoupled(), 0.1)),
        ("clip norm", 0.1, StepOptions { clip_norm: Some(0.2), ..clipped() }),
        ("clip value", 0.1, StepOptions { clip_value: Some(0.05), ..clipped() }),
        ("accumulate", 0.01, StepOptions { accumulate: true, ..options(Adam::decoupled(), 0.1) }),
    ];
    for (name, lr, options) in cases {
        let points: Vec<Vec<f32>> = golden["cases"][name].as_array().unwrap().iter().map(numbers).collect();
        let mut run = Run::new(options);
        for t in 1..=100 {
            run.step(lr);
            let Some(at) = steps.iter().position(|&s| s == t) else { continue };
            for (i, (a, b)) in run.parameters().iter().zip(&points[at]).enumerate() {
                assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{name}, step {t}, parameter {i}: {a}, PyTorch {b}");
            }
        }
    }
}

#[test]
fn decay_spares_biases_unless_told_otherwise() {
    let huge = |all| StepOptions { weight_decay: 0.5, decay_all: all, ..StepOptions::new(Box::new(Sgd::default())) };
    let (mut some, mut all) = (Run::new(huge(false)), Run::new(huge(true)));
    some.step(0.1);
    all.step(0.1);
    let (a, b) = (some.parameters(), all.parameters());
    assert_eq!(a[..12], b[..12]);
    let before = numbers(&golden()["b"]);
    for i in 0..3 {
        assert!((a[12 + i] - b[12 + i] - 0.05 * before[i]).abs() < 1e-6);
    }
}

#[test]
fn frozen_parameters_stay_and_factors_scale_steps() {
    let base = || StepOptions::new(Box::new(Sgd::default()));
    let start = [numbers(&golden()["w"]), numbers(&golden()["b"])].concat();
    let mut frozen = Run::new(StepOptions { freeze: vec!["fc.w*".into()], ..base() });
    let mut tenth = Run::new(StepOptions { factors: vec![("*".into(), 1.0), ("*.weight".into(), 0.1)], ..base() });
    let mut plain = Run::new(base());
    for r in [&mut frozen, &mut tenth, &mut plain] {
        r.step(0.1);
    }
    let (f, t, p) = (frozen.parameters(), tenth.parameters(), plain.parameters());
    assert_eq!(f[..12], start[..12]);
    assert_eq!(f[12..], p[12..]);
    assert_eq!(t[12..], p[12..]);
    for i in 0..12 {
        assert!(((t[i] - start[i]) * 10.0 - (p[i] - start[i])).abs() < 1e-5);
    }
    let e = program(&regression(), &regression(), &StepOptions { freeze: vec!["fc.wieght".into()], ..base() });
    let e = e.unwrap_err().to_string();
    assert_eq!(e, "freeze: `fc.wieght` fits no parameter; right would be: `fc.weight`; all: fc.weight, fc.bias");
    for (pattern, right) in [("fc", "`fc*`"), ("fcc*", "`fc*`")] {
        let options = StepOptions { freeze: vec![pattern.into()], ..base() };
        let e = program(&regression(), &regression(), &options).unwrap_err().to_string();
        assert_eq!(e, format!("freeze: `{pattern}` fits no parameter; right would be: {right}"));
    }
    let e = program(&regression(), &regression(), &StepOptions { freeze: vec!["*".into()], ..base() });
    assert!(e.unwrap_err().to_string().contains("none of 2 parameters is left to train"));
}

#[test]
fn a_step_that_is_not_finite_changes_no_parameter() {
    let mut run = Run::new(StepOptions::new(Box::new(Adam::default())));
    run.step(0.1);
    let before = run.parameters();
    run.x[7] = f32::NAN;
    run.step(0.1);
    assert_eq!(run.parameters(), before);
    assert!(run.exe.output("gradient_norm").unwrap().scalar().unwrap().is_nan());
}
