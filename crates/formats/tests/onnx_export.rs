//! Networks as files: names, biases, metadata, refusals; run by ONNX Runtime where it is installed.

mod common;

use common::{Cases, difference, normal, outputs, random_weights};
use gabor_formats::onnx::{Metadata, export, import};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_tensor::{DType, Dim, Padding, Shape, Tensor, Unary, WindowOptions};
use std::collections::HashMap;

fn weight(g: &mut Graph, name: &str, shape: &[usize]) -> ValueId {
    g.parameter(name, shape, Parameter::weight(Initializer::KaimingUniform { a: 1.0 })).unwrap()
}

fn conv(g: &mut Graph, name: &str, x: ValueId, co: usize, k: usize, options: &WindowOptions) -> ValueId {
    let ci = g.shape(x).0[1].at(1);
    let w = weight(g, &format!("{name}.weight"), &[co, ci, k, k]);
    let b = weight(g, &format!("{name}.bias"), &[co]);
    g.scope(name);
    g.conv_bias(x, w, b, 1, options).unwrap()
}

fn linear(g: &mut Graph, name: &str, x: ValueId, out: usize) -> ValueId {
    let inputs = g.shape(x).0[1].at(1);
    let w = weight(g, &format!("{name}.weight"), &[out, inputs]);
    let b = weight(g, &format!("{name}.bias"), &[out]);
    g.scope(name);
    g.linear(x, w, Some(b)).unwrap()
}

fn lenet5() -> Graph {
    let mut g = Graph::new("lenet5");
    let x = g.input("image", Shape::batch(&[1, 28, 28]), DType::F32).unwrap();
    let pool = WindowOptions::new(&[2, 2]).stride(&[2, 2]);
    let mut y = conv(&mut g, "conv1", x, 6, 5, &WindowOptions::default().padding(Padding::all(2)));
    g.scope("act1");
    y = g.tanh(y).unwrap();
    g.scope("pool1");
    y = g.avg_pool(y, &pool).unwrap();
    y = conv(&mut g, "conv2", y, 16, 5, &WindowOptions::default());
    g.scope("act2");
    y = g.relu(y).unwrap();
    g.scope("pool2");
    y = g.max_pool(y, &pool).unwrap();
    g.scope("flatten");
    y = g.flatten(y).unwrap();
    for (name, out) in [("fc1", 120), ("fc2", 84), ("fc3", 10)] {
        y = linear(&mut g, name, y, out);
        if name != "fc3" {
            g.scope(format!("{name}.act"));
            y = g.selu(y).unwrap();
        }
    }
    g.output("logits", y);
    g.scope("softmax");
    let p = g.softmax(y, 1).unwrap();
    g.output("probabilities", p);
    g
}

/// A residual block with batch normalisation, groups, a transposed convolution, and odd wishes at the end.
fn odd() -> Graph {
    let mut g = Graph::new("odd");
    let x = g.input("x", Shape::batch(&[4, 7, 6]), DType::F32).unwrap();
    let labels = g.input("labels", Shape(vec![Dim::Batch(1)]), DType::I32).unwrap();
    let w = weight(&mut g, "w", &[4, 2, 3, 3]);
    g.scope("conv");
    let same = WindowOptions::default().padding(Padding::Same);
    let y = g.conv(x, w, 2, &same).unwrap();
    let vectors = ["gamma", "beta", "mean", "var"].map(|n| weight(&mut g, &format!("bn.{n}"), &[4]));
    g.scope("bn");
    let y = g.batch_norm_inference(y, vectors, 1e-3).unwrap();
    g.scope("sum");
    let y = g.add(x, y).unwrap();
    let up = weight(&mut g, "up.weight", &[4, 3, 2, 2]);
    let bias = weight(&mut g, "up.bias", &[3, 1, 1]);
    g.scope("up");
    let z = g.conv_transpose(y, up, 1, &WindowOptions::default().stride(&[2]), &[1]).unwrap();
    let z = g.add(bias, z).unwrap();
    // A value that is used twice keeps its addition.
    let own = weight(&mut g, "own.weight", &[2, 4, 1, 1]);
    let own_bias = weight(&mut g, "own.bias", &[2, 1, 1]);
    g.scope("own");
    let c = g.conv(y, own, 1, &WindowOptions::default()).unwrap();
    let c2 = g.add(c, own_bias).unwrap();
    let both = g.concat(&[c, c2], 1).unwrap();
    let global = g.global_avg_pool(both).unwrap();
    let pairs = g.reshape(global, &Shape(vec![Dim::Batch(2), Dim::Fixed(2)])).unwrap();
    g.scope("one_hot");
    let hot = g.one_hot(labels, 3).unwrap();
    g.scope("ones");
    let ones = g.full(&[2], 1.0);
    let wide = g.broadcast(ones, &Shape(vec![Dim::Batch(1), Dim::Fixed(2)])).unwrap();
    g.output("z", z);
    g.output("pairs", pairs);
    g.output("hot", hot);
    g.output("wide", wide);
    // Twice the same value, an input, a parameter and a constant.
    g.output("again", z);
    g.output("same", x);
    g.output("weights", w);
    g.output("ones", ones);
    g
}

