//! The rectifiers that a product or convolution applies while it writes its result.

use gabor_graph::{Error, Graph, Text, ValueId};
use gabor_tensor::{Rule, Unary};

/// What a fused operation does to its result last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

impl Activation {
    /// Whether negative numbers become zero.
    pub fn rectifies(self) -> bool {
        self != Activation::None
    }
    /// The largest number that it lets pass.
    pub fn limit(self) -> f32 {
        if self == Activation::Relu6 { 6.0 } else { f32::INFINITY }
    }
    /// As nodes of a graph.
    pub(super) fn unfused(self, g: &mut Graph, x: ValueId) -> Result<ValueId, Error> {
        match self {
            Activation::None => Ok(x),
            Activation::Relu => g.unary(Unary::Relu, x),
            Activation::Relu6 => g.relu6(x),
        }
    }
}

impl Text for Activation {
    fn to_text(&self) -> String {
        match self {
            Activation::None => "none",
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
        }
        .to_string()
    }
    fn from_text(text: &str) -> Result<Self, Rule> {
        [Activation::None, Activation::Relu, Activation::Relu6]
            .into_iter()
            .find(|a| a.to_text() == text)
            .ok_or_else(|| Rule::new(format!("`{text}` is no activation")).right("none, relu or relu6"))
    }
}
