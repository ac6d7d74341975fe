//! Networks of the zoo as files. `GABOR_ZOO=all` takes all but the largest.

mod common;

use common::{Cases, difference, normal, outputs, random_weights};
use gabor_formats::onnx::{Metadata, export, import};
use gabor_nets::zoo::{self, Options};
use std::collections::HashMap;

#[test]
fn networks_of_the_zoo() {
    let all = std::env::var("GABOR_ZOO").is_ok_and(|v| v == "all");
    let mut cases = Cases::new("zoo");
    for card in zoo::cards() {
        let chosen = ["lenet5", "tiny_resnet", "resnet20", "softmax_regression"].contains(&card.name);
        if card.parameters > 26_000_000 || !(all || chosen) {
            continue;
        }
        // Small pictures, so that the reference has little to do.
        let small = card.input.len() == 3 && card.input[1] > 64;
        let options = Options { input: small.then(|| vec![64]), ..Options::default() };
        let net = zoo::by_name(card.name, &options).unwrap();
        let Ok(graph) = net.graph(gabor_nets::Mode::Infer) else { continue };
        let weights = random_weights(&graph);
        let bytes = export(&graph, &weights, &Metadata::default()).unwrap();
        let back = import(&bytes).unwrap();
        assert_eq!(back.weights, weights, "{}", card.name);
        let input = graph.value(graph.inputs().next().unwrap());
        let x = normal(&input.ty.shape.at(2), 5);
        let inputs = HashMap::from([(input.name.clone(), x)]);
        let want = outputs(&graph, 2, &inputs, &weights);
        let got = outputs(&back.graph, 2, &inputs, &back.weights);
        assert!(difference(&want[0], &got[0]) < 1e-5, "{}", card.name);
        let named: Vec<_> = graph.outputs().iter().map(|(n, _)| n.clone()).zip(want).collect();
        cases.add(card.name, &bytes, &inputs, &named);
    }
    assert!(cases.len() >= 3, "{}", cases.len());
    cases.check();
}
