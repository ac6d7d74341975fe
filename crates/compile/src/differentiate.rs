//! Differentiation, graph to graph.

use gabor_graph::{Error, Gradient, GradientOf, Graph, Node, NodeId, Phase, Result, Source, ValueId};
use gabor_tensor::{Rule, Shape};
use std::collections::HashMap;

/// Replaces the gradient of some nodes, as guided backpropagation and the deconvnet do for rectifiers.
/// `None` leaves a node its own gradient.
pub type GradientRule<'a> = dyn Fn(&Node, &mut Gradient<'_>) -> Result<Option<GradientOf>> + 'a;

/// Adds to the graph the nodes that compute dloss/dw for each `w` of `wrt`, in reverse topological order, and returns
/// the gradients: of the shape of `w`, or `None` where the loss does not depend on it. `loss` has shape `[]`.
///
/// The result is an ordinary graph, so it can be differentiated again.
///
/// ```
/// use gabor_graph::{Graph, Parameter, Initializer};
/// use gabor_tensor::{DType, Shape};
/// let mut g = Graph::new("y = wx");
/// let x = g.input("x", Shape::batch(&[]), DType::F32).unwrap();
/// let w = g.parameter("w", &[1], Parameter::weight(Initializer::Zeros)).unwrap();
/// let y = g.mul(x, w).unwrap();
/// let loss = g.mean_all(y).unwrap();
/// let dw = gabor_compile::differentiate(&mut g, loss, &[w]).unwrap()[0].unwrap();
/// assert_eq!(g.shape(dw), &Shape::fixed(&[1]));
/// ```
///
/// # Errors
/// A loss that is no single number, or errors of the nodes that are added.
pub fn differentiate(graph: &mut Graph, loss: ValueId, wrt: &[ValueId]) -> Result<Vec<Option<ValueId>>> {
    if *graph.shape(loss) != Shape::scalar() {
        let rule = Rule::new(format!("a loss of shape {} has no single gradient", graph.shape(loss)))
            .right("shape [], for example the mean over the batch");
        return Err(Error::new(&graph.value(loss).name, rule));
    }
    let one = graph.number(1.0);
    differentiate_with(graph, &[(loss, one)], wrt, &|_, _| Ok(None))
}

/// As [`differentiate`], from given gradients of several values (`(y, dy)` of equal shapes: the gradient of Σ dy·y)
/// and with gradients of some nodes replaced by `rule`.
///
/// # Errors
/// Shapes of `y` and `dy` that differ, or errors of the nodes that are added.
pub fn differentiate_with(
    graph: &mut Graph,
    seeds: &[(ValueId, ValueId)],
    wrt: &[ValueId],
    rule: &GradientRule<'_>,
) -> Result<Vec<Option<ValueId>>> {
    let mut state = State { gradients: HashMap::new(), needed: vec![false; graph.values().len()], rule };
    for &w in wrt {
        state.needed[w.0 as usize] = true;
    }
    let nodes: Vec<NodeId> = (0..graph.nodes().len() as u32).map(NodeId).collect();
    state.mark(graph, &nodes);
    let scope = graph.current_scope().to_string();
    graph.set_phase(Phase::Backward);
    for &(y, dy) in seeds {
        if graph.ty(y) != graph.ty(dy) {
            let r = Rule::new(format!("a gradient of type {} for a value of type {}", graph.ty(dy), graph.ty(y)));
            return Err(Error::new(&graph.value(y).name, r));
        }
        state.add(graph, y, dy)?;
    }
    state.backward(graph, &nodes)?;
    graph.scope(scope);
    graph.set_phase(Phase::Forward);
    Ok(wrt.iter().map(|w| state.gradients.get(w).copied()).collect())
}

struct State<'a> {
    /// The sum of the gradients that reached a value so far.
    gradients: HashMap<ValueId, ValueId>,
    /// Whether a value depends on what is differentiated by.
    needed: Vec<bool>,
    rule: &'a GradientRule<'a>,
}

impl State<'_> {
    fn needs(&self, v: ValueId) -> bool {
        self.needed.get(v.0 as usize).copied().unwrap_or(false)
    }

    /// Marks the outputs of nodes that have a marked input.
    fn mark(&mut self, graph: &Graph, nodes: &[NodeId]) {
        self.needed.resize(graph.values().len(), false);
        for &id in nodes {
            let node = graph.node(id);
            if node.inputs.iter().any(|&v| self.needs(v)) {
                for &o in &node.outputs {
                    self.needed[o.0 as usize] = true;
                }
            }
        }
    }

    fn add(&mut self, graph: &mut Graph, v: ValueId, d: ValueId) -> Result<()> {
        let sum = match self.gradients.get(&v) {
            Some(&before) => graph.add(before, d)?,
            None => d,
        };
        self.gradients.insert(v, sum);
        Ok(())
    }

    fn backward(&mut self, graph: &mut Graph, nodes: &[NodeId]) -> Result<()> {
        for &id in nodes.iter().rev() {
            let node = graph.node(id).clone();
            let dy: Vec<_> = node.outputs.iter().map(|o| self.gradients.get(o).copied()).collect();
            let wanted: Vec<bool> = node.inputs.iter().map(|&v| self.needs(v)).collect();
            if dy.iter().all(Option::is_none) || !wanted.contains(&true) {
                continue;
            }
            graph.scope(format!("d{}", node.name));
            let mut cx = Gradient { graph, inputs: &node.inputs, outputs: &node.outputs, dy: &dy, wanted: &wanted };
            let answer = match (self.rule)(&node, &mut cx)? {
                Some(replaced) => replaced,
                None => node.operation.gradient(&mut cx)?,
            };
            match answer {
                GradientOf::Stop => {}
                GradientOf::Inputs(dx) => {
                    for ((&v, d), wanted) in node.inputs.iter().zip(dx).zip(&wanted) {
                        if let (Some(d), true) = (d, wanted) {
                            self.check(graph, &node, v, d)?;
                            self.add(graph, v, d)?;
                        }
                    }
                }
                GradientOf::Decomposition => self.through_decomposition(graph, &node, &dy)?,
            }
        }
        Ok(())
    }

    /// Adds the decomposition's nodes and differentiates those; equal forward nodes are merged by compilation.
    fn through_decomposition(&mut self, graph: &mut Graph, node: &Node, dy: &[Option<ValueId>]) -> Result<()> {
        let before = graph.nodes().len();
        let outputs = match node.operation.decompose(graph, &node.inputs) {
            Some(outputs) => outputs?,
            None => {
                let rule = Rule::new(format!("the operation `{}` has no gradient", node.operation.name()));
                return Err(Error::new(&node.name, rule));
            }
        };
        let added: Vec<NodeId> = (before as u32..graph.nodes().len() as u32).map(NodeId).collect();
        self.mark(graph, &added);
        for (&o, d) in outputs.iter().zip(dy) {
            if let Some(d) = *d {
                self.add(graph, o, d)?;
            }
        }
        // An output may be an input itself, or a value from outside; only the added nodes are walked.
        self.backward(graph, &added)
    }

    fn check(&self, graph: &Graph, node: &Node, v: ValueId, d: ValueId) -> Result<()> {
        let (x, dx) = (graph.ty(v), graph.ty(d));
        if x == dx {
            return Ok(());
        }
        let name = match graph.value(v).source {
            Source::Node(..) => "an input",
            _ => &graph.value(v).name,
        };
        let r = Rule::new(format!("the gradient of {name} has type {dx}, the value {x}")).right("equal types");
        Err(Error::new(&node.name, r))
    }
}
