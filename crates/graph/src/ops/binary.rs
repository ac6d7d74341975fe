//! Functions of two numbers, element by element.

use super::want_type;
use crate::{Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{Binary, DType, Rule, Shape, Tensor, Unary};

operation! {
    /// y = f(a, b), element by element with NumPy's broadcasting; the functions are those of [`gabor_tensor::Binary`].
    pub struct BinaryMap("binary", ["a", "b"]) {
        /// The function.
        f: Binary,
    }
}

impl Operation for BinaryMap {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("a", &inputs[0], DType::F32)?;
        want_type("b", &inputs[1], DType::F32)?;
        let (a, b) = (&inputs[0].shape, &inputs[1].shape);
        let shape = a.broadcast(b).ok_or_else(|| {
            Rule::new(format!("{a} and {b} do not broadcast"))
                .right("extents that are equal or 1, aligned at the right")
        })?;
        Ok(vec![ValueType::f32(shape)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        if matches!(self.f, Binary::Greater | Binary::Equal) {
            return Ok(GradientOf::Stop);
        }
        let dy = cx.dy0()?;
        let (a, b, y) = (cx.inputs[0], cx.inputs[1], cx.outputs[0]);
        let wanted = cx.wanted;
        let g = &mut *cx.graph;
        let da = if wanted[0] { self.gradient_a(g, dy, a, b)? } else { None };
        let db = if wanted[1] { self.gradient_b(g, dy, a, b, y)? } else { None };
        let fit = |g: &mut Graph, d: Option<ValueId>, x: ValueId| {
            let shape = g.shape(x).clone();
            d.map(|d| g.sum_to(d, &shape)).transpose()
        };
        let da = fit(g, da, a)?;
        let db = fit(g, db, b)?;
        Ok(GradientOf::Inputs(vec![da, db]))
    }
    fn samples() -> Vec<Problem> {
        let mut v: Vec<Problem> = (Binary::ALL.iter())
            .map(|&f| {
                let fill = if matches!(f, Binary::Div | Binary::Pow) { Fill::Positive } else { Fill::Distinct };
                Problem::new(BinaryMap { f }).input("nx3x4", DType::F32, fill).input(
                    "nx3x4",
                    DType::F32,
                    Fill::Positive,
                )
            })
            .collect();
        for (a, b) in [("nx3x4x5", "3x1x1"), ("nx3x4", ""), ("4", "nx3x4"), ("nx1x4", "3x1"), ("nx7", "7")] {
            let op = |f| Problem::new(BinaryMap { f });
            v.push(op(Binary::Add).f32(a).f32(b));
            v.push(op(Binary::Mul).f32(a).f32(b));
            v.push(op(Binary::Div).f32(a).input(b, DType::F32, Fill::Positive));
        }
        v
    }
}

impl BinaryMap {
    /// dL/da before broadcasting is undone.
    fn gradient_a(&self, g: &mut Graph, dy: ValueId, a: ValueId, b: ValueId) -> Result<Option<ValueId>> {
        Ok(Some(match self.f {
            Binary::Add | Binary::Sub => dy,
            Binary::Mul => g.mul(dy, b)?,
            Binary::Div => g.div(dy, b)?,
            Binary::Max => g.share(dy, a, b)?,
            Binary::Min => g.share(dy, b, a)?,
            Binary::Pow => {
                let e = g.shift(b, -1.0)?;
                let p = g.pow(a, e)?;
                let d = g.mul(dy, b)?;
                g.mul(d, p)?
            }
            Binary::Gate => g.gate(dy, b)?,
            Binary::Greater | Binary::Equal => return Ok(None),
        }))
    }
    /// dL/db before broadcasting is undone.
    fn gradient_b(&self, g: &mut Graph, dy: ValueId, a: ValueId, b: ValueId, y: ValueId) -> Result<Option<ValueId>> {
        Ok(Some(match self.f {
            Binary::Add => dy,
            Binary::Sub => g.unary(Unary::Neg, dy)?,
            Binary::Mul => g.mul(dy, a)?,
            Binary::Div => {
                let q = g.div(y, b)?;
                let d = g.mul(dy, q)?;
                g.unary(Unary::Neg, d)?
            }
            Binary::Max => g.share(dy, b, a)?,
            Binary::Min => g.share(dy, a, b)?,
            Binary::Pow => {
                let l = g.unary(Unary::Log, a)?;
                let d = g.mul(dy, y)?;
                g.mul(d, l)?
            }
            Binary::Gate | Binary::Greater | Binary::Equal => return Ok(None),
        }))
    }
}

macro_rules! named {
    ($($(#[$doc:meta])* $method:ident: $f:ident),* $(,)?) => {
        impl Graph {$(
            $(#[$doc])*
            ///
            /// # Errors
            /// Shapes that do not broadcast.
            pub fn $method(&mut self, a: ValueId, b: ValueId) -> Result<ValueId> {
                self.binary(Binary::$f, a, b)
            }
        )*}
    };
}
named! {
    /// a + b
    add: Add,
    /// a − b
    sub: Sub,
    /// a · b
    mul: Mul,
    /// a / b
    div: Div,
    /// The larger of a and b
    maximum: Max,
    /// The smaller of a and b
    minimum: Min,
    /// aᵇ for a ≥ 0
    pow: Pow,
    /// 1 where a > b, else 0
    greater: Greater,
    /// 1 where a = b, else 0
    equal: Equal,
    /// a where b > 0, else 0
    gate: Gate,
}

impl Graph {
    /// f(a, b), element by element with broadcasting.
    ///
    /// # Errors
    /// Shapes that do not broadcast.
    pub fn binary(&mut self, f: Binary, a: ValueId, b: ValueId) -> Result<ValueId> {
        self.add_one(BinaryMap { f }, &[a, b])
    }
    /// x · c for a constant c.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn scale(&mut self, x: ValueId, c: f64) -> Result<ValueId> {
        let c = self.number(c);
        self.mul(x, c)
    }
    /// x + c for a constant c.
    ///
    /// # Errors
    /// A value that is not of 32-bit floats.
    pub fn shift(&mut self, x: ValueId, c: f64) -> Result<ValueId> {
        let c = self.number(c);
        self.add(x, c)
    }
    /// Zeros of the shape of a value.
    ///
    /// # Errors
    /// None for values of 32-bit floats.
    pub fn zeros_like(&mut self, x: ValueId) -> Result<ValueId> {
        let shape = self.shape(x).clone();
        let zero = self.number(0.0);
        self.broadcast(zero, &shape)
    }
    /// A constant of a known shape, all elements equal.
    pub fn full(&mut self, shape: &[usize], v: f64) -> ValueId {
        let n = shape.iter().product();
        let t = Tensor::f32(shape, vec![v as f32; n]).unwrap_or_else(|_| Tensor::scalar(v as f32));
        self.constant(t)
    }
    /// dy where a > b, half of it where a = b: the gradient of the larger one, ties shared.
    fn share(&mut self, dy: ValueId, a: ValueId, b: ValueId) -> Result<ValueId> {
        let more = self.greater(a, b)?;
        let tie = self.equal(a, b)?;
        let half = self.scale(tie, 0.5)?;
        let factor = self.add(more, half)?;
        self.mul(dy, factor)
    }
    /// Sums a value over the dimensions along which it was broadcast from `shape`.
    ///
    /// # Errors
    /// Shapes of which one is no broadcast of the other.
    pub fn sum_to(&mut self, x: ValueId, shape: &Shape) -> Result<ValueId> {
        let from = self.shape(x).clone();
        if from == *shape {
            return Ok(x);
        }
        let lead = from.rank().saturating_sub(shape.rank());
        let axes: Vec<usize> = (0..from.rank()).filter(|&i| i < lead || shape.0[i - lead] != from.0[i]).collect();
        let summed = self.reduce(gabor_tensor::Reduction::Sum, x, &axes)?;
        self.reshape(summed, shape)
    }
}
