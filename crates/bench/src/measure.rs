//! Timing a workload.

use crate::workload::{Kind, Layer, Workload};
use gabor_compile::{Backend, CompileOptions, Error, Executable, Program, Recompute, Result, differentiate_with};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_nets::{Mode, initial_values, zoo};
use gabor_tensor::{DType, Padding, Rule, Shape, Stream, Tensor, WindowOptions, rng};
use gabor_train::optimiser::{Scalars, Sgd};
use gabor_train::step::{Forward, StepOptions, step};
use serde::Serialize;
use std::time::Instant;

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    /// Samples; each is the mean over enough iterations.
    pub repeats: usize,
    /// Seconds for all samples together.
    pub seconds: f64,
    /// What a training step computes again instead of keeping it.
    pub recompute: Recompute,
}

/// A result, with the keys of the peers' rows.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Name of the workload.
    pub workload: String,
    /// `gabor`.
    pub peer: &'static str,
    /// Version of this crate.
    pub version: &'static str,
    /// The backend.
    pub variant: String,
    /// Threads.
    pub threads: usize,
    /// Batch size.
    pub batch: usize,
    /// Shortest sample, in milliseconds.
    pub ms_min: f64,
    /// Median sample, in milliseconds.
    pub ms_median: f64,
    /// Longest sample, in milliseconds.
    pub ms_max: f64,
    /// Useful work of direct convolution over the median time, in GFLOP/s.
    pub gflops: Option<f64>,
    /// Largest resident memory of the process, in MB.
    pub peak_rss_mb: Option<f64>,
    /// Least traffic of memory over the median time, in GB/s.
    pub gb_s: Option<f64>,
    /// Floating-point operations of one iteration.
    pub flops: Option<u64>,
    /// Number of samples.
    pub samples: usize,
    /// Seconds to build, compile and warm up.
    pub build_s: f64,
}

/// A workload, ready to run.
struct Case {
    run: Box<dyn Executable>,
    inputs: Vec<(String, Tensor)>,
    n: usize,
    divide: f64,
    flops: Option<u64>,
    bytes: Option<u64>,
}

/// Times a workload on a backend with `threads` threads. `peak_memory` is asked once at the end.
///
/// # Errors
/// A network that does not build, or a graph that does not compile.
pub fn measure(
    workload: &Workload,
    backend: &dyn Backend,
    threads: usize,
    how: Measure,
    peak_memory: &dyn Fn() -> Option<f64>,
) -> Result<Row> {
    let started = Instant::now();
    let mut case = build(workload, backend, how.recompute)?;
    let inputs: Vec<(&str, &Tensor)> = case.inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let mut once = || case.run.run(0, case.n, &inputs);
    // Warm up for a moment, and learn how long an iteration takes.
    let mut best = f64::MAX;
    let warm = Instant::now();
    let mut rounds = 0;
    while rounds < 3 || warm.elapsed().as_secs_f64() < (how.seconds / 4.0).min(0.5) {
        let t = Instant::now();
        once()?;
        best = best.min(t.elapsed().as_secs_f64());
        rounds += 1;
        if rounds >= 3 && best > how.seconds {
            break;
        }
    }
    let build_s = started.elapsed().as_secs_f64();
    let iterations = ((how.seconds / how.repeats as f64 / best) as usize).max(1);
    let mut samples = Vec::with_capacity(how.repeats);
    for _ in 0..how.repeats.max(1) {
        once()?;
        let t = Instant::now();
        for _ in 0..iterations {
            once()?;
        }
        samples.push(t.elapsed().as_secs_f64() * 1e3 / iterations as f64 / case.divide);
    }
    samples.sort_by(f64::total_cmp);
    let median = (samples[(samples.len() - 1) / 2] + samples[samples.len() / 2]) / 2.0;
    Ok(Row {
        workload: workload.name(),
        peer: "gabor",
        version: env!("CARGO_PKG_VERSION"),
        variant: backend.name().to_string(),
        threads,
        batch: case.n,
        ms_min: samples[0],
        ms_median: median,
        ms_max: samples[samples.len() - 1],
        gflops: case.flops.map(|f| f as f64 / median / 1e6),
        peak_rss_mb: peak_memory(),
        gb_s: case.bytes.map(|b| b as f64 / median / 1e6),
        flops: case.flops,
        samples: samples.len(),
        build_s,
    })
}

