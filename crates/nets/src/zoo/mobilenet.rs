//! MobileNet v2 (Sandler et al. 2018), as torchvision has it.

use super::resnet::he_with_small_linear;
use super::{Card, Entry};
use crate::{Activation, ConvOptions, Net, conv};
use gabor_graph::Result;

pub(super) const ENTRIES: &[Entry] = &[Entry {
    card: Card {
        name: "mobilenet_v2",
        aliases: &["mobilenetv2"],
        title: "inverted residuals with linear bottlenecks, depthwise convolutions",
        paper: "Sandler et al.: MobileNetV2: Inverted residuals and linear bottlenecks",
        year: 2018,
        parameters: 3_504_872,
        ..Card::TORCHVISION
    },
    build: mobilenet_v2,
}];

/// Expansion, output channels, repeats, first stride (table 2 of the paper).
const STAGES: &[[usize; 4]] =
    &[[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

fn mobilenet_v2(net: &mut Net, classes: usize) -> Result<()> {
    net.init(he_with_small_linear());
    net.within("features.0", |b| unit(b, "", conv(32, 3).stride(2).pad(1)))?;
    let mut at = 1;
    for &[expand, channels, repeats, stride] in STAGES {
        for i in 0..repeats {
            let stride = if i == 0 { stride } else { 1 };
            net.within(&format!("features.{at}"), |b| inverted_residual(b, expand, channels, stride))?;
            at += 1;
        }
    }
    net.within(&format!("features.{at}"), |b| unit(b, "", conv(1280, 1)))?;
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
