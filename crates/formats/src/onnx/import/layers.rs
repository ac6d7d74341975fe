//! Products of matrices.

use super::Row;
use super::op::{Fail, Op, product};
use super::reader::Role;
use gabor_graph::ValueId;
use gabor_tensor::{Dim, Rule, Shape};

pub(super) const ROWS: &[(&str, Row)] = &[("Gemm", gemm), ("MatMul", matmul)];

/// `alpha · op(A) · op(B) + beta · C`.
fn gemm(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (alpha, beta) = (o.a.float("alpha", 1.0)?, o.a.float("beta", 1.0)?);
    let (ta, tb) = (o.a.flag("transA", false)?, o.a.flag("transB", false)?);
    let (a, b) = (o.x(0)?, o.x(1)?);
    if ta && o.relaxed() {
        o.keep_batch(a, &[0])?;
    }
    let mut y = o.g().matmul(a, b, ta, tb)?;
    if alpha != 1.0 {
        y = o.g().scale(y, alpha)?;
    }
    if o.has(2) {
        let mut c = o.role(2, Role::Bias)?;
        if beta != 1.0 {
            c = o.g().scale(c, beta)?;
        }
        y = add_row(o, y, c)?;
    }
    o.set(0, y)
}

/// Adds a bias; one row `[1, p]` is taken as a vector `[p]`.
fn add_row(o: &mut Op<'_, '_>, y: ValueId, mut c: ValueId) -> Result<ValueId, Fail> {
    let (to, shape) = (o.shape(y), o.shape(c));
    if shape.rank() == 2 && shape.0[0] == Dim::Fixed(1) && shape.0[1] == to.0[1] {
        c = o.g().reshape(c, &Shape(vec![to.0[1]]))?;
    }
    let sum = o.g().add(y, c)?;
    if o.shape(sum) != to {
        return Err(Rule::new(format!("C {shape} does not broadcast to {to}")).into());
    }
    Ok(sum)
}

/// NumPy's product of stacks of matrices.
fn matmul(o: &mut Op<'_, '_>) -> Result<(), Fail> {
    let (a, b) = (o.x(0)?, o.x(1)?);
    let (sa, sb) = (o.shape(a), o.shape(b));
    let wrong = || Rule::new(format!("a matrix product of {sa} and {sb}"));
    let y = match (sa.rank(), sb.rank()) {
        (2, 2) | (3, 3) => o.g().matmul(a, b, false, false)?,
        // One matrix for all of a stack: its rows are one long matrix.
        (ra, 2) if ra > 2 => {
            let rows = product(&sa.0[..ra - 1])?;
            let flat = o.g().reshape(a, &Shape(vec![rows, sa.0[ra - 1]]))?;
            let y = o.g().matmul(flat, b, false, false)?;
            let shape = sa.0[..ra - 1].iter().copied().chain([sb.0[1]]).collect();
            o.g().reshape(y, &Shape(shape))?
        }
        (ra, rb) if ra == rb && ra > 3 && sa.0[..ra - 2] == sb.0[..ra - 2] => {
            let stack = product(&sa.0[..ra - 2])?;
            let join = |s: &Shape| Shape(vec![stack, s.0[ra - 2], s.0[ra - 1]]);
            let (fa, fb) = (o.g().reshape(a, &join(&sa))?, o.g().reshape(b, &join(&sb))?);
            let y = o.g().matmul(fa, fb, false, false)?;
            let shape = sa.0[..ra - 1].iter().copied().chain([sb.0[ra - 1]]).collect();
            o.g().reshape(y, &Shape(shape))?
        }
        _ => return Err(wrong().right("matrices, or stacks of equal size").into()),
    };
    o.set(0, y)
}
