//! Convolution with what follows it.

use gabor_graph::ops::Conv;
use gabor_graph::{Cost, Error, Graph, Operation, Problem, Text, ValueId, ValueType, operation};
use gabor_tensor::{ConvGeometry, Rule, Shape, Unary};

operation! {
    /// Convolution, bias and rectifier in one pass: `max(conv(x, w) + bias, 0)`. The bias has `co` elements.
    pub struct FusedConv("fused_conv", ["x", "w", "bias"]) {
        /// Channels, groups and window.
        geometry: ConvGeometry,
        /// Whether the rectifier is applied.
        relu: bool,
    }
}

impl Operation for FusedConv {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        if inputs[2].shape.known().map(|s| s.iter().product()) != Some(self.geometry.co) {
            return Err(Rule::new(format!("a bias {} for {} filters", inputs[2].shape, self.geometry.co)));
        }
        Conv { geometry: self.geometry.clone() }.infer(&inputs[..2])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.unfused(g, inputs))
    }
    fn cost(&self, inputs: &[ValueType], outputs: &[ValueType], n: usize) -> Cost {
        Conv { geometry: self.geometry.clone() }.cost(inputs, outputs, n)
    }
    fn samples() -> Vec<Problem> {
        let g = |t: &str| ConvGeometry::from_text(t).expect("a geometry");
        let p = |t: &str, relu| Problem::new(FusedConv { geometry: g(t), relu });
        vec![
            p("ci2/co3/g1/in5,6/k3,2/s1,1/d1,1/p1:1,0:1", true).f32("nx2x5x6").f32("3x2x3x2").f32("3"),
            p("ci4/co4/g2/in9/k3/s2/d2/p1:2", false).f32("nx4x9").f32("4x2x3").f32("4x1"),
        ]
    }
}

impl FusedConv {
    fn unfused(&self, g: &mut Graph, inputs: &[ValueId]) -> Result<Vec<ValueId>, Error> {
        let y = g.add_one(Conv { geometry: self.geometry.clone() }, &inputs[..2])?;
        let shape = g.shape(y).clone();
        let flat = g.reshape(inputs[2], &Shape::fixed(&[self.geometry.co]))?;
        let bias = g.per_channel(flat, &shape)?;
        let sum = g.add(y, bias)?;
        Ok(vec![if self.relu { g.unary(Unary::Relu, sum)? } else { sum }])
    }
}
