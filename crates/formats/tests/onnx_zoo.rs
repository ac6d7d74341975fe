//! Networks of the zoo as files. `GABOR_ZOO=all` takes all but the largest.

mod common;

use common::{Cases, difference, normal, outputs, random_weights};
use gabor_formats::onnx::{Metadata, export, import};
use gabor_nets::zoo::{self, Options};
use gabor_tensor::Tensor;
use std::collections::HashMap;

#[test]
fn networks_of_the_zoo() {
    let all = std::env::var("GABOR_ZOO").is_ok_and(|v| v == "all");
    let mut cases = Cases::new("zoo");
    for card in zoo::cards() {
        // A tiny sibling stands for its family: the same code with fewer and narrower layers.
        let chosen =
            card.name.starts_with("tiny_") || ["lenet5", "resnet20", "softmax_regression"].contains(&card.name);
        if card.parameters > 26_000_000 || !(all || chosen) {
            continue;
        }
        // Small pictures, so that the reference has little to do.
        let side = match card.name {
            // The smallest that its convolutions without padding leave something of.
            "unet" | "tiny_unet" => Some(188),
            _ => (card.input.len() == 3 && card.input[1] > 80).then_some(80),
        };
        let options = Options { input: side.map(|s| vec![s]), ..Options::default() };
        let net = zoo::by_name(card.name, &options).unwrap();
        let graph = match net.graph(gabor_nets::Mode::Infer) {
            Ok(graph) => graph,
            // AlexNet in one column and the like take no picture of that size.
            Err(_) => zoo::by_name(card.name, &Options::default()).unwrap().graph(gabor_nets::Mode::Infer).unwrap(),
        };
        let weights = random_weights(&graph);
        let bytes = export(&graph, &weights, &Metadata::default()).unwrap();
        let back = import(&bytes).unwrap();
        assert_eq!(back.weights, weights, "{}", card.name);
        let input = graph.value(graph.inputs().next().unwrap());
        let shape = input.ty.shape.at(2);
        let x = match card.vocabulary {
            Some(words) => {
                Tensor::i32(&shape, (0..shape[0] * shape[1]).map(|i| (i * 37 % words) as i32).collect()).unwrap()
            }
            None => normal(&shape, 5),
        };
        let inputs = HashMap::from([(input.name.clone(), x)]);
        let want = outputs(&graph, 2, &inputs, &weights);
        let got = outputs(&back.graph, 2, &inputs, &back.weights);
        assert!(difference(&want[0], &got[0]) < 1e-5, "{}", card.name);
        let named: Vec<_> = graph.outputs().iter().map(|(n, _)| n.clone()).zip(want).collect();
        cases.add(card.name, &bytes, &inputs, &named);
    }
    assert!(cases.len() >= 25, "{}", cases.len());
    cases.check();
}
