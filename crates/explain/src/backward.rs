//! The way back from a class to a picture: the gradient itself, and two rules that let only what speaks for the class pass
//! the rectifiers.

use crate::{Result, Subject};
use gabor_compile::{Executable, differentiate_with};
use gabor_graph::ops::{Clip, Elu, Gelu, HardSwish, LeakyRelu, PRelu, Selu, Silu, Softplus, UnaryMap};
use gabor_graph::{Gradient, GradientOf, Graph, Node, ValueId};
use gabor_tensor::{DType, Shape, Tensor, Unary};

/// How a gradient passes rectifiers on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backpropagation {
    /// As mathematics has it.
    Plain,
    /// Guided backpropagation (Springenberg et al. 2015): what is negative is dropped before each rectifier's gradient.
    Guided,
    /// The deconvnet (Zeiler and Fergus 2014): what is negative is dropped, and the rectifier itself does not matter.
    Deconvnet,
}

impl Backpropagation {
    /// The rule for one node. Every activation that rectifies counts as a rectifier, so that networks with other ones
    /// than ReLU have these pictures, too; for ReLU it is the papers' rule.
    pub(crate) fn rule(self, node: &Node, cx: &mut Gradient<'_>) -> gabor_graph::Result<Option<GradientOf>> {
        if self == Backpropagation::Plain || !rectifies(node) {
            return Ok(None);
        }
        let dy = cx.dy0()?;
        let positive = cx.graph.relu(dy)?;
        if self == Backpropagation::Deconvnet {
            let mut dx = vec![None; cx.inputs.len()];
            dx[0] = Some(positive);
            return Ok(Some(GradientOf::Inputs(dx)));
        }
        let dy = [Some(positive)];
        let mut inner =
            Gradient { graph: cx.graph, inputs: cx.inputs, outputs: cx.outputs, dy: &dy, wanted: cx.wanted };
        match node.operation.gradient(&mut inner)? {
            GradientOf::Decomposition => decomposed(&mut inner, node, positive).map(Some),
            other => Ok(Some(other)),
        }
    }
}

/// The gradient of an activation that is a formula of others: that of its decomposition.
fn decomposed(cx: &mut Gradient<'_>, node: &Node, dy: ValueId) -> gabor_graph::Result<GradientOf> {
    let Some(outputs) = node.operation.decompose(cx.graph, cx.inputs) else { return Ok(GradientOf::Decomposition) };
    let outputs = outputs?;
    let scope = cx.graph.current_scope().to_string();
    let dx = differentiate_with(cx.graph, &[(outputs[0], dy)], cx.inputs, &|_, _| Ok(None))?;
    cx.graph.scope(scope);
    cx.graph.set_phase(gabor_graph::Phase::Backward);
    Ok(GradientOf::Inputs(dx))
}

pub(crate) fn rectifies(node: &Node) -> bool {
    let unary = node.op::<UnaryMap>().is_some_and(|u| u.f == Unary::Relu);
    unary
        || node.op::<Clip>().is_some_and(|c| c.min == 0.0)
        || node.op::<LeakyRelu>().is_some()
        || node.op::<PRelu>().is_some()
        || node.op::<Elu>().is_some()
        || node.op::<Selu>().is_some()
        || node.op::<Gelu>().is_some()
        || node.op::<Silu>().is_some()
        || node.op::<HardSwish>().is_some()
        || node.op::<Softplus>().is_some()
}

/// Name of the input that says of which score the gradient is taken, `[n, classes]`.
const SEED: &str = "explain.class";

/// A compiled way forward to the scores and back to some values.
pub(crate) struct Backward {
    run: Box<dyn Executable>,
    images: String,
    classes: usize,
    seed: Tensor,
    kept: usize,
}

impl Backward {
    /// Gradients of a score by the values `wrt`; the values `keep` can be read, too.
    ///
    /// # Errors
    /// A value that the scores do not depend on differentiably.
    pub(crate) fn new(subject: &Subject, how: Backpropagation, wrt: &[ValueId], keep: &[ValueId]) -> Result<Self> {
        let mut graph: Graph = subject.graph().clone();
        graph.clear_outputs();
        let classes = subject.classes();
        let seed = graph.input(SEED, Shape::batch(&[classes]), DType::F32)?;
        let gradients = differentiate_with(&mut graph, &[(subject.scores(), seed)], wrt, &|n, cx| how.rule(n, cx))?;
        for (i, (&w, d)) in wrt.iter().zip(gradients).enumerate() {
            // What the scores do not depend on has a gradient of zero.
            let d = d.map_or_else(|| graph.zeros_like(w), Ok)?;
            graph.output(format!("gradient{i}"), d);
        }
        for (i, &v) in keep.iter().enumerate() {
            graph.output(format!("kept{i}"), v);
        }
        graph.output("scores", subject.scores());
        let run = subject.compile(graph)?;
        let seed = Tensor::zeros(&[1, classes], DType::F32);
        Ok(Backward { run, images: subject.images_name().to_string(), classes, seed, kept: keep.len() })
    }
    /// Runs `n` pictures `[n, c, h, w]` for one class.
    pub(crate) fn run(&mut self, images: &Tensor, class: usize) -> Result<()> {
        let n = images.shape()[0];
        let mut seed = vec![0.0; n * self.classes];
        seed.iter_mut().skip(class).step_by(self.classes).for_each(|s| *s = 1.0);
        self.seed = Tensor::f32(&[n, self.classes], seed).map_err(|r| crate::Error::new(SEED, r))?;
        self.run.run(0, n, &[(&self.images, images), (SEED, &self.seed)])
    }
    /// The gradient by value `i` of the last run.
    pub(crate) fn gradient(&self, i: usize) -> Result<&[f32]> {
        self.run.output(&format!("gradient{i}"))?.as_f32()
    }
    /// Kept value `i` of the last run.
    pub(crate) fn kept(&self, i: usize) -> Result<&[f32]> {
        debug_assert!(i < self.kept);
        self.run.output(&format!("kept{i}"))?.as_f32()
    }
    /// The scores of the last run, `[n, classes]`.
    pub(crate) fn scores(&self) -> Result<&[f32]> {
        self.run.output("scores")?.as_f32()
    }
}
