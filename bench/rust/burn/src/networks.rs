//! LeNet-5 and ResNet-18 with given weights, under torchvision's names.

use bench_common::{Array, Given, Result};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2dConfig, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

/// Added to variances.
const EPSILON: f32 = 1e-5;

/// Scores of pictures.
pub trait Network: Module {
    fn forward(&self, x: Tensor<4>) -> Tensor<2>;
}

/// A parameter of `D` extents.
fn param<const D: usize>(array: &Array, device: &Device) -> Result<Param<Tensor<D>>> {
    let data = TensorData::new(array.data.clone(), array.extents::<D>()?);
    Ok(Param::from_data(data, device))
}

/// How a convolution goes over its input.
#[derive(Clone, Copy)]
struct Window {
    stride: usize,
    pad: usize,
}

/// A convolution with that filter.
fn conv(weight: &Array, bias: Option<&Array>, window: Window, device: &Device) -> Result<Conv2d> {
    let [co, ci, kh, kw] = weight.extents()?;
    let Window { stride, pad } = window;
    let mut conv = Conv2dConfig::new([ci, co], [kh, kw])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(pad, pad, pad, pad))
        .with_bias(bias.is_some())
        .init(device);
    conv.weight = param(weight, device)?;
    conv.bias = bias.map(|b| param(b, device)).transpose()?;
    Ok(conv)
}

/// A fully connected layer; burn keeps its weights with inputs first, PyTorch and we with outputs first.
fn linear(name: &str, given: &Given, device: &Device) -> Result<Linear> {
    let weight = given.weight(&format!("{name}.weight"))?;
    let [outputs, inputs] = weight.extents()?;
    let data = (0..inputs).flat_map(|i| (0..outputs).map(move |o| weight.data[o * inputs + i])).collect();
    let mut linear = LinearConfig::new(inputs, outputs).init(device);
    linear.weight = param(&Array { shape: vec![inputs, outputs], data }, device)?;
    linear.bias = Some(param(given.weight(&format!("{name}.bias"))?, device)?);
    Ok(linear)
}

#[derive(Module, Debug)]
pub struct LeNet {
    conv1: Conv2d,
    conv2: Conv2d,
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl LeNet {
    pub fn new(given: &Given, device: &Device) -> Result<Self> {
        let conv = |name: &str, pad| {
            let bias = given.weight(&format!("{name}.bias"))?;
            conv(given.weight(&format!("{name}.weight"))?, Some(bias), Window { stride: 1, pad }, device)
        };
        Ok(LeNet {
            conv1: conv("conv1", 2)?,
            conv2: conv("conv2", 0)?,
            fc1: linear("fc1", given, device)?,
            fc2: linear("fc2", given, device)?,
            fc3: linear("fc3", given, device)?,
        })
    }
}

impl Network for LeNet {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
        let x = pool.forward(relu(self.conv1.forward(x)));
        let x = pool.forward(relu(self.conv2.forward(x)));
        let x = relu(self.fc1.forward(x.flatten(1, 3)));
        self.fc3.forward(relu(self.fc2.forward(x)))
    }
}

/// A convolution and its batch normalisation, or the convolution with a bias that both are after folding.
#[derive(Module, Debug)]
struct Unit {
    conv: Conv2d,
    norm: Option<BatchNorm>,
}

impl Unit {
    /// `names` are those of the convolution and of its normalisation.
    fn new(given: &Given, fold: bool, names: [&str; 2], stride: usize, device: &Device) -> Result<Self> {
        let weight = given.weight(&format!("{}.weight", names[0]))?;
        let window = Window { stride, pad: weight.shape[3] / 2 };
        let of = |what: &str| given.weight(&format!("{}.{what}", names[1]));
        let (gamma, beta, mean, var) = (of("weight")?, of("bias")?, of("running_mean")?, of("running_var")?);
        let channels = gamma.data.len();
        if fold {
            let scale: Vec<f32> = gamma.data.iter().zip(&var.data).map(|(g, v)| g / (v + EPSILON).sqrt()).collect();
            let bias = (0..channels).map(|c| beta.data[c] - mean.data[c] * scale[c]).collect();
            let filters = weight.data.chunks(weight.data.len() / channels).zip(scale);
            let folded = filters.flat_map(|(filter, s)| filter.iter().map(move |w| w * s)).collect();
            let folded = Array { shape: weight.shape.clone(), data: folded };
            let bias = Array { shape: vec![channels], data: bias };
            return Ok(Unit { conv: conv(&folded, Some(&bias), window, device)?, norm: None });
        }
        let mut norm = BatchNormConfig::new(channels).with_epsilon(EPSILON.into()).init(device);
        norm.gamma = param(gamma, device)?;
        norm.beta = param(beta, device)?;
        Ok(Unit { conv: conv(weight, None, window, device)?, norm: Some(norm) })
    }
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = self.conv.forward(x);
        match &self.norm {
            Some(norm) => norm.forward(y),
            None => y,
        }
    }
}

#[derive(Module, Debug)]
struct Block {
    first: Unit,
    second: Unit,
    shortcut: Option<Unit>,
}

#[derive(Module, Debug)]
pub struct ResNet18 {
    stem: Unit,
    blocks: Vec<Block>,
    fc: Linear,
}

impl ResNet18 {
    /// The network, on request with its normalisation folded in.
    pub fn new(given: &Given, fold: bool, device: &Device) -> Result<Self> {
        let mut blocks = Vec::new();
        for stage in 1..=4 {
            for i in 0..2 {
                let stride = if stage > 1 && i == 0 { 2 } else { 1 };
                let unit = |conv: &str, norm: &str, stride| {
                    let name = |what: &str| format!("layer{stage}.{i}.{what}");
                    Unit::new(given, fold, [&name(conv), &name(norm)], stride, device)
                };
                blocks.push(Block {
                    first: unit("conv1", "bn1", stride)?,
                    second: unit("conv2", "bn2", 1)?,
                    shortcut: (stride == 2).then(|| unit("downsample.0", "downsample.1", 2)).transpose()?,
                });
            }
        }
        let stem = Unit::new(given, fold, ["conv1", "bn1"], 2, device)?;
        Ok(ResNet18 { stem, blocks, fc: linear("fc", given, device)? })
    }
}

impl Network for ResNet18 {
    fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let padding = PaddingConfig2d::Explicit(1, 1, 1, 1);
        let pool = MaxPool2dConfig::new([3, 3]).with_strides([2, 2]).with_padding(padding).init();
        let mut x = pool.forward(relu(self.stem.forward(x)));
        for block in &self.blocks {
            let y = block.second.forward(relu(block.first.forward(x.clone())));
            let skip = match &block.shortcut {
                Some(shortcut) => shortcut.forward(x),
                None => x,
            };
            x = relu(y + skip);
        }
        let x = AdaptiveAvgPool2dConfig::new([1, 1]).init().forward(x);
        self.fc.forward(x.flatten(1, 3))
    }
}
