//! Layers that are several operations, on numbers that are easy to follow.

use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::ValueId;
use gabor_nets::{Activation, Mode, Net, Result};
use gabor_tensor::{Data, Tensor};
use std::collections::HashMap;

/// The output of layers on an input `[n, …]`; every parameter counts 0.1, 0.2, …, random numbers come from `seed`.
fn run(x: &Tensor, mode: Mode, seed: i32, layers: impl FnOnce(&mut Net) -> Result<&mut Net>) -> Tensor {
    let mut net = Net::new("layers", &x.shape()[1..], mode).unwrap();
    layers(&mut net).unwrap();
    let graph = net.finish("y");
    let mut bindings: HashMap<ValueId, Tensor> = HashMap::from([(graph.find("images").unwrap(), x.clone())]);
    for (v, _) in graph.parameters() {
        let shape = graph.shape(v).at(1);
        let values = (1..=shape.iter().product()).map(|i| i as f32 * 0.1).collect();
        bindings.insert(v, Tensor::f32(&shape, values).unwrap());
    }
    if let Some(key) = graph.find("key") {
        bindings.insert(key, Tensor::i32(&[4], vec![seed, 0, 1, 0]).unwrap());
    }
    let y = graph.output_value("y").unwrap();
    evaluate(&graph, x.shape()[0], &bindings, Precision::F32, &[y]).unwrap().remove(0)
}

fn counting(shape: &[usize]) -> Tensor {
    Tensor::f32(shape, (0..shape.iter().product()).map(|i| i as f32).collect()).unwrap()
}

fn close(a: &Tensor, want: &[f64]) {
    let a = a.to_f64();
    assert_eq!(a.len(), want.len());
    for (x, y) in a.iter().zip(want) {
        assert!((x - y).abs() < 1e-5 * y.abs().max(1.0), "{a:?}, expected {want:?}");
    }
}

#[test]
fn shuffled_channels() {
    let y = run(&counting(&[1, 6, 1, 2]), Mode::Infer, 0, |n| n.channel_shuffle(2));
    close(&y, &[0., 1., 6., 7., 2., 3., 8., 9., 4., 5., 10., 11.]);
    let mut net = Net::new("wrong", &[6, 2], Mode::Infer).unwrap();
    let message = net.channel_shuffle(4).unwrap_err().to_string();
    assert!(message.contains("4 groups must divide 6 channels"), "{message}");
}

#[test]
fn normalised_channels() {
    // Two channels: (0, 3), (1, 4), (2, 5) become ∓1, times 0.1 and 0.2, plus 0.1 and 0.2.
    let y = run(&counting(&[1, 2, 3]), Mode::Infer, 0, |n| n.channel_norm("ln", 0.0));
    close(&y, &[0., 0., 0., 0.4, 0.4, 0.4]);
}

#[test]
fn linear_at_every_place() {
    // Weights 0.1 0.2 / 0.3 0.4 / 0.5 0.6, biases 0.1 0.2 0.3, at places (0, 2) and (1, 3).
    let y = run(&counting(&[1, 2, 2]), Mode::Infer, 0, |n| n.place_linear("fc", 3));
    close(&y, &[0.5, 0.8, 1.0, 1.7, 1.5, 2.6]);
}

#[test]
fn excited_channels() {
    // Averages 0.5 and 2.5; fc1: 0.1·0.5 + 0.2·2.5 + 0.1 = 0.65; fc2: 0.165 and 0.33; times x.
    let x = counting(&[1, 2, 2, 1]);
    let y = run(&x, Mode::Infer, 0, |n| n.squeeze_excitation(1, Activation::Relu, Activation::Relu));
    close(&y, &[0., 0.165, 0.66, 0.99]);
    let y = run(&counting(&[1, 2, 2]), Mode::Infer, 0, |n| n.layer_scale("gamma", 1.0));
    close(&y, &[0., 0.1, 0.4, 0.6]);
    let mut net = Net::new("wrong", &[2, 3], Mode::Infer).unwrap();
    let one = net.branch(|b| b.slice_channels(0..1)).unwrap();
    assert!(net.weigh(one).is_ok());
    let whole = net.at_input().value();
    let message = net.at(one).weigh(whole).unwrap_err().to_string();
    assert!(message.contains("weights [n, 2, 3] of a value [n, 1, 3]"), "{message}");
}

#[test]
fn stochastic_depth_leaves_out_whole_samples() {
    let x = Tensor::f32(&[4000, 2, 3], vec![1.0; 24_000]).unwrap();
    let deep = |seed, mode| run(&x, mode, seed, |n| n.stochastic_depth(0.25));
    let y = deep(1, Mode::Train);
    let Data::F32(values) = y.data() else { panic!() };
    let mut kept = 0;
    for sample in values.chunks(6) {
        assert!(sample.iter().all(|&v| v == sample[0]), "{sample:?}");
        assert!(sample[0] == 0.0 || (sample[0] - 4.0 / 3.0).abs() < 1e-6, "{sample:?}");
        kept += usize::from(sample[0] != 0.0);
    }
    assert!((kept as f64 / 4000.0 - 0.75).abs() < 0.03, "{kept} of 4000");
    assert_eq!(deep(1, Mode::Train), y);
    assert_ne!(deep(2, Mode::Train), y);
    assert_eq!(deep(1, Mode::Infer), x);
    let mut net = Net::new("wrong", &[2, 3], Mode::Train).unwrap();
    assert!(net.stochastic_depth(1.0).unwrap_err().to_string().contains("0 ≤ p < 1"));
}
