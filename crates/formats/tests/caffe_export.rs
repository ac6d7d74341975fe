//! Networks as Caffe's files: what is written is read again and computes the same. With `GABOR_CAFFE_CASES=DIR` the files
//! and what they compute are kept there for `check_caffe.py`, which runs them in OpenCV.
#![allow(clippy::print_stdout, reason = "a test prints how near it came")]

mod common;

use common::{difference, normal, outputs, random_weights};
use gabor_formats::{Metadata, caffe, npy};
use gabor_graph::{Graph, Initializer, Parameter, ValueId};
use gabor_nets::zoo::{self, Options};
use gabor_tensor::{Binary, DType, PadMode, Padding, PoolDivisor, Shape, Tensor, Unary, Weights, WindowOptions};
use std::collections::HashMap;
use std::path::PathBuf;

/// Writes, reads again, runs both, and gives the text.
fn round_trip(name: &str, graph: &Graph, weights: &Weights) -> String {
    let files = caffe::export(graph, weights, &Metadata::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let back = caffe::import(files.prototxt.as_bytes(), Some(&files.caffemodel));
    let back = back.unwrap_or_else(|e| panic!("{name}: {e}\n{}", files.prototxt));
    let names = |g: &Graph| {
        let mut all: Vec<String> = g.outputs().iter().map(|(n, _)| n.clone()).collect();
        all.sort();
        all
    };
    assert_eq!(names(&back.graph), names(graph), "{name}\n{}", files.prototxt);
    let inputs: HashMap<String, Tensor> = (graph.inputs().enumerate())
        .map(|(i, v)| (graph.value(v).name.clone(), normal(&graph.shape(v).at(2), 5 + i as u32)))
        .collect();
    let want = outputs(graph, 2, &inputs, weights);
    let got = outputs(&back.graph, 2, &inputs, &back.weights);
    for (i, (output, _)) in graph.outputs().iter().enumerate() {
        let at = back.graph.outputs().iter().position(|(n, _)| n == output).unwrap();
        let d = difference(&want[i], &got[at]);
        println!("{name} {output}: {d:.1e}");
        assert!(d < 1e-6, "{name} {output}: {d}\n{}", files.prototxt);
    }
    keep(name, &files, &inputs, graph, &want);
    files.prototxt
}

fn keep(name: &str, files: &caffe::Exported, inputs: &HashMap<String, Tensor>, graph: &Graph, want: &[Tensor]) {
    let Some(folder) = std::env::var_os("GABOR_CAFFE_CASES").map(PathBuf::from) else { return };
    if inputs.len() != 1 || want.len() != 1 {
        return;
    }
    std::fs::create_dir_all(&folder).unwrap();
    let save = |ending: &str, bytes: &[u8]| std::fs::write(folder.join(format!("{name}.{ending}")), bytes).unwrap();
    save("prototxt", files.prototxt.as_bytes());
    save("caffemodel", &files.caffemodel);
    save("x.npy", &npy::write(inputs.values().next().unwrap()));
    save("y.npy", &npy::write(&want[0]));
    save("output", graph.outputs()[0].0.as_bytes());
}

/// Networks of the zoo that Caffe cannot say, and the operations in which that lies.
const REFUSED: &[(&str, &[&str])] = &[
    // Normalisation over channels.
    ("tiny_convnext", &["reduce"]),
    // Activations.
    ("tiny_airbench", &["gelu"]),
    // Windows in three dimensions.
    ("tiny_c3d", &["max_pool"]),
];

#[test]
fn networks_of_the_zoo() {
    let mut written = 0;
    for card in zoo::cards() {
        let chosen =
            card.name.starts_with("tiny_") || ["lenet5", "lenet5_1998", "resnet20", "mlp"].contains(&card.name);
        if !chosen || card.vocabulary.is_some() {
            continue;
        }
        let side = match card.name {
            "tiny_unet" => Some(188),
            _ => (card.input.len() == 3 && card.input[1] > 80).then_some(80),
        };
        let options = Options { input: side.map(|s| vec![s]), ..Options::default() };
        let graph = zoo::by_name(card.name, &options).unwrap().graph(gabor_nets::Mode::Infer).unwrap();
        let weights = random_weights(&graph);
        match REFUSED.iter().find(|r| r.0 == card.name) {
            None => {
                round_trip(card.name, &graph, &weights);
                written += 1;
            }
            Some((name, operations)) => {
                let e = caffe::export(&graph, &weights, &Metadata::default()).unwrap_err();
                println!("{name}: {e}");
                let mut found: Vec<&str> = e.refusals().iter().map(|r| r.operation.as_str()).collect();
                found.dedup();
                assert_eq!(found, *operations, "{name}: {e}");
            }
        }
    }
    assert!(written >= 26, "{written}");
}

/// A graph of one input `[3, 9, 10]` behind a convolution with weights.
fn graph(build: impl FnOnce(&mut Graph, ValueId) -> ValueId) -> (Graph, Weights) {
    let mut g = Graph::new("one \"operation\"");
    let x = g.input("data", Shape::batch(&[3, 9, 10]), DType::F32).unwrap();
    let w = g.parameter("first.weight", &[4, 3, 1, 1], Parameter::weight(Initializer::Zeros)).unwrap();
    g.scope("first");
    let x = g.conv(x, w, 1, &WindowOptions::new(&[1, 1])).unwrap();
    g.scope("op");
    let y = build(&mut g, x);
    g.output("y", y);
    let w = random_weights(&g);
    (g, w)
}

#[test]
fn operations() {
    let window = |k: [usize; 2], s: [usize; 2], p: [usize; 2]| {
        WindowOptions::new(&k).stride(&s).padding(Padding::Explicit(vec![(p[0], p[0]), (p[1], p[1])]))
    };
    let weight = |g: &mut Graph, shape: &[usize]| {
        g.parameter("op.weight", shape, Parameter::weight(Initializer::Zeros)).unwrap()
    };
    type Build<'a> = Box<dyn Fn(&mut Graph, ValueId) -> ValueId + 'a>;
    let cases: Vec<(&str, Build<'_>)> = vec![
        (
            "conv",
            Box::new(|g, x| {
                let w = weight(g, &[6, 2, 3, 2]);
                g.conv(x, w, 2, &window([3, 2], [2, 1], [1, 0]).dilation(&[1, 2])).unwrap()
            }),
        ),
        (
            "deconv",
            Box::new(|g, x| {
                let w = weight(g, &[4, 3, 3, 4]);
                g.conv_transpose(x, w, 2, &window([3, 4], [2, 3], [1, 0]), &[]).unwrap()
            }),
        ),
        // Caffe has 6 windows of 10 columns, of which the last is cut off.
        ("max_pool", Box::new(|g, x| g.max_pool(x, &window([3, 3], [2, 2], [1, 1])).unwrap())),
        ("max_pool_ceil", Box::new(|g, x| g.max_pool(x, &window([3, 2], [2, 3], [0, 0]).ceil_mode(true)).unwrap())),
        (
            "avg_pool",
            Box::new(|g, x| g.avg_pool_with(x, &window([3, 3], [2, 2], [1, 1]), PoolDivisor::CountIncludePad).unwrap()),
        ),
        (
            "bias",
            Box::new(|g, x| {
                let b = g.parameter("op.bias", &[9, 1], Parameter::bias(Initializer::Zeros)).unwrap();
                let x = g.tanh(x).unwrap();
                g.add(b, x).unwrap()
            }),
        ),
        ("lrn_k1", Box::new(|g, x| g.local_response_norm(x, 3, 0.3, 0.75, 1.0).unwrap())),
        ("hard_swish", Box::new(|g, x| g.hard_swish(x).unwrap())),
        ("repeated", Box::new(|g, x| g.adaptive_avg_pool(x, &[18, 20]).unwrap())),
        ("global", Box::new(|g, x| g.global_avg_pool(x).unwrap())),
        ("global_max", Box::new(|g, x| g.global_max_pool(x).unwrap())),
        ("adaptive", Box::new(|g, x| g.adaptive_avg_pool(x, &[3, 5]).unwrap())),
        ("lrn", Box::new(|g, x| g.local_response_norm(x, 3, 0.3, 0.75, 2.0).unwrap())),
        ("leaky", Box::new(|g, x| g.leaky_relu(x, 0.1).unwrap())),
        ("elu", Box::new(|g, x| g.elu(x, 0.7).unwrap())),
        ("softplus", Box::new(|g, x| g.softplus(x).unwrap())),
        ("softmax", Box::new(|g, x| g.softmax(x, 2).unwrap())),
        (
            "prelu",
            Box::new(|g, x| {
                let s = weight(g, &[4]);
                g.prelu(x, s).unwrap()
            }),
        ),
        ("upsample", Box::new(|g, x| g.upsample_nearest(x, &[2, 3]).unwrap())),
        ("exp", Box::new(|g, x| g.unary(Unary::Exp, x).unwrap())),
        (
            "abs_log",
            Box::new(|g, x| {
                let a = g.unary(Unary::Abs, x).unwrap();
                let a = g.shift(a, 0.5).unwrap();
                g.unary(Unary::Log, a).unwrap()
            }),
        ),
        (
            "numbers",
            Box::new(|g, x| {
                let two = g.number(2.0);
                let a = g.sub(two, x).unwrap();
                let a = g.unary(Unary::Square, a).unwrap();
                let a = g.shift(a, 1.0).unwrap();
                let a = g.div(two, a).unwrap();
                let a = g.binary(Binary::Pow, a, two).unwrap();
                let a = g.unary(Unary::Sqrt, a).unwrap();
                g.binary(Binary::Pow, two, a).unwrap()
            }),
        ),
        (
            "joined",
            Box::new(|g, x| {
                let a = g.relu(x).unwrap();
                let b = g.tanh(x).unwrap();
                let c = g.sub(a, b).unwrap();
                let d = g.mul(c, b).unwrap();
                let e = g.binary(Binary::Max, d, x).unwrap();
                g.concat(&[e, x], 2).unwrap()
            }),
        ),
        (
            "gates",
            Box::new(|g, x| {
                let s = g.global_avg_pool(x).unwrap();
                let s = g.sigmoid(s).unwrap();
                g.mul(s, x).unwrap()
            }),
        ),
        (
            "scale",
            Box::new(|g, x| {
                let (a, b) =
                    (weight(g, &[4, 9, 10]), g.parameter("op.bias", &[4, 1, 1], Parameter::bias(Initializer::Zeros)));
                let y = g.mul(x, a).unwrap();
                g.sub(y, b.unwrap()).unwrap()
            }),
        ),
        (
            "parts",
            Box::new(|g, x| {
                let a = g.slice(x, 3, 2, 8, 1).unwrap();
                let a = g.slice(a, 2, 0, 9, 2).unwrap();
                g.slice(a, 1, 1, 4, 1).unwrap()
            }),
        ),
        (
            "pads",
            Box::new(|g, x| {
                let op = gabor_graph::ops::Pad {
                    mode: PadMode::Constant,
                    value: 0.0,
                    pads: vec![(0, 0), (2, 1), (1, 1), (0, 0)],
                };
                g.add_one(op, &[x]).unwrap()
            }),
        ),
        (
            "swapped",
            Box::new(|g, x| {
                let v = g.reshape(x, &Shape::batch(&[2, 3, 60])).unwrap();
                let v = g.transpose(v, &[0, 2, 1, 3]).unwrap();
                g.transpose(v, &[0, 1, 3, 2]).unwrap()
            }),
        ),
        (
            "reshape",
            Box::new(|g, x| {
                let v = g.reshape(x, &Shape::batch(&[6, 60])).unwrap();
                g.relu(v).unwrap()
            }),
        ),
        (
            "linear",
            Box::new(|g, x| {
                let v = g.flatten(x).unwrap();
                let w = weight(g, &[360, 5]);
                g.matmul(v, w, false, false).unwrap()
            }),
        ),
    ];
    for (name, build) in cases {
        let (g, w) = graph(|g, x| build(g, x));
        round_trip(&format!("op_{name}"), &g, &w);
    }
}

#[test]
fn outputs_keep_their_names() {
    // An output that is read again, and one in the middle of nothing.
    let (mut g, w) = graph(|g, x| g.relu(x).unwrap());
    let y = g.output_value("y").unwrap();
    let z = g.tanh(y).unwrap();
    g.output("z", z);
    let text = round_trip("two", &g, &w);
    assert!(text.contains("type: \"Split\""), "{text}");
    g.output("again", z);
    let e = caffe::export(&g, &w, &Metadata::default()).unwrap_err().to_string();
    assert!(e.starts_with("again: an output that has two names"), "{e}");
}

#[test]
fn what_caffe_cannot_say_is_refused_at_once() {
    let uneven =
        |p: (usize, usize)| WindowOptions::new(&[2, 2]).stride(&[2, 2]).padding(Padding::Explicit(vec![p, (0, 0)]));
    let (g, w) = graph(|g, x| {
        // One zero behind: Caffe would have it before, too.
        g.scope("pool");
        let a = g.avg_pool_with(x, &uneven((0, 1)), PoolDivisor::CountIncludePad).unwrap();
        // One before alone gives the same maxima.
        let b = g.max_pool(x, &uneven((1, 0))).unwrap();
        g.scope("sine");
        let c = g.unary(Unary::Sin, b).unwrap();
        g.scope("behind");
        let c = g.tanh(c).unwrap();
        g.scope("joined");
        g.concat(&[a, c], 1).unwrap()
    });
    let e = caffe::export(&g, &w, &Metadata::default()).unwrap_err().to_string();
    assert_eq!(
        e,
        "caffe: 2 nodes cannot be written\n  pool (avg_pool): sums of a window in=9,10 kernel=2,2 stride=2,2 dilation=1,1 \
         pad=0:1,0:0 out=5,5 that are divided by count_include_pad; right would be: by the elements in the input and equal \
         padding around it\n  sine (unary): Caffe has no function sin"
    );
}

#[test]
fn comments_say_what_caffe_has_no_field_for() {
    let (g, w) = graph(|g, x| g.relu(x).unwrap());
    let m = Metadata {
        preprocessing: Some("{\"color\":\"rgb\"}".into()),
        classes: vec!["cat\n}".into(), "dog".into()],
        ..Metadata::default()
    };
    let files = caffe::export(&g, &w, &m).unwrap();
    let head = "# Written by gabor.\n# preprocessing: {\"color\":\"rgb\"}\n# class 0: cat }\n# class 1: dog\nname: \"one \\\"operation\\\"\"\nlayer {\n";
    assert!(files.prototxt.starts_with(head), "{}", files.prototxt);
    let back = caffe::import(files.prototxt.as_bytes(), Some(&files.caffemodel)).unwrap();
    assert_eq!((back.graph.name.as_str(), back.weights), ("one \"operation\"", w));
    let none = caffe::export(&g, &Weights::new(), &m).unwrap_err().to_string();
    assert_eq!(none, "first.weight: the weights hold none of shape [4, 3, 1, 1]");
}
