//! Batch normalisation in training with what follows it, and its gradient.

use super::Activation;
use gabor_graph::ops::{BatchNorm, BatchNormGrad};
use gabor_graph::{Cost, Error, Fill, Graph, Operation, Problem, ValueId, ValueType, operation};
use gabor_tensor::{Binary, DType, Rule};

operation! {
    /// Batch normalisation, another summand and rectifier in one pass: `relu(batch_norm(x) + add)`, or with relu6. The other summand,
    /// as the shortcut of a residual block, has the extents of x. Outputs as those of `batch_norm`.
    pub struct FusedBatchNorm(
        "fused_batch_norm",
        ["x", "gamma", "beta", "running_mean", "running_var", "add…"]
    ) {
        /// Added to the variance.
        eps: f64,
        /// Weight of the batch in the running statistics.
        momentum: f64,
        /// Whether there is another summand.
        add: bool,
        /// The rectifier.
        activation: Activation,
    }
}

impl Operation for FusedBatchNorm {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        if inputs.len() != 5 + usize::from(self.add) {
            return Err(Rule::new(format!("{} inputs", inputs.len())).right(if self.add { "6" } else { "5" }));
        }
        match inputs.get(5) {
            Some(add) if *add != inputs[0] => Err(Rule::new(format!("a summand {add} for a result {}", inputs[0]))),
            _ => self.normalisation().infer(&inputs[..5]),
        }
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.unfused(g, inputs))
    }
    fn cost(&self, inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        self.normalisation().cost(&inputs[..5], outputs, n)
    }
    fn samples() -> Vec<Problem> {
        let p = |x: &str, c: &str, add, activation| {
            let p = Problem::new(FusedBatchNorm { eps: 1e-3, momentum: 0.1, add, activation }).f32(x);
            let p = p.f32(c).f32(c).f32(c).input(c, DType::F32, Fill::Positive);
            if add { p.f32(x) } else { p }
        };
        vec![
            p("nx3x4x5", "3", false, Activation::Relu),
            p("nx19x3x3", "19", true, Activation::Relu),
            p("nx2x7", "2", true, Activation::None),
            p("nx17x3x3", "17", false, Activation::Relu6),
            p("nx5x4x3", "5", true, Activation::Relu6),
        ]
    }
}

impl FusedBatchNorm {
    fn normalisation(&self) -> BatchNorm {
        BatchNorm { eps: self.eps, momentum: self.momentum }
    }
    fn unfused(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>, Error> {
        let mut outputs = g.add_node(self.normalisation(), &inputs[..5])?;
        if self.add {
            outputs[0] = g.add(outputs[0], inputs[5])?;
        }
        outputs[0] = self.activation.unfused(g, outputs[0])?;
        Ok(outputs)
    }
}

operation! {
    /// Gradients of `relu(batch_norm(x) + add)`: dy passes where the result is positive (with relu6 also below 6), then as
    /// `batch_norm_grad`.
    ///
    /// Without another summand `mask` is β, and the result's sign is found again from x; with one it is the result.
    /// Outputs: dx, dγ, dβ and, if there was another summand, its gradient.
    pub struct FusedBatchNormGrad("fused_batch_norm_grad", ["dy", "x", "gamma", "mean", "inv_std", "mask"]) {
        /// Whether there was another summand.
        add: bool,
        /// The rectifier.
        activation: Activation,
    }
}

impl Operation for FusedBatchNormGrad {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let want = &inputs[if self.add { 1 } else { 2 }];
        if !self.activation.rectifies() {
            return Err(Rule::new("the gradient of no rectifier").right("relu or relu6"));
        }
        if inputs[5] != *want {
            return Err(Rule::new(format!("a mask of {}", inputs[5])).right(want.to_string()));
        }
        let mut outputs = BatchNormGrad {}.infer(&inputs[..5])?;
        if self.add {
            outputs.push(inputs[0].clone());
        }
        Ok(outputs)
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.unfused(g, inputs))
    }
    fn cost(&self, inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        BatchNormGrad {}.cost(&inputs[..5], outputs, n)
    }
    fn samples() -> Vec<Problem> {
        let p = |x: &str, c: &str, add, activation| {
            let p = Problem::new(FusedBatchNormGrad { add, activation }).f32(x).f32(x).f32(c).f32(c);
            p.input(c, DType::F32, Fill::Positive).f32(if add { x } else { c })
        };
        vec![
            p("nx3x4x5", "3", false, Activation::Relu),
            p("nx19x3x3", "19", true, Activation::Relu),
            p("nx2x7", "2", true, Activation::Relu),
            p("nx17x3x3", "17", false, Activation::Relu6),
            p("nx5x4x3", "5", true, Activation::Relu6),
        ]
    }
}

impl FusedBatchNormGrad {
    fn unfused(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>, Error> {
        let [dy, x, gamma, mean, inv_std, mask] = [0, 1, 2, 3, 4, 5].map(|i| inputs[i]);
        let y = if self.add {
            mask
        } else {
            let shape = g.shape(x).clone();
            let mut y = x;
            for (f, v) in [(Binary::Sub, mean), (Binary::Mul, inv_std), (Binary::Mul, gamma), (Binary::Add, mask)] {
                let v = g.per_channel(v, &shape)?;
                y = g.binary(f, y, v)?;
            }
            y
        };
        let mut dy = g.gate(dy, y)?;
        if self.activation == Activation::Relu6 {
            let limit = g.number(f64::from(self.activation.limit()));
            let below = g.greater(limit, y)?;
            dy = g.gate(dy, below)?;
        }
        let mut outputs = g.add_node(BatchNormGrad {}, &[dy, x, gamma, mean, inv_std])?;
        if self.add {
            outputs.push(dy);
        }
        Ok(outputs)
    }
}
