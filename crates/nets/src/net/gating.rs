//! Layers that weigh what is there: squeeze and excitation, layer scale, stochastic depth.

use super::{Mode, Net, conv};
use crate::Activation;
use gabor_graph::{Initializer, Parameter, Result, ValueId};
use gabor_tensor::{DType, Rule, Shape, rng};

impl Net {
    /// Multiplies by another value, which is repeated where its extents are 1: `[n, c, 1, 1]` weighs channels.
    ///
    /// # Errors
    /// Shapes that do not broadcast to the current one.
    pub fn weigh(&mut self, other: ValueId) -> Result<&mut Self> {
        self.begin_counted("weigh")?;
        let (x, w) = (self.shape().clone(), self.graph.shape(other).clone());
        if w.broadcast(&x).as_ref() != Some(&x) {
            let rule = Rule::new(format!("weights {w} of a value {x}"));
            return Err(self.graph.error_here("mul", rule.right("extents of x or 1"), &[self.current, other]));
        }
        self.current = self.graph.mul(self.current, other)?;
        Ok(self)
    }
    /// Squeeze and excitation (Hu et al. 2018): every channel is multiplied by a weight that two 1×1 convolutions find from
    /// the channels' averages. `squeeze` is the number of channels between them, `inner` the function after the first,
    /// `gate` the one after the second. Parameters: `fc1` and `fc2`, `weight` and `bias` each, as torchvision has them.
    ///
    /// # Errors
    /// A value without spatial axes, or no channels.
    pub fn squeeze_excitation(&mut self, squeeze: usize, inner: Activation, gate: Activation) -> Result<&mut Self> {
        let channels = self.channels();
        let weights = self.branch(|b| {
            b.global_avg_pool()?.conv("fc1", conv(squeeze, 1))?.activation(inner)?;
            b.conv("fc2", conv(channels, 1))?.activation(gate)
        })?;
        self.weigh(weights)
    }
    /// A trainable factor per channel (Touvron et al. 2021, CaiT). Parameter: `NAME` itself, `[c, 1…]`, of that value at
    /// first.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn layer_scale(&mut self, name: &str, value: f64) -> Result<&mut Self> {
        self.begin_counted("scale")?;
        let mut shape = vec![1; self.shape().rank() - 1];
        shape[0] = self.channels();
        let full = format!("{}{name}", self.prefix);
        let scale = self.graph.parameter(&full, &shape, Parameter::bias(Initializer::Constant(value)))?;
        self.current = self.graph.mul(self.current, scale)?;
        Ok(self)
    }
    /// Stochastic depth (Huang et al. 2016), for the end of a residual branch: in training the branch is zero with
    /// probability `p`, for each sample apart, and otherwise divided by 1 - p; in inference nothing. Random numbers as of
    /// [`dropout`](Net::dropout).
    ///
    /// # Errors
    /// A `p` outside [0, 1).
    pub fn stochastic_depth(&mut self, p: f64) -> Result<&mut Self> {
        if !(0.0..1.0).contains(&p) {
            return Err(self.broken(Rule::new(format!("stochastic depth with probability {p}")).right("0 ≤ p < 1")));
        }
        if self.mode == Mode::Infer || p == 0.0 {
            return Ok(self);
        }
        self.begin_counted("depth")?;
        let (key, stream) = self.random()?;
        let each = Shape::batch(&vec![1; self.shape().rank() - 1]);
        let g = &mut self.graph;
        let uniform = g.random_uniform(key, &each, stream)?;
        let (limit, one) = (g.number(p), g.number(1.0));
        let dropped = g.greater(limit, uniform)?;
        let kept = g.sub(one, dropped)?;
        let factor = g.scale(kept, 1.0 / (1.0 - p))?;
        self.current = g.mul(self.current, factor)?;
        Ok(self)
    }
    /// The key of random numbers, which becomes an input of the network, and a stream that no other layer draws from.
    pub(super) fn random(&mut self) -> Result<(ValueId, u32)> {
        let key = match self.key {
            Some(key) => key,
            None => self.graph.input("key", Shape::fixed(&[4]), DType::I32)?,
        };
        self.key = Some(key);
        // Numbers below the first of augmentation belong to layers.
        let stream = rng::op::DROPOUT + self.dropouts;
        if stream >= rng::op::AUGMENT {
            return Err(self.broken(Rule::new(format!("{} random layers in one network", self.dropouts + 1))));
        }
        self.dropouts += 1;
        Ok((key, stream))
    }
}
