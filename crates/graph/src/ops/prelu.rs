//! Parametric rectifier.

use super::want_type;
use crate::{Error, Fill, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule};

operation! {
    /// Parametric rectifier: `y = x` where x > 0, else `slope · x` with a learnt slope (He et al. 2015).
    ///
    /// Shapes: x `[n, c, …]`, slope `[c]` or `[1]`, y as x. PyTorch starts the slope at 0.25 and applies no weight decay.
    pub struct PRelu("prelu", ["x", "slope"]) {}
}

impl Operation for PRelu {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        want_type("slope", &inputs[1], DType::F32)?;
        let (x, slope) = (&inputs[0].shape, &inputs[1].shape);
        let c = x.0.get(1).copied().unwrap_or(Dim::Fixed(1));
        if slope.rank() != 1 || (slope.0[0] != Dim::Fixed(1) && slope.0[0] != c) {
            return Err(Rule::new(format!("a slope of shape {slope} for x {x}")).right(format!("[{c}] or [1]")));
        }
        Ok(vec![inputs[0].clone()])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(in_simple_operations(g, inputs[0], inputs[1]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |x: &str, slope: &str| Problem::new(PRelu {}).input(x, DType::F32, Fill::Distinct).f32(slope);
        vec![p("nx3x4", "3"), p("nx3", "3"), p("nx2x3x2", "1")]
    }
}

fn in_simple_operations(g: &mut Graph, x: ValueId, slope: ValueId) -> Result<ValueId> {
    let shape = g.shape(x).clone();
    let slope = if g.shape(slope).0[0] == Dim::Fixed(1) { slope } else { g.per_channel(slope, &shape)? };
    let positive = g.relu(x)?;
    let negative = g.negative_part(x)?;
    let scaled = g.mul(negative, slope)?;
    g.add(positive, scaled)
}

impl Graph {
    /// x where x > 0, else slope · x, with a slope `[c]` or `[1]`.
    ///
    /// # Errors
    /// A slope of another shape.
    pub fn prelu(&mut self, x: ValueId, slope: ValueId) -> Result<ValueId> {
        self.add_one(PRelu {}, &[x, slope])
    }
}
