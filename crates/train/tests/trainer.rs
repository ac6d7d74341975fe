//! The loop: learning, exact resumption, determinism, errors.

mod common;

use common::{backend, directory, network, run, setup};
use gabor_data::{Color, Dataset, MemoryDataset, Splits};
use gabor_nets::{Network, conv};
use gabor_train::checkpoint::{Content, Disk, Storage};
use gabor_train::{Checkpoints, Config, Event, Jsonl, RunOptions, Setup, Stop, train};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_run_learns_and_leaves_a_complete_directory() {
    let dir = directory("complete");
    let mut events: Vec<Event> = Vec::new();
    let s = setup(&["epochs=6", "lr=0.01"]);
    let options = RunOptions { directory: Some(dir.clone()), ..Default::default() };
    let out = train(&s, &backend(2), options, &mut events).unwrap();
    let e = out.evaluation.unwrap();
    assert!(e.top1 > 0.9 && e.split == "test" && e.count == e.confusion.iter().flatten().sum::<u64>(), "{}", e.top1);
    assert!(matches!(events[0], Event::RunStarted { resumed_from: 0, train: 1293.., .. }));
    let epochs: Vec<_> = events.iter().filter(|e| matches!(e, Event::Epoch { validation_top1: Some(_), .. })).collect();
    assert_eq!(epochs.len(), 6);
    let written = Jsonl::read(&dir.join("metrics.jsonl")).unwrap();
    assert_eq!(written.len(), events.len());
    let config = Config::load(Some(&dir.join("config.toml")), [], &[] as &[&str]).unwrap();
    assert_eq!(config, s.config);
    assert!(dir.join("checkpoints/best.safetensors").exists());
    let names: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.iter().any(|n| n.to_string_lossy().starts_with("events.out.tfevents.")));
    // The same directory is not used twice, and a finished run has nothing left to do.
    let options = RunOptions { directory: Some(dir.clone()), ..Default::default() };
    let error = train(&s, &backend(1), options, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("the directory holds a run already"), "{error}");
    let again = run(&s, 1, Some(&dir), true);
    assert_eq!((again.weights, again.state.step), (out.weights, out.state.step));
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn threads_and_workers_change_no_bit() {
    let base = run(&setup(&["workers=0"]), 1, None, false);
    for (threads, workers) in [(2, "workers=1"), (4, "workers=3")] {
        let other = run(&setup(&[workers]), threads, None, false);
        assert_eq!(other.weights, base.weights, "{threads} threads, {workers}");
        assert_eq!(other.state.best, base.state.best);
    }
    let other = run(&setup(&["workers=0", "seed=6"]), 1, None, false);
    assert_ne!(other.weights, base.weights);
}

#[test]
fn going_on_equals_not_stopping_bit_for_bit() {
    for words in
        [&["optimiser=adamw"][..], &["optimiser=nesterov", "grad_accum=2", "schedule=warmup:0.5+cosine", "clip=1"]]
    {
        let (one, two) = (directory("whole"), directory("parts"));
        let whole = run(&setup(words), 2, Some(&one), false);
        for (i, stop) in ["max_steps=7", "max_steps=41", "max_steps=60", "max_steps=1000"].iter().enumerate() {
            let all: Vec<&str> = words.iter().copied().chain([*stop]).collect();
            let part = run(&setup(&all), 1, Some(&two), i > 0);
            assert_eq!(part.stopped, (i < 3).then_some(Stop::MaxSteps));
        }
        let read = |d: &Path| Checkpoints::open(d).unwrap().load_last(&mut Vec::new()).unwrap();
        let ((a, s), (b, t)) = (read(&one), read(&two));
        assert_eq!(a, b);
        assert_eq!((s.step, s.best, s.tally, s.waited), (t.step, t.best, t.tally, t.waited));
        assert_eq!(run(&setup(words), 1, Some(&two), true).weights, whole.weights);
        for d in [one, two] {
            std::fs::remove_dir_all(d).unwrap();
        }
    }
}

/// Body of the process that is killed below; does nothing unless it is that process.
#[test]
fn child_that_trains() {
    let Ok(dir) = std::env::var("GABOR_TEST_CHILD") else { return };
    // A process that died before its first checkpoint leaves nothing to go on from.
    let resume = Checkpoints::open(Path::new(&dir)).unwrap().exist();
    run(&setup(&["epochs=4", "save_every=3"]), 2, Some(Path::new(&dir)), resume);
}

