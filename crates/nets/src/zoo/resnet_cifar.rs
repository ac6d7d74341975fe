//! ResNet for CIFAR-10 (He, Zhang, Ren, Sun 2016, section 4.2) with option-A shortcuts, which have no parameters: every
//! second place, and channels of zeros on both sides.

use super::{Build, Card, Entry};
use crate::{Net, Scheme, conv};
use gabor_graph::{Initializer, Result};

/// The weights that are published under these names, and their preprocessing, are Yerlan Idelbayev's.
pub(super) const BASE: Card = Card {
    title: "residual network for CIFAR-10, option-A shortcuts",
    paper: "He, Zhang, Ren, Sun: Deep residual learning for image recognition",
    year: 2016,
    licence: "BSD-2-Clause (akamaster/pytorch_resnet_cifar10)",
    ..Card::CIFAR10
};

const fn entry(name: &'static str, aliases: &'static [&'static str], parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, aliases, parameters, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("resnet20", &["resnet20_cifar"], 269_722, |net, classes| resnet(net, classes, 3)),
    entry("resnet32", &["resnet32_cifar"], 464_154, |net, classes| resnet(net, classes, 5)),
    entry("resnet44", &["resnet44_cifar"], 658_586, |net, classes| resnet(net, classes, 7)),
    entry("resnet56", &["resnet56_cifar"], 853_018, |net, classes| resnet(net, classes, 9)),
    entry("resnet110", &["resnet110_cifar"], 1_727_962, |net, classes| resnet(net, classes, 18)),
];

pub(super) fn resnet(net: &mut Net, classes: usize, blocks: usize) -> Result<()> {
    let he = Initializer::KaimingNormal { a: 0.0, fan_out: false };
    net.init(Scheme { conv: he.clone(), linear: he, ..Scheme::default() });
    net.conv("conv1", conv(16, 3).pad(1).no_bias())?.batch_norm("bn1")?.relu()?;
    for (i, planes) in [16, 32, 64].into_iter().enumerate() {
        for j in 0..blocks {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            net.within(&format!("layer{}.{j}", i + 1), |b| residual(b, planes, stride))?;
        }
    }
    net.global_avg_pool()?.flatten()?.linear("linear", classes)?;
    Ok(())
}

fn residual(net: &mut Net, planes: usize, stride: usize) -> Result<&mut Net> {
    let (x, inputs) = (net.value(), net.channels());
    net.conv("conv1", conv(planes, 3).stride(stride).pad(1).no_bias())?.batch_norm("bn1")?.relu()?;
    net.conv("conv2", conv(planes, 3).pad(1).no_bias())?.batch_norm("bn2")?;
    let y = net.value();
    let shortcut = if stride != 1 || inputs != planes {
        let missing = planes - inputs;
        net.at(x).subsample(stride)?.pad_channels(missing / 2, missing - missing / 2)?.value()
    } else {
        x
    };
    net.at(y).add(shortcut)?.relu()
}
