//! Sample problems as graphs.

use crate::Bindings;
use gabor_cpu::reference::{Precision, evaluate};
use gabor_graph::{Graph, Problem, Result, ValueId, registry};
use gabor_tensor::Tensor;
use std::collections::HashMap;

/// A problem as a graph of one node.
pub struct Built {
    /// The graph; its outputs are named `y0`, `y1`, …
    pub graph: Graph,
    /// Its inputs, in the problem's order.
    pub inputs: Vec<ValueId>,
    /// The node's outputs.
    pub outputs: Vec<ValueId>,
}

impl Built {
    /// The problem's tensors by value.
    pub fn bind(&self, bindings: &Bindings) -> HashMap<ValueId, Tensor> {
        self.inputs.iter().copied().zip(bindings.iter().cloned()).collect()
    }
}

/// Builds the graph of a problem: inputs named as the operation names them, one node.
///
/// # Errors
/// Inputs that the operation refuses.
pub fn build(problem: &Problem) -> Result<Built> {
    let mut graph = Graph::new(problem.operation.name());
    let names = problem.operation.input_names();
    let mut inputs = Vec::new();
    for (i, (shape, dtype, _)) in problem.inputs.iter().enumerate() {
        let name = names.get(i).filter(|n| !n.ends_with('…')).map_or(format!("x{i}"), |n| n.to_string());
        inputs.push(graph.input(&name, shape.clone(), *dtype)?);
    }
    graph.scope("node");
    let outputs = graph.add_shared(problem.operation.clone(), &inputs)?;
    for (i, &y) in outputs.iter().enumerate() {
        graph.output(format!("y{i}"), y);
    }
    Ok(Built { graph, inputs, outputs })
}

/// The outputs of a problem by the reference.
///
/// # Errors
/// Inputs that do not belong to the problem.
pub fn reference(problem: &Problem, bindings: &Bindings, precision: Precision) -> Result<Vec<Tensor>> {
    let built = build(problem)?;
    evaluate(&built.graph, problem.n, &built.bind(bindings), precision, &built.outputs)
}

/// Every sample of every operation of the registry.
pub fn problems() -> Vec<Problem> {
    registry().iter().flat_map(|spec| (spec.samples)()).collect()
}
