//! Fine-tuning: the head first, rates by depth, frozen normalisation, and what is said of gradients that do not arrive.

mod common;

use common::{backend, directory, events_of, network, run, setup};
use gabor_compile::{Backend, CompileOptions};
use gabor_nets::{Mode, Network, conv};
use gabor_tensor::{Tensor, Weights};
use gabor_train::step::{Entry, Forward, StepOptions, groups, program};
use gabor_train::{Checkpoints, Config, Event, RangeTest, RunOptions, Setup, Stop, optimiser, range_test, train};

const PLAIN: &[&str] = &["optimiser=sgd", "momentum=0", "schedule=constant", "lr=0.1", "augment=none"];

fn changed(a: &Weights, b: &Weights, name: &str) -> bool {
    a.get(name).unwrap() != b.get(name).unwrap()
}

#[test]
fn the_head_is_trained_alone_first() {
    let words = &["unfreeze=1", "epochs=2", "ema=0.5", "grad_accum=2", "clip=1", "lr_factors=bn1*:0.5"];
    let s = setup(words);
    let steps = s.epoch_samples().unwrap().div_ceil(32) as u64;
    let before = s.network.initialize(s.config.seed).unwrap();
    let (whole, events) = events_of(&s, RunOptions::default());
    let dir = directory("head");
    let stop = format!("max_steps={steps}");
    let part = run(&setup(&[words, &[stop.as_str()][..]].concat()), 1, Some(&dir), false);
    // Frozen layers give the same numbers for the same image, so normalisation keeps its statistics too.
    for (name, _) in before.iter() {
        assert_eq!(changed(&part.weights, &before, name), name.starts_with("fc"), "{name}");
        assert!(changed(&whole.weights, &before, name), "{name} did not move in the end");
    }
    // The optimiser begins anew, the checkpoint between the phases included.
    let (saved, _) = Checkpoints::open(&dir).unwrap().load_last(&mut Vec::new()).unwrap();
    let zero = |n: &str| saved.get(n).unwrap().to_f64().iter().all(|&v| v == 0.0);
    assert!(zero("optimiser.average.fc.weight") && zero("optimiser.square_average.conv1.weight"));
    let middle = format!("max_steps={}", steps + 3);
    run(&setup(&[words, &[middle.as_str()][..]].concat()), 2, Some(&dir), true);
    assert_eq!(run(&s, 1, Some(&dir), true).weights, whole.weights);
    let notes: Vec<&str> =
        events.iter().filter_map(|e| if let Event::Note { text } = e { Some(text.as_str()) } else { None }).collect();
    assert!(notes.contains(&"the first epoch trains the head alone (fc.weight, fc.bias)"), "{notes:?}");
    assert!(notes.contains(&"all layers are trained from here on"), "{notes:?}");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn steps_of_the_head_end_their_backward_pass_there() {
    let forward = Forward::of(&network(), Mode::Train).unwrap();
    let head = groups(&forward)[0].parameters.clone();
    let options = StepOptions { head, ..StepOptions::new(optimiser::by_name("adamw", None).unwrap()) };
    let p = program(&forward, &Forward::of(&network(), Mode::Infer).unwrap(), &options).unwrap();
    let mut exe = backend(1).compile(&p, &CompileOptions::default()).unwrap();
    let mut flops = |entry: Entry| -> (u64, Vec<String>) {
        let report = exe.report(entry.of(&p).unwrap(), 16).unwrap();
        (report.nodes.iter().map(|n| n.flops).sum(), report.nodes.iter().map(|n| n.kernel.clone()).collect())
    };
    let ((step, _), (head, kernels)) = (flops(Entry::Step), flops(Entry::Head));
    assert!(19 * head < 10 * step, "{head} of {step}");
    assert!(!kernels.iter().any(|k| k.contains("filter_grad") || k.contains("batch_norm_grad")), "{kernels:?}");
}

#[test]
fn rates_follow_depth_unless_told_otherwise() {
    let net = Network::new("deep", &[1, 8, 8], 10, |net| {
        net.conv("conv1", conv(4, 3).pad(1))?.relu()?.conv("conv2", conv(4, 3).pad(1))?.relu()?;
        net.flatten()?.linear("fc", 10).map(|_| ())
    });
    // How far the first step goes, relative to that of a step without factors.
    let moves = |words: &[&str]| {
        let words = [PLAIN, &["epochs=1", "max_steps=1"], words].concat();
        let config = Config::load(None, [], &words).unwrap();
        let s = Setup::with_network(&config, gabor_data::digits().hold_out(0.1, 0).unwrap(), net.clone()).unwrap();
        let before = s.network.initialize(0).unwrap();
        let (out, events) = events_of(&s, RunOptions::default());
        let far = move |name: &str| -> f64 {
            let (a, b) = (out.weights.get(name).unwrap().to_f64(), before.get(name).unwrap().to_f64());
            a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
        };
        (["fc.weight", "conv2.weight", "conv1.weight"].map(far), events)
    };
    let (plain, _) = moves(&[]);
    for (words, expected) in [
        (&["discriminative=true"][..], [1.0, 0.1, 0.01]),
        (&["discriminative=0.5"], [1.0, 0.5, 0.25]),
        (&["discriminative=0.5", "lr_factors=conv2*:2"], [1.0, 2.0, 0.25]),
        (&["discriminative=false"], [1.0, 1.0, 1.0]),
    ] {
        let (far, events) = moves(words);
        for i in 0..3 {
            let part = far[i] / plain[i];
            assert!((part - expected[i]).abs() < 0.01 * expected[i], "{words:?}: {part} for {}", expected[i]);
        }
        let said =
            events.iter().any(|e| matches!(e, Event::Note { text } if text.starts_with("learning rates by depth")));
        assert_eq!(said, expected[2] != 1.0);
    }
}

#[test]
fn fine_tuning_has_defaults_of_its_own() {
    let of = |words: &[&str]| {
        let all = [&["net=lenet5", "epochs=20"], words].concat();
        let c = Setup::new(&Config::load(None, [], &all).unwrap()).unwrap().config;
        (c.unfreeze.0, c.discriminative.0.unwrap().or(0.1), c.patience.0.unwrap())
    };
    let norms = |words: &[&str]| {
        let all = [&["net=lenet5", "weights=some.safetensors"], words].concat();
        Setup::new(&Config::load(None, [], &all).unwrap()).unwrap().config.freeze_norm
    };
    assert_eq!((norms(&["batch=64"]), norms(&["batch=16"])), ("auto".into(), "true".into()));
    assert_eq!(norms(&["batch=64", "grad_accum=4"]), "true");
    assert_eq!(norms(&["batch=16", "freeze_norm=false"]), "false");
    assert_eq!(of(&[]), (Some(0), None, None));
    assert_eq!(of(&["weights=some.safetensors"]), (Some(4), Some(0.1), Some(6)));
    assert_eq!(
        of(&["weights=some.safetensors", "unfreeze=2", "discriminative=false", "patience=none"]),
        (Some(2), None, None)
    );
}

#[test]
fn normalisation_is_frozen_as_asked() {
    let moved = |words: &[&str]| {
        let s = setup(&[PLAIN, &["epochs=1", "max_steps=3"], words].concat());
        let before = s.network.initialize(s.config.seed).unwrap();
        let out = run(&s, 1, None, false);
        ["bn1.running_mean", "bn1.weight", "conv1.weight"].map(|n| changed(&out.weights, &before, n))
    };
    assert_eq!(moved(&[]), [true, true, true]);
    assert_eq!(moved(&["freeze_norm=true"]), [false, true, true]);
    assert_eq!(moved(&["freeze_norm=bn*"]), [false, true, true]);
    assert_eq!(moved(&["freeze=bn1.*"]), [false, false, true]);
    assert_eq!(moved(&["freeze=bn1.weight"]), [true, false, true]);
    assert_eq!(moved(&["freeze=bn1.*", "freeze_norm=false"]), [true, false, true]);
    let e = train(&setup(&["freeze_norm=bn7.*"]), &backend(1), RunOptions::default(), &mut Vec::new()).unwrap_err();
    assert_eq!(e.to_string(), "freeze_norm: `bn7.*` fits no parameter; right would be: `bn1*`");
}

#[test]
fn frozen_normalisation_computes_as_in_prediction() {
    // With all layers but the head frozen, the loss of a step is that of prediction.
    let s = setup(&[PLAIN, &["epochs=1", "max_steps=1", "freeze=conv1.*,bn1.*", "batch=64"][..]].concat());
    let net = Network::new("plain", &[1, 8, 8], 10, |net| {
        net.conv("conv1", conv(6, 3).pad(1))?.batch_norm("bn1")?.relu()?.max_pool(2)?;
        net.flatten()?.linear("fc", 10).map(|_| ())
    });
    let s = Setup::with_network(&s.config, s.splits.clone(), net).unwrap();
    let mut weights = s.network.initialize(3).unwrap();
    weights.0.insert("bn1.running_mean".into(), Tensor::f32(&[6], vec![0.3; 6]).unwrap());
    weights.0.insert("bn1.running_var".into(), Tensor::f32(&[6], vec![2.5; 6]).unwrap());
    let batch = s.training_loader().unwrap().epoch(0, 0).next().unwrap().unwrap();
    let infer = Forward::of(&s.network, Mode::Infer).unwrap();
    let graph = gabor_train::step::evaluation(infer, s.config.step_options().unwrap().loss).unwrap();
    let p = gabor_compile::Program::single("evaluate", graph.validate().unwrap());
    let mut exe = backend(1).compile(&p, &CompileOptions::default()).unwrap();
    for (name, t) in weights.iter() {
        exe.write(name, t).unwrap();
    }
    exe.run(0, 64, &[("images", &batch.images), ("labels", &batch.labels)]).unwrap();
    let losses = exe.output("loss").unwrap().as_f32().unwrap();
    let mean = losses.iter().map(|&v| f64::from(v)).sum::<f64>() / 64.0;
    let loss = first_loss(&s, weights);
    assert!((loss - mean).abs() < 1e-5, "{loss} {mean}");
}

/// The loss of the first step, from the last checkpoint's tally.
fn first_loss(s: &Setup, weights: Weights) -> f64 {
    let dir = directory("first-loss");
    let options = RunOptions { directory: Some(dir.clone()), weights: Some(weights), ..Default::default() };
    train(s, &backend(1), options, &mut Vec::new()).unwrap();
    let (_, state) = Checkpoints::open(&dir).unwrap().load_last(&mut Vec::new()).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert_eq!(state.step, 1);
    state.tally.loss()
}

#[test]
fn gradients_that_do_not_arrive_are_told_with_the_reason() {
    let told = |s: &Setup, weights: Weights| -> Vec<Event> {
        let (_, events) = events_of(s, RunOptions { weights: Some(weights), ..Default::default() });
        let about = |e: &Event| matches!(e, Event::Warning { text } | Event::Note { text } if text.contains("gradient") || text.contains("depend"));
        events.into_iter().filter(about).collect()
    };
    let s = setup(&["epochs=1", "max_steps=1"]);
    let fresh = || s.network.initialize(0).unwrap();
    assert_eq!(told(&s, fresh()), []);
    // A shift far below zero: the rectifier gives zeros alone.
    let mut dead = fresh();
    dead.0.insert("bn1.bias".into(), Tensor::f32(&[6], vec![-1e3; 6]).unwrap());
    let events = told(&s, dead);
    let [Event::Warning { text }] = &events[..] else { panic!("{events:?}") };
    assert!(
        text.starts_with("no gradient reached conv1.weight, conv1.bias, bn1.weight, bn1.bias, fc.weight"),
        "{text}"
    );
    assert!(text.contains("all outputs of `relu1` are 0, a dead ReLU"), "{text}");
    // A head of zeros lets no gradient through in the first step; that is no fault.
    let zeros = Network::new("zeros", &[1, 8, 8], 10, |net| {
        net.conv("conv1", conv(6, 3).pad(1))?.relu()?;
        net.init(gabor_nets::Scheme::by_name("zeros").unwrap());
        net.flatten()?.linear("fc", 10).map(|_| ())
    });
    let s = Setup::with_network(&s.config, s.splits.clone(), zeros).unwrap();
    let events = told(&s, s.network.initialize(0).unwrap());
    let [Event::Note { text }] = &events[..] else { panic!("{events:?}") };
    assert!(
        text.contains("conv1.weight, conv1.bias") && text.contains("`fc.weight` behind it begins as zeros"),
        "{text}"
    );
}

#[test]
fn time_ends_a_run_cleanly() {
    let dir = directory("time");
    let s = setup(&["epochs=100000", "max_time=1s"]);
    let mut events: Vec<Event> = Vec::new();
    let options = RunOptions { directory: Some(dir.clone()), ..Default::default() };
    let out = train(&s, &backend(1), options, &mut events).unwrap();
    assert!(out.stopped == Some(Stop::MaxTime) && out.evaluation.is_some() && out.state.step > 0);
    let resume = Some(format!("gabor train --resume {}", dir.display()));
    let stopped = Event::Stopped { reason: "max_time".into(), step: out.state.step, resume };
    assert!(events.contains(&stopped), "{events:?}");
    // The time of all calls counts.
    let again = run(&s, 1, Some(&dir), true);
    assert_eq!((again.stopped, again.state.step), (Some(Stop::MaxTime), out.state.step));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_range_test_finds_a_rate_that_trains() {
    let s = setup(&["optimiser=momentum"]);
    let range = RangeTest { from: 1e-5, to: 100.0, steps: 80 };
    let mut events: Vec<Event> = Vec::new();
    let test = || range_test(&s, &backend(2), RunOptions::default(), range, &mut Vec::new()).unwrap();
    let curve = range_test(&s, &backend(1), RunOptions::default(), range, &mut events).unwrap();
    assert_eq!(curve, test(), "threads change nothing");
    assert!(curve.diverged && curve.points.len() < 80);
    assert!(curve.points.windows(2).all(|w| w[1].lr > w[0].lr) && curve.points[0].lr == 1e-5);
    let found = curve.steepest.unwrap();
    assert!((1e-3..2.0).contains(&found), "{found}");
    let lr = format!("lr={found}");
    let out = run(&setup(&["optimiser=momentum", "epochs=3", &lr]), 2, None, false);
    assert!(out.evaluation.unwrap().top1 > 0.85);
    let e =
        range_test(&s, &backend(1), RunOptions::default(), RangeTest { from: 1.0, to: 0.1, steps: 50 }, &mut events);
    assert!(e.unwrap_err().to_string().contains("rates from 1 to 0.1"));
}

#[test]
fn memory_is_foreseen_and_refused_with_numbers() {
    let (_, events) = events_of(&setup(&["epochs=1", "max_steps=1"]), RunOptions::default());
    let foreseen =
        events.iter().find_map(|e| if let Event::Forecast { memory, .. } = e { Some(*memory) } else { None });
    assert!(foreseen.unwrap() > 1 << 20);
    let dir = directory("memory");
    let s = setup(&["epochs=1", "batch=256", "memory=64KiB"]);
    let options = RunOptions { directory: Some(dir.clone()), ..Default::default() };
    let e = train(&s, &backend(1), options, &mut Vec::new()).unwrap_err().to_string();
    assert!(e.starts_with("memory: a run in steps of 256 samples takes about "), "{e}");
    assert!(e.contains("the key `memory` (64.0 KiB, of which the program holds "), "{e}");
    assert!(e.contains(") has 0.00 KiB left; right would be: "), "{e}");
    assert!(e.ends_with("memory=none to try it all the same"), "{e}");
    run(&setup(&["epochs=1", "max_steps=1", "memory=none"]), 1, None, false);
    let _ = std::fs::remove_dir_all(&dir);
}
