//! Every family runs forward and backward, and one step gives every parameter a finite gradient that is not zero.

use gabor_compile::differentiate;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, ValueId};
use gabor_nets::zoo::{self, Options};
use gabor_nets::{Activation, LrnOptions, Mode, Net, Network, Scheme, conv, initialize, notation, pool};
use gabor_tensor::{Stream, Tensor, rng};
use std::collections::HashMap;

/// Normal numbers.
fn noise(shape: &[usize], key: u32) -> Tensor {
    let mut s = Stream::new(5, 0, key, rng::op::TEST);
    Tensor::f32(shape, (0..shape.iter().product()).map(|_| s.normal() as f32).collect()).unwrap()
}

/// Logits, and the gradient of every trainable parameter of Σ dy·y for random dy.
fn run(graph: &mut Graph, n: usize) -> (Tensor, Vec<(String, Tensor)>) {
    let weights = initialize(graph, 3);
    let mut bindings: HashMap<ValueId, Tensor> = HashMap::new();
    for (v, _) in graph.parameters() {
        bindings.insert(v, weights.get(&graph.value(v).name).unwrap().clone());
    }
    match graph.find("images") {
        Some(images) => bindings.insert(images, noise(&graph.shape(images).at(n), 1)),
        None => {
            let tokens = graph.find("tokens").unwrap();
            let shape = graph.shape(tokens).at(n);
            let words = (0..shape.iter().product::<usize>()).map(|i| (i * 7 % 50) as i32).collect();
            bindings.insert(tokens, Tensor::i32(&shape, words).unwrap())
        }
    };
    if let Some(key) = graph.find("key") {
        bindings.insert(key, Tensor::i32(&[4], vec![7, 0, 1, 0]).unwrap());
    }
    let logits = graph.output_value("logits").unwrap();
    // The gradient of a mean of products with a fixed pattern, which no softmax or normalisation cancels; auxiliary heads
    // have their part in it.
    let mut loss = graph.number(0.0);
    for (_, scores) in graph.outputs().to_vec() {
        let pattern = graph.constant(noise(&graph.shape(scores).at(n)[1..], 2));
        let product = graph.mul(scores, pattern).unwrap();
        let square = graph.mul(product, product).unwrap();
        let part = graph.mean_all(square).unwrap();
        loss = graph.add(loss, part).unwrap();
    }
    let trainable: Vec<ValueId> = graph.parameters().filter(|(_, p)| p.trainable).map(|(v, _)| v).collect();
    let gradients = differentiate(graph, loss, &trainable).unwrap();
    let mut wanted = vec![logits];
    for (&v, g) in trainable.iter().zip(&gradients) {
        wanted.push(g.unwrap_or_else(|| panic!("{} has no gradient", graph.value(v).name)));
    }
    let mut made = evaluate(graph, n, &bindings, Precision::F32, &wanted).unwrap().into_iter();
    let y = made.next().unwrap();
    (y, trainable.iter().map(|&v| graph.value(v).name.clone()).zip(made).collect())
}

fn check(network: &Network, n: usize) {
    let name = network.name();
    let (y, gradients) = run(&mut network.graph(Mode::Train).unwrap(), n);
    assert!(y.to_f64().iter().all(|v| v.is_finite()), "{name}: logits");
    for (parameter, g) in gradients {
        let g = g.to_f64();
        assert!(g.iter().all(|v| v.is_finite()), "{name}: the gradient of {parameter} is not finite");
        assert!(g.iter().any(|&v| v != 0.0), "{name}: the gradient of {parameter} is zero");
    }
}

fn small(name: &str, side: usize, classes: usize) -> Network {
    let o = Options { input: Some(vec![side]), classes: Some(classes), ..Options::default() };
    zoo::by_name(name, &o).unwrap()
}

#[test]
fn small_networks() {
    for name in ["lenet5", "lenet5_1998", "mlp", "softmax_regression", "perceptron"] {
        check(&zoo::by_name(name, &Options::default()).unwrap(), 4);
    }
}

/// The tiny siblings stand for their families: the same code with fewer and narrower layers.
#[test]
fn tiny_siblings() {
    // These have tests of their own below: other inputs, or weights that are zero at first.
    let apart =
        |n: &str| ["tiny_text", "tiny_document", "tiny_c3d", "tiny_unet", "tiny_fcn"].iter().any(|p| n.starts_with(p));
    let all: Vec<_> = zoo::names().into_iter().filter(|n| n.starts_with("tiny_") && !apart(n)).collect();
    assert!(all.len() >= 18, "{all:?}");
    for name in all {
        check(&zoo::by_name(name, &Options::default()).unwrap(), 4);
    }
}

#[test]
fn published_networks() {
    check(&small("resnet20", 16, 4), 3);
    check(&small("resnet18", 17, 4), 3);
    check(&small("googlenet", 33, 4), 2);
}

/// The network with weights that are not zero, where the paper begins with some that are.
fn he(name: &str, input: Option<Vec<usize>>) -> Network {
    let scheme = Some(Scheme::by_name("he").unwrap());
    zoo::by_name(name, &Options { input, scheme, ..Options::default() }).unwrap()
}

