//! Normalisation layers.

use super::{LrnOptions, Mode, Net, NormOptions};
use gabor_graph::ops::BatchNorm;
use gabor_graph::{Initializer, Parameter, Result};
use gabor_tensor::{Reduction, Rule, Unary};

impl Net {
    /// Batch normalisation per channel with PyTorch's defaults. Parameters: `NAME.weight` (γ, ones) and `NAME.bias`
    /// (β, zeros), state `NAME.running_mean` and `NAME.running_var`, all `[c]`.
    ///
    /// # Errors
    /// A value without channels.
    pub fn batch_norm(&mut self, name: &str) -> Result<&mut Self> {
        self.batch_norm_with(name, NormOptions::default())
    }
    /// Batch normalisation with other numbers.
    ///
    /// # Errors
    /// A value without channels.
    pub fn batch_norm_with(&mut self, name: &str, options: NormOptions) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let c = [self.channels()];
        let gamma = self.trainable(&full, "weight", &c, Initializer::Ones, false)?;
        let beta = self.trainable(&full, "bias", &c, Initializer::Zeros, false)?;
        let mut state = |kind: &str, i| self.graph.parameter(&format!("{full}.{kind}"), &c, Parameter::state(i));
        let mean = state("running_mean", Initializer::Zeros)?;
        let var = state("running_var", Initializer::Ones)?;
        let NormOptions { eps, momentum } = options;
        let (x, g) = (self.current, &mut self.graph);
        self.current = match self.mode {
            Mode::Train => {
                let y = g.add_node(BatchNorm { eps, momentum }, &[x, gamma, beta, mean, var])?;
                g.update(mean, y[3])?;
                g.update(var, y[4])?;
                y[0]
            }
            Mode::Infer => g.batch_norm_inference(x, [gamma, beta, mean, var], eps)?,
        };
        Ok(self)
    }
    /// Layer normalisation over all axes from `axis` on (1: over a whole sample), as PyTorch's with
    /// `normalized_shape = shape[axis..]`. Parameters: `NAME.weight` and `NAME.bias` of that shape.
    ///
    /// # Errors
    /// An axis that does not exist, or the batch's.
    pub fn layer_norm(&mut self, name: &str, axis: usize, eps: f64) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let rank = self.shape().rank();
        if axis == 0 || axis >= rank {
            return Err(self.broken(
                Rule::new(format!("layer normalisation from axis {axis} of a value {}", self.shape()))
                    .right(format!("an axis from 1 to {}", rank - 1)),
            ));
        }
        let shape = self.extents()[axis - 1..].to_vec();
        let gamma = self.trainable(&full, "weight", &shape, Initializer::Ones, false)?;
        let beta = self.trainable(&full, "bias", &shape, Initializer::Zeros, false)?;
        self.current = self.graph.layer_norm(self.current, gamma, beta, eps)?;
        Ok(self)
    }
    /// Layer normalisation over the channels of every place: torchvision's `LayerNorm2d`, or `LayerNorm(c)` on values
    /// whose channels are last. Parameters: `NAME.weight` and `NAME.bias` `[c]`.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn channel_norm(&mut self, name: &str, eps: f64) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let c = [self.channels()];
        let gamma = self.trainable(&full, "weight", &c, Initializer::Ones, false)?;
        let beta = self.trainable(&full, "bias", &c, Initializer::Zeros, false)?;
        // Over axis 1 as it stands: two transpositions around `layer_norm` would move every value twice and hide the
        // receptive field.
        let (x, g) = (self.current, &mut self.graph);
        let mean = g.reduce(Reduction::Mean, x, &[1])?;
        let centred = g.sub(x, mean)?;
        let square = g.unary(Unary::Square, centred)?;
        let var = g.reduce(Reduction::Mean, square, &[1])?;
        let shifted = g.shift(var, eps)?;
        let std = g.unary(Unary::Sqrt, shifted)?;
        let normal = g.div(centred, std)?;
        let shape = g.shape(x).clone();
        let (gamma, beta) = (g.per_channel(gamma, &shape)?, g.per_channel(beta, &shape)?);
        let scaled = g.mul(normal, gamma)?;
        self.current = g.add(scaled, beta)?;
        Ok(self)
    }
    /// Group normalisation (Wu and He 2018). Parameters: `NAME.weight` and `NAME.bias` `[c]`.
    ///
    /// # Errors
    /// Groups that do not divide the channels.
    pub fn group_norm(&mut self, name: &str, groups: usize, eps: f64) -> Result<&mut Self> {
        let full = self.begin(name)?;
        let c = self.channels();
        if groups == 0 || !c.is_multiple_of(groups) {
            return Err(self.broken(Rule::new(format!("{groups} groups must divide {c} channels"))));
        }
        let gamma = self.trainable(&full, "weight", &[c], Initializer::Ones, false)?;
        let beta = self.trainable(&full, "bias", &[c], Initializer::Zeros, false)?;
        self.current = self.graph.group_norm(self.current, gamma, beta, groups, eps)?;
        Ok(self)
    }
    /// Local response normalisation across channels (AlexNet).
    ///
    /// # Errors
    /// A size of 0, or a value without spatial axes.
    pub fn lrn(&mut self, options: LrnOptions) -> Result<&mut Self> {
        self.begin_counted("lrn")?;
        let LrnOptions { size, alpha, beta, k } = options;
        self.current = self.graph.local_response_norm(self.current, size, alpha, beta, k)?;
        Ok(self)
    }
}
