//! Upsampling by repetition.

use super::{spatial_of, spatial_shape, want_type};
use crate::{Error, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, Rule, Shape};

operation! {
    /// Repeats every element `scale` times along each spatial dimension: nearest neighbour upsampling.
    ///
    /// Shapes: x `[n, c, spatial…]` → y `[n, c, scale·spatial…]`.
    pub struct UpsampleNearest("upsample_nearest", ["x"]) {
        /// Factor per spatial dimension; one number stands for all.
        scale: Vec<usize>,
    }
}

impl UpsampleNearest {
    /// Input extents and factors.
    fn sizes(&self, x: &Shape) -> Result<(Vec<usize>, Vec<usize>), Rule> {
        let input = spatial_of(x)?;
        let scale = if self.scale.len() == 1 { vec![self.scale[0]; input.len()] } else { self.scale.clone() };
        if scale.len() != input.len() || scale.iter().any(|&s| s == 0 || s > 1 << 16) {
            return Err(Rule::new(format!("upsampling of x {x} by {:?}", self.scale))
                .right(format!("1 or {} factors, each at least 1", input.len())));
        }
        Ok((input, scale))
    }
    fn in_simple_operations(&self, g: &mut Graph, x: ValueId) -> Result<ValueId> {
        let shape = g.shape(x).clone();
        let (input, scale) = self.sizes(&shape).map_err(|r| g.error_here("upsample_nearest", r, &[x]))?;
        let lead = [shape.0[0], shape.0[1]];
        let pairs = |f: &dyn Fn(usize) -> [usize; 2]| {
            let tail = (0..input.len()).flat_map(f).map(Dim::Fixed);
            Shape(lead.into_iter().chain(tail).collect())
        };
        let split = g.reshape(x, &pairs(&|i| [input[i], 1]))?;
        let repeated = g.broadcast(split, &pairs(&|i| [input[i], scale[i]]))?;
        let output = input.iter().zip(&scale).map(|(n, s)| n.saturating_mul(*s)).collect();
        g.reshape(repeated, &spatial_shape(lead[0], lead[1], output))
    }
}

impl Operation for UpsampleNearest {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        want_type("x", &inputs[0], DType::F32)?;
        let shape = &inputs[0].shape;
        let (input, scale) = self.sizes(shape)?;
        let output = input.iter().zip(&scale).map(|(n, s)| n.saturating_mul(*s)).collect();
        Ok(vec![ValueType::f32(spatial_shape(shape.0[0], shape.0[1], output))])
    }
    fn decompose(&self, g: &mut Graph, inputs: &[ValueId]) -> Option<Result<Vec<ValueId>, Error>> {
        Some(self.in_simple_operations(g, inputs[0]).map(|y| vec![y]))
    }
    fn samples() -> Vec<Problem> {
        let p = |scale: &[usize], x: &str| Problem::new(UpsampleNearest { scale: scale.to_vec() }).f32(x);
        vec![p(&[2], "nx2x3x2"), p(&[3, 1], "nx1x2x4"), p(&[2], "nx2x5")]
    }
}

impl Graph {
    /// Repeats every element of `x [n, c, spatial…]` along the spatial dimensions.
    ///
    /// # Errors
    /// A wrong number of factors, or a factor of 0.
    pub fn upsample_nearest(&mut self, x: ValueId, scale: &[usize]) -> Result<ValueId> {
        self.add_one(UpsampleNearest { scale: scale.to_vec() }, &[x])
    }
}
