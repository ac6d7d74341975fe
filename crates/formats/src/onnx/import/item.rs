//! What a name of the file stands for while it is read.

use crate::onnx::tensor::{Elements, Known};
use gabor_graph::ValueId;
use gabor_tensor::{Dim, Rule};
use std::rc::Rc;

/// A whole number that is known, or a multiple of the batch size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Int {
    Known(i64),
    /// `k · n`.
    Batch(i64),
}

impl From<Dim> for Int {
    fn from(d: Dim) -> Self {
        match d {
            Dim::Fixed(v) => Int::Known(v as i64),
            Dim::Batch(k) => Int::Batch(k as i64),
        }
    }
}

impl Int {
    pub(super) fn known(self) -> Result<i64, Rule> {
        match self {
            Int::Known(v) => Ok(v),
            Int::Batch(_) => Err(Rule::new("a number that depends on the batch size").right("a known one")),
        }
    }
}

/// Whole numbers that shapes are computed with: one, or a list.
#[derive(Clone, Debug)]
pub(super) struct Ints {
    pub(super) scalar: bool,
    pub(super) v: Vec<Int>,
}

/// What a name stands for.
#[derive(Clone)]
pub(super) enum Item<'m> {
    /// A value of the graph.
    Value(ValueId),
    /// An initialiser, under its name in the file.
    Initializer(&'m str),
    /// An input whose numbers are given, as long as nothing computes with it.
    Input(usize),
    /// A constant.
    Constant(Rc<Known>),
    /// Whole numbers, some of which may depend on the batch size.
    Ints(Ints),
    /// An output of a node that was refused.
    Lost,
    /// An output that its operator's row does not make.
    Absent(&'m str),
}

/// A known tensor as whole numbers, if it is one number or a list of them.
pub(super) fn as_ints(k: &Known) -> Option<Ints> {
    match &k.elements {
        Elements::Int(v) if k.shape.len() <= 1 => {
            Some(Ints { scalar: k.shape.is_empty(), v: v.iter().map(|&x| Int::Known(x)).collect() })
        }
        _ => None,
    }
}

/// Whole numbers as a known tensor, if all are known.
pub(super) fn as_known(i: &Ints) -> Result<Known, Rule> {
    let v = i.v.iter().map(|x| x.known()).collect::<Result<Vec<_>, _>>()?;
    Ok(Known::ints(if i.scalar { vec![] } else { vec![v.len()] }, v))
}
