//! Change of element type.

use crate::{
    Error, Fill, Gradient, GradientOf, Graph, Operation, Problem, Result, Text, ValueId, ValueType, operation,
};
use gabor_tensor::{DType, Rule};

operation! {
    /// The same numbers with another element type; floats are truncated towards zero for integer types.
    pub struct Cast("cast", ["x"]) {
        /// The new element type: `f32`, `i32` or `u8`.
        dtype: DType,
    }
}

impl Text for DType {
    fn to_text(&self) -> String {
        self.name().into()
    }
    fn from_text(text: &str) -> Result<Self, Rule> {
        [DType::F32, DType::F64, DType::I32, DType::U8]
            .into_iter()
            .find(|d| d.name() == text)
            .ok_or_else(|| Rule::new(format!("`{text}` is not an element type")).right("f32, f64, i32 or u8"))
    }
}

impl Operation for Cast {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        if self.dtype == DType::F64 || inputs[0].dtype == DType::F64 {
            return Err(Rule::new("f64 values exist in the reference alone, not in graphs").right("f32, i32 or u8"));
        }
        Ok(vec![inputs[0].with(self.dtype)])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        if self.dtype != DType::F32 || cx.graph.ty(cx.inputs[0]).dtype != DType::F32 {
            return Ok(GradientOf::Stop);
        }
        Ok(GradientOf::Inputs(vec![Some(cx.dy0()?)]))
    }
    fn samples() -> Vec<Problem> {
        vec![
            Problem::new(Cast { dtype: DType::F32 }).input("nx3x4", DType::U8, Fill::Bytes),
            Problem::new(Cast { dtype: DType::F32 }).input("nx3", DType::I32, Fill::Labels(9)),
            Problem::new(Cast { dtype: DType::I32 }).input("nx3", DType::F32, Fill::Distinct),
        ]
    }
}

impl Graph {
    /// The same numbers with another element type.
    ///
    /// # Errors
    /// Types that are not for graphs.
    pub fn cast(&mut self, x: ValueId, dtype: DType) -> Result<ValueId> {
        self.add_one(Cast { dtype }, &[x])
    }
}
