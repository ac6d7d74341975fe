//! LeNet-5 and ResNet-18, under torchvision's names.

use candle_core::{Module, ModuleT, Result, Tensor};
use candle_nn::{BatchNorm, Conv2d, Conv2dConfig, Linear, VarBuilder};
use candle_nn::{batch_norm, conv2d, conv2d_no_bias, linear};

pub struct LeNet {
    convs: [Conv2d; 2],
    linears: [Linear; 3],
}

impl LeNet {
    pub fn new(vb: VarBuilder<'_>) -> Result<Self> {
        let pad = Conv2dConfig { padding: 2, ..Default::default() };
        Ok(LeNet {
            convs: [conv2d(1, 6, 5, pad, vb.pp("conv1"))?, conv2d(6, 16, 5, Default::default(), vb.pp("conv2"))?],
            linears: [linear(400, 120, vb.pp("fc1"))?, linear(120, 84, vb.pp("fc2"))?, linear(84, 10, vb.pp("fc3"))?],
        })
    }
}

impl ModuleT for LeNet {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let mut x = x.clone();
        for conv in &self.convs {
            let y = conv.forward(&x)?.relu()?;
            x = if train { pool(&y, 2)? } else { y.max_pool2d(2)? };
        }
        let [fc1, fc2, fc3] = &self.linears;
        let x = fc1.forward(&x.flatten_from(1)?)?.relu()?;
        fc3.forward(&fc2.forward(&x)?.relu()?)
    }
}

/// A convolution and its batch normalisation, unless that is folded in.
struct Unit {
    conv: Conv2d,
    norm: Option<BatchNorm>,
}

impl Unit {
    /// `names` are those of the convolution and of its normalisation.
    fn new(ci: usize, co: usize, k: usize, stride: usize, vb: &VarBuilder<'_>, names: [&str; 2]) -> Result<Self> {
        let config = Conv2dConfig { padding: k / 2, stride, ..Default::default() };
        let conv = conv2d_no_bias(ci, co, k, config, vb.pp(names[0]))?;
        Ok(Unit { conv, norm: Some(batch_norm(co, 1e-5, vb.pp(names[1]))?) })
    }
    fn fold(&mut self) -> Result<()> {
        if let Some(norm) = self.norm.take() {
            let folded = self.conv.absorb_bn(&norm)?;
            let bias = folded.bias().map(Tensor::detach);
            self.conv = Conv2d::new(folded.weight().detach(), bias, *folded.config());
        }
        Ok(())
    }
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let y = self.conv.forward(x)?;
        self.norm.as_ref().map_or(Ok(y.clone()), |norm| norm.forward_t(&y, train))
    }
}

struct Block {
    units: [Unit; 2],
    shortcut: Option<Unit>,
}

pub struct ResNet18 {
    stem: Unit,
    blocks: Vec<Block>,
    fc: Linear,
}

impl ResNet18 {
    pub fn new(vb: VarBuilder<'_>) -> Result<Self> {
        let mut blocks = Vec::new();
        let mut ci = 64;
        for (stage, co) in [64, 128, 256, 512].into_iter().enumerate() {
            for i in 0..2 {
                let vb = vb.pp(format!("layer{}.{i}", stage + 1));
                let stride = if stage > 0 && i == 0 { 2 } else { 1 };
                let first = Unit::new(ci, co, 3, stride, &vb, ["conv1", "bn1"])?;
                let second = Unit::new(co, co, 3, 1, &vb, ["conv2", "bn2"])?;
                let shortcut = match stride {
                    1 => None,
                    _ => Some(Unit::new(ci, co, 1, stride, &vb, ["downsample.0", "downsample.1"])?),
                };
                blocks.push(Block { units: [first, second], shortcut });
                ci = co;
            }
        }
        let stem = Unit::new(3, 64, 7, 2, &vb, ["conv1", "bn1"])?;
        Ok(ResNet18 { stem, blocks, fc: linear(512, 1000, vb.pp("fc"))? })
    }
    /// Folds all normalisation, and cuts the weights loose from their variables, lest a prediction keep what only
    /// gradients need.
    pub fn fold(&mut self) -> Result<()> {
        self.fc = Linear::new(self.fc.weight().detach(), self.fc.bias().map(Tensor::detach));
        self.stem.fold()?;
        for block in &mut self.blocks {
            for unit in block.units.iter_mut().chain(&mut block.shortcut) {
                unit.fold()?;
            }
        }
        Ok(())
    }
}

impl ModuleT for ResNet18 {
    fn forward_t(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let x = self.stem.forward_t(x, train)?.relu()?;
        // Nothing is below zero after the rectifier, so that zeros are a padding of max pooling too.
        let x = x.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
        let mut x = if train { pool(&x, 3)? } else { x.max_pool2d_with_stride(3, 2)? };
        for block in &self.blocks {
            let [first, second] = &block.units;
            let y = second.forward_t(&first.forward_t(&x, train)?.relu()?, train)?;
            let skip = block.shortcut.as_ref().map_or(Ok(x.clone()), |s| s.forward_t(&x, train))?;
            x = (y + skip)?.relu()?;
        }
        self.fc.forward(&x.mean((2, 3))?)
    }
}

/// Max pooling of two extents with stride 2, of pieces that have gradients: all largest of neighbours.
fn pool(x: &Tensor, kernel: usize) -> Result<Tensor> {
    maxima(&maxima(x, 2, kernel)?, 3, kernel)
}

/// The largest of each `kernel` neighbours along a dimension, in steps of two.
fn maxima(x: &Tensor, dim: usize, kernel: usize) -> Result<Tensor> {
    let pairs = (x.dim(dim)? - kernel) / 2 + 1;
    let mut shape = x.dims().to_vec();
    shape.splice(dim..=dim, [pairs, 2]);
    // Every second number, from this one on.
    let every_second = |from: usize| -> Result<Tensor> {
        let part = x.narrow(dim, from - from % 2, 2 * pairs)?;
        part.reshape(shape.as_slice())?.narrow(dim + 1, from % 2, 1)?.squeeze(dim + 1)
    };
    (1..kernel).try_fold(every_second(0)?, |most, i| most.maximum(&every_second(i)?))
}