/// One kernel call of a profile.
#[derive(Clone, Debug, Serialize)]
pub struct Profiled {
    /// The node, or what is reordered.
    pub node: String,
    /// The kernel that computes it.
    pub kernel: String,
    /// The shortest time.
    pub seconds: f64,
    /// Floating-point operations (of direct convolution, whatever the algorithm).
    pub flops: u64,
    /// Bytes of all that it reads and writes.
    pub bytes: u64,
}

/// The shortest time of each kernel call of a workload in `rounds` runs, in the order of execution.
///
/// # Errors
/// As [`measure`].
pub fn profile(
    workload: &Workload,
    backend: &dyn Backend,
    recompute: Recompute,
    rounds: usize,
) -> Result<Vec<Profiled>> {
    let mut case = build(workload, backend, recompute)?;
    let inputs: Vec<(&str, &Tensor)> = case.inputs.iter().map(|(n, t)| (n.as_str(), t)).collect();
    let times = case.run.profile(0, case.n, &inputs, rounds)?;
    let report = case.run.report(0, case.n)?;
    let nodes = report.nodes.into_iter().filter(|n| !n.prepared);
    let row = |(r, (node, seconds)): (gabor_compile::NodeReport, (String, f64))| Profiled {
        node,
        kernel: r.kernel,
        seconds,
        flops: r.flops,
        bytes: r.bytes,
    };
    Ok(nodes.zip(times).map(row).collect())
}

fn build(workload: &Workload, backend: &dyn Backend, recompute: Recompute) -> Result<Case> {
    match *workload {
        Workload::Layer { layer, n, backward, copies } => {
            let (flops, bytes) = layer.cost(n, backward);
            let (graph, inputs) = layer_graph(&layer, n, backward, copies)?;
            let run = start(backend, graph, recompute)?;
            Ok(Case { run, inputs, n, divide: copies as f64, flops, bytes: Some(bytes) })
        }
        Workload::Infer { model, n } => {
            let graph = network(model)?.graph(Mode::Infer)?;
            let flops = Some(forward_flops(&graph, n).0);
            let inputs = given(&graph, n, 1000);
            let run = start(backend, graph, recompute)?;
            Ok(Case { run, inputs, n, divide: 1.0, flops, bytes: None })
        }
        Workload::Train { model, n } => {
            // As the peers are timed: without auxiliary heads.
            let net = network(model)?.without_auxiliary();
            let (forward, first) = forward_flops(&net.graph(Mode::Infer)?, n);
            let graph = net.graph(Mode::Train)?;
            let logits = (graph.output_value("logits"))
                .ok_or_else(|| Error::new(model, Rule::new("the network has no logits")))?;
            let sgd = Sgd { momentum: 0.9, ..Default::default() };
            let mut scalars = Scalars::new(&sgd);
            scalars.set(&sgd, 1, 1e-3);
            let failed = |e: gabor_train::Error| Error::new(model, Rule::new(e.to_string()));
            let options = StepOptions::new(Box::new(sgd));
            let graph = step(Forward { graph, logits, auxiliary: Vec::new() }, &options).map_err(failed)?;
            let mut inputs = given(&graph, n, net.classes());
            for (name, t) in scalars.inputs() {
                if let Some(at) = inputs.iter_mut().find(|i| i.0 == name) {
                    at.1 = t.clone();
                }
            }
            let run = start(backend, graph, recompute)?;
            // A training step needs no gradient of the input image.
            Ok(Case { run, inputs, n, divide: 1.0, flops: Some(3 * forward - first), bytes: None })
        }
    }
}

/// The network that the peers time under this name.
fn network(model: &str) -> Result<gabor_nets::Network> {
    Ok(zoo::by_name(model, &zoo::Options::default())?)
}

/// Work of all convolutions and products, and of the first of them.
fn forward_flops(graph: &Graph, n: usize) -> (u64, u64) {
    let heavy = |name: &str| name.starts_with("conv") || name == "matmul" || name == "linear";
    let costs: Vec<u64> = (graph.nodes().iter())
        .filter(|node| heavy(node.operation.name()))
        .map(|node| {
            let types = |ids: &[ValueId]| ids.iter().map(|&v| graph.ty(v).clone()).collect::<Vec<_>>();
            node.operation.cost(&types(&node.inputs), &types(&node.outputs), n).flops
        })
        .collect();
    (costs.iter().sum(), costs.first().copied().unwrap_or(0))
}

