//! Operations that move elements.

use super::Row;
use super::cx::Cx;
use super::writer::{int, ints, text};
use crate::onnx::proto::elem;
use gabor_graph::ops::{Broadcast, Concat, Embed, Gather, Pad, Reshape, ScatterAdd, Slice, Transpose};
use gabor_tensor::{Dim, PadMode, Rule, Shape};

pub(super) const ROWS: &[(&str, Row)] = &[
    ("reshape", |c| {
        let to = c.op::<Reshape>()?.shape.clone();
        let (x, y, from) = (c.x(0), c.y(0), c.shape(0).clone());
        let target = c.reshape_target(&from, &to)?;
        c.emit_to("Reshape", &[&x, &target], vec![], &y);
        Ok(())
    }),
    ("broadcast", broadcast),
    ("transpose", |c| {
        let perm = c.op::<Transpose>()?.perm.iter().map(|&p| p as i64).collect();
        c.done("Transpose", vec![ints("perm", perm)]);
        Ok(())
    }),
    ("concat", |c| {
        let axis = c.op::<Concat>()?.axis;
        c.done("Concat", vec![int("axis", axis as i64)]);
        Ok(())
    }),
    ("slice", |c| {
        let &Slice { axis, start, end, step } = c.op::<Slice>()?;
        let (x, y) = (c.x(0), c.y(0));
        let [start, end, axis, step] = [start, end, axis, step].map(|v| c.ints(&[v as i64]));
        c.emit_to("Slice", &[&x, &start, &end, &axis, &step], vec![], &y);
        Ok(())
    }),
    ("pad", pad),
    ("embed", embed),
    ("gather", |c| {
        // Indices outside the axis give zeros here and are an error there.
        let axis = c.op::<Gather>()?.axis;
        c.done("Gather", vec![int("axis", axis as i64)]);
        Ok(())
    }),
    ("scatter_add", scatter_add),
];

fn broadcast(c: &mut Cx<'_>) -> Result<(), Rule> {
    let to = c.op::<Broadcast>()?.shape.clone();
    let (x, y, from) = (c.x(0), c.y(0), c.shape(0).clone());
    // An extent of 1 keeps the input's, so a batch that is there already need not be computed.
    let lead = to.rank() - from.rank();
    let keep = |(i, &d): (usize, &Dim)| if i >= lead && from.0[i - lead] == d { Dim::Fixed(1) } else { d };
    let to = Shape(to.dims().iter().enumerate().map(keep).collect());
    let target = c.shape_value(&to)?;
    c.emit_to("Expand", &[&x, &target], vec![], &y);
    Ok(())
}

fn pads_value(c: &mut Cx<'_>, pads: &[(usize, usize)]) -> String {
    let all: Vec<i64> = pads.iter().map(|p| p.0 as i64).chain(pads.iter().map(|p| p.1 as i64)).collect();
    c.ints(&all)
}

fn pad(c: &mut Cx<'_>) -> Result<(), Rule> {
    let Pad { mode, value, pads } = c.op::<Pad>()?.clone();
    let (mut x, y) = (c.x(0), c.y(0));
    let mode = match mode {
        PadMode::Constant => {
            let (pads, value) = (pads_value(c, &pads), c.number(value));
            c.emit_to("Pad", &[&x, &pads, &value], vec![text("mode", "constant")], &y);
            return Ok(());
        }
        PadMode::Reflect => "reflect",
        PadMode::Replicate => "edge",
        PadMode::Circular => {
            // Mode `wrap` came with opset 19: join the ends axis by axis instead.
            let padded: Vec<usize> = (0..pads.len()).filter(|&i| pads[i] != (0, 0)).collect();
            for &axis in &padded {
                let Dim::Fixed(len) = c.shape(0).0[axis] else { continue };
                let (before, after) = pads[axis];
                let mut parts = vec![x.clone()];
                if before > 0 {
                    parts.insert(0, piece(c, &x, axis, len - before, len));
                }
                if after > 0 {
                    parts.push(piece(c, &x, axis, 0, after));
                }
                let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
                let attributes = vec![int("axis", axis as i64)];
                if Some(&axis) == padded.last() {
                    c.emit_to("Concat", &parts, attributes, &y);
                } else {
                    x = c.emit("Concat", &parts, attributes);
                }
            }
            if padded.is_empty() {
                c.emit_to("Identity", &[&x], vec![], &y);
            }
            return Ok(());
        }
    };
    let pads = pads_value(c, &pads);
    c.emit_to("Pad", &[&x, &pads], vec![text("mode", mode)], &y);
    Ok(())
}

