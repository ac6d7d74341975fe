//! Matrix product with what follows it.

use super::Activation;
use gabor_graph::ops::MatMul;
use gabor_graph::{Cost, Error, Graph, Operation, Problem, ValueId, ValueType, operation};
use gabor_tensor::Rule;

operation! {
    /// Matrix product, bias and rectifier in one pass: `max(op(a)·op(b) + bias, 0)`, a fully connected layer. The bias
    /// has one element per column of the result.
    pub struct FusedMatMul("fused_matmul", ["a", "b", "bias"]) {
        /// Use the transpose of `a`.
        transpose_a: bool,
        /// Use the transpose of `b`.
        transpose_b: bool,
        /// What is applied last.
        activation: Activation,
    }
}

impl FusedMatMul {
    fn product(&self) -> MatMul {
        MatMul { transpose_a: self.transpose_a, transpose_b: self.transpose_b }
    }
    fn unfused(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>, Error> {
        let y = g.add_one(self.product(), &inputs[..2])?;
        let sum = g.add(y, inputs[2])?;
        Ok(vec![self.activation.unfused(g, sum)?])
    }
}

impl Operation for FusedMatMul {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let out = self.product().infer(&inputs[..2])?;
        if inputs[2].shape.rank() != 1 || inputs[2].shape.0.last() != out[0].shape.0.last() {
            return Err(Rule::new(format!("a bias {} for a product {}", inputs[2].shape, out[0].shape)));
        }
        Ok(out)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.unfused(g, inputs))
    }
    fn cost(&self, inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        self.product().cost(inputs, outputs, n)
    }
    fn samples() -> Vec<Problem> {
        let p = |activation| Problem::new(FusedMatMul { transpose_a: false, transpose_b: true, activation });
        vec![
            p(Activation::Relu).f32("nx5").f32("4x5").f32("4"),
            p(Activation::Relu6).f32("nx7").f32("40x7").f32("40"),
            p(Activation::None).f32("nx33").f32("20x33").f32("20"),
        ]
    }
}
