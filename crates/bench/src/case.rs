//! Workloads as graphs, compiled and given something to compute.

use crate::workload::{Kind, Layer, Workload};
use gabor_compile::{Backend, CompileOptions, Error, Executable, Program, Recompute, Result, differentiate_with};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_nets::{Mode, Net, Network, conv, initial_values, zoo};
use gabor_tensor::{DType, Padding, Rule, Shape, Stream, Tensor, WindowOptions, rng};
use gabor_train::optimiser::{Scalars, Sgd};
use gabor_train::step::{Forward, StepOptions, step};

/// The seed of all weights and inputs.
pub(crate) const SEED: u64 = 1;

/// A workload, ready to run.
pub(crate) struct Case {
    /// One for each backend, alike but for that.
    pub runs: Vec<Box<dyn Executable>>,
    pub inputs: Vec<(String, Tensor)>,
    /// Names of the graph's outputs.
    pub outputs: Vec<String>,
    /// Batch size.
    pub n: usize,
    /// By how much a time is divided.
    pub divide: f64,
    pub flops: Option<u64>,
    pub bytes: Option<u64>,
}

impl Case {
    /// The inputs as a run wants them.
    pub fn given(&self) -> Vec<(&str, &Tensor)> {
        self.inputs.iter().map(|(n, t)| (n.as_str(), t)).collect()
    }
}

/// Compiles a workload on each of the backends.
pub(crate) fn build(workload: &Workload, backends: &[&dyn Backend], recompute: Recompute) -> Result<Case> {
    let sketch = sketch(workload)?;
    let n = workload.batch();
    let mut inputs = given(&sketch.graph, n, sketch.classes);
    for (name, t) in sketch.scalars {
        if let Some(at) = inputs.iter_mut().find(|i| i.0 == name) {
            at.1 = t;
        }
    }
    let outputs = sketch.graph.outputs().iter().map(|(name, _)| name.clone()).collect();
    let runs = start(backends, sketch.graph, recompute)?;
    Ok(Case { runs, inputs, outputs, n, divide: sketch.divide, flops: sketch.flops, bytes: sketch.bytes })
}

/// Bytes that a workload takes on all of the backends at once, by their plans. Nothing is run or filled.
///
/// # Errors
/// As [`measure`](crate::measure).
pub fn memory(workload: &Workload, backends: &[&dyn Backend], recompute: Recompute) -> Result<u64> {
    let graph = sketch(workload)?.graph.validate()?;
    let n = workload.batch();
    let options = CompileOptions { recompute, ..Default::default() };
    let program = Program::single("bench", graph.clone());
    let inputs = graph.inputs().map(|v| (graph.shape(v).at(n), graph.ty(v).dtype));
    let mut bytes = inputs.map(|(shape, dtype)| shape.iter().product::<usize>() * dtype.size()).sum::<usize>();
    for backend in backends {
        let plan = backend.compile(&program, &options)?.report(0, n)?;
        bytes += plan.parameter_bytes + plan.arena_bytes + plan.scratch_bytes;
        bytes += plan.kept.iter().map(|h| h.bytes).sum::<usize>();
    }
    Ok(bytes as u64)
}

/// What a workload computes.
struct Sketch {
    graph: Graph,
    /// Labels are below this.
    classes: usize,
    /// Inputs that are no random numbers.
    scalars: Vec<(String, Tensor)>,
    divide: f64,
    flops: Option<u64>,
    bytes: Option<u64>,
}

fn sketch(workload: &Workload) -> Result<Sketch> {
    let n = workload.batch();
    match *workload {
        Workload::Layer { layer, backward, copies, .. } => {
            let (flops, bytes) = layer.cost(n, backward);
            let graph = layer_graph(&layer, backward, copies)?;
            Ok(Sketch { graph, classes: 10, scalars: Vec::new(), divide: copies as f64, flops, bytes: Some(bytes) })
        }
        Workload::Infer { .. } | Workload::Sized { .. } => {
            let graph = network(workload)?.graph(Mode::Infer)?;
            let flops = Some(forward_flops(&graph, n).0);
            Ok(Sketch { graph, classes: 1000, scalars: Vec::new(), divide: 1.0, flops, bytes: None })
        }
        Workload::Train { model, .. } => {
            let net = network(workload)?;
            let (forward, first) = forward_flops(&net.graph(Mode::Infer)?, n);
            let graph = net.graph(Mode::Train)?;
            let logits = (graph.output_value("logits"))
                .ok_or_else(|| Error::new(model, Rule::new("the network has no logits")))?;
            let sgd = Sgd { momentum: 0.9, ..Default::default() };
            let mut scalars = Scalars::new(&sgd);
            scalars.set(&sgd, 1, 1e-3);
            let scalars = scalars.inputs().map(|(name, t)| (name.to_string(), t.clone())).collect();
            let failed = |e: gabor_train::Error| Error::new(model, Rule::new(e.to_string()));
            let options = StepOptions::new(Box::new(sgd));
            let graph = step(Forward { graph, logits, auxiliary: Vec::new() }, &options).map_err(failed)?;
            // A training step needs no gradient of the input image.
            let flops = Some(3 * forward - first);
            Ok(Sketch { graph, classes: net.classes(), scalars, divide: 1.0, flops, bytes: None })
        }
    }
}

