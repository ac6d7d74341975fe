//! AlexNet (Krizhevsky, Sutskever, Hinton 2012) in its forms.

use super::{Card, Entry};
use crate::{LrnOptions, Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

const PAPER: &str = "Krizhevsky, Sutskever, Hinton: ImageNet classification with deep convolutional neural networks";

const BASE: Card = Card { paper: PAPER, year: 2012, input: &[3, 227, 227], ..Card::IMAGENET };

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "alexnet",
            aliases: &["alexnet-one-column"],
            title: "AlexNet in one column, without response normalisation",
            parameters: 62_378_344,
            ..BASE
        },
        build: |net, n| alexnet(net, n, Form { groups: 1, lrn: false, narrow: 1 }),
    },
    Entry {
        card: Card {
            name: "alexnet_lrn",
            title: "AlexNet in one column, with response normalisation",
            parameters: 62_378_344,
            ..BASE
        },
        build: |net, n| alexnet(net, n, Form { groups: 1, lrn: true, narrow: 1 }),
    },
    Entry {
        card: Card {
            name: "alexnet_two_group",
            aliases: &["alexnet-paper"],
            title: "AlexNet as in the paper: two groups, response normalisation",
            parameters: 60_965_224,
            ..BASE
        },
        build: |net, n| alexnet(net, n, Form { groups: 2, lrn: true, narrow: 1 }),
    },
    Entry {
        card: Card {
            name: "alexnet_torchvision",
            aliases: &["alexnet-owt"],
            title: "AlexNet as torchvision has it (\"one weird trick\", 2014)",
            paper: "Krizhevsky: One weird trick for parallelizing convolutional neural networks",
            year: 2014,
            parameters: 61_100_840,
            ..Card::TORCHVISION
        },
        build: torchvision,
    },
    Entry {
        card: Card {
            name: "tiny_alexnet",
            title: "AlexNet as in the paper, a sixteenth as wide",
            parameters: 83_954,
            input: &[3, 67, 67],
            classes: 10,
            ..BASE
        },
        build: |net, n| alexnet(net, n, Form { groups: 2, lrn: true, narrow: 16 }),
    },
];

struct Form {
    groups: usize,
    /// Whether there is local response normalisation.
    lrn: bool,
    /// What all numbers of filters are divided by.
    narrow: usize,
}

fn alexnet(net: &mut Net, classes: usize, Form { groups, lrn, narrow }: Form) -> Result<()> {
    // The paper draws from a normal distribution of deviation 0.01, with which a plain ReLU network of this depth starts
    // very slowly; He's is what the field uses instead.
    net.init(Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false }));
    let normalise = |net: &mut Net| if lrn { net.lrn(LrnOptions::default()).map(|_| ()) } else { Ok(()) };
    let overlapping = || pool(3).stride(2);
    net.conv("conv1", conv(96 / narrow, 11).stride(4))?.relu()?;
    normalise(net)?;
    net.max_pool(overlapping())?;
    net.conv("conv2", conv(256 / narrow, 5).pad(2).groups(groups))?.relu()?;
    normalise(net)?;
    net.max_pool(overlapping())?;
    net.conv("conv3", conv(384 / narrow, 3).pad(1))?.relu()?;
    net.conv("conv4", conv(384 / narrow, 3).pad(1).groups(groups))?.relu()?;
    net.conv("conv5", conv(256 / narrow, 3).pad(1).groups(groups))?.relu()?.max_pool(overlapping())?;
    net.flatten()?.dropout(0.5)?;
    net.linear("fc6", 4096 / narrow)?.relu()?.dropout(0.5)?;
    net.linear("fc7", 4096 / narrow)?.relu()?;
    net.linear("fc8", classes)?;
    Ok(())
}

fn torchvision(net: &mut Net, classes: usize) -> Result<()> {
    let overlapping = || pool(3).stride(2);
    net.conv("features.0", conv(64, 11).stride(4).pad(2))?.relu()?.max_pool(overlapping())?;
    net.conv("features.3", conv(192, 5).pad(2))?.relu()?.max_pool(overlapping())?;
    net.conv("features.6", conv(384, 3).pad(1))?.relu()?;
    net.conv("features.8", conv(256, 3).pad(1))?.relu()?;
    net.conv("features.10", conv(256, 3).pad(1))?.relu()?.max_pool(overlapping())?;
    // The paper's places, whatever the picture's size.
    net.adaptive_avg_pool(&[6, 6])?;
    net.flatten()?.dropout(0.5)?;
    net.linear("classifier.1", 4096)?.relu()?.dropout(0.5)?;
    net.linear("classifier.4", 4096)?.relu()?;
    net.linear("classifier.6", classes)?;
    Ok(())
}
