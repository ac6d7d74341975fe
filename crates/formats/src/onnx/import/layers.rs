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
    let y = product_of(o, a, b)?;
    o.set(0, y)
}

fn product_of(o: &mut Op<'_, '_>, mut a: ValueId, mut b: ValueId) -> Result<ValueId, Fail> {
    let (mut sa, mut sb) = (o.shape(a), o.shape(b));
    let wrong = || Rule::new(format!("a matrix product of {} and {}", sa.clone(), sb.clone()));
    match (sa.rank(), sb.rank()) {
        (2, 2) => return Ok(o.g().matmul(a, b, false, false)?),
        (3, 3) if sa.0[0] == sb.0[0] => return Ok(o.g().matmul(a, b, false, false)?),
        (0, _) | (_, 0) => return Err(wrong().right("vectors or matrices").into()),
        // One matrix for all of a stack: its rows are one long matrix.
        (ra, 2) if ra > 2 => {
            let rows = product(&sa.0[..ra - 1])?;
            let flat = o.g().reshape(a, &Shape(vec![rows, sa.0[ra - 1]]))?;
            let y = o.g().matmul(flat, b, false, false)?;
            let shape = sa.0[..ra - 1].iter().copied().chain([sb.0[1]]).collect();
            return Ok(o.g().reshape(y, &Shape(shape))?);
        }
        _ => {}
    }
    // A vector is a row on the left and a column on the right; its extent of 1 goes again.
    let (row, column) = (sa.rank() == 1, sb.rank() == 1);
    if row {
        sa.0.insert(0, Dim::Fixed(1));
        a = o.g().reshape(a, &sa)?;
    }
    if column {
        sb.0.push(Dim::Fixed(1));
        b = o.g().reshape(b, &sb)?;
    }
    let (ra, rb) = (sa.rank(), sb.rank());
    let (la, lb) = (Shape(sa.0[..ra - 2].to_vec()), Shape(sb.0[..rb - 2].to_vec()));
    let lead = la.broadcast(&lb).ok_or_else(|| Rule::new(format!("a matrix product of {sa} and {sb}")))?;
    let stack = product(&lead.0)?;
    let mut join = |v: ValueId, s: &Shape| -> Result<ValueId, Fail> {
        let matrix = &s.0[s.rank() - 2..];
        let full = Shape([&lead.0[..], matrix].concat());
        super::want_size(&full)?;
        let v = if *s == full { v } else { o.g().broadcast(v, &full)? };
        let flat = if lead.rank() == 0 { matrix.to_vec() } else { [&[stack][..], matrix].concat() };
        Ok(o.g().reshape(v, &Shape(flat))?)
    };
    let (fa, fb) = (join(a, &sa)?, join(b, &sb)?);
    let y = o.g().matmul(fa, fb, false, false)?;
    let mut shape = lead.0.clone();
    shape.extend((!row).then_some(sa.0[ra - 2]));
    shape.extend((!column).then_some(sb.0[rb - 1]));
    Ok(o.g().reshape(y, &Shape(shape))?)
}
