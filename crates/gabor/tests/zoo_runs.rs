//! The small networks of every family on the CPU backend, outputs and gradients, against the readable interpreter.

use gabor::cpu::reference::{Precision, evaluate};
use gabor::nets::{Mode, zoo};
use gabor::prelude::*;
use gabor::tensor::{Stream, rng};
use std::collections::HashMap;

fn noise(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(5, 0, key, rng::op::TEST);
    Tensor::f32(shape, (0..shape.iter().product()).map(|_| s.normal() as f32).collect()).unwrap()
}

/// Largest difference relative to the largest number of the second.
fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.shape(), b.shape());
    let size = b.to_f64().iter().fold(1e-30, |m: f64, v| m.max(v.abs()));
    a.to_f64().iter().zip(b.to_f64()).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs() / size))
}

fn check(name: &str) {
    // Weights that are not zero, so that every gradient says something.
    let scheme = Some(gabor::nets::Scheme::by_name("he").unwrap());
    let network = zoo::by_name(name, &zoo::Options { scheme, ..Default::default() }).unwrap();
    let mut graph = network.graph(Mode::Infer).unwrap();
    let weights = network.initialize(3).unwrap();
    let model = Model::new(graph.clone(), weights.clone()).unwrap();
    let input = graph.inputs().next().unwrap();
    let shape = graph.shape(input).at(2);
    let x = match network.vocabulary() {
        Some(words) => {
            let ids = (0..shape.iter().product::<usize>()).map(|i| (i * 37 % words) as i32).collect();
            Tensor::i32(&shape, ids).unwrap()
        }
        None => noise(&shape, 1),
    };
    let logits = graph.output_value("logits").unwrap();
    let dy = noise(&graph.shape(logits).at(2), 2);
    let input_name = graph.value(input).name.clone();
    let (outputs, gradients) = model.run_with_gradients(&[(&input_name, &x)], &[("logits", &dy)]).unwrap();

    let seed = graph.input("dy", graph.shape(logits).clone(), DType::F32).unwrap();
    let product = graph.mul(logits, seed).unwrap();
    let sum = graph.sum_all(product).unwrap();
    let wrt: Vec<ValueId> = graph.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| v).collect();
    let made = differentiate(&mut graph, sum, &wrt).unwrap();
    let mut bindings: HashMap<ValueId, Tensor> =
        graph.parameters().map(|(v, _)| (v, weights.get(&graph.value(v).name).unwrap().clone())).collect();
    bindings.extend([(input, x), (seed, dy)]);
    let wanted: Vec<ValueId> = [logits].into_iter().chain(made.into_iter().map(Option::unwrap)).collect();
    let want = evaluate(&graph, 2, &bindings, Precision::F64, &wanted).unwrap();
    let apart = difference(&outputs[0].1, &want[0]);
    assert!(apart < 1e-4, "{name}: outputs differ by {apart}");
    for (&v, want) in wrt.iter().zip(&want[1..]) {
        let parameter = &graph.value(v).name;
        let own = gradients.by_name.get(parameter).unwrap_or_else(|| panic!("{name}: no gradient of {parameter}"));
        let apart = difference(own, want);
        assert!(apart < 1e-3, "{name}: the gradient of {parameter} differs by {apart}");
    }
}

#[test]
fn small_networks_equal_the_interpreter() {
    let small: Vec<&str> = zoo::names().into_iter().filter(|n| n.starts_with("tiny_")).collect();
    assert!(small.len() >= 12, "{small:?}");
    small.into_iter().for_each(check);
}
