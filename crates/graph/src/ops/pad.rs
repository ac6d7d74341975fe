//! Padding.

use super::{PadGrad, want_type};
use crate::{Error, Gradient, GradientOf, Graph, Operation, Problem, Result, ValueId, ValueType, operation};
use gabor_tensor::{DType, Dim, PadMode, Rule};

operation! {
    /// Adds elements around a value: a constant, its mirror image, its edge or its other end.
    ///
    /// A convolution with padding mode reflect, replicate or circular is this and a convolution without padding.
    pub struct Pad("pad", ["x"]) {
        /// What the new elements are.
        mode: PadMode,
        /// The constant of mode `constant`.
        value: f64,
        /// `(before, after)` for every axis; an axis that depends on the batch size takes none.
        pads: Vec<(usize, usize)>,
    }
}

pub(super) fn check(mode: PadMode, pads: &[(usize, usize)], dims: &[Dim]) -> Result<(), Rule> {
    if pads.len() != dims.len() {
        return Err(Rule::new(format!("{} pairs of padding for {} axes", pads.len(), dims.len())));
    }
    for (i, (&(b, e), d)) in pads.iter().zip(dims).enumerate() {
        let most = match (mode, d) {
            _ if b == 0 && e == 0 => continue,
            (_, Dim::Batch(_)) => {
                return Err(Rule::new(format!("axis {i} depends on the batch size and takes no padding")));
            }
            (PadMode::Reflect, Dim::Fixed(n)) => n.saturating_sub(1),
            (PadMode::Circular, Dim::Fixed(n)) => *n,
            _ => 1 << 31,
        };
        if b > most || e > most {
            return Err(Rule::new(format!("padding {b}:{e} in mode {mode} of axis {i} with {d} elements"))
                .right(format!("at most {most} on each side")));
        }
    }
    Ok(())
}

impl Operation for Pad {
    fn infer(&self, inputs: &[ValueType]) -> Result<Vec<ValueType>, Rule> {
        let mut x = inputs[0].clone();
        want_type("x", &x, DType::F32)?;
        check(self.mode, &self.pads, x.shape.dims())?;
        for (d, (b, e)) in x.shape.0.iter_mut().zip(&self.pads) {
            if let Dim::Fixed(n) = d {
                *n = n.saturating_add(*b).saturating_add(*e);
            }
        }
        Ok(vec![x])
    }
    fn gradient(&self, cx: &mut Gradient<'_>) -> Result<GradientOf, Error> {
        let dy = cx.dy0()?;
        let dx = cx.graph.add_one(PadGrad { mode: self.mode, pads: self.pads.clone() }, &[dy])?;
        Ok(GradientOf::Inputs(vec![Some(dx)]))
    }
    fn samples() -> Vec<Problem> {
        let modes = PadMode::ALL.iter();
        modes
            .flat_map(|&mode| {
                [
                    Problem::new(Pad { mode, value: 0.5, pads: vec![(0, 0), (1, 0), (2, 1)] }).f32("nx3x4"),
                    Problem::new(Pad { mode, value: 0.0, pads: vec![(0, 0), (0, 0), (1, 2), (0, 1)] }).f32("nx2x3x4"),
                ]
            })
            .collect()
    }
}

impl Graph {
    /// Adds elements around the spatial axes of `x [n, c, spatial…]`.
    ///
    /// # Errors
    /// More padding than the mode allows.
    pub fn pad_spatial(&mut self, x: ValueId, mode: PadMode, pads: &[(usize, usize)]) -> Result<ValueId> {
        let lead = self.shape(x).rank().saturating_sub(pads.len());
        let all = std::iter::repeat_n((0, 0), lead).chain(pads.iter().copied()).collect();
        self.add_one(Pad { mode, value: 0.0, pads: all }, &[x])
    }
}
