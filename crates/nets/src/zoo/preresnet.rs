//! Residual networks of pre-activation (He, Zhang, Ren, Sun 2016b) for ImageNet, as timm has them (`resnetv2_50`).

use super::resnet::he_with_small_linear;
use super::{Build, Card, Entry, Filter, Preprocessing};
use crate::{Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

pub(super) const BASE: Card = Card {
    title: "residual network for ImageNet, normalisation and ReLU before each convolution",
    paper: "He, Zhang, Ren, Sun: Identity mappings in deep residual networks",
    year: 2016,
    preprocessing: Some(TIMM),
    licence: "Apache-2.0 (timm)",
    ..Card::IMAGENET
};

/// What timm's weights of that generation expect: the picture's middle 95 %, values in −1..1.
const TIMM: Preprocessing = Preprocessing {
    resize: Some(236),
    filter: Filter::Bicubic,
    divisor: 255.0,
    mean: &[0.5, 0.5, 0.5],
    std: &[0.5, 0.5, 0.5],
};

const fn entry(name: &'static str, aliases: &'static [&'static str], parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, aliases, parameters, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("preresnet18", &["resnetv2_18"], 11_687_720, |net, n| preresnet(net, n, false, 64, [2, 2, 2, 2])),
    entry("preresnet34", &["resnetv2_34"], 21_795_880, |net, n| preresnet(net, n, false, 64, [3, 4, 6, 3])),
    entry("preresnet50", &["resnetv2_50"], 25_549_352, |net, n| preresnet(net, n, true, 64, [3, 4, 6, 3])),
    entry("preresnet101", &["resnetv2_101"], 44_541_480, |net, n| preresnet(net, n, true, 64, [3, 4, 23, 3])),
    entry("preresnet152", &["resnetv2_152"], 60_185_128, |net, n| preresnet(net, n, true, 64, [3, 8, 36, 3])),
    Entry {
        card: Card {
            name: "tiny_preresnet",
            title: "pre-activation ResNet with one narrow bottleneck per stage",
            paper: BASE.paper,
            year: BASE.year,
            parameters: 33_806,
            ..Card::CIFAR10
        },
        build: |net, n| preresnet(net, n, true, 4, [1, 1, 1, 1]),
    },
];

fn preresnet(net: &mut Net, classes: usize, bottleneck: bool, planes: usize, stages: [usize; 4]) -> Result<()> {
    net.init(he_with_small_linear());
    net.conv("stem.conv", conv(planes, 7).stride(2).pad(3).no_bias())?.max_pool(pool(3).stride(2).pad(1))?;
    for (i, blocks) in stages.into_iter().enumerate() {
        for j in 0..blocks {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            net.within(&format!("stages.{i}.blocks.{j}"), |b| block(b, bottleneck, planes << i, stride))?;
        }
    }
    net.batch_norm("norm")?.relu()?.global_avg_pool()?;
    // timm's classifier is a 1×1 convolution, initialised as a fully connected layer.
    net.init(Scheme::all(Initializer::Normal { mean: 0.0, std: 0.01 }));
    net.conv("head.fc", conv(classes, 1))?.flatten()?;
    Ok(())
}

fn block(net: &mut Net, bottleneck: bool, planes: usize, stride: usize) -> Result<&mut Net> {
    let (x, inputs) = (net.value(), net.channels());
    let outputs = if bottleneck { 4 * planes } else { planes };
    let active = net.batch_norm("norm1")?.relu()?.value();
    // Where the extents change, the shortcut starts behind the activation.
    let shortcut = if stride != 1 || inputs != outputs {
        net.branch(|b| b.conv("downsample.conv", conv(outputs, 1).stride(stride).no_bias()))?
    } else {
        x
    };
    net.at(active);
    if bottleneck {
        net.conv("conv1", conv(planes, 1).no_bias())?.batch_norm("norm2")?.relu()?;
        net.conv("conv2", conv(planes, 3).stride(stride).pad(1).no_bias())?.batch_norm("norm3")?.relu()?;
        net.conv("conv3", conv(outputs, 1).no_bias())?;
    } else {
        net.conv("conv1", conv(planes, 3).stride(stride).pad(1).no_bias())?.batch_norm("norm2")?.relu()?;
        net.conv("conv2", conv(outputs, 3).pad(1).no_bias())?;
    }
    net.add(shortcut)
}
