//! Layers without parameters: activations, dropout, joining, reshaping.

use super::{Mode, Net};
use crate::Activation;
use gabor_graph::ops::{Pad, Slice};
use gabor_graph::{Error, Result, ValueId};
use gabor_tensor::{PadMode, Rule, Shape};

impl Net {
    /// max(x, 0).
    ///
    /// # Errors
    /// None for a net's values.
    pub fn relu(&mut self) -> Result<&mut Self> {
        self.activation(Activation::Relu)
    }
    /// Hyperbolic tangent.
    ///
    /// # Errors
    /// None for a net's values.
    pub fn tanh(&mut self) -> Result<&mut Self> {
        self.activation(Activation::Tanh)
    }
    /// An activation function.
    ///
    /// # Errors
    /// None for a net's values.
    pub fn activation(&mut self, activation: Activation) -> Result<&mut Self> {
        self.begin_counted(activation.name())?;
        self.current = activation.add(&mut self.graph, self.current)?;
        Ok(self)
    }
    /// Softmax over the channels (or features).
    ///
    /// # Errors
    /// A value without channels.
    pub fn softmax(&mut self) -> Result<&mut Self> {
        self.begin_counted("softmax")?;
        self.current = self.graph.softmax(self.current, 1)?;
        Ok(self)
    }
    /// Dropout: in training every element is zero with probability `p`, the others are divided by 1 - p; in inference
    /// nothing. The random numbers come from the input `key` (i32) `[4]`: seed and step, low word first.
    ///
    /// # Errors
    /// A `p` outside [0, 1).
    pub fn dropout(&mut self, p: f64) -> Result<&mut Self> {
        if !(0.0..1.0).contains(&p) {
            return Err(self.broken(Rule::new(format!("dropout with probability {p}")).right("0 ≤ p < 1")));
        }
        if self.mode == Mode::Infer || p == 0.0 {
            return Ok(self);
        }
        self.begin_counted("dropout")?;
        let (key, stream) = self.random()?;
        self.current = self.graph.dropout(self.current, key, p, stream)?;
        Ok(self)
    }
    /// `[n, c, spatial…]` becomes `[n, features]`.
    ///
    /// # Errors
    /// None for a net's values.
    pub fn flatten(&mut self) -> Result<&mut Self> {
        if self.shape().rank() > 2 {
            self.begin_counted("flatten")?;
            self.current = self.graph.flatten(self.current)?;
        }
        Ok(self)
    }
    /// The same elements of each sample under other extents.
    ///
    /// # Errors
    /// Another number of elements.
    pub fn reshape(&mut self, extents: &[usize]) -> Result<&mut Self> {
        self.begin_counted("reshape")?;
        self.current = self.graph.reshape(self.current, &Shape::batch(extents))?;
        Ok(self)
    }
    /// Adds another value: the end of a residual branch.
    ///
    /// # Errors
    /// Another shape.
    pub fn add(&mut self, other: ValueId) -> Result<&mut Self> {
        self.begin_counted("add")?;
        let (x, y) = (self.shape().clone(), self.graph.shape(other).clone());
        if x != y {
            let rule = Rule::new(format!("a branch {x} and a shortcut {y} cannot be added")).right("equal shapes");
            return Err(self.graph.error_here("add", rule, &[self.current, other]));
        }
        self.current = self.graph.add(self.current, other)?;
        Ok(self)
    }
    /// Joins values along the channels: the end of an inception module. The current value is not one of them unless it
    /// is named.
    ///
    /// # Errors
    /// Spatial extents that differ, or no values.
    pub fn concat(&mut self, values: &[ValueId]) -> Result<&mut Self> {
        self.begin_counted("concat")?;
        self.current = self.graph.concat(values, 1)?;
        Ok(self)
    }
    /// Maxout (Goodfellow et al. 2013): the largest of each `pieces` neighbouring channels.
    ///
    /// # Errors
    /// Pieces that do not divide the channels.
    pub fn maxout(&mut self, pieces: usize) -> Result<&mut Self> {
        self.begin_counted("maxout")?;
        self.current = self.graph.maxout(self.current, pieces)?;
        Ok(self)
    }
    /// Every `step`-th place in every spatial dimension, the first included.
    ///
    /// # Errors
    /// A step of 0.
    pub fn subsample(&mut self, step: usize) -> Result<&mut Self> {
        self.begin_counted("subsample")?;
        for (i, len) in self.spatial()?.into_iter().enumerate() {
            let op = Slice { axis: 2 + i, start: 0, end: len, step };
            self.current = self.graph.add_one(op, &[self.current])?;
        }
        Ok(self)
    }
    /// Adds channels of zeros before and after the others.
    ///
    /// # Errors
    /// None for a net's values.
    pub fn pad_channels(&mut self, before: usize, after: usize) -> Result<&mut Self> {
        self.begin_counted("pad")?;
        let mut pads = vec![(0, 0); self.shape().rank()];
        if pads.len() < 2 {
            return Err(Error::new("pad", Rule::new("a value without channels")));
        }
        pads[1] = (before, after);
        self.current = self.graph.add_one(Pad { mode: PadMode::Constant, value: 0.0, pads }, &[self.current])?;
        Ok(self)
    }
    /// The part of every feature map that begins at `start` and has these spatial extents.
    ///
    /// # Errors
    /// A part that does not lie inside.
    pub fn crop(&mut self, start: &[usize], extents: &[usize]) -> Result<&mut Self> {
        self.begin_counted("crop")?;
        let spatial = self.spatial()?;
        let fits = |i: usize| start[i].checked_add(extents[i]).is_some_and(|end| end <= spatial[i]);
        if [start.len(), extents.len()] != [spatial.len(); 2] || !(0..spatial.len()).all(fits) {
            let rule = Rule::new(format!("a part of extents {extents:?} from {start:?} of feature maps {spatial:?}"));
            return Err(self.broken(rule.right("a part that lies inside, so a larger input")));
        }
        for (i, (&start, &len)) in start.iter().zip(extents).enumerate() {
            if len != spatial[i] {
                let op = Slice { axis: 2 + i, start, end: start + len, step: 1 };
                self.current = self.graph.add_one(op, &[self.current])?;
            }
        }
        Ok(self)
    }
    /// The middle of every feature map, of these spatial extents; an odd rest is cut off behind.
    ///
    /// # Errors
    /// Extents larger than the feature maps'.
    pub fn center_crop(&mut self, extents: &[usize]) -> Result<&mut Self> {
        let spatial = self.spatial()?;
        let start: Vec<usize> =
            spatial.iter().zip(extents).map(|(have, want)| have.saturating_sub(*want) / 2).collect();
        self.crop(&start, extents)
    }
    /// Zeros around every feature map up to these spatial extents, an odd one behind; nothing if they are there already.
    ///
    /// # Errors
    /// Extents smaller than the feature maps'.
    pub fn pad_to(&mut self, extents: &[usize]) -> Result<&mut Self> {
        let spatial = self.spatial()?;
        if spatial == extents {
            return Ok(self);
        }
        self.begin_counted("pad")?;
        if spatial.len() != extents.len() || spatial.iter().zip(extents).any(|(have, want)| have > want) {
            let rule = Rule::new(format!("feature maps {spatial:?} padded to {extents:?}"));
            return Err(self.broken(rule.right("extents that are not smaller")));
        }
        let around = spatial.iter().zip(extents).map(|(have, want)| ((want - have) / 2, (want - have).div_ceil(2)));
        let pads = [(0, 0), (0, 0)].into_iter().chain(around).collect();
        self.current = self.graph.add_one(Pad { mode: PadMode::Constant, value: 0.0, pads }, &[self.current])?;
        Ok(self)
    }
    /// Channel shuffle (Zhang et al. 2018, ShuffleNet): the channels are read as `groups` rows and written column by column,
    /// so that the next grouped layer sees channels of every group.
    ///
    /// # Errors
    /// Groups that do not divide the channels.
    pub fn channel_shuffle(&mut self, groups: usize) -> Result<&mut Self> {
        self.begin_counted("shuffle")?;
        let shape = self.shape().clone();
        let (c, extents) = (self.channels(), self.extents());
        if groups == 0 || shape.rank() < 2 || !c.is_multiple_of(groups) {
            return Err(self.broken(Rule::new(format!("{groups} groups must divide {c} channels"))));
        }
        let rows = Shape::batch(&[&[groups, c / groups], &extents[1..]].concat());
        let order: Vec<usize> = [0, 2, 1].into_iter().chain(3..rows.rank()).collect();
        let split = self.graph.reshape(self.current, &rows)?;
        let turned = self.graph.transpose(split, &order)?;
        self.current = self.graph.reshape(turned, &shape)?;
        Ok(self)
    }
}
