//! Names, shapes and logits equal torchvision's; the goldens' script lies beside them.

use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, ValueId};
use gabor_nets::Mode;
use gabor_nets::zoo::{self, Options};
use gabor_tensor::{Tensor, rng::name_key};
use std::collections::{BTreeMap, HashMap};

const GOLDENS: &str = include_str!("torchvision.txt");

/// torchvision's names, where ours belong to another form of the network.
fn ours(name: &str) -> &str {
    if name == "alexnet" { "alexnet_torchvision" } else { name }
}

/// The first two words of a tensor's name without its last, as in the script.
fn part(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((layer, _)) => layer.split('.').take(2).collect::<Vec<_>>().join("."),
        None => name.to_string(),
    }
}

#[test]
fn states_have_torchvisions_names_and_shapes() {
    let mut seen = 0;
    for line in GOLDENS.lines().filter(|l| l.starts_with("state ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let name = words[1];
        let g = zoo::by_name(ours(name), &Options::default()).unwrap().graph(Mode::Infer).unwrap();
        let mut lines: Vec<String> =
            g.parameters().map(|(v, _)| format!("{} {}\n", g.value(v).name, g.shape(v))).collect();
        lines.sort();
        let mut parts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for line in &lines {
            parts.entry(part(line.split(' ').next().unwrap_or_default())).or_default().push(line);
        }
        let hint = format!("`python make_torchvision.py {name}` lists the published names");
        for golden in &words[3..] {
            let [part, count, key] = golden.split(':').collect::<Vec<_>>()[..] else { panic!("{golden}") };
            let ours = parts.remove(part).unwrap_or_default().concat();
            assert_eq!(ours.lines().count().to_string(), count, "{name}: tensors of {part}; {hint}; ours:\n{ours}");
            assert_eq!(
                format!("{:x}", name_key(&ours)),
                key,
                "{name}: names or shapes of {part}; {hint}; ours:\n{ours}"
            );
        }
        assert!(parts.is_empty(), "{name}: {hint}; ours has besides: {:#?}", parts.keys());
        assert_eq!(lines.len().to_string(), words[2], "{name}: tensors");
        seen += 1;
    }
    assert_eq!(seen, 47);
}

/// The script's numbers.
fn waves(len: usize, phase: usize) -> impl Iterator<Item = f64> {
    (0..len).map(move |i| (i as f64 * 0.7 + phase as f64).sin())
}

fn fill(name: &str, shape: &[usize]) -> Tensor {
    let w = waves(shape.iter().product(), name.len());
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

fn logits(g: &Graph, side: usize) -> Vec<f64> {
    let mut bindings: HashMap<ValueId, Tensor> =
        g.parameters().map(|(v, _)| (v, fill(&g.value(v).name, &g.shape(v).at(1)))).collect();
    let picture = waves(3 * side * side, 0).map(|v| v as f32).collect();
    bindings.insert(g.find("images").unwrap(), Tensor::f32(&[1, 3, side, side], picture).unwrap());
    evaluate(g, 1, &bindings, Precision::F32, &[g.output_value("logits").unwrap()]).unwrap()[0].to_f64()
}

#[test]
fn logits_are_torchvisions() {
    for line in GOLDENS.lines().filter(|l| l.starts_with("logits ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let side: usize = words[2].parse().unwrap();
        let o = Options { input: Some(vec![side]), classes: Some(5), ..Options::default() };
        let g = zoo::by_name(ours(words[1]), &o).unwrap().graph(Mode::Infer).unwrap();
        let golden: Vec<f64> = words[3..].iter().map(|w| w.parse().unwrap()).collect();
        let most = golden.iter().fold(0f64, |a, v| a.max(v.abs()));
        for (a, b) in logits(&g, side).iter().zip(&golden) {
            assert!((a - b).abs() < 1e-3 * most, "{}: {a}, torchvision {b}", words[1]);
        }
    }
}
