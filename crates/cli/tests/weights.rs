//! Weights of other libraries: conversion with verification, models from weights, fine-tuning.
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

mod common;

use common::{Place, bmp, json, stderr, write};
use gabor::formats::{pytorch, safetensors};
use gabor::prelude::*;
use std::path::{Path, PathBuf};

fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path.canonicalize().unwrap());
    }
    println!("not run: ../shared/data/{name} is not at hand");
    None
}

#[test]
fn formats_lead_to_each_other() {
    let p = Place::new("formats");
    let net = network("tiny_resnet", &Default::default()).unwrap();
    let weights = net.initialize(3).unwrap();
    let wrapped = weights.iter().map(|(n, t)| (format!("module.{n}"), t.clone())).collect();
    write(&p.path("w.pth"), pytorch::write(&wrapped));
    let out = p.gabor(&["convert", "w.pth", "m.onnx", "--net", "tiny_resnet", "--verify"]);
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("note: `module.` is taken off the file's names"), "{}", stderr(&out));
    assert!(common::stdout(&out).contains("logits"));
    let done = json(&p.done(&["convert", "m.onnx", "back.safetensors", "--verify", "--json"]));
    assert_eq!((&done["tensors"], &done["elements"]), (&weights.len().into(), &weights.elements().into()));
    assert_eq!(done["differences"][0]["output"], "logits");
    assert_eq!(done["differences"][0]["absolute"], 0.0);
    assert_eq!(safetensors::read(&common::read(&p.path("back.safetensors"))).unwrap().0, weights);
    // Weights stay weights under their names, or take a network's.
    assert!(p.done(&["convert", "w.pth", "same.safetensors", "--verify"]).contains("every tensor reads back the same"));
    assert_eq!(safetensors::read(&common::read(&p.path("same.safetensors"))).unwrap().0, wrapped);
    p.done(&["convert", "same.safetensors", "named.pth", "--net", "tiny_resnet", "--verify"]);
    assert_eq!(pytorch::read(&common::read(&p.path("named.pth"))).unwrap().weights, weights);
    assert_eq!(Model::open(p.path("m.onnx")).unwrap().weights(), &weights);
    // A network's eps that a file holds rounded changes nothing, which nobody need hear of.
    let out = p.gabor(&["convert", "m.onnx", "n.onnx", "--net", "tiny_resnet"]);
    assert!(out.status.success() && !stderr(&out).contains("running variances"), "{}", stderr(&out));
    // A file serves as the network.
    assert!(p.done(&["convert", "w.pth", "f.onnx", "--net", "m.onnx", "--verify"]).contains("logits"));
    assert_eq!(Model::open(p.path("f.onnx")).unwrap().weights(), &weights);
    let text = p.fails(1, &["convert", "w.pth", "g.onnx", "--net", "same.safetensors"]);
    assert!(text.contains("same.safetensors: the file holds weights and describes no network"), "{text}");
    assert!(p.fails(2, &["convert", "w.pth", "g.onnx", "--net", "m.onnx", "--classes", "10"]).contains("a number"));
    // Only who says the network may train it.
    assert!(p.fails(2, &["train", "--weights", "w.pth"]).contains("which network are these weights for?"));
    let text = p.fails(2, &["train", "--net", "m.onnx", "--weights", "w.pth"]);
    assert!(text.contains("a model file cannot be trained from"), "{text}");
}

#[test]
fn a_verification_that_fails_fails() {
    let p = Place::new("unequal");
    let net = network("mlp", &Default::default()).unwrap();
    let model = |seed| Model::new(net.graph(Mode::Infer).unwrap(), net.initialize(seed).unwrap()).unwrap();
    let (a, b) = (model(1), model(2));
    let d = gabor::compare(&a, &b, 2).unwrap();
    assert!(d[0].relative > 0.01 && d[0].output == "logits");
    assert_eq!(gabor::compare(&a, &a, 2).unwrap()[0].absolute, 0.0);
    a.save(p.path("a.onnx")).unwrap();
    assert!(p.fails(2, &["convert", "a.onnx", "b.onnx", "--verify", "--tolerance=-1"]).contains("right would be"));
    assert!(p.fails(2, &["convert", "a.onnx", "a.onnx"]).contains("one file"));
    assert!(p.fails(2, &["convert", "a.onnx", "a.gif"]).contains(".safetensors"));
    assert!(p.fails(1, &["convert", "none.onnx", "b.onnx"]).contains("none.onnx"));
}

