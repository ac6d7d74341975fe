//! Darknet's files: what they compute is compared with NumPy's rendering of the C source (`goldens/make_darknet.py`).
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

mod common;

use common::{difference, normal, outputs, random_weights};
use gabor_formats::{darknet, npy, safetensors};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Data, Padding, Shape, Tensor, WindowOptions};
use std::collections::HashMap;
use std::path::Path;

fn golden(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/darknet").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn run(graph: &Graph, weights: &gabor_tensor::Weights, x: &Tensor) -> Tensor {
    let input = graph.inputs().next().unwrap();
    let inputs = HashMap::from([(graph.value(input).name.clone(), x.clone())]);
    outputs(graph, x.shape()[0], &inputs, weights).remove(0)
}

#[test]
fn networks_compute_what_darknet_computes() {
    for name in ["classifier", "branches", "strided", "old", "activations"] {
        let cfg = golden(&format!("{name}.cfg"));
        let net = darknet::import(&cfg, Some(&golden(&format!("{name}.weights")))).unwrap();
        let x = npy::read(&golden(&format!("{name}.x.npy"))).unwrap();
        let want = npy::read(&golden(&format!("{name}.y.npy"))).unwrap();
        let y = run(&net.graph, &net.weights, &x);
        assert_eq!(y.shape(), want.shape(), "{name}");
        let d = difference(&y, &want);
        println!("{name}: {d:.1e}");
        assert!(d < 3e-6, "{name}: {d}");
        assert_eq!(net.metadata.other["darknet.seen"], "12345");
        net.graph.validate().unwrap();
    }
}

#[test]
fn what_is_written_is_read_again() {
    // What Darknet has no word for is refused by name.
    let net = darknet::import(&golden("classifier.cfg"), Some(&golden("classifier.weights"))).unwrap();
    let e = darknet::export(&net.graph, &net.weights).unwrap_err();
    assert_eq!(e.to_string(), "darknet: 1 node cannot be written\n  act2 (softplus): Darknet has no such layer");
    let (graph, weights) = residual();
    let files = darknet::export(&graph, &weights).unwrap();
    let back = darknet::import(files.cfg.as_bytes(), Some(&files.weights)).unwrap();
    let x = normal(&[2, 3, 9, 9], 1);
    let d = difference(&run(&graph, &weights, &x), &run(&back.graph, &back.weights, &x));
    assert!(d < 1e-6, "{d}\n{}", files.cfg);
    // A second time it is the same to the bit: nothing is lost on the way.
    let again = darknet::export(&back.graph, &back.weights).unwrap();
    assert_eq!(again.cfg, files.cfg);
    assert_eq!(again.weights.len(), files.weights.len());
    assert!(files.cfg.contains("[shortcut]") && files.cfg.contains("[route]") && files.cfg.contains("[upsample]"));
}

