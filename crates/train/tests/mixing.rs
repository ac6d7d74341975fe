//! Mixed samples: the loss against a sum by hand for every loss, the same bits over threads, workers and interruptions.

mod common;

use common::{backend, directory, run, setup};
use gabor_compile::{Backend, CompileOptions, Executable};
use gabor_nets::{Mode, Network};
use gabor_tensor::{Stream, Tensor, rng};
use gabor_train::optimiser::{Scalars, by_name};
use gabor_train::step::{Entry, Forward, LABELS, OWN_SHARE, PARTNERS, StepOptions, program};
use gabor_train::{Checkpoints, Loss};

/// Loss and norm of the gradient of one step on fixed numbers.
fn step(loss: Loss, mixed: Option<f32>, swap: bool) -> (f32, f32) {
    let net = Network::new("line", &[6], 4, |net| {
        net.linear("fc", 4)?;
        Ok(())
    });
    let forward = |mode| Forward::of(&net, mode).unwrap();
    let sgd = by_name("sgd", None).unwrap();
    let mut scalars = Scalars::new(&*sgd);
    let options = StepOptions { loss, mixed: mixed.is_some(), ..StepOptions::new(sgd) };
    let p = program(&forward(Mode::Train), &forward(Mode::Infer), &options).unwrap();
    let mut exe = backend(1).compile(&p, &CompileOptions::default()).unwrap();
    for (name, t) in net.initialize(3).unwrap().iter() {
        exe.write(name, t).unwrap();
    }
    scalars.set(&*options.optimiser, 1, 0.0);
    let mut s = Stream::new(1, 0, 0, rng::op::TEST);
    let n = 5;
    let input = net.graph(Mode::Infer).unwrap();
    let input = input.value(input.inputs().next().unwrap()).name.clone();
    let images = Tensor::f32(&[n, 6], (0..n * 6).map(|_| s.normal() as f32).collect()).unwrap();
    let mut labels = [vec![0, 1, 2, 3, 0], vec![1, 1, 3, 0, 2]].map(|l| Tensor::i32(&[n], l).unwrap());
    if swap {
        labels.swap(0, 1);
    }
    let share = Tensor::scalar(mixed.unwrap_or(1.0));
    let mut inputs: Vec<(&str, &Tensor)> = vec![(&input, &images), (LABELS, &labels[0])];
    if mixed.is_some() {
        inputs.extend([(PARTNERS, &labels[1]), (OWN_SHARE, &share)]);
    }
    inputs.extend(scalars.inputs());
    exe.run(Entry::Step.of(&p).unwrap(), n, &inputs).unwrap();
    let number = |exe: &dyn Executable, name: &str| exe.output(name).unwrap().scalar().unwrap();
    (number(&*exe, "loss"), number(&*exe, "gradient_norm"))
}

#[test]
fn every_loss_is_shared_by_two_labels() {
    for name in Loss::NAMES {
        for smoothing in if *name == "cross_entropy" { &[0.0, 0.1][..] } else { &[0.0] } {
            let loss = Loss::by_name(name, *smoothing).unwrap();
            let (own, own_norm) = step(loss, None, false);
            let (other, _) = step(loss, None, true);
            assert!((own - other).abs() > 1e-3, "{name}");
            for lambda in [1.0, 0.3, 0.0] {
                let (mixed, _) = step(loss, Some(lambda), false);
                let want = lambda * own + (1.0 - lambda) * other;
                assert!((mixed - want).abs() < 1e-5, "{name}, {lambda}: {mixed} {want}");
            }
            let (_, norm) = step(loss, Some(1.0), false);
            assert!((norm - own_norm).abs() < 1e-5 * own_norm.max(1.0), "{name}: {norm} {own_norm}");
        }
    }
}

const WORDS: &[&str] =
    &["mixup=0.4", "cutmix=1.0", "randaugment=2,9", "label_smoothing=0.1", "grad_accum=2", "epochs=2"];

#[test]
fn threads_workers_and_interruptions_change_no_bit() {
    let with = |more: &[&'static str]| setup(&WORDS.iter().chain(more).copied().collect::<Vec<_>>());
    let whole = run(&with(&["workers=0"]), 1, None, false);
    let other = run(&with(&["workers=3"]), 2, None, false);
    assert_eq!(other.weights, whole.weights);
    assert_ne!(run(&with(&["cutmix=0"]), 1, None, false).weights, whole.weights);
    let dir = directory("mixed");
    for (i, stop) in ["max_steps=7", "max_steps=43", "max_steps=1000"].into_iter().enumerate() {
        run(&with(&[stop, "workers=2"]), 2, Some(&dir), i > 0);
    }
    let weights = Checkpoints::open(&dir).unwrap().load_last(&mut Vec::new()).unwrap().0;
    assert!(whole.weights.iter().count() > 0);
    for (name, t) in run(&with(&["workers=0"]), 1, Some(&dir), true).weights.iter() {
        assert_eq!(Some(t), whole.weights.get(name), "{name}");
        assert!(weights.get(name).is_some());
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