#[test]
fn two_files_are_one_network() {
    let p = Place::new("pair");
    let cfg = "[net]\nheight=8\nwidth=8\nchannels=3\n\n[convolutional]\nfilters=2\nsize=3\nstride=1\npad=1\nactivation=linear\n";
    write(&p.path("n.cfg"), cfg);
    let text = p.fails(1, &["convert", "n.cfg", "n.onnx"]);
    assert!(text.contains("holds no weights; right would be: the file with the weights beside it"), "{text}");
    // Version 0.2, no pictures seen; two biases, then the filters.
    let mut weights: Vec<u8> = [0u32, 2, 0, 0, 0].iter().flat_map(|v| v.to_le_bytes()).collect();
    weights.extend((0..2 + 54).flat_map(|i| (i as f32 / 8.0).to_le_bytes()));
    write(&p.path("n.weights"), &weights);
    for source in ["n.cfg", "n.weights", "n.cfg+n.weights"] {
        assert!(p.done(&["convert", source, "n.onnx", "--verify"]).contains("56 numbers"));
    }
    let said = p.done(&["convert", "n.onnx", "again.cfg", "--verify"]);
    assert!(said.starts_with("again.cfg and again.weights: "), "{said}");
    // What nobody named is not overwritten.
    write(&p.path("own.weights"), "mine");
    let text = p.fails(2, &["convert", "n.onnx", "own.cfg"]);
    assert!(text.contains("own.weights: the file is there") && text.contains("own.cfg+own.weights"), "{text}");
    assert_eq!(common::read(&p.path("own.weights")), b"mine");
    let said = json(&p.done(&["convert", "n.onnx", "own.cfg+own.weights", "--json"]));
    assert_eq!(said["files"], serde_json::json!(["own.cfg", "own.weights"]));
    assert!(p.fails(2, &["convert", "n.cfg", "n.cfg+n.weights"]).contains("one file"));
    // The description alone needs no weights; to whom it does, both files are named.
    write(&p.path("n.weights"), &weights[..40]);
    p.done(&["summary", "n.cfg", "--no-time"]);
    assert!(p.fails(1, &["convert", "n.cfg", "m.onnx"]).contains("n.cfg with n.weights"));
    write(&p.path("s.safetensors"), safetensors::write(&Default::default(), &Default::default()));
    let text = p.fails(1, &["convert", "n.cfg+s.safetensors", "m.onnx"]);
    assert!(text.contains("s.safetensors: a file of safetensors beside one of Darknet"), "{text}");
    assert_eq!(common::read(&p.path("again.weights"))[20..], weights[20..]);
}

#[test]
fn what_does_not_fit_stands_side_by_side() {
    let p = Place::new("mismatch");
    let net = network("tiny_resnet", &Default::default()).unwrap();
    let mut w = net.initialize(1).unwrap();
    let t = w.0.remove("conv1.weight").unwrap();
    w.insert("conv_1.weight", t);
    write(&p.path("w.pth"), pytorch::write(&w));
    let text = p.fails(1, &["convert", "w.pth", "m.onnx", "--net", "tiny_resnet"]);
    assert!(text.contains("1 missing, 1 unexpected, 0 of another shape"), "{text}");
    let row = text.lines().find(|l| l.contains("conv1.weight [")).unwrap();
    assert!(row.contains("conv_1.weight ["), "{text}");
    assert!(!p.path("m.onnx").exists());
    // Code is never run.
    let payload = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/goldens/pytorch/payload.pth");
    let text = p.fails(1, &["summary", payload.to_str().unwrap()]);
    assert!(text.contains("the file names `posix.system`"), "{text}");
    assert!(!p.path("gabor-was-here").exists());
}

