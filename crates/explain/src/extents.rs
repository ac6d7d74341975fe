//! Operations over values of other extents than those that they were made for.
//!
//! An operation whose rule follows its input needs nothing. What slides carries the extents that it slides over, and a
//! part or a new shape of a value names them: these are made again by the same rule.

use gabor_graph::ops::{AvgPool, Broadcast, Conv, ConvTranspose, LpPool, MaxPool, Reshape, Slice, Unfold};
use gabor_graph::{Graph, Node, Operation, Result, ValueId};
use gabor_tensor::{ConvGeometry, Dim, Rule, Shape, Window};
use std::sync::Arc;

/// The node's operation for these inputs of `to`, where the node of `from` has inputs of other extents.
///
/// # Errors
/// An operation that cannot say what it would be.
pub(crate) fn adapted(from: &Graph, node: &Node, to: &Graph, inputs: &[ValueId]) -> Result<Arc<dyn Operation>> {
    if node.inputs.iter().zip(inputs).all(|(&old, &new)| from.ty(old) == to.ty(new)) {
        return Ok(node.operation.clone());
    }
    let shape = to.shape(inputs[0]);
    let fail = |rule: Rule| gabor_graph::Error::new(&node.name, rule);
    let again = |window: &Window| -> Result<Window> {
        let spatial: Option<Vec<usize>> = shape.0.iter().skip(2).map(|d| d.fixed()).collect();
        window.options().resolve(&spatial.unwrap_or_default()).map_err(fail)
    };
    let geometry =
        |g: &ConvGeometry| -> Result<ConvGeometry> { Ok(ConvGeometry { window: again(&g.window)?, ..g.clone() }) };
    Ok(if let Some(op) = node.op::<Conv>() {
        Arc::new(Conv { geometry: geometry(&op.geometry)? })
    } else if let Some(op) = node.op::<MaxPool>() {
        Arc::new(MaxPool { window: again(&op.window)? })
    } else if let Some(op) = node.op::<AvgPool>() {
        Arc::new(AvgPool { window: again(&op.window)?, ..op.clone() })
    } else if let Some(op) = node.op::<LpPool>() {
        Arc::new(LpPool { window: again(&op.window)?, ..op.clone() })
    } else if let Some(op) = node.op::<Slice>() {
        Arc::new(slice(op, from.shape(node.inputs[0]), shape))
    } else if let Some(op) = node.op::<Reshape>() {
        let target = reshaped(from.shape(node.inputs[0]), &op.shape, shape);
        Arc::new(Reshape { shape: target.ok_or_else(|| fail(fixed(shape, &op.shape)))? })
    } else if node.op::<Broadcast>().is_some() || node.op::<ConvTranspose>().is_some() || node.op::<Unfold>().is_some()
    {
        return Err(fail(fixed(shape, from.shape(node.outputs[0]))));
    } else {
        node.operation.clone()
    })
}

fn fixed(input: &Shape, output: &Shape) -> Rule {
    Rule::new(format!("an input {input} cannot become {output}: the layer belongs to one size of pictures"))
}

/// A part up to the end stays one up to the end.
fn slice(op: &Slice, old: &Shape, new: &Shape) -> Slice {
    match (old.0.get(op.axis), new.0.get(op.axis)) {
        (Some(Dim::Fixed(before)), Some(Dim::Fixed(now))) if op.end == *before => Slice { end: *now, ..op.clone() },
        _ => op.clone(),
    }
}

/// The new shape by groups of axes that hold the same elements before and after: a group whose extents stay is split as before,
/// one that grows may become a single axis.
fn reshaped(old: &Shape, target: &Shape, new: &Shape) -> Option<Shape> {
    if old.rank() != new.rank() {
        return None;
    }
    let (mut a, mut b, mut out) = (0, 0, Vec::new());
    while a < old.rank() || b < target.rank() {
        let (from, to) = (a, b);
        // The batch stands for itself; other axes are taken until both sides hold as much.
        if old.0.get(a) == target.0.get(b) {
            (a, b) = (a + 1, b + 1);
        } else {
            let (mut x, mut y) = (1, 1);
            loop {
                let ones = |dims: &[Dim], at: usize| dims.get(at) == Some(&Dim::Fixed(1));
                if x == y && b > to && a > from && !ones(&old.0, a) && !ones(&target.0, b) {
                    break;
                }
                let (side, at, product) = match x <= y && a < old.rank() {
                    true => (&old.0, &mut a, &mut x),
                    false => (&target.0, &mut b, &mut y),
                };
                match side.get(*at) {
                    Some(Dim::Fixed(n)) => *product = usize::checked_mul(*product, *n)?,
                    None if x == y => break,
                    _ => return None,
                }
                *at += 1;
            }
        }
        if old.0[from..a] == new.0[from..a] {
            out.extend_from_slice(&target.0[to..b]);
        } else if b - to == 1 {
            let grown = new.0[from..a].iter().map(|d| d.fixed()).product::<Option<usize>>()?;
            out.push(Dim::Fixed(grown));
        } else {
            return None;
        }
    }
    Some(Shape(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_grow_with_their_axes() {
        let of = |old: &[usize], target: &[usize], new: &[usize]| {
            let found = reshaped(&Shape::batch(old), &Shape::batch(target), &Shape::batch(new));
            found.map(|s| s.0[1..].iter().map(|d| d.at(1)).collect::<Vec<_>>())
        };
        assert_eq!(of(&[8, 4, 4], &[128], &[8, 6, 5]), Some(vec![240]));
        assert_eq!(of(&[8, 4, 4], &[8, 16], &[8, 6, 5]), Some(vec![8, 30]));
        assert_eq!(of(&[8, 1, 1], &[8], &[8, 1, 1]), Some(vec![8]));
        assert_eq!(of(&[8, 16], &[8, 4, 4], &[8, 30]), None);
        // The channels of ShuffleNet, shuffled and back.
        assert_eq!(of(&[8, 4, 4], &[2, 4, 4, 4], &[8, 6, 5]), Some(vec![2, 4, 6, 5]));
        assert_eq!(of(&[4, 2, 4, 4], &[8, 4, 4], &[4, 2, 6, 5]), Some(vec![8, 6, 5]));
        assert_eq!(of(&[8, 4, 4], &[1, 8, 16, 1], &[8, 6, 5]), None);
        assert_eq!(of(&[8], &[8, 1, 1], &[8]), Some(vec![8, 1, 1]));
    }
}
