//! Every operation that can be exported: written, read again, and run by ONNX Runtime.

mod common;

use common::{Cases, difference, one_operation, outputs};
use gabor_formats::onnx::{Metadata, export, import};
use gabor_graph::registry;
use gabor_tensor::{DType, Weights};
use std::collections::{BTreeSet, HashMap};

/// Operations without counterpart: gradients that no inference graph has, and random numbers.
const REFUSED: &[&str] = &[
    // Two samples reach for a batch that no input has.
    "broadcast",
    "conv_filter_grad",
    "dropout",
    "max_pool_gather",
    "max_unpool",
    "pad_grad",
    "random_uniform",
];

#[test]
fn samples() {
    let mut cases = Cases::new("operations");
    let mut refused = BTreeSet::new();
    for spec in registry() {
        for p in (spec.samples)() {
            let graph = one_operation(&p);
            let values = gabor_testkit::fill(&p, 11);
            let inputs: HashMap<String, _> =
                values.into_iter().enumerate().map(|(i, t)| (format!("x{i}"), t)).collect();
            let bytes = match export(&graph, &Weights::new(), &Metadata::default()) {
                Ok(bytes) => bytes,
                Err(e) => {
                    assert_eq!(e.refusals()[0].node.split('.').next(), Some("op"), "{e}");
                    refused.insert(spec.name);
                    continue;
                }
            };
            let want = outputs(&graph, p.n, &inputs, &Weights::new());
            let named: Vec<_> = graph.outputs().iter().map(|(n, _)| n.clone()).zip(want.iter().cloned()).collect();
            cases.add(&p.to_text(), &bytes, &inputs, &named);
            // Switches are read as far as they are exported for others.
            if graph.outputs().iter().any(|&(_, v)| graph.ty(v).dtype != DType::F32) && spec.name == "max_pool" {
                continue;
            }
            let back = import(&bytes).unwrap_or_else(|e| panic!("{}\n{e}\n{graph}", p.to_text()));
            let got = outputs(&back.graph, p.n, &inputs, &back.weights);
            for (w, g) in want.iter().zip(&got) {
                let d = difference(w, g);
                assert!(d < 2e-5, "{}: {d}\n{}", p.to_text(), back.graph);
            }
        }
    }
    assert_eq!(refused.into_iter().collect::<Vec<_>>(), REFUSED);
    assert!(cases.len() > 150);
    cases.check();
}
