//! ShuffleNet v2 (Ma et al. 2018), as torchvision has it.

use super::{Build, Card, Entry};
use crate::{Net, conv, pool};
use gabor_graph::Result;

const BASE: Card = Card {
    title: "half of the channels pass each block untouched, then all are shuffled",
    paper: "Ma, Zhang, Zheng, Sun: ShuffleNet V2: Practical guidelines for efficient CNN architecture design",
    year: 2018,
    ..Card::TORCHVISION
};

const fn entry(name: &'static str, parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, parameters, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("shufflenet_v2_x0_5", 1_366_792, |net, n| shufflenet(net, n, [4, 8, 4], [24, 48, 96, 192, 1024])),
    entry("shufflenet_v2_x1_0", 2_278_604, |net, n| shufflenet(net, n, [4, 8, 4], [24, 116, 232, 464, 1024])),
    entry("shufflenet_v2_x1_5", 3_503_624, |net, n| shufflenet(net, n, [4, 8, 4], [24, 176, 352, 704, 1024])),
    entry("shufflenet_v2_x2_0", 7_393_996, |net, n| shufflenet(net, n, [4, 8, 4], [24, 244, 488, 976, 2048])),
    Entry {
        card: Card {
            name: "tiny_shufflenet",
            title: "ShuffleNet v2 with two narrow blocks per stage",
            paper: BASE.paper,
            year: BASE.year,
            parameters: 6_018,
            ..Card::CIFAR10
        },
        build: |net, n| shufflenet(net, n, [2, 2, 2], [8, 8, 16, 32, 64]),
    },
];

/// `channels`: of the stem, of the three stages, and of the last convolution.
fn shufflenet(net: &mut Net, classes: usize, repeats: [usize; 3], channels: [usize; 5]) -> Result<()> {
    let [stem, stages @ .., last] = channels;
    net.conv("conv1.0", conv(stem, 3).stride(2).pad(1).no_bias())?.batch_norm("conv1.1")?.relu()?;
    net.max_pool(pool(3).stride(2).pad(1))?;
    for (i, (blocks, channels)) in (2..).zip(repeats.into_iter().zip(stages)) {
        for j in 0..blocks {
            net.within(&format!("stage{i}.{j}"), |b| if j == 0 { shrink(b, channels / 2) } else { shuffle(b) })?;
        }
    }
    net.conv("conv5.0", conv(last, 1).no_bias())?.batch_norm("conv5.1")?.relu()?;
    net.global_avg_pool()?.flatten()?.linear("fc", classes)?;
    Ok(())
}

/// A stage's first block: both branches work and halve the extents.
fn shrink(net: &mut Net, half: usize) -> Result<&mut Net> {
    let c = net.channels();
    let left = net.branch(|b| {
        b.conv("branch1.0", conv(c, 3).stride(2).pad(1).groups(c).no_bias())?.batch_norm("branch1.1")?;
        b.conv("branch1.2", conv(half, 1).no_bias())?.batch_norm("branch1.3")?.relu()
    })?;
    let right = net.branch(|b| right_branch(b, half, 2))?;
    net.concat(&[left, right])?.channel_shuffle(2)
}

/// A later block: one half of the channels passes.
fn shuffle(net: &mut Net) -> Result<&mut Net> {
    let c = net.channels();
    let left = net.branch(|b| b.slice_channels(0..c / 2))?;
    let right = net.branch(|b| right_branch(b.slice_channels(c / 2..c)?, c / 2, 1))?;
    net.concat(&[left, right])?.channel_shuffle(2)
}

fn right_branch(net: &mut Net, half: usize, stride: usize) -> Result<&mut Net> {
    net.conv("branch2.0", conv(half, 1).no_bias())?.batch_norm("branch2.1")?.relu()?;
    net.conv("branch2.3", conv(half, 3).stride(stride).pad(1).groups(half).no_bias())?.batch_norm("branch2.4")?;
    net.conv("branch2.5", conv(half, 1).no_bias())?.batch_norm("branch2.6")?.relu()
}
