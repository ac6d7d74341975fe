//! Weights under other libraries' names go into the zoo's networks; the goldens' script lies beside them.

use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, ValueId};
use gabor_nets::zoo::{self, Options};
use gabor_nets::{MatchOptions, Mismatch, Mode, match_weights};
use gabor_tensor::{Tensor, Weights, rng::name_key};
use std::collections::HashMap;

const GOLDENS: &str = include_str!("timm.txt");

fn graph(name: &str, options: Options) -> Graph {
    zoo::by_name(name, &options).unwrap().graph(Mode::Infer).unwrap()
}

/// timm's names and shapes of the networks whose names are others, by our name.
fn states() -> HashMap<&'static str, Vec<(&'static str, Vec<usize>)>> {
    let mut all: HashMap<&str, Vec<(&str, Vec<usize>)>> = HashMap::new();
    let mut current = "";
    for line in GOLDENS.lines() {
        if let Some(rest) = line.strip_prefix("state ") {
            current = rest.split(' ').next().unwrap();
        } else if let Some((name, shape)) = line.strip_prefix("  ").and_then(|l| l.split_once(' ')) {
            let shape = shape.trim_matches(['[', ']']).split(", ").map(|d| d.parse().unwrap()).collect();
            all.entry(current).or_default().push((name, shape));
        }
    }
    all
}

fn zeros(state: &[(&str, Vec<usize>)]) -> Weights {
    // Full-sized tensors of zeros cost nothing but address space.
    state.iter().map(|(n, s)| (n.to_string(), Tensor::zeros(s, gabor_tensor::DType::F32))).collect()
}

