//! The networks that learn CIFAR-10 in seconds (Jordan 2024): a first convolution of 2×2 whose filters are the principal
//! components of the data's patches (`whiten=true` in a training), then three blocks of two convolutions.

use super::{Build, Card, Entry};
use crate::{Activation, Net, NormOptions, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

/// The preparation is the usual one of CIFAR-10; the paper normalises by the data's own moments, which are near it.
const BASE: Card = Card {
    title: "learns CIFAR-10 to 94 % with the least arithmetic: whitening, six convolutions",
    paper: "Jordan: 94% on CIFAR-10 in 3.29 seconds on a single GPU",
    year: 2024,
    ..Card::CIFAR10
};

const fn entry(name: &'static str, title: &'static str, parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, title, parameters, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("airbench94", BASE.title, 1_972_792, |net, classes| airbench(net, classes, [64, 256, 256])),
    entry("tiny_airbench", "the same, an eighth as wide", 33_176, |net, classes| airbench(net, classes, [8, 32, 32])),
];

fn airbench(net: &mut Net, classes: usize, widths: [usize; 3]) -> Result<()> {
    // What a filter sees is 2·2·channels numbers; each principal component is there with both signs.
    let components = 4 * net.channels();
    net.init(Scheme { conv: Initializer::Dirac, ..Scheme::default() });
    net.conv("whiten", conv(2 * components, 2))?.activation(Activation::Gelu)?;
    for (i, width) in widths.into_iter().enumerate() {
        net.within(&format!("block{}", i + 1), |b| block(b, width))?;
    }
    let left = net.extents()[1..].iter().copied().min().unwrap_or(1).min(3);
    net.max_pool(pool(left))?.flatten()?.linear_with("linear", classes, false)?;
    net.layer("scale", |g, x| g.scale(x, 1.0 / 9.0))?;
    Ok(())
}

/// The running statistics follow the data fast, since a training has a few hundred steps.
const NORM: NormOptions = NormOptions { eps: 1e-12, momentum: 0.4 };

fn block(net: &mut Net, width: usize) -> Result<&mut Net> {
    net.conv("conv1", conv(width, 3).pad(1).no_bias())?.max_pool(2)?;
    net.batch_norm_with("norm1", NORM)?.activation(Activation::Gelu)?;
    net.conv("conv2", conv(width, 3).pad(1).no_bias())?;
    net.batch_norm_with("norm2", NORM)?.activation(Activation::Gelu)
}