/// The graph whose parameters are a workload's weights: that of inference, since an optimiser adds parameters of its own.
pub(crate) fn weighted(workload: &Workload) -> Result<Graph> {
    match *workload {
        Workload::Layer { layer, backward, copies, .. } => layer_graph(&layer, backward, copies),
        _ => Ok(network(workload)?.graph(Mode::Infer)?),
    }
}

/// The network that the peers time under this name.
fn network(workload: &Workload) -> Result<Network> {
    let named = |model: &str, options: zoo::Options| -> Result<Network> { Ok(zoo::by_name(model, &options)?) };
    match *workload {
        Workload::Sized { model: VGG_CONVOLUTIONS, size, .. } => Ok(vgg_convolutions(size)),
        Workload::Sized { model, size, .. } => {
            named(model, zoo::Options { input: Some(vec![size]), ..Default::default() })
        }
        Workload::Infer { model, .. } => named(model, zoo::Options::default()),
        // As the peers are timed: without auxiliary heads.
        Workload::Train { model, .. } => Ok(named(model, zoo::Options::default())?.without_auxiliary()),
        Workload::Layer { layer, .. } => Err(Error::new(layer.name, Rule::new("a layer is no network"))),
    }
}

/// VGG-16 without its classifier, whose cost is the same for any picture.
pub(crate) const VGG_CONVOLUTIONS: &str = "vgg16_convolutions";

fn vgg_convolutions(size: usize) -> Network {
    Network::new(VGG_CONVOLUTIONS, &[3, size, size], 512, |net: &mut Net| {
        for (i, (filters, layers)) in [(64, 2), (128, 2), (256, 3), (512, 3), (512, 3)].into_iter().enumerate() {
            for j in 0..layers {
                net.conv(&format!("conv{}_{}", i + 1, j + 1), conv(filters, 3).pad(1))?.relu()?;
            }
            net.max_pool(2)?;
        }
        Ok(())
    })
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

/// Compiles a graph on each backend and fills its parameters.
fn start(backends: &[&dyn Backend], graph: Graph, recompute: Recompute) -> Result<Vec<Box<dyn Executable>>> {
    let options = CompileOptions { recompute, ..Default::default() };
    let graph = graph.validate()?;
    let program = Program::single("bench", graph.clone());
    let mut runs = backends.iter().map(|b| b.compile(&program, &options)).collect::<Result<Vec<_>>>()?;
    for (name, t) in initial_values(&graph, SEED) {
        for run in &mut runs {
            run.write(&name, &t)?;
        }
    }
    Ok(runs)
}

/// Random numbers for every input: normal floats, labels below `classes`.
pub(crate) fn given(graph: &Graph, n: usize, classes: usize) -> Vec<(String, Tensor)> {
    (graph.inputs())
        .map(|v| {
            let value = graph.value(v);
            (value.name.clone(), random(&value.ty.shape.at(n), value.ty.dtype, rng::name_key(&value.name), classes))
        })
        .collect()
}

fn random(shape: &[usize], dtype: DType, key: u32, classes: usize) -> Tensor {
    let mut s = Stream::new(SEED, 0, key, rng::op::TEST);
    let len = shape.iter().product::<usize>();
    let made = match dtype {
        DType::I32 => Tensor::i32(shape, (0..len).map(|_| s.below(classes) as i32).collect()),
        _ => Tensor::f32(shape, (0..len).map(|_| s.normal() as f32).collect()),
    };
    made.unwrap_or_else(|_| Tensor::zeros(shape, dtype))
}

/// A layer `x → y`, or copies of it in a row; `backward` also takes `dy` and gives the gradients `d0` of `x` and `d1`, … of
/// the parameters.
pub(crate) fn layer_graph(l: &Layer, backward: bool, copies: usize) -> Result<Graph> {
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
    Ok(g)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gabor_cpu::CpuBackend;

    #[test]
    fn memory_grows_with_batch_backends_and_training() {
        let backend = CpuBackend::default();
        let of = |w: &Workload, backends: &[&dyn Backend]| memory(w, backends, Recompute::None).unwrap();
        let infer = |n| Workload::Infer { model: "lenet5", n };
        let one = of(&infer(1), &[&backend]);
        // 61,706 parameters at least.
        assert!(one > 4 * 61_706 && one < 4 << 20, "{one}");
        assert!(of(&infer(64), &[&backend]) > one + 64 * 4 * 28 * 28);
        let two = of(&infer(1), &[&backend, &backend]);
        // The picture is there once.
        assert_eq!(two, 2 * one - 4 * 28 * 28);
        assert!(of(&Workload::Train { model: "lenet5", n: 64 }, &[&backend]) > of(&infer(64), &[&backend]));
    }
}
