//! Small networks and pictures.

use gabor_cpu::CpuBackend;
use gabor_explain::Subject;
use gabor_graph::Graph;
use gabor_tensor::{Stream, Tensor, Weights, rng::op};
use std::sync::Arc;

/// A network as it is looked at; random weights where none are given.
pub fn subject(graph: Graph, weights: Option<Weights>, scores: &str) -> Subject {
    let (images, scores) = (graph.inputs().next().unwrap(), graph.output_value(scores).unwrap());
    let weights = weights.unwrap_or_else(|| gabor_nets::initialize(&graph, 4));
    Subject::new(graph, weights, images, scores, Arc::new(CpuBackend::default())).unwrap()
}

/// A picture of noise.
pub fn image(s: &Subject, seed: u64) -> Tensor {
    let [c, h, w] = s.input();
    let mut stream = Stream::new(seed, 0, 0, op::TEST);
    Tensor::f32(&[1, c, h, w], (0..c * h * w).map(|_| stream.normal() as f32).collect()).unwrap()
}
