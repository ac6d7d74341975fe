//! Parameters that a program only reads are shared with whoever wrote them.

use gabor_compile::{Backend, CompileOptions, Executable, Program};
use gabor_cpu::CpuBackend;
use gabor_graph::{Graph, Initializer, Parameter};
use gabor_tensor::{DType, Data, Floats, Padding, Rule, Shape, Stream, Tensor, Unread, WindowOptions, rng::op};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Large enough to be shared, and for tiles.
const CHANNELS: usize = 64;

/// A convolution whose weight is an output, too; with `updated`, also a weight that each run replaces by its double.
fn program(updated: bool) -> Program {
    let mut g = Graph::new("shared");
    let x = g.input("x", Shape::batch(&[CHANNELS, 6, 6]), DType::F32).unwrap();
    let weight = Parameter::weight(Initializer::Zeros);
    let w = g.parameter("w", &[CHANNELS, CHANNELS, 3, 3], weight).unwrap();
    let options = WindowOptions { padding: Padding::all(1), ..Default::default() };
    let y = g.conv(x, w, 1, &options).unwrap();
    g.output("y", y);
    g.output("weight", w);
    if updated {
        let twice = g.scale(w, 2.0).unwrap();
        g.update(w, twice).unwrap();
    }
    Program::single("run", g.validate().unwrap())
}

fn filled(v: f32) -> Tensor {
    Tensor::f32(&[CHANNELS, CHANNELS, 3, 3], vec![v; CHANNELS * CHANNELS * 9]).unwrap()
}

fn compile(updated: bool) -> Box<dyn Executable> {
    CpuBackend::default().compile(&program(updated), &CompileOptions::default()).unwrap()
}

/// The output of a pixel whose window lies inside the picture.
fn inner(run: &mut dyn Executable, n: usize) -> f32 {
    let x = Tensor::f32(&[n, CHANNELS, 6, 6], vec![1.0; n * CHANNELS * 36]).unwrap();
    run.run(0, n, &[("x", &x)]).unwrap();
    run.output("y").unwrap().as_f32().unwrap()[2 * 6 + 2]
}

fn address(t: &Tensor) -> *const f32 {
    t.as_f32().unwrap().as_ptr()
}

#[test]
fn a_parameter_that_is_only_read_is_not_copied() {
    let mut run = compile(false);
    assert_eq!(inner(&mut *run, 1), 0.0, "parameters are zero until they are written");
    let mut w = filled(0.5);
    run.write("w", &w).unwrap();
    assert_eq!(address(&run.read("w").unwrap()), address(&w));
    assert_eq!(inner(&mut *run, 1), 0.5 * 9.0 * CHANNELS as f32);
    // What its writer does with it later is not seen.
    let Data::F32(v) = w.data_mut() else { panic!() };
    v.fill(7.0);
    assert_eq!(inner(&mut *run, 1), 0.5 * 9.0 * CHANNELS as f32);
    assert_eq!(inner(&mut *run, 2), 0.5 * 9.0 * CHANNELS as f32);
    run.write("w", &w).unwrap();
    drop(w);
    // An output that is a parameter is the new one, before and after the next run of any plan.
    assert_eq!(run.output("weight").unwrap().as_f32().unwrap()[..3], [7.0; 3]);
    for n in [1, 2, 3] {
        assert_eq!(inner(&mut *run, n), 7.0 * 9.0 * CHANNELS as f32);
        assert_eq!(run.output("weight").unwrap().as_f32().unwrap()[..3], [7.0; 3]);
    }
}

#[test]
fn a_parameter_that_is_updated_is_its_own() {
    let mut run = compile(true);
    let w = filled(0.5);
    run.write("w", &w).unwrap();
    for factor in [1.0, 2.0, 4.0] {
        assert_eq!(inner(&mut *run, 1), factor * 0.5 * 9.0 * CHANNELS as f32);
    }
    assert_eq!(run.read("w").unwrap(), filled(4.0));
    assert_eq!(w, filled(0.5));
}

#[test]
fn a_plan_for_one_run_makes_less_of_its_weights() {
    // Four tiles a picture: transforming the filter takes longer than they save, unless it serves many runs.
    let mut g = Graph::new("once");
    let x = g.input("x", Shape::batch(&[256, 7, 7]), DType::F32).unwrap();
    let w = g.parameter("w", &[256, 256, 3, 3], Parameter::weight(Initializer::Zeros)).unwrap();
    let y = g.conv(x, w, 1, &WindowOptions { padding: Padding::all(1), ..Default::default() }).unwrap();
    g.output("y", y);
    let program = Program::single("run", g.validate().unwrap());
    let numbers = |shape: &[usize], key: u32| {
        let mut s = Stream::new(3, 0, key, op::TEST);
        Tensor::f32(shape, (0..shape.iter().product()).map(|_| s.normal() as f32).collect()).unwrap()
    };
    let (x, w) = (numbers(&[1, 256, 7, 7], 0), numbers(&[256, 256, 3, 3], 1));
    let answer = |once: bool| {
        let options = CompileOptions { once, ..Default::default() };
        let mut run = CpuBackend::default().compile(&program, &options).unwrap();
        run.write("w", &w).unwrap();
        run.run(0, 1, &[("x", &x)]).unwrap();
        let kernels: Vec<String> = run.report(0, 1).unwrap().nodes.into_iter().map(|n| n.kernel).collect();
        (run.output("y").unwrap().as_f32().unwrap().to_vec(), kernels.join(" "))
    };
    let ((seldom, direct), (often, tiled)) = (answer(true), answer(false));
    assert!(!direct.contains("winograd") && tiled.contains("winograd"), "{direct}; {tiled}");
    for (a, b) in seldom.iter().zip(&often) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
}

