//! Damaged files: no reader may panic, hang or allocate more than a file's size explains.
//!
//! `readers.rs` lists the readers, `harness.rs` damages files; here are the files to begin with.

mod harness;
mod readers;

use gabor_formats::{npy, onnx, safetensors};
use gabor_tensor::{Tensor, Weights};
use harness::damage;
use readers::{READERS, reader};
use std::path::{Path, PathBuf};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Damages each of the files, mixing in parts of the others.
fn each(name: &str, files: &[(String, Vec<u8>)]) {
    assert!(!files.is_empty());
    let all: Vec<Vec<u8>> = files.iter().map(|f| f.1.clone()).collect();
    files.iter().for_each(|(file, bytes)| damage(reader(name), file, bytes, &all));
}

/// Goldens beside the tests, by their file names.
fn goldens(names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let read = |name: &&str| {
        let path = here().join("tests/goldens").join(name);
        (name.to_string(), std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    };
    names.iter().map(read).collect()
}

#[test]
fn npy_files() {
    let tensors = [
        ("floats", Tensor::f32(&[2, 3], vec![1.0; 6]).unwrap()),
        ("integers", Tensor::i32(&[5], vec![3; 5]).unwrap()),
        ("a number", Tensor::u8(&[], vec![3]).unwrap()),
    ];
    each("npy", &tensors.map(|(name, t)| (name.to_string(), npy::write(&t))));
}

#[test]
fn safetensors_files() {
    let mut w = Weights::new();
    w.insert("conv1.weight", Tensor::f32(&[2, 3], vec![1.0; 6]).unwrap());
    w.insert("step", Tensor::i32(&[], vec![3]).unwrap());
    let metadata = [("k".to_string(), "v".to_string())].into_iter().collect();
    let files = [
        ("plain".to_string(), safetensors::write(&w, &metadata)),
        ("with a checksum".to_string(), safetensors::write_with_checksum(&w, &metadata)),
    ];
    each("safetensors", &files);
}

#[test]
fn onnx_files() {
    each("onnx", &goldens(&["torch_cnn_9.onnx", "torch_modern_14.onnx", "auto_pad.onnx", "old_softmax.onnx"]));
    each("onnx", &goldens(&["opset8.onnx", "opset21.onnx"]));
}

/// Tensors of their own: extents, type, name and elements, raw and in a field.
#[test]
fn onnx_tensor_files() {
    let raw = b"\x08\x02\x08\x03\x10\x01\x42\x01x\x4a\x18\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f\0\0\x80\x3f";
    let field = b"\x08\x02\x10\x07\x38\x05\x38\x7f\x42\x05shape";
    assert_eq!(onnx::read_tensor(raw).unwrap().shape, [2, 3]);
    assert_eq!(onnx::read_tensor(field).unwrap().shape, [2]);
    each("onnx_tensor", &[("raw".to_string(), raw.to_vec()), ("field".to_string(), field.to_vec())]);
}

#[test]
fn pytorch_files() {
    each("pytorch", &goldens(&["pytorch/types.pth", "pytorch/types_legacy.pth", "pytorch/views.pth"]));
    each("pytorch", &goldens(&["pytorch/views_legacy.pth", "pytorch/checkpoint.pth"]));
}

/// Pairs of a text and a file of numbers, with a zero between them.
fn pairs(directory: &str, names: &[&str], text: &str, numbers: &str) -> Vec<(String, Vec<u8>)> {
    let pair = |name: &&str| {
        let files = [text, numbers].map(|e| format!("{directory}/{name}.{e}"));
        let mut files = goldens(&files.each_ref().map(String::as_str));
        let (numbers, mut text) = (files.remove(1).1, files.remove(0).1);
        text.push(0);
        text.extend(numbers);
        (name.to_string(), text)
    };
    names.iter().map(pair).collect()
}

#[test]
fn darknet_files() {
    each("darknet", &pairs("darknet", &["classifier", "branches", "old", "activations"], "cfg", "weights"));
}

#[test]
fn caffe_files() {
    let names = ["modern", "older", "oldest", "train_val", "others"];
    each("caffe", &pairs("caffe", &names, "prototxt", "caffemodel"));
}

#[test]
fn convnetjs_files() {
    each("convnetjs", &goldens(&["convnetjs/image.json", "convnetjs/vector.json"]));
}

#[test]
fn every_reader_is_fuzzed_and_tested_here() {
    let targets = here().join("../../fuzz/fuzz_targets");
    let manifest = std::fs::read_to_string(targets.join("../Cargo.toml")).unwrap();
    for r in READERS {
        let target = std::fs::read_to_string(targets.join(format!("{}.rs", r.name))).unwrap_or_default();
        assert!(target.contains(&format!("reader(\"{}\")", r.name)), "fuzz/fuzz_targets/{}.rs", r.name);
        assert!(manifest.contains(&format!("name = \"{}\"", r.name)), "fuzz/Cargo.toml has no target {}", r.name);
        let tested = include_str!("main.rs").contains(&format!("each(\"{}\"", r.name));
        assert!(tested, "main.rs has no files for {}", r.name);
    }
    assert!(Path::new(&targets).is_dir());
}
