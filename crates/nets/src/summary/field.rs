//! Receptive fields: how much of the input a unit sees.

use gabor_graph::ops::{AvgPool, Conv, LinfPool, LocallyConnected, LpPool, MaxPool, Slice};
use gabor_graph::{Graph, ValueId};
use gabor_tensor::Window;
use std::collections::HashMap;

/// Per spatial dimension: extent of the field, and distance between the fields of neighbours.
type Field = Vec<(usize, usize)>;

/// Operations after which a unit's field is the whole input, or no longer that of a place.
const BLIND: &[&str] = &[
    "matmul",
    "reduce",
    "reshape",
    "transpose",
    "unfold",
    "global_avg_pool",
    "global_max_pool",
    "global_lp_pool",
    "adaptive_avg_pool",
    "adaptive_max_pool",
    "layer_norm",
    "group_norm",
    "instance_norm",
    "conv_transpose",
];

/// The receptive field of every value that keeps spatial axes, over the inputs `[n, c, spatial…]`. Values without spatial
/// axes see everything and have no entry.
pub(super) fn receptive_fields(graph: &Graph) -> HashMap<ValueId, Vec<usize>> {
    let mut fields: HashMap<ValueId, Field> = HashMap::new();
    for v in graph.inputs() {
        if let Some(d) = graph.shape(v).rank().checked_sub(2).filter(|&d| d > 0) {
            fields.insert(v, vec![(1, 1); d]);
        }
    }
    for node in graph.nodes() {
        let inputs: Vec<&Field> = node.inputs.iter().filter_map(|v| fields.get(v)).collect();
        let Some(widest) = join(&inputs) else { continue };
        let field = if let Some(op) = node.op::<Conv>() {
            slide(widest, &op.geometry.window)
        } else if let Some(op) = node.op::<MaxPool>() {
            slide(widest, &op.window)
        } else if let Some(op) = node.op::<AvgPool>() {
            slide(widest, &op.window)
        } else if let Some(op) = node.op::<LpPool>() {
            slide(widest, &op.window)
        } else if let Some(op) = node.op::<LinfPool>() {
            slide(widest, &op.window)
        } else if let Some(op) = node.op::<LocallyConnected>() {
            slide(widest, &op.window)
        } else if let Some(op) = node.op::<Slice>() {
            let mut f = widest;
            if let Some((_, jump)) = op.axis.checked_sub(2).and_then(|a| f.get_mut(a)) {
                *jump *= op.step;
            }
            f
        } else if BLIND.contains(&node.operation.name()) {
            continue;
        } else {
            widest
        };
        for &out in &node.outputs {
            if graph.shape(out).rank() == field.len() + 2 {
                fields.insert(out, field.clone());
            }
        }
    }
    fields.into_iter().map(|(v, f)| (v, f.into_iter().map(|(extent, _)| extent).collect())).collect()
}

/// The wider of all fields, per dimension.
fn join(fields: &[&Field]) -> Option<Field> {
    let (first, rest) = fields.split_first()?;
    let mut joined = (*first).clone();
    for f in rest {
        for (a, b) in joined.iter_mut().zip(f.iter()) {
            *a = (a.0.max(b.0), a.1.max(b.1));
        }
    }
    Some(joined)
}

/// A window over units that see `field` each.
fn slide(field: Field, window: &Window) -> Field {
    if field.len() != window.rank() {
        return field;
    }
    let step =
        |((extent, jump), a): ((usize, usize), &gabor_tensor::Axis)| (extent + (a.reach() - 1) * jump, jump * a.stride);
    field.into_iter().zip(window.axes()).map(step).collect()
}