#[test]
fn weights_and_a_name_are_a_model() {
    let p = Place::new("named");
    let net = network("resnet20", &gabor::nets::zoo::Options { classes: Some(3), ..Default::default() }).unwrap();
    write(&p.path("w.pth"), pytorch::write(&net.initialize(1).unwrap()));
    write(&p.path("x.bmp"), bmp(40, 30, |x, y| [(x * 6) as u8, (y * 8) as u8, 90]));
    // The number of classes is the weights', the preprocessing the card's.
    let a = json(&p.done(&["predict", "--net", "resnet20", "--weights", "w.pth", "x.bmp", "--json"]));
    let b = json(&p.done(&["predict", "w.pth", "x.bmp", "--net", "resnet20", "--json"]));
    assert_eq!((a[0]["top"].as_array().unwrap().len(), &a), (3, &b));
    assert!(p.fails(1, &["predict", "w.pth", "x.bmp"]).contains("--net NET"));
    assert!(p.fails(2, &["predict", "w.pth"]).contains("no pictures"));
    p.done(&["convert", "w.pth", "m.onnx", "--net", "resnet20"]);
    assert_eq!(json(&p.done(&["predict", "w.pth", "x.bmp", "--net", "m.onnx", "--json"])), a);
    // Names of the zoo are no weights, and weights are no models to be run.
    for words in [
        &["predict", "resnet20", "x.bmp"][..],
        &["convert", "resnet20", "q.onnx"],
        &["run", "resnet20", "--output", "o"],
    ] {
        assert!(p.fails(2, words).contains("resnet20: a network of the zoo, which holds no weights"));
    }
    assert!(p.fails(2, &["run", "w.pth", "--output", "o"]).contains("run takes .onnx"));
    let text = p.fails(2, &["run", "m.onnx", "--output", "o", "--grad", "foo=dy.npy"]);
    assert!(text.contains("no output `foo`; right would be: `logits`"), "{text}");
    assert!(p.fails(2, &["train", "resnet20"]).contains("--net resnet20"));
    assert!(p.fails(2, &["train", "--net", "mlp", "net=lenet5"]).contains("net=lenet5: net is given twice"));
    write(&p.path("l.toml"), "classes = 3\n[[layer]]\nkind = \"relu\"\n");
    assert!(p.fails(2, &["train", "l.toml"]).contains("right would be: --net l.toml"));
    let text = p.fails(1, &["summary", "zzzqqq"]);
    assert!(text.contains("gabor summary --list has all") && text.len() < 200, "{text}");
    for (net, what) in [("none.cfg", "no such file"), ("./none.pth", "no such file"), (".", "a directory")] {
        let text = p.fails(1, &["predict", "w.pth", "x.bmp", "--net", net]);
        assert!(text.contains(&format!("{net}: {what}")), "{text}");
    }
    let s = p.done(&["summary", "w.pth"]);
    assert!(s.contains("conv1.weight") && s.contains("[16, 3, 3, 3]") && s.contains("PyTorch: "), "{s}");
    assert_eq!(json(&p.done(&["summary", "w.pth", "--json"]))["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn published_weights_reach_their_accuracy() {
    let (Some(th), Some(cifar)) = (data("pretrained/resnet-cifar10/resnet20-12fca82f.th"), data("cifar10")) else {
        return;
    };
    let p = Place::new("published");
    let (th, cifar) = (th.to_str().unwrap(), cifar.to_str().unwrap());
    p.done(&["convert", th, "m.onnx", "--net", "resnet20", "--verify"]);
    let mut model = Model::open(p.path("m.onnx")).unwrap();
    // Logits of the first test records, as PyTorch computed them.
    let golden: serde_json::Value = json(
        &String::from_utf8(common::read(&data("pretrained/resnet-cifar10/resnet20_golden.json").unwrap())).unwrap(),
    );
    let splits = gabor::train::open_data(cifar).unwrap();
    let test = splits.test.unwrap();
    let prepared = model.preprocessing().unwrap().clone();
    let (mut images, n) = (Vec::new(), 8);
    for i in 0..n {
        images.extend(prepared.apply(&test.image(i).unwrap()).unwrap());
    }
    let found = model.logits(&Tensor::f32(&[n, 3, 32, 32], images).unwrap()).unwrap();
    let golden: Vec<f64> = (golden["rows"].as_array().unwrap().iter().take(n))
        .flat_map(|row| row["logits"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()))
        .collect();
    assert_eq!(golden.len(), n * 10);
    for (a, b) in found.to_f64().iter().zip(&golden) {
        assert!((a - b).abs() < 1e-3, "{a} {b}");
    }
    let e = json(&p.done(&["eval", "--net", "resnet20", "--weights", th, "--data", cifar, "--json"]));
    assert!(e["top1"].as_f64().unwrap() >= 0.91, "{}", e["top1"]);
}

#[test]
fn a_published_network_is_fine_tuned() {
    let (Some(th), Some(photos)) = (data("pretrained/resnet-cifar10/resnet20-12fca82f.th"), data("hymenoptera")) else {
        return;
    };
    let p = Place::new("tune");
    let (th, photos) = (th.to_str().unwrap(), photos.to_str().unwrap());
    let words = ["train", "--net", "resnet20", "--weights", th, "--data", photos, "--out", "run", "--json"];
    let settings = ["epochs=3", "batch=16", "lr=0.003", "freeze=conv1*,layer1*", "lr_factors=layer*:0.1"];
    let out = p.gabor(&[&words[..], &settings].concat());
    let notes = stderr(&out);
    assert!(out.status.success(), "{notes}");
    assert!(notes.contains("note: taken from `state_dict`; the file also holds best_prec1"), "{notes}");
    assert!(notes.contains("`module.` is taken off"), "{notes}");
    assert!(notes.contains("is made anew: the weights have 10 classes, the data 2"), "{notes}");
    let model = Model::open(p.path("run/model.onnx")).unwrap();
    // As the weights expect it, not as the data are.
    assert_eq!(model.preprocessing().unwrap().mean, [0.485, 0.456, 0.406]);
    let before = pytorch::read(&common::read(Path::new(th))).unwrap().weights;
    let moved = |name: &str| model.weights().get(name) != before.get(&format!("module.{name}"));
    assert!(!moved("conv1.weight") && !moved("layer1.0.conv1.weight") && moved("layer3.0.conv1.weight"));
    // The run says where its weights come from, in its settings and in the model.
    let config = String::from_utf8(common::read(&p.path("run/config.toml"))).unwrap();
    let sum = "12fca82f0bebc4135bf1f32f6e3710e61d5108578464b84fd6d7f5c1b04036c8";
    assert!(config.contains(&format!("weights_sha256 = \"{sum}\"")), "{config}");
    let provenance = json(model.provenance().unwrap());
    assert_eq!((&provenance["config"]["weights_sha256"], &provenance["config"]["weights"]), (&sum.into(), &th.into()));
    // Better than chance after seconds: pictures of 32 × 32 do not allow much.
    let last = json(common::stdout(&out).lines().last().unwrap());
    assert!(last["top1"].as_f64().unwrap() > 0.5, "{last}");
    // A run goes on without the file, as it was begun.
    std::fs::rename(p.path("run"), p.path("moved")).unwrap();
    p.done(&["train", "--resume", "moved", "epochs=4", "--json"]);
    assert_eq!(Model::open(p.path("moved/model.onnx")).unwrap().preprocessing().unwrap().mean, [0.485, 0.456, 0.406]);
    let other = format!("weights_sha256={}", "0".repeat(64));
    let text = p.fails(1, &["train", "--net", "resnet20", "--weights", th, "--data", photos, &other]);
    assert!(text.contains("the SHA-256 is 12fca82f") && text.contains("right would be: 0000"), "{text}");
    let text = p.fails(1, &["train", "--net", "resnet18", "--weights", th, "--data", photos]);
    assert!(text.contains("missing") && text.contains("the network wants"), "{text}");
}
