//! Logits and gradients of the families that torchvision does not have equal PyTorch's; the goldens' script lies beside
//! them.

use gabor_compile::differentiate;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::ValueId;
use gabor_nets::Mode;
use gabor_nets::zoo::{self, Options};
use gabor_tensor::Tensor;
use std::collections::HashMap;

const GOLDENS: &str = include_str!("families.txt");

/// The script's numbers.
fn waves(len: usize, phase: usize) -> Vec<f64> {
    (0..len).map(|i| (i as f64 * 0.7 + phase as f64).sin()).collect()
}

fn floats(shape: &[usize], values: Vec<f64>) -> Tensor {
    Tensor::f32(shape, values.into_iter().map(|v| v as f32).collect()).unwrap()
}

fn fill(name: &str, shape: &[usize]) -> Tensor {
    let w = waves(shape.iter().product(), name.len()).into_iter();
    let values = if name.ends_with("running_var") {
        w.map(|v| 1.0 + 0.5 * v).collect()
    } else if shape.len() == 1 {
        let base = if name.ends_with("weight") { 1.0 } else { 0.0 };
        w.map(|v| base + 0.1 * v).collect()
    } else {
        let fan_in: usize = shape[1..].iter().product();
        w.map(|v| v * (4.0 / fan_in as f64).sqrt()).collect()
    };
    floats(shape, values)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn lines<'g>(kind: &str, name: &str) -> impl Iterator<Item = Vec<&'g str>> {
    let start = format!("{kind} {name} ");
    GOLDENS.lines().filter(move |l| l.starts_with(&start)).map(|l| l.split(' ').skip(2).collect())
}

fn numbers(words: &[&str]) -> Vec<f64> {
    words.iter().map(|w| w.parse().unwrap()).collect()
}

fn compare(name: &str, shape: &[usize]) {
    let logits_golden = numbers(&lines("logits", name).next().unwrap());
    let gradients: Vec<Vec<&str>> = lines("gradient", name).collect();
    // The script's Darknets have five classes.
    let classes = name.starts_with("darknet").then_some(5);
    let (channels, input) = match shape {
        [length] => (None, vec![*length]),
        [c, spatial @ ..] => (Some(*c), spatial.to_vec()),
        [] => unreachable!(),
    };
    let o = Options { input: Some(input), channels, classes, ..Options::default() };
    let mut g = zoo::by_name(name, &o).unwrap().graph(Mode::Infer).unwrap();
    let mut bindings: HashMap<ValueId, Tensor> =
        g.parameters().map(|(v, _)| (v, fill(&g.value(v).name, &g.shape(v).at(1)))).collect();
    let batch = [&[1], shape].concat();
    let (input, value) = match shape {
        [length] => ("tokens", Tensor::i32(&batch, (0..*length as i32).map(|i| i * 7 % 50).collect()).unwrap()),
        _ => ("images", floats(&batch, waves(shape.iter().product(), 0))),
    };
    bindings.insert(g.find(input).unwrap(), value);
    let logits = g.output_value("logits").unwrap();
    let extents = g.shape(logits).at(1);
    let len: usize = extents.iter().product();
    // The waves are a value of the graph, so that they are as exact as the script's.
    let pattern = g.input("pattern", gabor_tensor::Shape::fixed(&extents), gabor_tensor::DType::F32).unwrap();
    bindings.insert(pattern, Tensor::new(&extents, gabor_tensor::Data::F64(waves(len, 0))).unwrap());
    let product = g.mul(logits, pattern).unwrap();
    let loss = g.sum_all(product).unwrap();
    let wrt: Vec<ValueId> = g.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| v).collect();
    assert_eq!(wrt.len(), gradients.len(), "{name}: parameters");
    let found = differentiate(&mut g, loss, &wrt).unwrap();
    let wanted: Vec<ValueId> = [logits].into_iter().chain(found.into_iter().map(Option::unwrap)).collect();
    let made = evaluate(&g, 1, &bindings, Precision::F64, &wanted).unwrap();

    let y = made[0].to_f64();
    let size = dot(&y, &y).sqrt();
    for (phase, want) in logits_golden.iter().enumerate() {
        let own = dot(&y, &waves(len, phase));
        assert!((own - want).abs() < 1e-6 * size, "{name}: logits along waves {phase}: {own}, PyTorch {want}");
    }
    for (&v, gradient) in wrt.iter().zip(&made[1..]) {
        let parameter = &g.value(v).name;
        let golden = gradients.iter().find(|l| l[0] == parameter).unwrap_or_else(|| panic!("{name}: no {parameter}"));
        let golden = numbers(&golden[1..]);
        let own = gradient.to_f64();
        let (norm, along) = (dot(&own, &own).sqrt(), dot(&own, &waves(own.len(), parameter.len())));
        assert!(norm > 0.0 && (norm - golden[0]).abs() < 1e-6 * norm, "{name}, {parameter}: {norm}, {golden:?}");
        assert!((along - golden[1]).abs() < 1e-6 * norm.max(along.abs()), "{name}, {parameter}: {along}, {golden:?}");
    }
}

#[test]
fn logits_and_gradients_are_pytorchs() {
    let mut seen = 0;
    for line in GOLDENS.lines().filter(|l| l.starts_with("network ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let shape: Vec<usize> = words[2].split('x').map(|v| v.parse().unwrap()).collect();
        compare(words[1], &shape);
        seen += 1;
    }
    assert_eq!(seen, 17);
}
