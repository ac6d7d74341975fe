//! Functions of numbers: unary, binary, activations, casts.

use super::Row;
use super::cx::Cx;
use super::writer::{float, int};
use crate::onnx::proto::{elem, elem_of};
use gabor_graph::ops::{BinaryMap, Cast, Clip, Elu, LeakyRelu, OneHot, UnaryMap};
use gabor_tensor::{Binary, Dim, Rule, Shape, Tensor, Unary};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("unary", unary),
    ("binary", binary),
    ("cast", cast),
    ("one_hot", one_hot),
    ("leaky_relu", |c| {
        let slope = c.op::<LeakyRelu>()?.slope;
        simple(c, "LeakyRelu", vec![float("alpha", slope)])
    }),
    ("elu", |c| {
        let alpha = c.op::<Elu>()?.alpha;
        simple(c, "Elu", vec![float("alpha", alpha)])
    }),
    ("selu", |c| simple(c, "Selu", vec![])),
    ("softplus", |c| simple(c, "Softplus", vec![])),
    ("hard_sigmoid", |c| simple(c, "HardSigmoid", vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)])),
    ("hard_swish", |c| simple(c, "HardSwish", vec![])),
    ("clip", |c| {
        let &Clip { min, max } = c.op::<Clip>()?;
        let (x, y, min, max) = (c.x(0), c.y(0), c.number(min), c.number(max));
        c.emit_to("Clip", &[&x, &min, &max], vec![], &y);
        Ok(())
    }),
    ("prelu", |c| {
        // The slope broadcasts from the right, so one per channel needs trailing extents of 1.
        let (x, mut slope, y) = (c.x(0), c.x(1), c.y(0));
        let count = c.shape(1).0[0];
        let trailing = c.shape(0).rank().saturating_sub(2);
        if count != Dim::Fixed(1) && trailing > 0 {
            let to = Shape(std::iter::once(count).chain(vec![Dim::Fixed(1); trailing]).collect());
            slope = c.reshape(&slope, &Shape(vec![count]), &to)?;
        }
        c.emit_to("PRelu", &[&x, &slope], vec![], &y);
        Ok(())
    }),
];

fn simple(
    c: &mut Cx<'_>,
    op: &'static str,
    attributes: Vec<crate::onnx::proto::AttributeProto<'static>>,
) -> Result<(), Rule> {
    c.done(op, attributes);
    Ok(())
}

fn unary(c: &mut Cx<'_>) -> Result<(), Rule> {
    let f = c.op::<UnaryMap>()?.f;
    let op = match f {
        Unary::Neg => "Neg",
        Unary::Abs => "Abs",
        Unary::Sign => "Sign",
        Unary::Exp => "Exp",
        Unary::Log => "Log",
        Unary::Sqrt => "Sqrt",
        Unary::Recip => "Reciprocal",
        Unary::Sigmoid => "Sigmoid",
        Unary::Tanh => "Tanh",
        Unary::Relu => "Relu",
        Unary::Erf => "Erf",
        Unary::Sin => "Sin",
        Unary::Cos => "Cos",
        Unary::Square => {
            let (x, y) = (c.x(0), c.y(0));
            c.emit_to("Mul", &[&x, &x], vec![], &y);
            return Ok(());
        }
        Unary::Step => {
            let (x, y, zero) = (c.x(0), c.y(0), c.number(0.0));
            let b = c.emit("Greater", &[&x, &zero], vec![]);
            c.emit_to("Cast", &[&b], vec![int("to", elem::FLOAT)], &y);
            return Ok(());
        }
        Unary::Log1p => {
            let (x, y, one) = (c.x(0), c.y(0), c.number(1.0));
            let s = c.emit("Add", &[&x, &one], vec![]);
            c.emit_to("Log", &[&s], vec![], &y);
            return Ok(());
        }
    };
    simple(c, op, vec![])
}

fn binary(c: &mut Cx<'_>) -> Result<(), Rule> {
    let f = c.op::<BinaryMap>()?.f;
    let (a, b, y) = (c.x(0), c.x(1), c.y(0));
    let op = match f {
        Binary::Add => "Add",
        Binary::Sub => "Sub",
        Binary::Mul => "Mul",
        Binary::Div => "Div",
        Binary::Max => "Max",
        Binary::Min => "Min",
        Binary::Pow => "Pow",
        Binary::Greater | Binary::Equal => {
            let op = if f == Binary::Greater { "Greater" } else { "Equal" };
            let flag = c.emit(op, &[&a, &b], vec![]);
            c.emit_to("Cast", &[&flag], vec![int("to", elem::FLOAT)], &y);
            return Ok(());
        }
        Binary::Gate => {
            let zero = c.number(0.0);
            let flag = c.emit("Greater", &[&b, &zero], vec![]);
            c.emit_to("Where", &[&flag, &a, &zero], vec![], &y);
            return Ok(());
        }
    };
    simple(c, op, vec![])
}

fn cast(c: &mut Cx<'_>) -> Result<(), Rule> {
    let to = elem_of(c.op::<Cast>()?.dtype);
    simple(c, "Cast", vec![int("to", to)])
}

/// An index outside the classes gives zeros; ONNX's own operator would count negative ones from the end.
fn one_hot(c: &mut Cx<'_>) -> Result<(), Rule> {
    let classes = c.op::<OneHot>()?.classes;
    let numbers: Vec<i32> = (0..i32::try_from(classes).map_err(|_| Rule::new(format!("{classes} classes")))?).collect();
    let (x, y) = (c.x(0), c.y(0));
    let all = c.constant(&Tensor::i32(&[classes], numbers)?);
    let axis = c.ints(&[-1]);
    let labels = c.emit("Unsqueeze", &[&x, &axis], vec![]);
    let flag = c.emit("Equal", &[&labels, &all], vec![]);
    c.emit_to("Cast", &[&flag], vec![int("to", elem::FLOAT)], &y);
    Ok(())
}