#[test]
fn where_timm_has_our_names() {
    for line in GOLDENS.lines().filter(|l| l.starts_with("same ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let g = graph(words[1], Options::default());
        let mut lines: Vec<String> =
            g.parameters().map(|(v, _)| format!("{} {}\n", g.value(v).name, g.shape(v))).collect();
        lines.sort();
        assert_eq!(lines.len().to_string(), words[3], "{}: tensors", words[1]);
        assert_eq!(name_key(&lines.concat()).to_string(), words[4], "{}", words[1]);
    }
}

#[test]
fn where_timm_has_other_names() {
    let states = states();
    assert_eq!(states.len(), 9);
    for (name, state) in &states {
        let g = graph(name, Options::default());
        let m = match_weights(&g, zeros(state), MatchOptions::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(m.weights.len(), state.len(), "{name}");
        assert!(m.notes[0].starts_with("the names are timm's"), "{name}: {:?}", m.notes);
    }
}

/// The script's numbers.
fn waves(len: usize, phase: u32) -> impl Iterator<Item = f64> {
    (0..len).map(move |i| (i as f64 * 0.7 + f64::from(phase)).sin())
}

fn fill(name: &str, shape: &[usize]) -> Tensor {
    let w = waves(shape.iter().product(), name_key(name) % 1000);
    let values: Vec<f32> = if name.ends_with("running_var") {
        w.map(|v| (1.0 + 0.5 * v) as f32).collect()
    } else if shape.len() == 1 {
        let base = if name.ends_with("weight") { 1.0 } else { 0.0 };
        w.map(|v| (base + 0.1 * v) as f32).collect()
    } else {
        let fan_in: usize = shape[1..].iter().product();
        w.map(|v| (v * (4.0 / fan_in as f64).sqrt()) as f32).collect()
    };
    Tensor::f32(shape, values).unwrap()
}

#[test]
fn logits_are_timms() {
    let states = states();
    for line in GOLDENS.lines().filter(|l| l.starts_with("logits ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let name = words[1];
        let side: usize = words[2].parse().unwrap();
        let g = graph(name, Options { input: Some(vec![side]), classes: Some(5), ..Options::default() });
        // timm's last layer for five classes; networks whose names are ours have ours.
        let own: Vec<(String, Vec<usize>)> =
            g.parameters().map(|(v, _)| (g.value(v).name.clone(), g.shape(v).at(1))).collect();
        let file: Weights = match states.get(name) {
            Some(state) => state
                .iter()
                .map(|(n, s)| {
                    let mut s = s.clone();
                    s[0] = if s[0] == 1000 { 5 } else { s[0] };
                    (n.to_string(), fill(n, &s))
                })
                .collect(),
            None => own.iter().map(|(n, s)| (n.clone(), fill(n, s))).collect(),
        };
        let weights = match_weights(&g, file, MatchOptions::default()).unwrap_or_else(|e| panic!("{e}")).weights;
        let mut bindings: HashMap<ValueId, Tensor> =
            g.parameters().map(|(v, _)| (v, weights.get(&g.value(v).name).unwrap().clone())).collect();
        let picture = waves(3 * side * side, 0).map(|v| v as f32).collect();
        bindings.insert(g.find("images").unwrap(), Tensor::f32(&[1, 3, side, side], picture).unwrap());
        let y = evaluate(&g, 1, &bindings, Precision::F32, &[g.output_value("logits").unwrap()]).unwrap()[0].to_f64();
        let golden: Vec<f64> = words[3..].iter().map(|w| w.parse().unwrap()).collect();
        let most = golden.iter().fold(0f64, |a, v| a.max(v.abs()));
        for (a, b) in y.iter().zip(&golden) {
            assert!((a - b).abs() < 1e-3 * most, "{name}: {y:?}, timm {golden:?}");
        }
    }
}

fn wrapped(w: &Weights, prefix: &str) -> Weights {
    w.iter().map(|(n, t)| (format!("{prefix}{n}"), t.clone())).collect()
}

#[test]
fn prefixes_and_counters() {
    let net = zoo::by_name("resnet20", &Options::default()).unwrap();
    let (g, w) = (net.graph(Mode::Infer).unwrap(), net.initialize(1).unwrap());
    for prefix in ["", "module.", "_orig_mod.module.", "model."] {
        let mut file = wrapped(&w, prefix);
        file.insert(format!("{prefix}bn1.num_batches_tracked"), Tensor::i32(&[], vec![7]).unwrap());
        assert_eq!(match_weights(&g, file, MatchOptions::default()).unwrap().weights, w, "{prefix}");
    }
    // A loss beside the model.
    let mut file = wrapped(&w, "model.");
    file.insert("criterion.weight", Tensor::f32(&[2], vec![0.0; 2]).unwrap());
    let e = match_weights(&g, file, MatchOptions::default()).unwrap_err();
    assert_eq!((e.missing.len(), e.unexpected.len()), (0, 1));
    // Names that are nothing but prefixes end too.
    let odd: Weights = [("model.".to_string(), Tensor::scalar(1.0))].into_iter().collect();
    assert!(match_weights(&g, odd, MatchOptions::default()).is_err());
}

fn mismatch(change: impl Fn(&mut Weights)) -> Mismatch {
    let net = zoo::by_name("tiny_cnn", &Options::default()).unwrap();
    let mut w = net.initialize(1).unwrap();
    change(&mut w);
    *match_weights(&net.graph(Mode::Infer).unwrap(), w, MatchOptions::default()).unwrap_err()
}

#[test]
fn differences_stand_side_by_side() {
    let f32 = |s: &[usize]| Tensor::zeros(s, gabor_tensor::DType::F32);
    let e = mismatch(|w| {
        let t = w.0.remove("conv1.weight").unwrap();
        w.insert("conv_1.weight", t);
        w.insert("extra.scale", f32(&[3]));
        w.insert("conv2.weight", f32(&[1, 2, 3, 3]));
        w.0.remove("fc.bias");
    });
    let text = e.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0].starts_with("tiny_cnn: ") && lines[0].ends_with("2 missing, 2 unexpected, 1 of another shape"),
        "{text}"
    );
    assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>().join(" "), "the network wants the file has");
    let row =
        |line: &str| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).map(String::from).collect::<Vec<_>>();
    assert!(
        lines.iter().any(
            |l| matches!(&row(l)[..], [a, b] if a.starts_with("conv1.weight [") && b.starts_with("conv_1.weight ["))
        ),
        "{text}"
    );
    assert!(
        lines.iter().any(
            |l| matches!(&row(l)[..], [a, b] if a.starts_with("conv2.weight [") && b == "conv2.weight [1, 2, 3, 3]")
        ),
        "{text}"
    );
    assert!(lines.iter().any(|l| matches!(&row(l)[..], [a, b] if a.starts_with("fc.bias [") && b == "–")), "{text}");
    assert!(lines.iter().any(|l| matches!(&row(l)[..], [a, b] if a == "–" && b == "extra.scale [3]")), "{text}");
    // Thousands of differences are a few dozen lines.
    let e = mismatch(|w| {
        for i in 0..5000 {
            w.insert(format!("layer{i}.weight"), f32(&[1]));
        }
    });
    let text = e.to_string();
    assert!(text.lines().count() < 20 && text.contains("… and 4988 more unexpected"), "{text}");
}

#[test]
fn a_head_for_other_classes_is_a_case_of_its_own() {
    let net = |classes| zoo::by_name("resnet20", &Options { classes: Some(classes), ..Options::default() }).unwrap();
    let (ten, three) = (net(10), net(3));
    let g = three.graph(Mode::Infer).unwrap();
    let e = match_weights(&g, ten.initialize(1).unwrap(), MatchOptions::default()).unwrap_err();
    assert!(e.head.is_some());
    let text = e.to_string();
    assert!(
        text.contains("all tensors fit but the head's (") && text.ends_with("the file has 10 classes, the network 3"),
        "{text}"
    );
    let m = match_weights(&g, ten.initialize(1).unwrap(), MatchOptions { replace_head: true }).unwrap();
    let head = m.head.unwrap();
    assert_eq!((head.file, head.network, head.parameters.len()), (10, 3, 2));
    assert_eq!(m.weights.len() + 2, ten.initialize(1).unwrap().len());
    // Another layer that differs is a mistake in either case.
    let mut w = ten.initialize(1).unwrap();
    w.insert("bn1.weight", Tensor::zeros(&[10], gabor_tensor::DType::F32));
    assert!(match_weights(&g, w, MatchOptions { replace_head: true }).unwrap_err().head.is_none());
}