#[test]
fn networks_run_alike_everywhere() {
    let mut cases = Cases::new("networks");
    let image = HashMap::from([("image".to_string(), normal(&[3, 1, 28, 28], 1))]);
    let labels = Tensor::i32(&[3], vec![2, -1, 0]).unwrap();
    let two = HashMap::from([("x".to_string(), normal(&[3, 4, 7, 6], 2)), ("labels".to_string(), labels)]);
    for (graph, inputs) in [(lenet5(), image), (odd(), two)] {
        let weights = random_weights(&graph);
        let metadata = Metadata { classes: vec!["cat".into()], ..Default::default() };
        let bytes = export(&graph, &weights, &metadata).unwrap();
        assert_eq!(bytes, export(&graph, &weights, &metadata).unwrap());
        let want = outputs(&graph, 3, &inputs, &weights);
        let back = import(&bytes).unwrap();
        assert_eq!(back.weights, weights);
        let got = outputs(&back.graph, 3, &inputs, &back.weights);
        for ((w, g), (name, _)) in want.iter().zip(&got).zip(graph.outputs()) {
            assert!(difference(w, g) < 1e-5, "{name}");
        }
        let named: Vec<_> = graph.outputs().iter().map(|(n, _)| n.clone()).zip(want).collect();
        cases.add(&graph.name, &bytes, &inputs, &named);
    }
    cases.check();
}

#[test]
fn names_stay_and_biases_join_their_layers() {
    let graph = lenet5();
    let weights = random_weights(&graph);
    let back = import(&export(&graph, &weights, &Metadata::default()).unwrap()).unwrap();
    let nodes: Vec<_> = back.graph.nodes().iter().map(|n| n.name.as_str()).collect();
    // A convolution with bias is one operator in the file, and three nodes of that name here.
    let expected = "conv1 conv1.reshape conv1.binary act1 pool1 conv2 conv2.reshape conv2.binary act2 pool2 flatten fc1 fc1.binary \
                    fc1.act fc2 fc2.binary fc2.act fc3 fc3.binary softmax";
    assert_eq!(nodes.join(" "), expected);
    assert_eq!(back.graph.outputs().iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(), ["logits", "probabilities"]);
    let types = |g: &Graph| g.outputs().iter().map(|&(_, v)| g.ty(v).to_string()).collect::<Vec<_>>();
    assert_eq!(types(&back.graph), types(&graph));
    assert!(back.producer.starts_with("gabor ") && back.format == "ONNX opset 17");
}

#[test]
fn metadata_survives() {
    let graph = lenet5();
    let metadata = Metadata {
        preprocessing: Some(r#"{"resize":[28,28],"mean":[0.1307]}"#.into()),
        classes: vec!["zero".into(), "o\"ne".into(), "zwei ✓".into()],
        provenance: Some(r#"{"data":"mnist"}"#.into()),
        metrics: Some(r#"{"top1":0.994}"#.into()),
        other: [("author".to_string(), "someone".to_string())].into_iter().collect(),
    };
    let bytes = export(&graph, &random_weights(&graph), &metadata).unwrap();
    assert_eq!(import(&bytes).unwrap().metadata, metadata);
    let wrong = Metadata { metrics: Some("{".into()), ..Default::default() };
    let e = export(&graph, &random_weights(&graph), &wrong).unwrap_err().to_string();
    assert!(e.starts_with("gabor.metrics: it is not JSON"), "{e}");
}

#[test]
fn what_cannot_be_written_is_listed() {
    let mut g = Graph::new("net");
    let x = g.input("x", Shape::batch(&[3]), DType::F32).unwrap();
    let key = g.input("key", Shape::fixed(&[4]), DType::I32).unwrap();
    g.scope("drop1");
    let y = g.dropout(x, key, 0.5, 1).unwrap();
    g.scope("act");
    let y = g.unary(Unary::Relu, y).unwrap();
    g.scope("drop2");
    let y = g.dropout(y, key, 0.5, 2).unwrap();
    g.output("y", y);
    let e = export(&g, &Default::default(), &Metadata::default()).unwrap_err();
    assert_eq!(
        e.to_string(),
        "net: 2 nodes cannot be exported to ONNX\n  drop1 (dropout): its part random_uniform: no ONNX operators have this \
         meaning\n  drop2 (dropout): its part random_uniform: no ONNX operators have this meaning"
    );
    let graph = lenet5();
    let mut weights = random_weights(&graph);
    weights.insert("conv2.bias", normal(&[7], 1));
    let e = export(&graph, &weights, &Metadata::default()).unwrap_err().to_string();
    assert_eq!(e, "conv2.bias: weights f32 [7]; right would be: f32[16]");
    weights.0.remove("conv2.bias");
    let e = export(&graph, &weights, &Metadata::default()).unwrap_err().to_string();
    assert_eq!(e, "conv2.bias: the parameter has no weights");
    let e = export(&Graph::new("empty"), &weights, &Metadata::default()).unwrap_err().to_string();
    assert_eq!(e, "empty: the graph has no outputs; right would be: at least one");
}