fn piece(c: &mut Cx<'_>, x: &str, axis: usize, start: usize, end: usize) -> String {
    let [start, end, axis] = [start, end, axis].map(|v| c.ints(&[v as i64]));
    c.emit("Slice", &[x, &start, &end, &axis], vec![])
}

/// Zeros between the elements by padding an axis of 1 behind each, zeros around them by padding.
fn embed(c: &mut Cx<'_>) -> Result<(), Rule> {
    let &Embed { axis, start, step, len } = c.op::<Embed>()?;
    let (mut x, y) = (c.x(0), c.y(0));
    let mut shape = c.shape(0).clone();
    let Dim::Fixed(mut count) = shape.0[axis] else {
        return Err(Rule::new(format!("axis {axis} of {shape} has no known extent")));
    };
    let zero = c.number(0.0);
    if step > 1 {
        let mut apart = shape.clone();
        apart.0.insert(axis + 1, Dim::Fixed(1));
        x = c.reshape(&x, &shape, &apart)?;
        let mut pads = vec![(0, 0); apart.rank()];
        pads[axis + 1].1 = step - 1;
        let pads = pads_value(c, &pads);
        x = c.emit("Pad", &[&x, &pads, &zero], vec![]);
        apart.0[axis + 1] = Dim::Fixed(step);
        shape.0[axis] = Dim::Fixed(count * step);
        x = c.reshape(&x, &apart, &shape)?;
        // What follows the last element may be more than there is room for.
        let kept = (count - 1) * step + 1;
        x = piece(c, &x, axis, 0, kept);
        count = kept;
    }
    let mut pads = vec![(0, 0); shape.rank()];
    pads[axis] = (start, len - start - count);
    let pads = pads_value(c, &pads);
    c.emit_to("Pad", &[&x, &pads, &zero], vec![], &y);
    Ok(())
}

/// Added up along the first axis, where ONNX's operator puts elements by tuples of one index.
fn scatter_add(c: &mut Cx<'_>) -> Result<(), Rule> {
    let &ScatterAdd { axis, rank, .. } = c.op::<ScatterAdd>()?;
    let (mut dy, at, y) = (c.x(0), c.x(1), c.y(0));
    let (from, to) = (c.shape(0).rank(), c.out_shape(0).clone());
    let front: Vec<usize> = (axis..axis + rank).chain(0..axis).chain(axis + rank..from).collect();
    if axis > 0 {
        dy = c.emit("Transpose", &[&dy], vec![ints("perm", front.iter().map(|&p| p as i64).collect())]);
    }
    let turned: Vec<usize> = [axis].into_iter().chain(0..axis).chain(axis + 1..to.rank()).collect();
    let shape = c.shape_value(&Shape(turned.iter().map(|&a| to.0[a]).collect()))?;
    let zeros = c.emit("ConstantOfShape", &[&shape], vec![]);
    let last = c.ints(&[-1]);
    let at = c.emit("Cast", &[&at], vec![int("to", elem::INT64)]);
    let at = c.emit("Unsqueeze", &[&at, &last], vec![]);
    let add = vec![text("reduction", "add")];
    if axis == 0 {
        c.emit_to("ScatterND", &[&zeros, &at, &dy], add, &y);
        return Ok(());
    }
    let sum = c.emit("ScatterND", &[&zeros, &at, &dy], add);
    let back: Vec<i64> = (1..=axis).chain([0]).chain(axis + 1..to.rank()).map(|p| p as i64).collect();
    c.emit_to("Transpose", &[&sum], vec![ints("perm", back)], &y);
    Ok(())
}