/// Elements that lie elsewhere, as far as they are there, and how many were read.
struct Elsewhere {
    value: f32,
    there: usize,
    read: AtomicUsize,
}

impl Floats for Elsewhere {
    fn read(&self, from: usize, to: &mut [f32]) -> Result<(), Rule> {
        self.read.fetch_add(to.len(), Ordering::Relaxed);
        to.fill(self.value);
        match from + to.len() <= self.there {
            true => Ok(()),
            false => Err(Rule::new("the file ends").right("a whole file")),
        }
    }
}

#[test]
fn unread_parameters_are_read_when_a_step_needs_them() {
    // Two weights of different sizes, each of one convolution.
    let mut g = Graph::new("unread");
    let x = g.input("x", Shape::batch(&[CHANNELS, 6, 6]), DType::F32).unwrap();
    let options = WindowOptions { padding: Padding::all(1), ..Default::default() };
    let mut y = x;
    let shapes = [[4 * CHANNELS, CHANNELS, 3, 3], [CHANNELS, 4 * CHANNELS, 1, 1]];
    for (i, shape) in shapes.iter().enumerate() {
        let w = g.parameter(&format!("w{i}"), shape, Parameter::weight(Initializer::Zeros)).unwrap();
        let padding = Padding::all(shape[2] / 2);
        y = g.conv(y, w, 1, &WindowOptions { padding, ..options.clone() }).unwrap();
    }
    g.output("y", y);
    let program = Program::single("run", g.validate().unwrap());
    let elements = |shape: &[usize]| shape.iter().product::<usize>();
    let elsewhere = |value, there| Arc::new(Elsewhere { value, there, read: AtomicUsize::new(0) });
    let expected = |a: f32, b: f32| a * b * (9 * CHANNELS * 4 * CHANNELS) as f32;
    for once in [true, false] {
        let options = CompileOptions { once, ..Default::default() };
        let mut run = CpuBackend::default().compile(&program, &options).unwrap();
        let sources = [elsewhere(0.5, usize::MAX), elsewhere(2.0, usize::MAX)];
        for (i, (source, shape)) in sources.iter().zip(&shapes).enumerate() {
            run.write_unread(&format!("w{i}"), &Unread::new(shape, source.clone())).unwrap();
        }
        let read = || sources.each_ref().map(|s| s.read.load(Ordering::Relaxed));
        assert_eq!(read(), [0, 0], "they are read by a run");
        assert_eq!(inner(&mut *run, 1), expected(0.5, 2.0));
        let whole = shapes.each_ref().map(|s| elements(s));
        assert_eq!(read(), whole);
        assert_eq!(run.read("w1").unwrap(), Tensor::f32(&shapes[1], vec![2.0; whole[1]]).unwrap());
        // Another plan with the same parameters, then the first again.
        for n in [3, 1] {
            assert_eq!(inner(&mut *run, n), expected(0.5, 2.0));
        }
        // A tensor in the place of an unread one, and back.
        run.write("w0", &Tensor::f32(&shapes[0], vec![3.0; whole[0]]).unwrap()).unwrap();
        assert_eq!(inner(&mut *run, 1), expected(3.0, 2.0));
        run.write_unread("w0", &Unread::new(&shapes[0], elsewhere(0.25, usize::MAX))).unwrap();
        assert_eq!(inner(&mut *run, 1), expected(0.25, 2.0));
        // What cannot be read is told of by the run, which leaves no outputs; nothing else is lost.
        run.write_unread("w1", &Unread::new(&shapes[1], elsewhere(2.0, whole[1] - 1))).unwrap();
        let x = Tensor::f32(&[1, CHANNELS, 6, 6], vec![1.0; CHANNELS * 36]).unwrap();
        let e = run.run(0, 1, &[("x", &x)]).unwrap_err().to_string();
        assert!(e.contains("w1") && e.contains("the file ends"), "{e}");
        assert!(run.output("y").is_err());
        run.write_unread("w1", &Unread::new(&shapes[1], elsewhere(2.0, usize::MAX))).unwrap();
        assert_eq!(inner(&mut *run, 1), expected(0.25, 2.0));
        let e = run.write_unread("w1", &Unread::new(&shapes[0], elsewhere(2.0, usize::MAX))).unwrap_err().to_string();
        assert!(e.contains("w1") && e.contains("[64, 256, 1, 1]"), "{e}");
    }
}

#[test]
fn unread_parameters_that_cannot_wait_are_read_at_once() {
    for updated in [false, true] {
        let mut run = compile(updated);
        let unread = Unread::new(
            filled(0.0).shape(),
            Arc::new(Elsewhere { value: 0.5, there: usize::MAX, read: AtomicUsize::new(0) }),
        );
        run.write_unread("w", &unread).unwrap();
        // It is an output, too.
        assert_eq!(inner(&mut *run, 1), 0.5 * 9.0 * CHANNELS as f32);
        assert_eq!(run.output("weight").unwrap().as_f32().unwrap()[..3], [0.5; 3]);
        assert_eq!(run.read("w").unwrap(), filled(if updated { 1.0 } else { 0.5 }));
    }
}
