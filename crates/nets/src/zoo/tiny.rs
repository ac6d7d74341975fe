//! Siblings of a few layers, for tests and first steps.

use super::{Card, Entry, resnet_cifar};
use crate::{Net, conv};
use gabor_graph::Result;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "tiny_cnn",
            aliases: &[],
            title: "two small convolutions and a fully connected layer, for 8×8 pictures",
            paper: "",
            year: 2026,
            parameters: 1_898,
            input: &[1, 8, 8],
            ..Card::MNIST
        },
        build: tiny_cnn,
    },
    Entry {
        card: Card {
            name: "tiny_resnet",
            aliases: &["resnet8"],
            title: "CIFAR ResNet with one block per stage",
            parameters: 75_290,
            licence: Card::BASE.licence,
            ..resnet_cifar::BASE
        },
        build: |net, classes| resnet_cifar::resnet(net, classes, 1),
    },
];

fn tiny_cnn(net: &mut Net, classes: usize) -> Result<()> {
    net.conv("conv1", conv(8, 3).pad(1))?.relu()?.max_pool(2)?;
    net.conv("conv2", conv(16, 3).pad(1))?.relu()?.max_pool(2)?;
    net.flatten()?.linear("fc", classes)?;
    Ok(())
}
