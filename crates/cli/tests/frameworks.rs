//! Networks in the files of Darknet, Caffe and ConvNetJS, through the command.

mod common;

use common::{Place, json, write};
use std::path::Path;

/// Copies goldens of the formats' tests.
fn copy(p: &Place, folder: &str, files: &[&str]) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../formats/tests/goldens").join(folder);
    files.iter().for_each(|f| write(&p.path(f), std::fs::read(from.join(f)).unwrap()));
}

#[test]
fn darknet() {
    let p = Place::new("darknet");
    copy(&p, "darknet", &["branches.cfg", "branches.weights"]);
    // The file beside it is found from either side, or named.
    for source in ["branches.cfg", "branches.weights", "branches.cfg+branches.weights"] {
        let done = json(&p.done(&["convert", source, "net.onnx", "--verify", "--json"]));
        assert_eq!(done["differences"][0]["output"], "output", "{source}");
        assert!(done["differences"][0]["relative"].as_f64().unwrap() < 1e-5, "{done}");
    }
    let text = p.done(&["summary", "branches.cfg"]);
    assert!(text.contains("conv1") && text.contains("reorg_7"), "{text}");
    // Without numbers it is still a network to look at.
    std::fs::remove_file(p.path("branches.weights")).unwrap();
    assert!(p.done(&["summary", "branches.cfg"]).contains("conv1"));
    assert!(p.fails(1, &["convert", "branches.cfg", "net.onnx"]).contains("branches.cfg"));
    assert!(p.fails(1, &["convert", "branches.cfg+none.weights", "net.onnx"]).contains("none.weights"));
}

#[test]
fn networks_are_written_for_darknet() {
    let p = Place::new("to-darknet");
    copy(&p, "darknet", &["strided.cfg", "strided.weights"]);
    p.done(&["convert", "strided.cfg", "net.onnx", "--verify"]);
    let refused = p.fails(1, &["convert", "net.onnx", "again.cfg"]);
    assert!(refused.contains("cannot be written") && refused.contains("slice"), "{refused}");
    p.done(&["train", "--net", "mlp", "--out", "model", "max_steps=2", "epochs=1", "augment=none"]);
    for target in ["mlp.cfg", "other.weights"] {
        p.done(&["convert", "model/model.onnx", target, "--verify"]);
        let stem = target.split('.').next().unwrap();
        assert!(common::read(&p.path(&format!("{stem}.cfg"))).starts_with(b"[net]"));
        assert!(p.path(&format!("{stem}.weights")).is_file());
    }
}

#[test]
fn caffe() {
    let p = Place::new("caffe");
    copy(&p, "caffe", &["modern.prototxt", "modern.caffemodel", "oldest.prototxt", "oldest.caffemodel"]);
    for source in ["modern.prototxt", "modern.caffemodel", "oldest.prototxt+oldest.caffemodel"] {
        let done = json(&p.done(&["convert", source, "net.onnx", "--verify", "--json"]));
        assert_eq!(done["differences"][0]["output"], "prob", "{source}");
        assert!(done["differences"][0]["relative"].as_f64().unwrap() < 1e-5, "{done}");
    }
    assert!(p.done(&["summary", "modern.prototxt"]).contains("conv2"));
    write(&p.path("bad.prototxt"), b"layer {\n  name: 3\n}\n");
    let bad = p.fails(1, &["summary", "bad.prototxt"]);
    assert!(bad.contains("line 2, column 3") && bad.contains("right would be: a text in quotes"), "{bad}");
}

#[test]
fn networks_are_written_for_caffe() {
    let p = Place::new("to-caffe");
    copy(&p, "caffe", &["modern.prototxt", "modern.caffemodel"]);
    copy(&p, "darknet", &["strided.cfg", "strided.weights"]);
    p.done(&["train", "--net", "mlp", "--out", "model", "max_steps=2", "epochs=1", "augment=none"]);
    // Either file may be named, and both are written.
    for (source, target) in [
        ("model/model.onnx", "mlp.caffemodel"),
        ("model/model.onnx", "other.prototxt"),
        ("modern.prototxt", "again.prototxt"),
    ] {
        let done = json(&p.done(&["convert", source, target, "--verify", "--json"]));
        assert!(done["differences"][0]["relative"].as_f64().unwrap() < 1e-6, "{done}");
        let stem = target.split('.').next().unwrap();
        assert!(common::read(&p.path(&format!("{stem}.prototxt"))).starts_with(b"# Written by gabor.\n"));
        assert!(p.path(&format!("{stem}.caffemodel")).is_file());
    }
    // What a prediction needs beside the network is in the comments.
    let text = String::from_utf8(common::read(&p.path("mlp.prototxt"))).unwrap();
    assert!(text.contains("# preprocessing: {") && text.contains("# class 9: "), "{text}");
    p.done(&["convert", "mlp.prototxt", "back.onnx", "--verify"]);
    let refused = p.fails(1, &["convert", "strided.cfg", "strided.caffemodel"]);
    assert!(refused.contains("cannot be written"), "{refused}");
    assert!(!p.path("strided.caffemodel").exists() && !p.path("strided.prototxt").exists());
}

#[test]
fn convnetjs() {
    let p = Place::new("convnetjs");
    copy(&p, "convnetjs", &["image.json"]);
    assert!(p.done(&["convert", "image.json", "net.onnx", "--verify"]).contains("output"));
    assert!(p.done(&["summary", "image.json"]).contains("conv1"));
}
