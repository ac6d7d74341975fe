//! What compilation makes of training steps: values that are computed again instead of kept, updates that take in their
//! gradients.

use gabor_compile::{Backend, CompileOptions, Program, Recompute, Report};
use gabor_cpu::CpuBackend;
use gabor_nets::{Mode, Network, conv, initialize};
use gabor_tensor::{DType, Stream, Tensor, rng};
use gabor_train::optimiser::{Optimiser, Scalars, by_name};
use gabor_train::step::{Forward, StepOptions, step};

/// Convolutions with what stands between them: batch normalisation, shortcuts, pooling, dropout, a fully connected layer.
fn network() -> Network {
    Network::new("blocks", &[3, 16, 16], 10, |net| {
        net.conv("stem", conv(16, 3).pad(1))?.relu()?;
        for i in 0..6 {
            net.within(&format!("block{i}"), |net| {
                let x = net.value();
                net.conv("conv1", conv(16, 3).pad(1).no_bias())?.batch_norm("bn1")?.relu()?;
                net.conv("conv2", conv(16, 3).pad(1).no_bias())?.batch_norm("bn2")?;
                net.add(x)?.relu()
            })?;
        }
        net.max_pool(2)?.dropout(0.3)?.flatten()?;
        net.linear("fc", 10)?;
        Ok(())
    })
}

/// What three steps leave: all parameters, the last gradient's norm, and the report.
struct Left {
    parameters: Vec<Tensor>,
    norm: f64,
    report: Report,
}

fn trained(net: &Network, optimiser: &dyn Fn() -> Box<dyn Optimiser>, options: &CompileOptions, n: usize) -> Left {
    let sgd = optimiser();
    let mut scalars = Scalars::new(&*sgd);
    let graph = step(Forward::of(net, Mode::Train).unwrap(), &StepOptions::new(optimiser())).unwrap();
    let weights = initialize(&graph, 3);
    let inputs: Vec<_> = graph.inputs().map(|v| graph.value(v).clone()).collect();
    let names: Vec<String> = graph.parameters().map(|(v, _)| graph.value(v).name.clone()).collect();
    let program = Program::single("step", graph.validate().unwrap());
    let mut run = CpuBackend::default().compile(&program, options).unwrap();
    for (name, t) in weights.iter() {
        run.write(name, t).unwrap();
    }
    for t in 1..=3 {
        scalars.set(&*sgd, t, 0.01);
        let given: Vec<(String, Tensor)> = (inputs.iter())
            .map(|value| {
                let shape = value.ty.shape.at(n);
                let mut s = Stream::new(t, 0, rng::name_key(&value.name), rng::op::TEST);
                let len = shape.iter().product::<usize>();
                let tensor = match (scalars.inputs().find(|s| s.0 == value.name), value.ty.dtype) {
                    (Some((_, scalar)), _) => scalar.clone(),
                    (_, DType::I32) => Tensor::i32(&shape, (0..len).map(|_| s.below(10) as i32).collect()).unwrap(),
                    _ => Tensor::f32(&shape, (0..len).map(|_| s.normal() as f32).collect()).unwrap(),
                };
                (value.name.clone(), tensor)
            })
            .collect();
        let given: Vec<(&str, &Tensor)> = given.iter().map(|(name, t)| (name.as_str(), t)).collect();
        run.run(0, n, &given).unwrap();
    }
    let norm = run.output("gradient_norm").unwrap().to_tensor().to_f64()[0];
    let parameters = names.iter().map(|name| run.read(name).unwrap()).collect();
    Left { parameters, norm, report: run.report(0, n).unwrap() }
}

#[test]
fn bits_are_kept_and_memory_is_saved() {
    let momentum = || by_name("momentum", None).unwrap();
    let all = |recompute| trained(&network(), &momentum, &CompileOptions { recompute, ..Default::default() }, 16);
    let whole = all(Recompute::None);
    assert!(whole.parameters.iter().flat_map(Tensor::to_f64).any(|v| v != 0.0));
    for (recompute, most) in [(Recompute::Cheap, 0.85), (Recompute::Segments, 0.6)] {
        let got = all(recompute);
        assert!(got.parameters == whole.parameters, "{recompute}: other bits");
        let (arena, before) = (got.report.arena_bytes, whole.report.arena_bytes);
        assert!((arena as f64) < most * before as f64, "{recompute}: {arena} of {before} bytes");
    }
}

#[test]
fn large_updates_take_in_their_gradients() {
    let net = Network::new("linear", &[1, 16, 16], 10, |net| {
        net.flatten()?.linear("fc1", 512)?.relu()?;
        net.linear("fc2", 10)?;
        Ok(())
    });
    for name in ["sgd", "momentum", "adam", "adamw"] {
        let optimiser = || by_name(name, None).unwrap();
        let fused = trained(&net, &optimiser, &CompileOptions::default(), 8);
        let plain = trained(&net, &optimiser, &CompileOptions { fuse: false, ..Default::default() }, 8);
        let kernels: Vec<&str> = fused.report.nodes.iter().map(|n| n.kernel.as_str()).collect();
        assert!(kernels.contains(&"fused_product_map.rows"), "{name}: {kernels:?}");
        assert!((fused.norm - plain.norm).abs() < 1e-4 * plain.norm, "{name}: {} for {}", fused.norm, plain.norm);
        for (a, b) in fused.parameters.iter().zip(&plain.parameters) {
            let far = a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 2e-5, "{name}: {far}");
        }
        // The gradient of 512 × 256 is nowhere.
        let largest = fused.report.holders.iter().map(|h| h.bytes).max().unwrap_or(0);
        assert!(largest < 512 * 256 * 4, "{name}: {:?}", fused.report.holders);
    }
}

#[test]
fn names_are_read_and_written() {
    for (name, value) in Recompute::ALL {
        assert_eq!((name.parse(), value.to_string()), (Ok(value), name.to_string()));
    }
    let message = "all".parse::<Recompute>().unwrap_err().to_string();
    assert!(message.contains("`all`") && message.contains("none, cheap or segments"), "{message}");
}
