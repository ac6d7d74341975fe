//! Averages of the weights: against a plain loop in 64 bits, in evaluation and export, over interruptions.

mod common;

use common::{backend, directory, events_of, network, run, setup};
use gabor_compile::{Backend, CompileOptions};
use gabor_nets::Mode;
use gabor_tensor::{Stream, Tensor, Weights, rng};
use gabor_train::optimiser::{Scalars, by_name};
use gabor_train::step::{Entry, Forward, LABELS, PULL, SHARE, StepOptions, averaged, decay_at, program};
use gabor_train::{Checkpoints, Event, RunOptions, Stop, train};
use std::collections::BTreeMap;

#[test]
fn averages_equal_a_plain_loop() {
    let net = network();
    let forward = Forward::of(&net, Mode::Train).unwrap();
    for accumulate in [false, true] {
        let sgd = by_name("momentum", None).unwrap();
        let mut scalars = Scalars::new(&*sgd);
        let clip_norm = accumulate.then_some(1.0);
        let options = StepOptions { ema: Some(0.6), accumulate, clip_norm, ..StepOptions::new(sgd) };
        let p = program(&forward, &Forward::of(&net, Mode::Infer).unwrap(), &options).unwrap();
        let mut exe = backend(2).compile(&p, &CompileOptions::default()).unwrap();
        let weights = net.initialize(3).unwrap();
        let mut expected: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (name, t) in weights.iter() {
            exe.write(name, t).unwrap();
            exe.write(&averaged(name), t).unwrap();
            expected.insert(name.to_string(), t.to_f64());
        }
        let n = 16;
        for t in 0..20u64 {
            scalars.set(&*options.optimiser, t + 1, 0.05);
            let decay = decay_at(0.6, t);
            assert_eq!(decay, 0.6f64.min((1.0 + t as f64) / (10.0 + t as f64)));
            let pull = Tensor::scalar((1.0 - decay) as f32);
            let share = Tensor::scalar(0.5);
            for last in [false, true] {
                let mut s = Stream::new(t, u32::from(last), 0, rng::op::TEST);
                let images = (0..n * 64).map(|_| s.normal() as f32).collect();
                let images = Tensor::f32(&[n, 1, 8, 8], images).unwrap();
                let labels = Tensor::i32(&[n], (0..n).map(|_| s.below(10) as i32).collect()).unwrap();
                let key = Tensor::i32(&[4], vec![1, 2, t as i32, i32::from(last)]).unwrap();
                let mut inputs: Vec<(&str, &Tensor)> = vec![("images", &images), (LABELS, &labels), ("key", &key)];
                if accumulate {
                    inputs.push((SHARE, &share));
                }
                if last {
                    inputs.extend(scalars.inputs());
                    inputs.push((PULL, &pull));
                    exe.run(Entry::Step.of(&p).unwrap(), n, &inputs).unwrap();
                } else if accumulate {
                    exe.run(Entry::Accumulate.of(&p).unwrap(), n, &inputs).unwrap();
                }
            }
            for (name, e) in &mut expected {
                let w = exe.read(name).unwrap().to_f64();
                e.iter_mut().zip(w).for_each(|(e, w)| *e += (1.0 - decay) * (w - *e));
                let ours = exe.read(&averaged(name)).unwrap().to_f64();
                for (a, b) in ours.iter().zip(e.iter()) {
                    assert!((a - b).abs() < 2e-6 * b.abs().max(1.0), "{name}, step {t}: {a} for {b}");
                }
            }
        }
        // Averages of everything that moves, running statistics among them, are made where they lie.
        assert!(expected.keys().any(|n| n.contains("running_var")));
        let report = exe.report(Entry::Step.of(&p).unwrap(), n).unwrap();
        let places: Vec<&String> = report.nodes.iter().flat_map(|n| &n.places).collect();
        for name in expected.keys() {
            let place = format!("parameter {}", averaged(name));
            assert!(places.iter().any(|p| p.starts_with(&place)), "{name}: {places:?}");
        }
    }
}