/// Compiles a graph and fills its parameters.
fn start(backend: &dyn Backend, graph: Graph, recompute: Recompute) -> Result<Box<dyn Executable>> {
    let options = CompileOptions { recompute, ..Default::default() };
    let graph = graph.validate()?;
    let mut run = backend.compile(&Program::single("bench", graph.clone()), &options)?;
    for (name, t) in initial_values(&graph, 1) {
        run.write(&name, &t)?;
    }
    Ok(run)
}

/// Random numbers for every input: normal floats, labels below `classes`.
fn given(graph: &Graph, n: usize, classes: usize) -> Vec<(String, Tensor)> {
    (graph.inputs())
        .map(|v| {
            let value = graph.value(v);
            (value.name.clone(), random(&value.ty.shape.at(n), value.ty.dtype, rng::name_key(&value.name), classes))
        })
        .collect()
}

fn random(shape: &[usize], dtype: DType, key: u32, classes: usize) -> Tensor {
    let mut s = Stream::new(1, 0, key, rng::op::TEST);
    let len = shape.iter().product::<usize>();
    let made = match dtype {
        DType::I32 => Tensor::i32(shape, (0..len).map(|_| s.below(classes) as i32).collect()),
        _ => Tensor::f32(shape, (0..len).map(|_| s.normal() as f32).collect()),
    };
    made.unwrap_or_else(|_| Tensor::zeros(shape, dtype))
}

fn layer_graph(l: &Layer, n: usize, backward: bool, copies: usize) -> Result<(Graph, Vec<(String, Tensor)>)> {
    let mut g = Graph::new(l.name);
    let x = g.input("x", Shape::batch(&[l.ci, l.hw, l.hw]), DType::F32)?;
    let window = WindowOptions::new(&[l.kernel, l.kernel]).stride(&[l.stride, l.stride]).padding(Padding::all(l.pad));
    let mut wrt = vec![x];
    let mut y = x;
    for i in 0..copies {
        let init = Initializer::KaimingNormal { a: 0.0, fan_out: false };
        y = match l.kind {
            Kind::Conv => {
                let shape = [l.co, l.ci / l.groups, l.kernel, l.kernel];
                let w = g.parameter(&format!("conv{i}.weight"), &shape, Parameter::weight(init))?;
                wrt.push(w);
                g.conv(y, w, l.groups, &window)?
            }
            Kind::MaxPool => g.max_pool(y, &window)?,
            Kind::AvgPool => g.avg_pool(y, &window)?,
            Kind::BatchNormRelu => {
                let mut vector = |name: &str, p: Parameter| g.parameter(name, &[l.ci], p);
                let gamma = vector("bn.weight", Parameter::bias(Initializer::Ones))?;
                let beta = vector("bn.bias", Parameter::bias(Initializer::Zeros))?;
                let mean = vector("bn.running_mean", Parameter::state(Initializer::Zeros))?;
                let var = vector("bn.running_var", Parameter::state(Initializer::Ones))?;
                let normal = if backward {
                    wrt.extend([gamma, beta]);
                    let op = gabor_graph::ops::BatchNorm { eps: 1e-5, momentum: 0.1 };
                    let out = g.add_node(op, &[y, gamma, beta, mean, var])?;
                    g.update(mean, out[3])?;
                    g.update(var, out[4])?;
                    out[0]
                } else {
                    g.batch_norm_inference(y, [gamma, beta, mean, var], 1e-5)?
                };
                g.unary(gabor_tensor::Unary::Relu, normal)?
            }
        };
    }
    if backward {
        let dy = g.input("dy", g.shape(y).clone(), DType::F32)?;
        let gradients = differentiate_with(&mut g, &[(y, dy)], &wrt, &|_, _| Ok(None))?;
        for (i, d) in gradients.into_iter().enumerate() {
            if let Some(d) = d {
                g.output(format!("d{i}"), d);
            }
        }
    }
    g.output("y", y);
    let inputs = given(&g, n, 10);
    Ok((g, inputs))
}
