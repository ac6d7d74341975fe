//! What an operation sees while its gradient is written.

use crate::{Graph, Result, ValueId};

/// The answer of [`Operation::gradient`](crate::Operation::gradient).
pub enum GradientOf {
    /// The gradient of each input; `None` where it is not wanted or the input is not differentiable.
    Inputs(Vec<Option<ValueId>>),
    /// Differentiate the decomposition instead.
    Decomposition,
    /// No gradient flows through this operation (a comparison, a random draw, an integer result).
    Stop,
}

/// The surroundings of one node during differentiation.
pub struct Gradient<'a> {
    /// The graph that gradient nodes are added to.
    pub graph: &'a mut Graph,
    /// The node's inputs.
    pub inputs: &'a [ValueId],
    /// The node's outputs.
    pub outputs: &'a [ValueId],
    /// The gradient of each output; `None` where nothing depends on it.
    pub dy: &'a [Option<ValueId>],
    /// Which inputs' gradients are wanted.
    pub wanted: &'a [bool],
}

impl Gradient<'_> {
    /// The gradient of the only output that matters.
    ///
    /// # Errors
    /// If it has none, which the driver excludes.
    pub fn dy0(&mut self) -> Result<ValueId> {
        match self.dy[0] {
            Some(v) => Ok(v),
            None => self.graph.zeros_like(self.outputs[0]),
        }
    }
}
