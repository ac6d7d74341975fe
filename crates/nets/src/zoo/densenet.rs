//! DenseNet (Huang et al. 2017), as torchvision has it: every layer sees the maps of all before it.

use super::{Build, Card, Entry};
use crate::{Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

const BASE: Card = Card {
    title: "every layer of a block sees the feature maps of all layers before it",
    paper: "Huang, Liu, van der Maaten, Weinberger: Densely connected convolutional networks",
    year: 2017,
    ..Card::TORCHVISION
};

const fn entry(name: &'static str, parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, parameters, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("densenet121", 7_978_856, |net, n| densenet(net, n, 32, 64, [6, 12, 24, 16])),
    entry("densenet161", 28_681_000, |net, n| densenet(net, n, 48, 96, [6, 12, 36, 24])),
    entry("densenet169", 14_149_480, |net, n| densenet(net, n, 32, 64, [6, 12, 32, 32])),
    entry("densenet201", 20_013_928, |net, n| densenet(net, n, 32, 64, [6, 12, 48, 32])),
    Entry {
        card: Card {
            name: "tiny_densenet",
            title: "DenseNet with blocks of one and two layers that add four maps each",
            paper: BASE.paper,
            year: BASE.year,
            parameters: 6_221,
            ..Card::CIFAR10
        },
        build: |net, n| densenet(net, n, 4, 8, [1, 2, 2, 1]),
    },
];

/// `growth` is the number of maps that a layer adds, `first` that of the stem's.
fn densenet(net: &mut Net, classes: usize, growth: usize, first: usize, blocks: [usize; 4]) -> Result<()> {
    net.init(Scheme {
        conv: Initializer::KaimingNormal { a: 0.0, fan_out: false },
        linear_bias: Some(Initializer::Zeros),
        ..Scheme::default()
    });
    net.within("features", |net| {
        net.conv("conv0", conv(first, 7).stride(2).pad(3).no_bias())?.batch_norm("norm0")?.relu()?;
        net.max_pool(pool(3).stride(2).pad(1))?;
        for (i, layers) in (1..).zip(blocks) {
            if i > 1 {
                net.within(&format!("transition{}", i - 1), |b| {
                    let half = b.channels() / 2;
                    b.batch_norm("norm")?.relu()?.conv("conv", conv(half, 1).no_bias())?.avg_pool(2)
                })?;
            }
            for j in 1..=layers {
                net.within(&format!("denseblock{i}.denselayer{j}"), |b| layer(b, growth))?;
            }
        }
        net.batch_norm("norm5")?.relu()
    })?;
    net.global_avg_pool()?.flatten()?.linear("classifier", classes)?;
    Ok(())
}

fn layer(net: &mut Net, growth: usize) -> Result<&mut Net> {
    let x = net.value();
    net.batch_norm("norm1")?.relu()?.conv("conv1", conv(4 * growth, 1).no_bias())?;
    net.batch_norm("norm2")?.relu()?.conv("conv2", conv(growth, 3).pad(1).no_bias())?;
    let new = net.value();
    net.concat(&[x, new])
}
