//! Element-wise operations on a matrix product that is never written.

use super::{FusedMap, MapProgram};
use gabor_graph::ops::MatMul;
use gabor_graph::{Cost, Error, Graph, Operation, Problem, Text, ValueId, ValueType, operation};
use gabor_tensor::Rule;

operation! {
    /// A matrix product and an element-wise program in one pass: the update of a large weight from what its gradient is
    /// made of. Input 0 of the program is `op(a)·b`, the others follow; all outputs have the product's shape.
    pub struct FusedProductMap("fused_product_map", ["a", "b", "others…"]) {
        /// Use the transpose of `a`.
        transpose_a: bool,
        /// What is done to every element.
        program: MapProgram,
    }
}

impl FusedProductMap {
    fn product(&self) -> MatMul {
        MatMul { transpose_a: self.transpose_a, transpose_b: false }
    }
    fn unfused(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>, Error> {
        let product = g.add_one(self.product(), &inputs[..2])?;
        let operands: Vec<ValueId> = [product].iter().chain(&inputs[2..]).copied().collect();
        g.add_node(FusedMap { program: self.program.clone() }, &operands)
    }
}

impl Operation for FusedProductMap {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let [a, b, others @ ..] = inputs else { return Err(Rule::new("a product needs two inputs")) };
        let product = self.product().infer(&[a.clone(), b.clone()])?.remove(0);
        if product.shape.rank() != 2 {
            return Err(Rule::new(format!("a product {}", product.shape)).right("one matrix"));
        }
        let operands: Vec<ValueType> = [&product].into_iter().chain(others).cloned().collect();
        let outputs = FusedMap { program: self.program.clone() }.infer(&operands)?;
        match outputs[0] == product {
            true => Ok(outputs),
            false => Err(Rule::new(format!("results {} of a product {}", outputs[0], product))),
        }
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.unfused(g, inputs))
    }
    fn cost(&self, inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        let product = self.product().cost(&inputs[..2], &outputs[..1], n).flops;
        Cost { flops: product + (self.program.arithmetic() * outputs[0].shape.len_at(n)) as u64 }
    }
    fn samples() -> Vec<Problem> {
        let momentum = "in:0;in:1;in:2;in:3;const:0.9;mul:1:4;add:5:0;mul:6:3;sub:2:7;out:6;out:8";
        let p = |transpose_a| {
            let program = MapProgram::from_text(momentum).expect("a program");
            Problem::new(FusedProductMap { transpose_a, program })
        };
        vec![
            p(true).f32("nx7").f32("nx40").f32("7x40").f32("7x40").f32(""),
            p(true).f32("21x19").f32("21x4100").f32("19x4100").f32("19x4100").f32("4100"),
            p(false).f32("9x3").f32("3x33").f32("9x33").f32("9x33").f32("9x1"),
        ]
    }
}
