//! Builder methods for layers that are several operations: convolution with bias or other padding, linear layers.

use super::{spatial_of, want_type};
use crate::{Graph, Result, ValueId};
use gabor_tensor::{ConvGeometry, DType, PadMode, Padding, Rule, WindowOptions};

impl Graph {
    /// Convolution and bias: `x [n, ci, spatial…]`, `w [co, ci/groups, kernel…]`, `b [co]`.
    ///
    /// # Errors
    /// Channels or extents that do not fit.
    pub fn conv_bias(
        &mut self,
        x: ValueId,
        w: ValueId,
        b: ValueId,
        groups: usize,
        options: &WindowOptions,
    ) -> Result<ValueId> {
        let y = self.conv(x, w, groups, options)?;
        let shape = self.shape(y).clone();
        let b = self.per_channel(b, &shape)?;
        self.add(y, b)
    }
    /// Convolution whose padding is zero, a mirror image, the edge or the other end. Modes other than zero are a
    /// [`Pad`](super::Pad) and a convolution without padding.
    ///
    /// # Errors
    /// Channels or extents that do not fit, or more padding than the mode allows.
    pub fn conv_padded(
        &mut self,
        x: ValueId,
        w: ValueId,
        groups: usize,
        options: &WindowOptions,
        mode: PadMode,
    ) -> Result<ValueId> {
        if mode == PadMode::Constant {
            return self.conv(x, w, groups, options);
        }
        let pads = self.resolved_pads(x, w, groups, options).map_err(|r| self.error_here("conv", r, &[x]))?;
        let padded = self.pad_spatial(x, mode, &pads)?;
        self.conv(padded, w, groups, &options.clone().padding(Padding::Valid))
    }
    /// A linear layer `y = x · Wᵀ + b`: `x [n, in]`, `w [out, in]`, `b [out]`.
    ///
    /// # Errors
    /// Extents that do not fit.
    pub fn linear(&mut self, x: ValueId, w: ValueId, b: Option<ValueId>) -> Result<ValueId> {
        self.want_linear(x, w, b).map_err(|r| self.error_here("linear", r, &[x]))?;
        let y = self.matmul(x, w, false, true)?;
        b.map_or(Ok(y), |b| self.add(y, b))
    }

    fn resolved_pads(
        &self,
        x: ValueId,
        w: ValueId,
        groups: usize,
        options: &WindowOptions,
    ) -> Result<Vec<(usize, usize)>, Rule> {
        let shape = self.shape(x);
        let spatial = spatial_of(shape)?;
        let (Some(ci), Some(weight)) = (shape.0[1].fixed(), self.shape(w).known()) else {
            return Err(Rule::new(format!("x {shape} and weight {} must have known channels", self.shape(w))));
        };
        let geometry = ConvGeometry::new(ci, &spatial, &weight, groups, options)?;
        Ok(geometry.window.axes().iter().map(|a| (a.pad_begin, a.pad_end)).collect())
    }
    fn want_linear(&self, x: ValueId, w: ValueId, b: Option<ValueId>) -> Result<(), Rule> {
        want_type("x", self.ty(x), DType::F32)?;
        let (x, w) = (self.shape(x), self.shape(w));
        if x.rank() != 2 {
            return Err(Rule::new(format!("a linear layer of x {x}")).right("[n, in]; flatten comes first"));
        }
        if w.rank() != 2 || w.0[1] != x.0[1] {
            return Err(Rule::new(format!("{} inputs, weight {w} wants another number", x.0[1]))
                .right(format!("a weight of shape [out, {}]", x.0[1])));
        }
        match b.map(|b| self.shape(b)) {
            Some(b) if b.0 != [w.0[0]] => {
                Err(Rule::new(format!("a bias of shape {b} for {} outputs", w.0[0])).right(format!("[{}]", w.0[0])))
            }
            _ => Ok(()),
        }
    }
}
