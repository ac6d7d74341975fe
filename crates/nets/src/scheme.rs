//! How the weights and biases of a whole network are initialised.

use gabor_graph::Initializer;
use gabor_tensor::Rule;

/// The initialisers of a network's weight layers. Normalisation layers always start as the identity (γ = 1, β = 0).
#[derive(Clone, Debug, PartialEq)]
pub struct Scheme {
    /// Weights of convolutions.
    pub conv: Initializer,
    /// Biases of convolutions; `None`: uniform in ±1/√fan-in of the layer.
    pub conv_bias: Option<Initializer>,
    /// Weights of fully connected layers.
    pub linear: Initializer,
    /// Biases of fully connected layers; `None`: uniform in ±1/√fan-in of the layer.
    pub linear_bias: Option<Initializer>,
}

impl Default for Scheme {
    /// PyTorch's default: everything uniform in ±1/√fan-in.
    fn default() -> Self {
        let w = Initializer::KaimingUniform { a: 5f64.sqrt() };
        Scheme { conv: w.clone(), conv_bias: None, linear: w, linear_bias: None }
    }
}

impl Scheme {
    /// All names that [`by_name`](Scheme::by_name) reads.
    pub const NAMES: &[&str] = &["default", "he", "xavier", "orthogonal", "dirac", "normal", "uniform", "zeros"];

    /// One initialiser for all weights, biases zero.
    pub fn all(weight: Initializer) -> Self {
        Scheme {
            conv: weight.clone(),
            conv_bias: Some(Initializer::Zeros),
            linear: weight,
            linear_bias: Some(Initializer::Zeros),
        }
    }
    /// The scheme of that name: `default` (PyTorch's), `he` (normal, fan-in), `xavier` (uniform), `orthogonal`,
    /// `dirac` (convolutions begin as the identity, the rest as by default), `normal` (deviation 0.01, AlexNet's), `uniform` (±0.05), `zeros` (with which no network learns); in all but
    /// `default` and `dirac` biases are zero.
    ///
    /// # Errors
    /// An unknown name, with the nearest known ones.
    pub fn by_name(name: &str) -> Result<Self, Rule> {
        Ok(match name {
            "default" => Scheme::default(),
            "he" | "kaiming" => Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false }),
            "xavier" | "glorot" => Scheme::all(Initializer::XavierUniform { gain: 1.0 }),
            "orthogonal" => Scheme::all(Initializer::Orthogonal { gain: 1.0 }),
            "dirac" => Scheme { conv: Initializer::Dirac, ..Scheme::default() },
            "normal" => Scheme::all(Initializer::Normal { mean: 0.0, std: 0.01 }),
            "uniform" => Scheme::all(Initializer::Uniform { low: -0.05, high: 0.05 }),
            "zeros" => Scheme::all(Initializer::Zeros),
            _ => {
                let all = Self::NAMES.join(", ");
                return Err(Rule::new(format!("there is no initialiser `{name}`")).right(crate::nearest::suggestion(
                    name,
                    Self::NAMES.iter().copied(),
                    &format!("one of {all}"),
                )));
            }
        })
    }
    /// He et al. 2015 for convolutions over fan-out, with fully connected layers as given: torchvision's habit.
    pub(crate) fn he_fan_out(linear: Initializer, linear_bias: Option<Initializer>) -> Self {
        Scheme {
            conv: Initializer::KaimingNormal { a: 0.0, fan_out: true },
            conv_bias: Some(Initializer::Zeros),
            linear,
            linear_bias,
        }
    }
}
