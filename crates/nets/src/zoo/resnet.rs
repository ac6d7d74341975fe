//! ResNet for ImageNet (He, Zhang, Ren, Sun 2016), as torchvision has it: the stride is in the 3×3 convolution.

use super::{Build, Card, Entry};
use crate::{Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

const BASE: Card = Card {
    title: "residual network for ImageNet",
    paper: "He, Zhang, Ren, Sun: Deep residual learning for image recognition",
    year: 2016,
    ..Card::TORCHVISION
};

const fn entry(name: &'static str, parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, parameters, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("resnet18", 11_689_512, |net, classes| resnet(net, classes, Block::Basic, [2, 2, 2, 2])),
    entry("resnet34", 21_797_672, |net, classes| resnet(net, classes, Block::Basic, [3, 4, 6, 3])),
    entry("resnet50", 25_557_032, |net, classes| resnet(net, classes, Block::Bottleneck, [3, 4, 6, 3])),
    entry("resnet101", 44_549_160, |net, classes| resnet(net, classes, Block::Bottleneck, [3, 4, 23, 3])),
    entry("resnet152", 60_192_808, |net, classes| resnet(net, classes, Block::Bottleneck, [3, 8, 36, 3])),
];

#[derive(Clone, Copy, PartialEq)]
enum Block {
    Basic,
    Bottleneck,
}

fn resnet(net: &mut Net, classes: usize, block: Block, stages: [usize; 4]) -> Result<()> {
    let default = Scheme::default();
    net.init(Scheme::he_fan_out(default.linear, default.linear_bias));
    net.conv("conv1", conv(64, 7).stride(2).pad(3).no_bias())?.batch_norm("bn1")?.relu()?;
    net.max_pool(pool(3).stride(2).pad(1))?;
    for (i, blocks) in stages.into_iter().enumerate() {
        for j in 0..blocks {
            let stride = if i > 0 && j == 0 { 2 } else { 1 };
            net.within(&format!("layer{}.{j}", i + 1), |b| residual(b, block, 64 << i, stride))?;
        }
    }
    net.global_avg_pool()?.flatten()?.linear("fc", classes)?;
    Ok(())
}

fn residual(net: &mut Net, block: Block, planes: usize, stride: usize) -> Result<&mut Net> {
    let x = net.value();
    let outputs = match block {
        Block::Basic => {
            net.conv("conv1", conv(planes, 3).stride(stride).pad(1).no_bias())?.batch_norm("bn1")?.relu()?;
            net.conv("conv2", conv(planes, 3).pad(1).no_bias())?.batch_norm("bn2")?;
            planes
        }
        Block::Bottleneck => {
            net.conv("conv1", conv(planes, 1).no_bias())?.batch_norm("bn1")?.relu()?;
            net.conv("conv2", conv(planes, 3).stride(stride).pad(1).no_bias())?.batch_norm("bn2")?.relu()?;
            net.conv("conv3", conv(4 * planes, 1).no_bias())?.batch_norm("bn3")?;
            4 * planes
        }
    };
    let y = net.value();
    net.at(x);
    let shortcut = if stride != 1 || net.channels() != outputs {
        net.conv("downsample.0", conv(outputs, 1).stride(stride).no_bias())?.batch_norm("downsample.1")?.value()
    } else {
        x
    };
    net.at(y).add(shortcut)?.relu()
}

/// A scheme that several families of torchvision share: He over fan-out, small normal fully connected layers.
pub(super) fn he_with_small_linear() -> Scheme {
    Scheme::he_fan_out(Initializer::Normal { mean: 0.0, std: 0.01 }, Some(Initializer::Zeros))
}
