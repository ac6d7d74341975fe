//! Files of other producers: PyTorch's exporter, CNTK, and some made by hand (`goldens/make.py`).
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

mod common;

use common::{difference, normal, outputs};
use gabor_formats::npy;
use gabor_formats::onnx::{Metadata, export, import};
use gabor_tensor::{Dim, Shape, Tensor};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)
}

fn array(name: &str) -> Tensor {
    npy::read(&std::fs::read(golden(name)).unwrap()).unwrap()
}

const GOLDENS: &[&str] = &[
    "torch_cnn_9",
    "torch_cnn_11",
    "torch_cnn_13",
    "torch_cnn_17",
    "torch_cnn_fixed_batch",
    "torch_modern_14",
    "torch_modern_17",
    "torch_modern_20",
    "auto_pad",
    "old_softmax",
    "opset8",
    "opset21",
];

#[test]
fn outputs_are_those_of_onnx_runtime() {
    for name in GOLDENS {
        let bytes = std::fs::read(golden(&format!("{name}.onnx"))).unwrap();
        let net = import(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (x, y) = (array(&format!("{name}.x.npy")), array(&format!("{name}.y.npy")));
        let input = net.graph.inputs().next().unwrap();
        assert_eq!(net.graph.shape(input).0[0], Dim::Batch(1), "{name}");
        let n = x.shape()[0];
        let inputs = HashMap::from([(net.graph.value(input).name.clone(), x)]);
        let got = outputs(&net.graph, n, &inputs, &net.weights);
        let d = difference(&got[0], &y);
        assert!(d < 1e-5, "{name}: {d}\n{}", net.graph);
        // Written by this library, it says the same again.
        let again = export(&net.graph, &net.weights, &net.metadata).unwrap_or_else(|e| panic!("{name}: {e}"));
        let again = import(&again).unwrap_or_else(|e| panic!("{name}, written again: {e}"));
        assert_eq!(again.weights.len(), net.weights.len(), "{name}");
        let got = outputs(&again.graph, n, &inputs, &again.weights);
        assert!(difference(&got[0], &y) < 1e-5, "{name}, written again");
    }
}

#[test]
fn names_and_roles_of_parameters() {
    let net = import(&std::fs::read(golden("torch_cnn_13.onnx")).unwrap()).unwrap();
    let names: Vec<_> = net.graph.parameters().map(|(v, p)| (net.graph.value(v).name.as_str(), p.decay)).collect();
    // The exporter folded the norms into the convolutions and gave those weights names of its own.
    assert!(names.contains(&("fc1.weight", true)) && names.contains(&("fc1.bias", false)), "{names:?}");
    assert_eq!(net.producer, "pytorch 2.15.0");
    assert_eq!(net.format, "ONNX opset 13");
    let net = import(&std::fs::read(golden("opset8.onnx")).unwrap()).unwrap();
    let trainable: Vec<_> =
        net.graph.parameters().map(|(v, p)| (net.graph.value(v).name.as_str(), p.trainable)).collect();
    assert_eq!(trainable, [("s", true), ("b", true), ("m", false), ("v", false)]);
}

#[test]
fn cntk_mnist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let Ok(bytes) = std::fs::read(root.join("pretrained/mnist-onnx/opt-mnist.onnx")) else {
        println!("skipped: the CNTK model is not on this machine");
        return;
    };
    let net = import(&bytes).unwrap();
    let input = net.graph.find("Input3").unwrap();
    assert_eq!(net.graph.shape(input), &Shape::batch(&[1, 28, 28]));
    assert_eq!(net.graph.shape(net.graph.outputs()[0].1), &Shape::batch(&[10]));
    assert_eq!((net.weights.len(), net.weights.elements()), (6, 200 + 8 + 3200 + 16 + 2560 + 10));
    let unpacked = |name: &str| {
        let packed = std::fs::read(root.join(name)).ok()?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut bytes).ok()?;
        Some(bytes)
    };
    let labels = unpacked("mnist/t10k-labels-idx1-ubyte.gz");
    let images = unpacked("mnist/t10k-images-idx3-ubyte.gz");
    let (Some(labels), Some(images)) = (labels, images) else {
        println!("skipped: MNIST is not on this machine");
        return;
    };
    let n = 500;
    let pixels = images[16..16 + n * 784].iter().map(|&b| f32::from(b)).collect();
    let x = Tensor::f32(&[n, 1, 28, 28], pixels).unwrap();
    let y = outputs(&net.graph, n, &HashMap::from([("Input3".into(), x)]), &net.weights);
    let best = |row: &[f32]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
    let rows = y[0].as_f32().unwrap().chunks(10);
    let right = rows.zip(&labels[8..]).filter(|(row, l)| best(row) == usize::from(**l)).count();
    assert!(right * 100 >= n * 97, "{right} of {n}");
}

#[test]
fn mixed_samples_keep_their_batch_size() {
    // A sum over the batch axis has no meaning for another batch size than the file's.
    let mut g = gabor_graph::Graph::new("mix");
    let x = g.input("x", Shape::fixed(&[1, 3]), gabor_tensor::DType::F32).unwrap();
    let y = g.reduce(gabor_tensor::Reduction::Sum, x, &[0, 1]).unwrap();
    g.output("y", y);
    let bytes = export(&g, &Default::default(), &Metadata::default()).unwrap();
    let net = import(&bytes).unwrap();
    assert_eq!(net.graph.shape(net.graph.find("x").unwrap()), &Shape::fixed(&[1, 3]));
    let got = outputs(&net.graph, 1, &HashMap::from([("x".into(), normal(&[1, 3], 1))]), &net.weights);
    assert_eq!(got[0].shape(), [1, 1]);
}

#[test]
fn all_refused_nodes_are_listed_at_once() {
    let e = import(&std::fs::read(golden("refused.onnx")).unwrap()).unwrap_err();
    let lines: Vec<String> = e.to_string().lines().map(str::to_string).collect();
    assert_eq!(
        lines,
        [
            "onnx graph `refused`: 3 nodes cannot be imported",
            "  n_pool (MaxPool): kernel_size 9 is larger than the padded input 5 + 0 + 0 = 5 in spatial dimension 0; \
             right would be: kernel_size at most 5, or more padding",
            "  f (com.example.FancyNorm): operators of domain com.example are not known",
            "  n_l (LeakyRelu): attribute `beta` = 0.5 has no meaning at opset 13",
        ]
    );
    assert_eq!(e.refusals().len(), 3);
}

#[test]
fn files_that_are_no_models() {
    let e = |bytes: &[u8]| import(bytes).unwrap_err().to_string();
    assert!(e(b"").contains("names no opset of the standard operators"), "{}", e(b""));
    assert!(e(b"\x89PNG\r\n\x1a\n").contains("damaged or no ONNX file"), "{}", e(b"\x89PNG\r\n\x1a\n"));
    let external = e(&std::fs::read(golden("external.onnx")).unwrap());
    assert!(
        external.starts_with("initialiser `w`: its elements lie in another file, `weights.bin` (external data)"),
        "{external}"
    );
}
