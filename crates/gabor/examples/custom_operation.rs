//! An operation of one's own. Its shape rule and its decomposition into known operations suffice: forward and gradient
//! follow. Then a kernel of one's own that computes it in one pass.

#![allow(clippy::print_stdout)]

use gabor::cpu::{Candidate, floats};
use gabor::graph::{Error, Operation, Problem, ValueType};
use gabor::operation;
use gabor::prelude::*;
use gabor::tensor::{Rule, Unary};

operation! {
    /// Mish: `y = x · tanh(ln(1 + eˣ))` (Misra 2019).
    ///
    /// Shapes: x and y are equal.
    pub struct Mish("mish", ["x"]) {}
}

impl Operation for Mish {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        match inputs {
            [x] => Ok(vec![x.clone()]),
            _ => Err(Rule::new(format!("{} inputs", inputs.len())).right("one")),
        }
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        let mut build = || {
            let e = g.unary(Unary::Exp, inputs[0])?;
            let softplus = g.unary(Unary::Log1p, e)?;
            let t = g.unary(Unary::Tanh, softplus)?;
            Ok(vec![g.mul(inputs[0], t)?])
        };
        Some(build())
    }
    fn samples() -> Vec<Problem> {
        vec![Problem::new(Mish {}).f32("nx5")]
    }
}

/// The kernel: asked before the backend's own, and taken because it accepts every problem.
const FAST_MISH: Candidate = Candidate {
    name: "mish.one_pass",
    operation: "mish",
    prepare: |_| {
        Ok(floats(|inputs, outputs| {
            for (y, &x) in outputs[0].iter_mut().zip(inputs[0]) {
                *y = x * x.exp().ln_1p().tanh();
            }
        }))
    },
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut g = Graph::new("mish");
    let x = g.input("x", Shape::batch(&[]), DType::F32)?;
    let y = g.add_one(Mish {}, &[x])?;
    let sum = g.sum_all(y)?;
    let dx = differentiate(&mut g, sum, &[x])?[0].ok_or("y depends on x")?;
    g.output("y", y);
    g.output("dx", dx);
    let program = Program::single("mish", g.validate()?);

    let x = Tensor::f32(&[4], vec![-2.0, -0.5, 0.0, 3.0])?;
    for backend in [CpuBackend::default(), CpuBackend::default().with_candidate(FAST_MISH)] {
        let mut run = backend.compile(&program, &CompileOptions::default())?;
        run.run(0, 4, &[("x", &x)])?;
        println!("y  = {:.4?}", run.output("y")?.as_f32()?);
        println!("dx = {:.4?}", run.output("dx")?.as_f32()?);
        for node in run.report(0, 4)?.nodes {
            println!("  {} by {}", node.node, node.kernel);
        }
    }
    Ok(())
}