/// The averages of a checkpoint, by the parameters' names.
fn averages(weights: &Weights) -> Weights {
    let prefix = averaged("");
    weights.iter().filter_map(|(n, t)| Some((n.strip_prefix(&prefix)?.to_string(), t.clone()))).collect()
}

#[test]
fn averages_are_evaluated_and_kept() {
    let dir = directory("ema");
    // Stopped within the first epoch, so that no epoch's weights are the best.
    let words = &["lr=0.01", "max_steps=30"];
    let s = setup(&[words, &["ema=0.9"][..]].concat());
    let out = run(&s, 2, Some(&dir), false);
    let (last, _) = Checkpoints::open(&dir).unwrap().load_last(&mut Vec::new()).unwrap();
    assert_eq!(averages(&last), out.weights);
    assert_ne!(last.get("fc.weight"), out.weights.get("fc.weight"));
    // Its numbers are those of a network that has these weights.
    let loader = s.evaluation_loader(s.splits.test.clone().unwrap()).unwrap();
    let infer = Forward::of(&s.network, Mode::Infer).unwrap();
    let again = gabor_train::evaluate(&backend(1), infer, &out.weights, &loader, "test", 0).unwrap();
    let theirs = out.evaluation.unwrap();
    assert_eq!((again.top1, again.loss), (theirs.top1, theirs.loss));
    // The same training without averages takes the same steps.
    assert_eq!(run(&setup(words), 2, None, false).weights.get("fc.weight"), last.get("fc.weight"));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn averages_go_on_bit_for_bit() {
    let words = &["ema=true", "grad_accum=2", "clip=1", "lr_factors=conv1*:0.5", "freeze=bn1.bias"];
    let whole = run(&setup(words), 2, None, false);
    let dir = directory("ema-parts");
    for (i, stop) in ["max_steps=5", "max_steps=41", "max_steps=1000"].iter().enumerate() {
        let part = run(&setup(&[words, &[*stop][..]].concat()), 1, Some(&dir), i > 0);
        assert_eq!(part.stopped, (i < 2).then_some(Stop::MaxSteps));
        if i == 2 {
            assert_eq!((&part.weights, part.state.best), (&whole.weights, whole.state.best));
        }
    }
    // A run that kept none goes on with averages, which begin as its weights.
    let other = directory("ema-later");
    run(&setup(&["max_steps=30"]), 2, Some(&other), false);
    let options = RunOptions { directory: Some(other.clone()), resume: true, ..Default::default() };
    let mut events: Vec<Event> = Vec::new();
    train(&setup(&["ema=true"]), &backend(2), options, &mut events).unwrap();
    assert!(events.iter().any(|e| matches!(e, Event::Warning { text } if text.contains("ema from false to true"))));
    for d in [dir, other] {
        std::fs::remove_dir_all(d).unwrap();
    }
}

#[test]
fn norms_of_gradients_are_told_each_epoch() {
    let (_, events) = events_of(&setup(&["epochs=2"]), RunOptions::default());
    let norms: Vec<_> =
        events.iter().filter_map(|e| if let Event::Gradients { norms, .. } = e { Some(norms) } else { None }).collect();
    assert_eq!(norms.len(), 2);
    let names: Vec<&str> = norms[0].keys().map(String::as_str).collect();
    assert_eq!(names, ["bn1.bias", "bn1.weight", "conv1.bias", "conv1.weight", "fc.bias", "fc.weight"]);
    assert!(norms.iter().all(|n| n.values().all(|v| v.is_finite())));
    let joint = |e: &Event| if let Event::Step { gradient_norm, .. } = e { Some(*gradient_norm) } else { None };
    let last = events.iter().filter_map(joint).next_back().unwrap();
    let own = norms[1].values().map(|v| v * v).sum::<f64>().sqrt();
    assert!((last - own).abs() < 1e-5 * own, "{last} {own}");
}