#[test]
fn a_killed_run_goes_on_bit_for_bit() {
    let dir = directory("killed");
    let whole = run(&setup(&["epochs=4", "save_every=3"]), 1, None, false);
    let mut stream = gabor_tensor::Stream::new(3, 0, 0, gabor_tensor::rng::op::TEST);
    let mut kills = 0;
    for _ in 0..40 {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["child_that_trains", "--exact"])
            .env("GABOR_TEST_CHILD", &dir)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30 + stream.below(200) as u64));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success());
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
    }
    // A process that died before it had written anything leaves nothing to go on from.
    let resume = Checkpoints::open(&dir).unwrap().exist();
    let out = run(&setup(&["epochs=4", "save_every=3"]), 2, Some(&dir), resume);
    assert!(kills > 0);
    assert_eq!(out.weights, whole.weights);
    assert_eq!(out.state.best, whole.state.best);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn patience_target_and_interruption_stop() {
    let s = setup(&["epochs=50", "patience=2", "lr=0.000000001"]);
    let out = run(&s, 2, None, false);
    assert_eq!(out.stopped, Some(Stop::Patience));
    assert!(out.state.epoch < 50);
    let out = run(&setup(&["epochs=50", "target=0.3"]), 2, None, false);
    assert_eq!(out.stopped, Some(Stop::Target));
    let (dir, stop) = (directory("stop"), AtomicBool::new(true));
    let options = RunOptions { directory: Some(dir.clone()), stop: Some(&stop), ..Default::default() };
    let mut events: Vec<Event> = Vec::new();
    let out = train(&setup(&[]), &backend(1), options, &mut events).unwrap();
    assert!(out.stopped == Some(Stop::Interrupted) && out.evaluation.is_none());
    let resume = format!("gabor train --resume {}", dir.display());
    assert_eq!(events.last(), Some(&Event::Stopped { reason: "interrupted".into(), step: 0, resume: Some(resume) }));
    assert_eq!(run(&setup(&[]), 1, Some(&dir), true).weights, run(&setup(&[]), 1, None, false).weights);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn a_loss_that_is_not_finite_says_where_it_began() {
    let dir = directory("nan");
    let s = setup(&["optimiser=sgd", "lr=1e6", "schedule=constant", "save_every=1", "augment=none"]);
    let mut events: Vec<Event> = Vec::new();
    let options = RunOptions { directory: Some(dir.clone()), ..Default::default() };
    let error = train(&s, &backend(1), options, &mut events).unwrap_err().to_string();
    assert!(error.starts_with("epoch 0, step "), "{error}");
    assert!(error.contains("the last good checkpoint stays in"), "{error}");
    assert!(error.contains("first at ") || error.contains("too large"), "{error}");
    assert!(matches!(events.last(), Some(Event::Stopped { reason, .. }) if reason == "not finite"));
    let (weights, _) = Checkpoints::open(&dir).unwrap().load_last(&mut Vec::new()).unwrap();
    let finite = |t: &gabor_tensor::Tensor| t.as_f32().is_ok_and(|v| v.iter().all(|x| x.is_finite()));
    assert!(weights.iter().filter(|(n, _)| n.starts_with("conv1") || n.starts_with("fc")).all(|(_, t)| finite(t)));
    std::fs::remove_dir_all(&dir).unwrap();
}

/// The disk is full from the third checkpoint on.
struct Filling(std::sync::atomic::AtomicUsize);

impl Storage for Filling {
    fn write(&self, path: &Path, content: Content<'_>) -> std::io::Result<()> {
        if self.0.fetch_add(1, Ordering::Relaxed) >= 3 {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        Disk.write(path, content)
    }
}

#[test]
fn a_full_disk_ends_the_run_and_keeps_the_checkpoint() {
    let dir = directory("full");
    let storage: Box<dyn Storage> = Box::new(Filling(Default::default()));
    let options = RunOptions { directory: Some(dir.clone()), storage: Some(storage), ..Default::default() };
    let s = setup(&["save_every=2"]);
    let error = train(&s, &backend(1), options, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("cannot write a checkpoint"), "{error}");
    // With space again the run ends as if nothing had been.
    assert_eq!(run(&s, 1, Some(&dir), true).weights, run(&setup(&[]), 1, None, false).weights);
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn fine_tuning_takes_weights_over_by_name() {
    let first = run(&setup(&["epochs=1"]), 2, None, false);
    let s = setup(&["epochs=1", "freeze=conv1.*,bn1.*"]);
    let mut given = first.weights.clone();
    given.0.remove("fc.weight");
    let mut events: Vec<Event> = Vec::new();
    let options = RunOptions { weights: Some(given), ..Default::default() };
    let out = train(&s, &backend(1), options, &mut events).unwrap();
    assert_eq!(out.weights.get("conv1.weight"), first.weights.get("conv1.weight"));
    assert_ne!(out.weights.get("fc.weight"), first.weights.get("fc.weight"));
    assert!(events.iter().any(|e| matches!(e, Event::Note { text } if text.contains("begin fresh: fc.weight"))));
    let options = RunOptions { weights: Some(Default::default()), ..Default::default() };
    assert!(train(&s, &backend(1), options, &mut Vec::new()).unwrap_err().to_string().contains("none of 0"));
    let missing = train(&setup(&["weights=no/such.safetensors"]), &backend(1), Default::default(), &mut Vec::new());
    assert!(missing.unwrap_err().to_string().starts_with("no/such.safetensors: cannot read"));
}

#[test]
fn a_last_sample_alone_is_left_out_for_batch_normalisation() {
    let count = |batch: &str| {
        let config = Config::load(None, [], &["epochs=1", "val=0", batch]).unwrap();
        let s = Setup::with_network(&config, gabor_data::digits(), network()).unwrap();
        let len = s.splits.train().unwrap().len();
        (len, s.epoch_samples().unwrap(), s.splits.notes.len(), run(&s, 2, None, false).state.step)
    };
    let (len, samples, notes, steps) = count("batch=64");
    assert_eq!((samples, notes, steps), (len, 0, len.div_ceil(64) as u64));
    let batch = (len - 1) / (2..len).find(|k| (len - 1) % k == 0).unwrap();
    let (len, samples, notes, steps) = count(&format!("batch={batch}"));
    assert_eq!((samples, notes, steps), (len - 1, 1, ((len - 1) / batch) as u64));
}

#[test]
fn lbfgs_trains_on_the_whole_set() {
    let softmax = Network::new("softmax", &[1, 8, 8], 10, |net| net.flatten()?.linear("fc", 10).map(|_| ()));
    let make = |words: &[&str]| {
        let all: Vec<&str> =
            ["optimiser=lbfgs", "epochs=25", "batch=500", "weight_decay=0.001"].iter().chain(words).copied().collect();
        let config = Config::load(None, [], &all).unwrap();
        let splits = gabor_data::digits().hold_out(config.val, 0).unwrap();
        Setup::with_network(&config, splits, softmax.clone())
    };
    let mut events: Vec<Event> = Vec::new();
    let out = train(&make(&[]).unwrap(), &backend(2), RunOptions::default(), &mut events).unwrap();
    let losses: Vec<f64> =
        events.iter().filter_map(|e| if let Event::Step { loss, .. } = e { Some(*loss) } else { None }).collect();
    assert!(losses.windows(2).all(|w| w[1] <= w[0]) && losses.len() == 25, "{losses:?}");
    assert!(out.evaluation.unwrap().top1 > 0.94);
    let e = make(&["clip=1"]).unwrap_err().to_string();
    assert!(e.starts_with("key `clip`: lbfgs has no use for clip"), "{e}");
}

#[test]
fn lbfgs_goes_on_bit_for_bit() {
    let softmax = Network::new("softmax", &[1, 8, 8], 10, |net| net.flatten()?.linear("fc", 10).map(|_| ()));
    let make = |words: &[&str]| {
        let all: Vec<&str> = ["optimiser=lbfgs", "epochs=14", "batch=500"].iter().chain(words).copied().collect();
        let config = Config::load(None, [], &all).unwrap();
        let splits = gabor_data::digits().hold_out(config.val, 0).unwrap();
        Setup::with_network(&config, splits, softmax.clone()).unwrap()
    };
    let (one, two) = (directory("lbfgs-whole"), directory("lbfgs-parts"));
    let whole = run(&make(&[]), 2, Some(&one), false);
    for (i, stop) in ["max_steps=1", "max_steps=6", "max_steps=7", "max_steps=100"].iter().enumerate() {
        let part = run(&make(&[*stop]), 1, Some(&two), i > 0);
        assert_eq!(part.stopped, (i < 3).then_some(Stop::MaxSteps));
    }
    let read = |d: &Path| Checkpoints::open(d).unwrap().load_last(&mut Vec::new()).unwrap();
    let ((a, s), (b, t)) = (read(&one), read(&two));
    assert!(a.get("lbfgs.steps").is_some_and(|t| t.shape() == [14, 650, 8]));
    assert!(a == b);
    assert_eq!((s.step, s.best), (t.step, t.best));
    assert!(run(&make(&[]), 1, Some(&two), true).weights == whole.weights);
    for d in [one, two] {
        std::fs::remove_dir_all(d).unwrap();
    }
}

#[test]
fn pictures_without_variation_are_no_reason_to_fail() {
    let labels: Vec<u32> = (0..40).map(|i| i % 10).collect();
    let names = (0..10).map(|i| i.to_string()).collect();
    let data = MemoryDataset::new("black", 8, 8, Color::Grey, vec![0; 40 * 64], labels, names).unwrap();
    let data: Arc<dyn Dataset> = Arc::new(data);
    let splits =
        Splits { kind: "memory", train: Some(data.clone()), validation: None, test: Some(data), notes: Vec::new() };
    let config = Config::load(None, [], &["epochs=1", "batch=16", "val=0"]).unwrap();
    let out = run(&Setup::with_network(&config, splits, network()).unwrap(), 1, None, false);
    assert_eq!((out.evaluation.unwrap().count, out.state.step), (40, 3));
}

/// A network with two auxiliary heads, one of them behind dropout.
fn headed() -> Network {
    Network::new("headed", &[1, 8, 8], 10, |net| {
        net.conv("conv1", conv(6, 3).pad(1))?.batch_norm("bn1")?.relu()?;
        net.auxiliary("aux1", 0.3, |head| {
            head.adaptive_avg_pool(&[4, 4])?.conv("conv", conv(4, 1))?.batch_norm("bn")?.relu()?;
            head.linear("fc1", 16)?.relu()?.dropout(0.7)?.linear("fc2", 10)
        })?;
        net.max_pool(2)?.auxiliary("aux2", 0.5, |head| head.linear("fc", 10))?;
        net.linear("fc", 10)?;
        Ok(())
    })
}

#[test]
fn auxiliary_heads_learn_and_are_kept_for_training_alone() {
    let dir = directory("heads");
    let of = |words: &[&str], net: Network| {
        let words = [&["optimiser=sgd", "momentum=0", "schedule=constant", "lr=0.5", "epochs=1"], words].concat();
        let config = Config::load(None, [], &words).unwrap();
        Setup::with_network(&config, gabor_data::digits().hold_out(0.1, 0).unwrap(), net).unwrap()
    };
    // With all weights zero every head says 1/10 for each class, so the loss is ln 10 times the weights.
    let zeros = of(&["max_steps=1"], headed().with_scheme(gabor_nets::Scheme::by_name("zeros").unwrap()));
    let mut events: Vec<Event> = Vec::new();
    train(&zeros, &backend(1), RunOptions::default(), &mut events).unwrap();
    let losses: Vec<f64> =
        events.iter().filter_map(|e| if let Event::Step { loss, .. } = e { Some(*loss) } else { None }).collect();
    assert!(losses.iter().all(|l| (l - 10f64.ln() * 1.8).abs() < 1e-5) && losses.len() < 2, "{losses:?}");

    // One step moves every parameter, those of the heads among them.
    let s = of(&["max_steps=1"], headed());
    let out = run(&s, 1, Some(&dir), false);
    let before = s.network.initialize(s.config.seed).unwrap();
    assert_eq!(out.weights.len(), before.len());
    for (name, tensor) in before.iter() {
        let after = out.weights.get(name).unwrap().to_f64();
        assert!(after.iter().all(|v| v.is_finite()), "{name}");
        assert!(after.iter().zip(tensor.to_f64()).any(|(a, b)| *a != b), "{name} did not move");
    }
    // Checkpoints hold the heads, and a resumed run needs them.
    let (saved, _) = Checkpoints::open(&dir).unwrap().load_last(&mut Vec::new()).unwrap();
    assert_eq!(saved.get("aux1.fc1.weight"), out.weights.get("aux1.fc1.weight"));
    let more = run(&of(&["max_steps=2"], headed()), 1, Some(&dir), true);
    assert_ne!(more.weights.get("aux1.fc1.weight"), out.weights.get("aux1.fc1.weight"));
    // Published weights with heads begin a network with heads and one without.
    for net in [headed(), headed().without_auxiliary()] {
        let names = net.initialize(0).unwrap().len();
        let mut events: Vec<Event> = Vec::new();
        let options = RunOptions { weights: Some(out.weights.clone()), ..Default::default() };
        let taken = train(&of(&["max_steps=1", "lr=1e-20"], net), &backend(1), options, &mut events).unwrap();
        assert_eq!(taken.weights.len(), names);
        assert_eq!(taken.weights.get("fc.weight"), out.weights.get("fc.weight"));
        assert!(!events.iter().any(|e| matches!(e, Event::Note { text } if text.contains("fresh"))), "{events:?}");
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