/// Batch normalisation, a residual block, branches, a linear layer: what the writer can say.
fn residual() -> (Graph, gabor_tensor::Weights) {
    let mut g = Graph::new("residual");
    let x = g.input("images", Shape::batch(&[3, 9, 9]), DType::F32).unwrap();
    let conv = |g: &mut Graph, x: ValueId, name: &str, shape: [usize; 4], pad: usize, bn: bool| {
        let w = g.parameter(&format!("{name}.weight"), &shape, Parameter::weight(Initializer::Zeros)).unwrap();
        g.scope(name);
        let options = WindowOptions::default().padding(Padding::all(pad));
        let y = g.conv(x, w, 1, &options).unwrap();
        let mut p = |k: &str| g.parameter(&format!("{name}.{k}"), &[shape[0]], Parameter::bias(Initializer::Zeros));
        if bn {
            let v = [p("gamma"), p("beta"), p("mean"), p("var")].map(Result::unwrap);
            return g.batch_norm_inference(y, v, 1e-3).unwrap();
        }
        let b = p("bias").unwrap();
        let shape = g.shape(y).clone();
        let b = g.per_channel(b, &shape).unwrap();
        g.add(y, b).unwrap()
    };
    let y = conv(&mut g, x, "a", [8, 3, 3, 3], 1, true);
    let a = g.leaky_relu(y, 0.1).unwrap();
    let y = conv(&mut g, a, "b", [8, 8, 3, 3], 1, true);
    let sum = g.add(a, y).unwrap();
    let sum = g.relu(sum).unwrap();
    let half = WindowOptions::new(&[3, 3]).stride(&[2, 2]).padding(Padding::all(1));
    let pooled = g.max_pool(sum, &half).unwrap();
    let left = conv(&mut g, pooled, "c", [4, 8, 1, 1], 0, false);
    let right = conv(&mut g, pooled, "d", [4, 8, 5, 5], 2, true);
    let right = g.tanh(right).unwrap();
    let both = g.concat(&[left, right], 1).unwrap();
    let large = g.upsample_nearest(both, &[2, 2]).unwrap();
    let v = g.global_avg_pool(large).unwrap();
    let v = g.flatten(v).unwrap();
    let w = g.parameter("fc.weight", &[5, 8], Parameter::weight(Initializer::Zeros)).unwrap();
    let b = g.parameter("fc.bias", &[5], Parameter::bias(Initializer::Zeros)).unwrap();
    let v = g.linear(v, w, Some(b)).unwrap();
    let v = g.softmax(v, 1).unwrap();
    g.output("probabilities", v);
    let weights = random_weights(&g);
    (g, weights)
}

#[test]
fn numbers_that_do_not_fit_the_text() {
    let (cfg, weights) = (golden("old.cfg"), golden("old.weights"));
    let read = |w: &[u8]| darknet::import(&cfg, Some(w)).unwrap_err().to_string();
    assert_eq!(
        read(&weights[..40]),
        "line 4: [connected]: weights: fc1.weight: 35 numbers for shape [7, 5], and the file ends after 1; right would be: the .weights file of this .cfg"
    );
    assert!(read(&[&weights[..], &[0; 8]].concat()).contains("8 bytes are left after the last layer"));
    assert!(read(&weights[..7]).contains("7 bytes, less than the header has"));
    assert!(read(b"this is a text, not a file of weights").contains("it is damaged or no .weights file"));
    // Without numbers there is still a graph.
    let net = darknet::import(&cfg, None).unwrap();
    assert!(net.weights.is_empty() && net.graph.parameters().count() == 4);
}

#[test]
fn messages_name_the_line() {
    let read = |text: &str| {
        let text = format!("[net]\nheight=8\nwidth=8\nchannels=3\n{text}");
        darknet::import(text.as_bytes(), None).unwrap_err().to_string()
    };
    for (text, want) in [
        (
            "[convolutional]\nfilters=x\n",
            "line 6: [convolutional] filters: no number; given: `x`; right would be: a whole number",
        ),
        (
            "[convolutional]\nfilter=3\n",
            "line 6: `filter` is not known in [convolutional]; right would be: a key that Darknet knows, or a comment",
        ),
        (
            "[route]\nlayers=-1\n",
            "line 6: [route] layers: layer -1, seen from layer 0, is no earlier layer; right would be: no layer stands before it",
        ),
        (
            "[convolutional]\n[shortcut]\nfrom=1\n",
            "line 7: [shortcut] from: layer 1, seen from layer 1, is no earlier layer; right would be: 0 to 0",
        ),
        ("[maxpool\n", "line 5: a section that does not end; given: `[maxpool`; right would be: [convolutional]"),
        (
            "[maxpool]\nsize 2\n",
            "line 6: a line that is neither a section nor a setting; given: `size 2`; right would be: key=value",
        ),
        (
            "[convolutional]\nactivation=sine\n",
            "line 6: [convolutional] activation: `sine` is not known; right would be: linear, relu, relu6",
        ),
        (
            "[convolutional]\nsize=99999999999\n",
            "line 6: [convolutional] size: it is 99999999999; right would be: 0 to 16777215",
        ),
        ("[convolutional]\nsize=9\n", "line 5: [convolutional]: conv1: kernel_size 9 is larger than the padded input"),
        ("[convolutional]\nbinary=1\n", "line 6: [convolutional] binary: binary filters are not known"),
        (
            "[maxpool]\nsize=2\npadding=4\n",
            "line 5: [maxpool]: maxpool_0: padding 2:2 must be smaller than the window's reach 2",
        ),
        ("[lstm]\n", "line 5: [lstm]: recurrent layers are not known; right would be: convolutional"),
        ("", "line 1: [net]: no layer follows; right would be: at least one"),
    ] {
        let found = read(text);
        assert!(found.starts_with(want), "{text}\n found {found}\n  want {want}");
    }
}

