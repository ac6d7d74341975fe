//! Parameters of a network: values that live between runs.

use std::fmt;

/// How a parameter is filled before training. Fans are taken from the parameter's shape `[out, in, window…]`:
/// fan-in = in · window, fan-out = out · window. The numbers themselves are drawn by `gabor-nets`.
#[derive(Clone, Debug, PartialEq)]
pub enum Initializer {
    /// All zeros. For weights it fails: all units of a layer stay equal (lecture 7 of CSCI 567).
    Zeros,
    /// All ones.
    Ones,
    /// All equal to a number.
    Constant(f64),
    /// Uniform in [low, high).
    Uniform {
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
    },
    /// Normal.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        std: f64,
    },
    /// Uniform with bound gain·√(6 / (fan-in + fan-out)) (Glorot and Bengio 2010).
    XavierUniform {
        /// Factor for the activation that follows.
        gain: f64,
    },
    /// Normal with deviation gain·√(2 / (fan-in + fan-out)).
    XavierNormal {
        /// Factor for the activation that follows.
        gain: f64,
    },
    /// Uniform with bound √(6 / ((1 + a²)·fan-in)) (He et al. 2015). `a = √5` gives PyTorch's default for convolutions.
    KaimingUniform {
        /// Negative slope of the rectifier that follows.
        a: f64,
    },
    /// Normal with deviation √(2 / ((1 + a²)·fan)).
    KaimingNormal {
        /// Negative slope of the rectifier that follows.
        a: f64,
        /// Whether the fan is fan-out instead of fan-in.
        fan_out: bool,
    },
    /// Uniform in ±1/√fan, PyTorch's default for a bias; the fan is the layer's fan-in.
    FanIn {
        /// The layer's fan-in.
        fan: usize,
    },
    /// A (semi-)orthogonal matrix times gain (Saxe et al. 2013).
    Orthogonal {
        /// Factor for the activation that follows.
        gain: f64,
    },
    /// The identity as far as it goes: filter `i` passes channel `i` on, as PyTorch's `dirac_`; further filters are drawn
    /// like PyTorch's default for convolutions (Jordan 2024, section 3.2).
    Dirac,
    /// The weight of a transposed convolution `[ci, co, window…]` that interpolates linearly in every dimension and
    /// leaves channels apart (Long et al. 2015): for a window of twice the stride, bilinear upsampling by the stride.
    Bilinear,
}

impl fmt::Display for Initializer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Initializer::Zeros => f.write_str("zeros"),
            Initializer::Ones => f.write_str("ones"),
            Initializer::Constant(v) => write!(f, "constant({v})"),
            Initializer::Uniform { low, high } => write!(f, "uniform({low}, {high})"),
            Initializer::Normal { mean, std } => write!(f, "normal({mean}, {std})"),
            Initializer::XavierUniform { gain } => write!(f, "xavier_uniform({gain})"),
            Initializer::XavierNormal { gain } => write!(f, "xavier_normal({gain})"),
            Initializer::KaimingUniform { a } => write!(f, "kaiming_uniform({a})"),
            Initializer::KaimingNormal { a, fan_out } => write!(f, "kaiming_normal({a}, fan_out={fan_out})"),
            Initializer::FanIn { fan } => write!(f, "fan_in({fan})"),
            Initializer::Orthogonal { gain } => write!(f, "orthogonal({gain})"),
            Initializer::Dirac => f.write_str("dirac"),
            Initializer::Bilinear => f.write_str("bilinear"),
        }
    }
}

/// What a graph says of a parameter; its numbers are kept outside the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// How it is filled before training.
    pub initializer: Initializer,
    /// Whether an optimiser changes it; running statistics are not trainable.
    pub trainable: bool,
    /// Whether weight decay applies (usually not to biases and normalisation).
    pub decay: bool,
}

impl Parameter {
    /// A trainable weight with weight decay.
    pub fn weight(initializer: Initializer) -> Self {
        Parameter { initializer, trainable: true, decay: true }
    }
    /// A trainable bias or scale, without weight decay.
    pub fn bias(initializer: Initializer) -> Self {
        Parameter { initializer, trainable: true, decay: false }
    }
    /// State that no optimiser changes: running statistics, optimiser state, counters.
    pub fn state(initializer: Initializer) -> Self {
        Parameter { initializer, trainable: false, decay: false }
    }
}
