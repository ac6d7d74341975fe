//! What the losses share.

use super::want_type;
use crate::ValueType;
use gabor_tensor::{DType, Rule, Shape};

/// Two values of floats of equal shape; the loss is a single number.
pub(super) fn same_pair(names: [&str; 2], inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
    want_type(names[0], &inputs[0], DType::F32)?;
    want_type(names[1], &inputs[1], DType::F32)?;
    if inputs[0].shape != inputs[1].shape {
        return Err(Rule::new(format!("{} is {}, {} is {}", names[0], inputs[0].shape, names[1], inputs[1].shape))
            .right("equal shapes"));
    }
    Ok(vec![ValueType::f32(Shape::scalar())])
}