#[test]
fn networks_of_texts_and_films() {
    check(&zoo::by_name("tiny_text_cnn", &Options::default()).unwrap(), 6);
    check(&zoo::by_name("tiny_document_cnn", &Options::default()).unwrap(), 6);
    check(&zoo::by_name("tiny_c3d", &Options::default()).unwrap(), 2);
}

#[test]
fn networks_of_segmentation() {
    check(&small("tiny_unet_padded", 17, 3), 2);
    check(&small("tiny_unet", 188, 2), 1);
    for name in ["tiny_fcn32s", "tiny_fcn16s", "tiny_fcn8s"] {
        check(&he(name, Some(vec![16])), 1);
    }
}

#[test]
fn darknets() {
    check(&small("darknet_tiny", 32, 4), 3);
    check(&small("darknet", 33, 4), 3);
}

/// Zero scores upsampled are zeros, and they are no dead end: the layers of scores learn first.
#[test]
fn fully_convolutional_networks_begin_as_published() {
    let net = zoo::by_name("tiny_fcn8s", &Options { input: Some(vec![16]), ..Options::default() }).unwrap();
    let w = net.initialize(1).unwrap();
    let zero = |name: &str| w.get(name).unwrap().to_f64().iter().all(|&v| v == 0.0);
    assert!(zero("score_fr.weight") && zero("score_pool3.weight") && !zero("fc7.weight"));
    // Bilinear upsampling by 8 keeps a constant.
    let up = w.get("upscore8.weight").unwrap();
    assert_eq!(up.shape(), [4, 4, 16, 16]);
    let sum: f64 = up.to_f64()[..256].iter().sum();
    assert!((sum - 64.0).abs() < 1e-4, "{sum}");
}

#[test]
fn every_layer_of_the_builder() {
    let net = Network::new("all", &[3, 12, 12], 4, |net: &mut Net| {
        net.init(Scheme::all(gabor_graph::Initializer::Orthogonal { gain: 1.4 }));
        net.conv("conv1", conv(8, 3).same().pad_mode(gabor_tensor::PadMode::Reflect))?.group_norm("gn", 2, 1e-5)?;
        net.depthwise("dw", conv(2, 3).pad(1))?.activation(Activation::Gelu)?.lrn(LrnOptions::default())?;
        net.lp_pool(2.0, pool(3).stride(2).pad(1))?.conv_transpose("up", conv(6, 2).stride(2), &[])?;
        net.locally_connected("local", conv(4, 3).stride(3))?.layer_norm("ln", 1, 1e-5)?;
        let left = net.branch(|b| b.maxout(2)?.activation(Activation::Elu(1.0)))?;
        let right = net.branch(|b| b.conv2d("conv2", 3, 1)?.activation(Activation::LeakyRelu(0.1)))?;
        net.concat(&[left, right])?.adaptive_avg_pool(&[3, 2])?.dropout(0.2)?;
        net.pad_to(&[5, 3])?.crop(&[0, 1], &[4, 2])?.center_crop(&[3, 2])?;
        net.linear("fc", 4)?;
        Ok(())
    });
    check(&net, 3);
    let text = "INPUT 2x10x10 conv3-6 bn res[conv3-8/2 bn conv3-8 bn] [conv1-4 | avgpool3 s1 p1 | conv5-3] LRN l2pool gap FC-3";
    check(&notation::parse(text, &Options::default()).unwrap(), 3);
}

#[test]
fn inference_uses_the_running_statistics() {
    let net = small("tiny_resnet", 8, 3);
    let mut graph = net.graph(Mode::Infer).unwrap();
    // A sample's logits do not depend on its neighbours.
    let (four, _) = run(&mut graph, 4);
    let (one, _) = run(&mut net.graph(Mode::Infer).unwrap(), 1);
    for (a, b) in one.to_f64().iter().zip(four.to_f64()) {
        assert!((a - b).abs() < 1e-5 * b.abs().max(1.0), "{a} and {b}");
    }
}

#[test]
fn dropout_depends_on_the_key_alone() {
    let net = notation::parse("INPUT 1x8x8 -> FC-64 -> tanh -> dropout0.5 -> dropout0.5", &Options::default()).unwrap();
    let graph = net.graph(Mode::Train).unwrap();
    let weights = initialize(&graph, 1);
    let value = |seed: i32| {
        let mut bindings: HashMap<ValueId, Tensor> = HashMap::new();
        for (v, _) in graph.parameters() {
            bindings.insert(v, weights.get(&graph.value(v).name).unwrap().clone());
        }
        bindings.insert(graph.find("images").unwrap(), noise(&[16, 1, 8, 8], 1));
        bindings.insert(graph.find("key").unwrap(), Tensor::i32(&[4], vec![seed, 0, 0, 0]).unwrap());
        let logits = graph.output_value("logits").unwrap();
        evaluate(&graph, 16, &bindings, Precision::F32, &[logits]).unwrap().remove(0)
    };
    assert_eq!(value(1), value(1));
    assert_ne!(value(1), value(2));
    // Two independent layers leave a quarter.
    let kept = value(1).to_f64().iter().filter(|&&v| v != 0.0).count() as f64 / 1024.0;
    assert!((kept - 0.25).abs() < 0.06, "{kept}");
}
