//! SqueezeNet (Iandola et al. 2016), torchvision's 1.0 and 1.1.

use super::{Build, Card, Entry};
use crate::{Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

const BASE: Card = Card {
    title: "squeeze and expand: fire modules instead of wide convolutions",
    paper: "Iandola et al.: SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
    year: 2016,
    ..Card::TORCHVISION
};

const fn entry(name: &'static str, parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, parameters, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("squeezenet1_0", 1_248_424, |net, classes| {
        squeezenet(
            net,
            classes,
            &[
                Layer::Stem(96, 7),
                Layer::Pool,
                Layer::Fire(16, 64),
                Layer::Fire(16, 64),
                Layer::Fire(32, 128),
                Layer::Pool,
                Layer::Fire(32, 128),
                Layer::Fire(48, 192),
                Layer::Fire(48, 192),
                Layer::Fire(64, 256),
                Layer::Pool,
                Layer::Fire(64, 256),
            ],
        )
    }),
    entry("squeezenet1_1", 1_235_496, |net, classes| {
        squeezenet(
            net,
            classes,
            &[
                Layer::Stem(64, 3),
                Layer::Pool,
                Layer::Fire(16, 64),
                Layer::Fire(16, 64),
                Layer::Pool,
                Layer::Fire(32, 128),
                Layer::Fire(32, 128),
                Layer::Pool,
                Layer::Fire(48, 192),
                Layer::Fire(48, 192),
                Layer::Fire(64, 256),
                Layer::Fire(64, 256),
            ],
        )
    }),
    Entry {
        card: Card {
            name: "tiny_squeezenet",
            title: "SqueezeNet with two narrow fire modules",
            paper: BASE.paper,
            year: BASE.year,
            parameters: 1_170,
            ..Card::CIFAR10
        },
        build: |net, n| {
            squeezenet(net, n, &[Layer::Stem(8, 3), Layer::Pool, Layer::Fire(4, 8), Layer::Pool, Layer::Fire(4, 8)])
        },
    },
];

enum Layer {
    /// Filters and kernel of the first convolution, with its ReLU.
    Stem(usize, usize),
    Pool,
    /// Filters of the squeeze and of each expand convolution.
    Fire(usize, usize),
}

fn squeezenet(net: &mut Net, classes: usize, layers: &[Layer]) -> Result<()> {
    net.init(Scheme::all(Initializer::KaimingUniform { a: 0.0 }));
    let mut at = 0;
    for layer in layers {
        let name = format!("features.{at}");
        at += 1;
        match *layer {
            Layer::Stem(filters, kernel) => {
                net.conv(&name, conv(filters, kernel).stride(2))?.relu()?;
                // The ReLU has a number of its own in torchvision.
                at += 1;
            }
            Layer::Pool => {
                net.max_pool(pool(3).stride(2).ceil())?;
            }
            Layer::Fire(squeeze, expand) => {
                net.within(&name, |b| fire(b, squeeze, expand))?;
            }
        }
    }
    net.init(Scheme::all(Initializer::Normal { mean: 0.0, std: 0.01 }));
    net.dropout(0.5)?.conv("classifier.1", conv(classes, 1))?.relu()?;
    net.global_avg_pool()?.flatten()?;
    Ok(())
}

fn fire(net: &mut Net, squeeze: usize, expand: usize) -> Result<&mut Net> {
    net.conv("squeeze", conv(squeeze, 1))?.relu()?;
    let narrow = net.branch(|b| b.conv("expand1x1", conv(expand, 1))?.relu())?;
    let wide = net.branch(|b| b.conv("expand3x3", conv(expand, 3).pad(1))?.relu())?;
    net.concat(&[narrow, wide])
}
