//! Convolution with what follows it.

use super::Activation;
use gabor_graph::ops::Conv;
use gabor_graph::{Cost, Error, Graph, Operation, Problem, Text, ValueId, ValueType, operation};
use gabor_tensor::{ConvGeometry, Rule, Shape};

operation! {
    /// Convolution, bias, another summand and rectifier in one pass: `max(conv(x, w) + bias + add, 0)`. The bias has `co`
    /// elements; the other summand, as the shortcut of a residual block, has the result's extents.
    pub struct FusedConv("fused_conv", ["x", "w", "bias", "add…"]) {
        /// Channels, groups and window.
        geometry: ConvGeometry,
        /// Whether there is another summand.
        add: bool,
        /// What is applied last.
        activation: Activation,
    }
}

impl Operation for FusedConv {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        if inputs.len() != 3 + usize::from(self.add) {
            let right = if self.add { "x, w, bias and another summand" } else { "x, w and bias" };
            return Err(Rule::new(format!("{} inputs", inputs.len())).right(right));
        }
        if inputs[2].shape.known().map(|s| s.iter().product()) != Some(self.geometry.co) {
            return Err(Rule::new(format!("a bias {} for {} filters", inputs[2].shape, self.geometry.co)));
        }
        let out = Conv { geometry: self.geometry.clone() }.infer(&inputs[..2])?;
        match inputs.get(3) {
            Some(add) if *add != out[0] => Err(Rule::new(format!("a summand {add} for a result {}", out[0]))),
            _ => Ok(out),
        }
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.unfused(g, inputs))
    }
    fn cost(&self, inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        Conv { geometry: self.geometry.clone() }.cost(inputs, outputs, n)
    }
    fn samples() -> Vec<Problem> {
        let g = |t: &str| ConvGeometry::from_text(t).expect("a geometry");
        let p = |t: &str, add, activation| Problem::new(FusedConv { geometry: g(t), add, activation });
        let plane = "ci2/co3/g1/in5,6/k3,2/s1,1/d1,1/p1:1,0:1";
        let rows = "ci4/co4/g2/in9/k3/s2/d2/p1:2";
        vec![
            p(plane, false, Activation::Relu).f32("nx2x5x6").f32("3x2x3x2").f32("3"),
            p(plane, true, Activation::Relu6).f32("nx2x5x6").f32("3x2x3x2").f32("3x1x1").f32("nx3x5x6"),
            p(rows, false, Activation::None).f32("nx4x9").f32("4x2x3").f32("4x1"),
            p(rows, true, Activation::Relu).f32("nx4x9").f32("4x2x3").f32("4").f32("nx4x4"),
        ]
    }
}

impl FusedConv {
    fn unfused(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>, Error> {
        let y = g.add_one(Conv { geometry: self.geometry.clone() }, &inputs[..2])?;
        let shape = g.shape(y).clone();
        let flat = g.reshape(inputs[2], &Shape::fixed(&[self.geometry.co]))?;
        let bias = g.per_channel(flat, &shape)?;
        let mut sum = g.add(y, bias)?;
        if self.add {
            sum = g.add(sum, inputs[3])?;
        }
        Ok(vec![self.activation.unfused(g, sum)?])
    }
}
