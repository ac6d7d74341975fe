//! Activation functions by name.

use gabor_graph::{Graph, Result, ValueId};
use gabor_tensor::Rule;
use std::fmt;

/// An activation function, element by element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// max(x, 0)
    Relu,
    /// min(max(x, 0), 6), of the MobileNets
    Relu6,
    /// x for x > 0, else slope·x
    LeakyRelu(f64),
    /// x for x > 0, else α·(eˣ − 1)
    Elu(f64),
    /// The self-normalising ELU (Klambauer et al. 2017)
    Selu,
    /// x·Φ(x), with Φ the normal distribution function
    Gelu,
    /// x·sigmoid(x)
    Silu,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// Hyperbolic tangent
    Tanh,
    /// ln(1 + eˣ)
    Softplus,
    /// x·min(max(x + 3, 0), 6)/6, of MobileNet v3
    HardSwish,
    /// min(max(x + 3, 0), 6)/6
    HardSigmoid,
}

impl Activation {
    /// All names that [`from_name`](Activation::from_name) reads.
    pub const NAMES: &[&str] = &[
        "relu",
        "relu6",
        "leaky_relu",
        "elu",
        "selu",
        "gelu",
        "silu",
        "sigmoid",
        "tanh",
        "softplus",
        "hard_swish",
        "hard_sigmoid",
    ];

    /// The activation of that name: PyTorch's names in lower case, with or without `_` or `-`. `leaky_relu` and `elu`
    /// may carry their number: `leaky_relu0.1`.
    ///
    /// # Errors
    /// An unknown name, with the nearest known ones.
    pub fn from_name(name: &str) -> Result<Self, Rule> {
        let plain: String = name.to_lowercase().chars().filter(|c| !matches!(c, '_' | '-' | ' ')).collect();
        let number = |rest: &str, default: f64| match rest {
            "" => Some(default),
            t => t.parse::<f64>().ok().filter(|v| v.is_finite()),
        };
        let found = match plain.as_str() {
            "relu" => Some(Activation::Relu),
            "relu6" => Some(Activation::Relu6),
            "selu" => Some(Activation::Selu),
            "gelu" => Some(Activation::Gelu),
            "silu" | "swish" => Some(Activation::Silu),
            "sigmoid" | "logistic" => Some(Activation::Sigmoid),
            "tanh" => Some(Activation::Tanh),
            "softplus" => Some(Activation::Softplus),
            "hardswish" => Some(Activation::HardSwish),
            "hardsigmoid" => Some(Activation::HardSigmoid),
            t => {
                if let Some(rest) = t.strip_prefix("leakyrelu").or(t.strip_prefix("leaky")) {
                    number(rest, 0.01).map(Activation::LeakyRelu)
                } else if let Some(rest) = t.strip_prefix("elu") {
                    number(rest, 1.0).map(Activation::Elu)
                } else {
                    None
                }
            }
        };
        found.ok_or_else(|| {
            Rule::new(format!("`{name}` is not an activation")).right(crate::nearest::suggestion(
                name,
                Self::NAMES.iter().copied(),
                &format!("one of {}", Self::NAMES.join(", ")),
            ))
        })
    }
    /// The name without its number.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Relu6 => "relu6",
            Activation::LeakyRelu(_) => "leaky_relu",
            Activation::Elu(_) => "elu",
            Activation::Selu => "selu",
            Activation::Gelu => "gelu",
            Activation::Silu => "silu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Softplus => "softplus",
            Activation::HardSwish => "hard_swish",
            Activation::HardSigmoid => "hard_sigmoid",
        }
    }
    /// Adds the function to a graph.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn add(self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        match self {
            Activation::Relu => g.relu(x),
            Activation::Relu6 => g.relu6(x),
            Activation::LeakyRelu(slope) => g.leaky_relu(x, slope),
            Activation::Elu(alpha) => g.elu(x, alpha),
            Activation::Selu => g.selu(x),
            Activation::Gelu => g.gelu(x),
            Activation::Silu => g.silu(x),
            Activation::Sigmoid => g.sigmoid(x),
            Activation::Tanh => g.tanh(x),
            Activation::Softplus => g.softplus(x),
            Activation::HardSwish => g.hard_swish(x),
            Activation::HardSigmoid => g.hard_sigmoid(x),
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Activation::LeakyRelu(v) | Activation::Elu(v) => write!(f, "{}{v}", self.name()),
            _ => f.write_str(self.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for name in Activation::NAMES {
            assert_eq!(Activation::from_name(name).unwrap().name(), *name);
        }
        assert_eq!(Activation::from_name("LeakyReLU0.1").unwrap(), Activation::LeakyRelu(0.1));
        assert!(Activation::from_name("relo").unwrap_err().right.starts_with("relu"));
    }
}