#[test]
fn a_detection_head_is_left_raw() {
    let cfg = "[net]\nheight=8\nwidth=8\nchannels=3\n[convolutional]\nfilters=18\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=1,2\nclasses=1\n";
    let net = darknet::import(cfg.as_bytes(), None).unwrap();
    assert_eq!(net.graph.outputs()[0].0, "yolo_1");
    assert_eq!(net.notes, ["line 8: [yolo]: output `yolo_1` is what goes into it; boxes are not decoded"]);
    assert_eq!(net.metadata.preprocessing, None);
}

/// The real one: the file of the safetensors' numbers, by this writer and by an independent script.
#[test]
fn darknet_tiny_names_its_parameters_as_the_published_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pretrained/darknet-tiny-imagenet");
    let (Ok(cfg), Ok(bytes)) =
        (std::fs::read(root.join("tiny.cfg")), std::fs::read(root.join("darknet-tiny.safetensors")))
    else {
        println!("skipped: {} is not there", root.display());
        return;
    };
    let (mut weights, _) = safetensors::read(&bytes).unwrap();
    let net = darknet::import(&cfg, None).unwrap();
    let shape = |v: ValueId| net.graph.shape(v).at(1);
    for (v, _) in net.graph.parameters() {
        let name = &net.graph.value(v).name;
        assert_eq!(weights.get(name).map(Tensor::shape), Some(&shape(v)[..]), "{name}");
    }
    assert_eq!(net.graph.parameters().count(), weights.len());
    // The published numbers are for Keras, which adds 0.001 to the variance; Darknet adds next to nothing.
    for (name, t) in weights.0.iter_mut().filter(|(name, _)| name.ends_with("running_var")) {
        let Data::F32(v) = t.data_mut() else { panic!("{name}") };
        v.iter_mut().for_each(|x| *x += 1e-3);
    }
    let files = darknet::export(&net.graph, &weights).unwrap();
    let back = darknet::import(&cfg, Some(&files.weights)).unwrap();
    let ours = darknet::import(files.cfg.as_bytes(), Some(&files.weights)).unwrap();
    assert_eq!(back.weights, ours.weights);
    for (name, t) in weights.iter() {
        assert!(difference(t, &back.weights.0[name]) < 2e-7, "{name}");
    }
    // The same bytes from a script that shares no code with this crate, but for the last bit of a variance.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tiny.weights");
    let python = std::env::var("GABOR_PYTHON").unwrap_or_else(|_| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/darknet_weights.py");
    let source = root.join("darknet-tiny.safetensors");
    match std::process::Command::new(&python).arg(script).arg(source).arg(&target).output() {
        Ok(out) if out.status.success() => {
            let theirs = darknet::import(&cfg, Some(&std::fs::read(&target).unwrap())).unwrap();
            for (name, t) in theirs.weights.iter() {
                let same = t == &back.weights.0[name];
                assert!(same || name.ends_with("running_var") && difference(t, &back.weights.0[name]) < 2e-7, "{name}");
            }
        }
        _ => println!("not compared with the script: {python} with numpy does not run"),
    }
    // The version, the count of images, and nothing but numbers.
    assert_eq!(files.weights.len(), 20 + 4 * weights.elements());
}
