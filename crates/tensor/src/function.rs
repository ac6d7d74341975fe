//! Scalar functions that are applied element by element, each defined once: graphs name them, kernels implement them
//! and the reference evaluates exactly what stands here.

use crate::Real;
use std::fmt;

macro_rules! functions {
    ($(#[$m:meta])* $name:ident { $($(#[$d:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$m])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$d])* $variant),* }
        impl $name {
            /// Every function, in order.
            pub const ALL: &[$name] = &[$($name::$variant),*];
            /// The lower-case name.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
            /// The function of that name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|f| f.name() == name)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

functions! {
    /// A function of one number.
    Unary {
        /// −x
        Neg = "neg",
        /// |x|
        Abs = "abs",
        /// −1, 0 or 1
        Sign = "sign",
        /// 1 where x > 0, else 0
        Step = "step",
        /// eˣ
        Exp = "exp",
        /// Natural logarithm
        Log = "log",
        /// ln(1 + x), accurate near 0
        Log1p = "log1p",
        /// √x
        Sqrt = "sqrt",
        /// 1/x
        Recip = "recip",
        /// x²
        Square = "square",
        /// 1 / (1 + e⁻ˣ)
        Sigmoid = "sigmoid",
        /// Hyperbolic tangent
        Tanh = "tanh",
        /// max(x, 0); NaN stays NaN
        Relu = "relu",
        /// Error function
        Erf = "erf",
        /// Sine
        Sin = "sin",
        /// Cosine
        Cos = "cos",
    }
}

functions! {
    /// A function of two numbers `a` and `b`.
    Binary {
        /// a + b
        Add = "add",
        /// a − b
        Sub = "sub",
        /// a · b
        Mul = "mul",
        /// a / b
        Div = "div",
        /// The larger one; NaN if one is NaN
        Max = "max",
        /// The smaller one; NaN if one is NaN
        Min = "min",
        /// aᵇ; `a` must not be negative
        Pow = "pow",
        /// 1 where a > b, else 0
        Greater = "greater",
        /// 1 where a = b, else 0
        Equal = "equal",
        /// a where b > 0, else 0: the mask of a rectifier
        Gate = "gate",
    }
}

functions! {
    /// How the elements of a reduced dimension become one.
    Reduction {
        /// Their sum
        Sum = "sum",
        /// Their mean
        Mean = "mean",
        /// The largest; NaN if one is NaN
        Max = "max",
    }
}

functions! {
    /// What padding is filled with.
    PadMode {
        /// A constant, usually zero
        Constant = "constant",
        /// The mirror image, without the edge element: `3 2 | 1 2 3 | 2 1`
        Reflect = "reflect",
        /// The edge element: `1 1 | 1 2 3 | 3 3`
        Replicate = "replicate",
        /// The other end: `2 3 | 1 2 3 | 1 2`
        Circular = "circular",
    }
}

functions! {
    /// What the sum over an average-pooling window is divided by (PyTorch's meaning in ceil mode: elements beyond the
    /// padding that was asked for never count).
    PoolDivisor {
        /// The number of elements in the input or its padding
        CountIncludePad = "count_include_pad",
        /// The number of elements in the input alone
        CountExcludePad = "count_exclude_pad",
        /// One: sum pooling
        One = "one",
    }
}

impl Unary {
    /// The value at `x`: the definition that every kernel is judged by.
    pub fn eval<R: Real>(self, x: R) -> R {
        let flag = |c: bool| if c { R::ONE } else { R::ZERO };
        match self {
            Unary::Neg => -x,
            Unary::Abs => x.abs(),
            Unary::Sign => {
                if x > R::ZERO {
                    R::ONE
                } else if x < R::ZERO {
                    -R::ONE
                } else {
                    x
                }
            }
            Unary::Step => flag(x > R::ZERO),
            Unary::Exp => x.exp(),
            Unary::Log => x.ln(),
            Unary::Log1p => x.ln_1p(),
            Unary::Sqrt => x.sqrt(),
            Unary::Recip => R::ONE / x,
            Unary::Square => x * x,
            Unary::Sigmoid => {
                // Two branches, so that the exponential never overflows.
                if x >= R::ZERO {
                    R::ONE / (R::ONE + (-x).exp())
                } else {
                    let e = x.exp();
                    e / (R::ONE + e)
                }
            }
            Unary::Tanh => x.tanh(),
            Unary::Relu => {
                if x < R::ZERO {
                    R::ZERO
                } else {
                    x
                }
            }
            Unary::Erf => x.erf(),
            Unary::Sin => x.sin(),
            Unary::Cos => x.cos(),
        }
    }
}

impl Binary {
    /// The value at `(a, b)`: the definition that every kernel is judged by.
    pub fn eval<R: Real>(self, a: R, b: R) -> R {
        let flag = |c: bool| if c { R::ONE } else { R::ZERO };
        match self {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            // `a != a` finds NaN in `a`; a NaN in `b` makes the comparison false and is returned.
            Binary::Max => {
                if a > b || a.partial_cmp(&a).is_none() {
                    a
                } else {
                    b
                }
            }
            Binary::Min => {
                if a < b || a.partial_cmp(&a).is_none() {
                    a
                } else {
                    b
                }
            }
            Binary::Pow => a.powf(b),
            Binary::Greater => flag(a > b),
            Binary::Equal => flag(a == b),
            Binary::Gate => {
                if b > R::ZERO {
                    a
                } else {
                    R::ZERO
                }
            }
        }
    }
}
