//! ZFNet (Zeiler and Fergus 2014): AlexNet with a finer first layer.

use super::{Card, Entry};
use crate::{LrnOptions, Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

const PAPER: &str = "Zeiler, Fergus: Visualizing and understanding convolutional networks";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "zfnet",
            aliases: &[],
            title: "AlexNet with 7×7 filters at stride 2 in the first layer (figure 3 of the paper)",
            paper: PAPER,
            year: 2014,
            parameters: 62_357_608,
            ..Card::IMAGENET
        },
        build: |net, classes| zfnet(net, classes, [384, 384, 256], 1),
    },
    Entry {
        card: Card {
            name: "zfnet512",
            aliases: &["zfnet-lecture"],
            title: "ZFNet with 512, 1024 and 512 filters in the last convolutions, as in the lecture",
            paper: PAPER,
            year: 2014,
            parameters: 107_627_624,
            ..Card::IMAGENET
        },
        build: |net, classes| zfnet(net, classes, [512, 1024, 512], 1),
    },
    Entry {
        card: Card {
            name: "tiny_zfnet",
            title: "ZFNet, a sixteenth as wide",
            paper: PAPER,
            year: 2014,
            parameters: 88_178,
            input: &[3, 63, 63],
            classes: 10,
            ..Card::IMAGENET
        },
        build: |net, classes| zfnet(net, classes, [384, 384, 256], 16),
    },
];

/// `last`: filters of the last three convolutions; `narrow` divides all numbers of filters.
fn zfnet(net: &mut Net, classes: usize, last: [usize; 3], narrow: usize) -> Result<()> {
    let [third, fourth, fifth] = last.map(|filters| filters / narrow);
    net.init(Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false }));
    net.conv("conv1", conv(96 / narrow, 7).stride(2).pad(1))?.relu()?;
    net.max_pool(pool(3).stride(2).pad(1))?.lrn(LrnOptions::default())?;
    net.conv("conv2", conv(256 / narrow, 5).stride(2))?.relu()?;
    net.max_pool(pool(3).stride(2).pad(1))?.lrn(LrnOptions::default())?;
    net.conv("conv3", conv(third, 3).pad(1))?.relu()?;
    net.conv("conv4", conv(fourth, 3).pad(1))?.relu()?;
    net.conv("conv5", conv(fifth, 3).pad(1))?.relu()?.max_pool(pool(3).stride(2))?;
    net.flatten()?;
    net.linear("fc6", 4096 / narrow)?.relu()?.dropout(0.5)?;
    net.linear("fc7", 4096 / narrow)?.relu()?.dropout(0.5)?;
    net.linear("fc8", classes)?;
    Ok(())
}
