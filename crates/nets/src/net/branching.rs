//! Parts that leave the chain and come back: residual blocks, inception modules, gates.

use super::Net;
use gabor_graph::{Result, ValueId};
use gabor_tensor::Rule;

/// Layers from the current value on, as a function that can be put in a list.
pub type Branch<'a> = &'a dyn Fn(&mut Net) -> Result<&mut Net>;

impl Net {
    /// A residual block: the current value is added to what the layers make of it. No activation follows by itself.
    ///
    /// ```
    /// use gabor_nets::{Mode, Net, conv};
    /// let mut net = Net::new("block", &[16, 8, 8], Mode::Infer).unwrap();
    /// net.residual(|b| {
    ///     b.conv("conv1", conv(16, 3).pad(1).no_bias())?.batch_norm("bn1")?.relu()?;
    ///     b.conv("conv2", conv(16, 3).pad(1).no_bias())?.batch_norm("bn2")
    /// })
    /// .unwrap();
    /// net.relu().unwrap();
    /// assert_eq!(net.shape().to_string(), "[n, 16, 8, 8]");
    /// ```
    ///
    /// # Errors
    /// Those of the layers; a result of another shape.
    pub fn residual(&mut self, layers: impl FnOnce(&mut Net) -> Result<&mut Net>) -> Result<&mut Self> {
        self.residual_with(layers, |shortcut| Ok(shortcut))
    }
    /// A residual block whose shortcut has layers too, where extents or channels change.
    ///
    /// ```
    /// use gabor_nets::{Mode, Net, conv};
    /// let mut net = Net::new("block", &[16, 8, 8], Mode::Infer).unwrap();
    /// net.residual_with(
    ///     |b| b.conv("conv1", conv(32, 3).stride(2).pad(1))?.relu()?.conv("conv2", conv(32, 3).pad(1)),
    ///     |shortcut| shortcut.conv("downsample", conv(32, 1).stride(2)),
    /// )
    /// .unwrap();
    /// assert_eq!(net.shape().to_string(), "[n, 32, 4, 4]");
    /// ```
    ///
    /// # Errors
    /// Those of the layers; results of two shapes.
    pub fn residual_with(
        &mut self,
        layers: impl FnOnce(&mut Net) -> Result<&mut Net>,
        shortcut: impl FnOnce(&mut Net) -> Result<&mut Net>,
    ) -> Result<&mut Self> {
        let main = self.branch(layers)?;
        let shortcut = self.branch(shortcut)?;
        self.at(main).add(shortcut)
    }
    /// An inception module: every branch starts at the current value, and their results are joined along the channels.
    ///
    /// ```
    /// use gabor_nets::{Mode, Net, conv, pool};
    /// let mut net = Net::new("module", &[192, 28, 28], Mode::Infer).unwrap();
    /// net.branches(&[
    ///     &|b| b.conv("one", conv(64, 1))?.relu(),
    ///     &|b| b.conv("reduce", conv(96, 1))?.relu()?.conv("three", conv(128, 3).pad(1))?.relu(),
    ///     &|b| b.max_pool(pool(3).stride(1).pad(1))?.conv("project", conv(32, 1))?.relu(),
    /// ])
    /// .unwrap();
    /// assert_eq!(net.channels(), 64 + 128 + 32);
    /// ```
    ///
    /// # Errors
    /// Those of the layers; no branches, or spatial extents that differ.
    pub fn branches(&mut self, branches: &[Branch<'_>]) -> Result<&mut Self> {
        if branches.is_empty() {
            return Err(self.broken(Rule::new("a module of no branches").right("one branch or more")));
        }
        let made = branches.iter().map(|b| self.branch(b)).collect::<Result<Vec<ValueId>>>()?;
        self.concat(&made)
    }
    /// A gate: the current value is multiplied by what the layers make of it, which may have extents of 1.
    ///
    /// ```
    /// use gabor_nets::{Activation, Mode, Net, conv};
    /// let mut net = Net::new("gate", &[16, 8, 8], Mode::Infer).unwrap();
    /// net.gate(|b| b.global_avg_pool()?.conv("weigh", conv(16, 1))?.activation(Activation::Sigmoid)).unwrap();
    /// assert_eq!(net.shape().to_string(), "[n, 16, 8, 8]");
    /// ```
    ///
    /// # Errors
    /// Those of the layers; a result that does not fit.
    pub fn gate(&mut self, layers: impl FnOnce(&mut Net) -> Result<&mut Net>) -> Result<&mut Self> {
        let weights = self.branch(layers)?;
        self.weigh(weights)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Mode, Net, conv};

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let net = || Net::new("n", &[4, 8, 8], Mode::Infer).unwrap();
        let e = net().residual(|b| b.conv("conv1", conv(8, 1))).unwrap_err().to_string();
        assert!(e.contains("[n, 8, 8, 8]") && e.contains("[n, 4, 8, 8]"), "{e}");
        assert!(net().branches(&[]).unwrap_err().to_string().contains("no branches"));
        let e = net().branches(&[&|b| b.max_pool(2), &|b| b.relu()]).unwrap_err().to_string();
        assert!(e.contains("concat"), "{e}");
        assert!(net().gate(|b| b.max_pool(2)).is_err());
        // A branch that fails leaves its own error.
        let e = net().branches(&[&|b| b.conv("wide", conv(8, 11))]).unwrap_err().to_string();
        assert!(e.starts_with("wide: "), "{e}");
    }
}
