//! What the global poolings share.

use super::want_type;
use crate::{Graph, Result, ValueId, ValueType};
use gabor_tensor::{DType, Dim, Reduction, Rule};

/// `[n, c, spatial…]` → `[n, c, 1…]`.
pub(super) fn infer(inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
    want_type("x", &inputs[0], DType::F32)?;
    let mut shape = inputs[0].shape.clone();
    if shape.rank() < 3 {
        return Err(Rule::new(format!("global pooling of x {shape}")).right("[n, c, spatial…]"));
    }
    shape.0[2..].fill(Dim::Fixed(1));
    Ok(vec![ValueType::f32(shape)])
}

/// Reduces the spatial axes.
pub(super) fn reduce(g: &mut Graph, kind: Reduction, x: ValueId) -> Result<Vec<ValueId>> {
    let axes: Vec<usize> = (2..g.shape(x).rank()).collect();
    Ok(vec![g.reduce(kind, x, &axes)?])
}
