//! What is computed again for the backward pass has the bits of what would have been kept, and takes less memory.

use gabor_compile::{Backend, CompileOptions, Program, Recompute};
use gabor_cpu::CpuBackend;
use gabor_nets::{Mode, Network, conv, initialize};
use gabor_tensor::{DType, Stream, Tensor, rng};
use gabor_train::optimiser::{Scalars, Sgd};
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

/// Three steps: the bits of all parameters, and the bytes of the arena.
fn trained(recompute: Recompute, n: usize) -> (Vec<Vec<u64>>, usize) {
    let sgd = Sgd { momentum: 0.9, ..Default::default() };
    let mut scalars = Scalars::new(&sgd);
    let net = network();
    let mut graph =
        step(Forward::of(&net, Mode::Train).unwrap(), &StepOptions::new(Box::new(sgd.clone()))).unwrap();
    graph.name = "step".into();
    let weights = initialize(&graph, 3);
    let inputs: Vec<_> = graph.inputs().map(|v| graph.value(v).clone()).collect();
    let names: Vec<String> = graph.parameters().map(|(v, _)| graph.value(v).name.clone()).collect();
    let program = Program::single("step", graph.validate().unwrap());
    let options = CompileOptions { recompute, ..Default::default() };
    let mut run = CpuBackend::default().compile(&program, &options).unwrap();
    for (name, t) in weights.iter() {
        run.write(name, t).unwrap();
    }
    for t in 1..=3 {
        scalars.set(&sgd, t, 0.05);
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
    let bits = |name: &String| run.read(name).unwrap().to_f64().into_iter().map(f64::to_bits).collect();
    let all = names.iter().map(bits).collect();
    (all, run.report(0, n).unwrap().arena_bytes)
}

#[test]
fn bits_are_kept_and_memory_is_saved() {
    let (want, whole) = trained(Recompute::None, 16);
    assert!(want.iter().flatten().any(|&b| b != 0));
    for (recompute, most) in [(Recompute::Cheap, 0.85), (Recompute::Segments, 0.6)] {
        let (got, arena) = trained(recompute, 16);
        assert!(got == want, "{recompute}: other bits");
        assert!((arena as f64) < most * whole as f64, "{recompute}: {arena} of {whole} bytes");
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
