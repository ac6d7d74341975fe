//! MobileNet v1 (Howard et al. 2017), as timm has it, and v2 (Sandler et al. 2018), as torchvision has it.

use super::resnet::he_with_small_linear;
use super::{Card, Entry, Filter, Preprocessing};
use crate::{Activation, ConvOptions, Net, conv};
use gabor_graph::Result;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "mobilenet_v1",
            aliases: &["mobilenetv1_100", "mobilenet"],
            title: "depthwise and 1×1 convolutions in turn",
            paper: "Howard et al.: MobileNets: Efficient convolutional neural networks for mobile vision applications",
            year: 2017,
            parameters: 4_231_976,
            preprocessing: Some(Preprocessing {
                resize: Some(256),
                filter: Filter::Bicubic,
                divisor: 255.0,
                mean: &[0.5, 0.5, 0.5],
                std: &[0.5, 0.5, 0.5],
            }),
            licence: "Apache-2.0 (timm)",
            ..Card::IMAGENET
        },
        build: |net, n| mobilenet_v1(net, n, 32),
    },
    Entry {
        card: Card {
            name: "mobilenet_v2",
            aliases: &["mobilenetv2"],
            title: "inverted residuals with linear bottlenecks, depthwise convolutions",
            paper: V2,
            year: 2018,
            parameters: 3_504_872,
            ..Card::TORCHVISION
        },
        build: |net, n| mobilenet_v2(net, n, STAGES, [32, 1280]),
    },
    Entry {
        card: Card {
            name: "tiny_mobilenet_v1",
            title: "MobileNet v1, an eighth as wide",
            paper: "Howard et al.: MobileNets: Efficient convolutional neural networks for mobile vision applications",
            year: 2017,
            parameters: 58_770,
            ..Card::CIFAR10
        },
        build: |net, n| mobilenet_v1(net, n, 4),
    },
    Entry {
        card: Card {
            name: "tiny_mobilenet_v2",
            title: "MobileNet v2 with three narrow stages",
            paper: V2,
            year: 2018,
            parameters: 3_578,
            ..Card::CIFAR10
        },
        build: |net, n| mobilenet_v2(net, n, &[[1, 4, 1, 1], [4, 8, 2, 2], [4, 12, 1, 1]], [8, 32]),
    },
];

const V2: &str = "Sandler et al.: MobileNetV2: Inverted residuals and linear bottlenecks";

/// First stride and repeats of the stages; the filters double from stage to stage (table 1 of the paper).
const STAGES_V1: [(usize, usize); 5] = [(1, 1), (2, 2), (2, 2), (2, 6), (2, 2)];

/// With timm's names. `stem` is the number of the first convolution's filters.
fn mobilenet_v1(net: &mut Net, classes: usize, stem: usize) -> Result<()> {
    net.init(he_with_small_linear());
    net.conv("conv_stem", conv(stem, 3).stride(2).pad(1).no_bias())?
        .batch_norm("bn1")?
        .activation(Activation::Relu6)?;
    for (i, (stride, repeats)) in STAGES_V1.into_iter().enumerate() {
        for j in 0..repeats {
            let (stride, c) = (if j == 0 { stride } else { 1 }, net.channels());
            net.within(&format!("blocks.{i}.{j}"), |b| {
                b.conv("conv_dw", conv(c, 3).stride(stride).pad(1).groups(c).no_bias())?.batch_norm("bn1")?;
                b.activation(Activation::Relu6)?.conv("conv_pw", conv(stem << (i + 1), 1).no_bias())?;
                b.batch_norm("bn2")?.activation(Activation::Relu6)
            })?;
        }
    }
    net.global_avg_pool()?.flatten()?.linear("classifier", classes)?;
    Ok(())
}

/// Expansion, output channels, repeats, first stride (table 2 of the paper).
const STAGES: &[[usize; 4]] =
    &[[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

/// `ends`: channels of the first and the last convolution.
fn mobilenet_v2(net: &mut Net, classes: usize, stages: &[[usize; 4]], ends: [usize; 2]) -> Result<()> {
    net.init(he_with_small_linear());
    net.within("features.0", |b| unit(b, "", conv(ends[0], 3).stride(2).pad(1)))?;
    let mut at = 1;
    for &[expand, channels, repeats, stride] in stages {
        for i in 0..repeats {
            let stride = if i == 0 { stride } else { 1 };
            net.within(&format!("features.{at}"), |b| inverted_residual(b, expand, channels, stride))?;
            at += 1;
        }
    }
    net.within(&format!("features.{at}"), |b| unit(b, "", conv(ends[1], 1)))?;
    net.global_avg_pool()?.flatten()?.dropout(0.2)?.linear("classifier.1", classes)?;
    Ok(())
}

/// Convolution without bias, batch normalisation, ReLU6, named `PREFIX0` and `PREFIX1`.
fn unit<'a>(net: &'a mut Net, prefix: &str, options: ConvOptions) -> Result<&'a mut Net> {
    net.conv(&format!("{prefix}0"), options.no_bias())?.batch_norm(&format!("{prefix}1"))?.activation(Activation::Relu6)
}

fn inverted_residual(net: &mut Net, expand: usize, channels: usize, stride: usize) -> Result<&mut Net> {
    let (x, inputs) = (net.value(), net.channels());
    let hidden = inputs * expand;
    let mut at = 0;
    if expand != 1 {
        unit(net, "conv.0.", conv(hidden, 1))?;
        at = 1;
    }
    unit(net, &format!("conv.{at}."), conv(hidden, 3).stride(stride).pad(1).groups(hidden))?;
    net.conv(&format!("conv.{}", at + 1), conv(channels, 1).no_bias())?.batch_norm(&format!("conv.{}", at + 2))?;
    if stride == 1 && inputs == channels { net.add(x) } else { Ok(net) }
}
