//! VGG (Simonyan and Zisserman 2015): the table's columns A to E, with and without batch normalisation.

use super::resnet::he_with_small_linear;
use super::{Build, Card, Entry};
use crate::{LrnOptions, Net, conv};
use gabor_graph::Result;

const BASE: Card = Card {
    paper: "Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition",
    year: 2015,
    ..Card::TORCHVISION
};

/// A column of the table: name, other name, what tells it from the others.
type Named = (&'static str, &'static [&'static str], &'static str);

const fn entry((name, aliases, title): Named, parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, aliases, title, parameters, ..BASE }, build }
}
/// A column of the table that torchvision leaves out.
const fn rare((name, aliases, title): Named, parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, aliases, title, parameters, licence: Card::BASE.licence, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry(("vgg11", &["vgg-a"], "VGG, column A: 11 layers, 3×3 convolutions"), 132_863_336, |net, n| {
        vgg(net, n, A, Norm::None, 1)
    }),
    rare(
        ("vgg11_lrn", &["vgg-a-lrn"], "VGG, column A: 11 layers, 3×3 convolutions, with local response normalisation"),
        132_863_336,
        |net, n| vgg(net, n, A, Norm::Lrn, 1),
    ),
    entry(("vgg13", &["vgg-b"], "VGG, column B: 13 layers, 3×3 convolutions"), 133_047_848, |net, n| {
        vgg(net, n, B, Norm::None, 1)
    }),
    rare(("vgg16c", &["vgg-c"], "VGG, column C: 16 layers, convolutions of 3×3 and 1×1"), 133_638_952, |net, n| {
        vgg(net, n, C, Norm::None, 1)
    }),
    entry(("vgg16", &["vgg-d"], "VGG, column D: 16 layers, 3×3 convolutions"), 138_357_544, |net, n| {
        vgg(net, n, D, Norm::None, 1)
    }),
    entry(("vgg19", &["vgg-e"], "VGG, column E: 19 layers, 3×3 convolutions"), 143_667_240, |net, n| {
        vgg(net, n, E, Norm::None, 1)
    }),
    entry(
        ("vgg11_bn", &["vgg-a-bn"], "VGG, column A: 11 layers, 3×3 convolutions, with batch normalisation"),
        132_868_840,
        |net, n| vgg(net, n, A, Norm::Batch, 1),
    ),
    entry(
        ("vgg13_bn", &["vgg-b-bn"], "VGG, column B: 13 layers, 3×3 convolutions, with batch normalisation"),
        133_053_736,
        |net, n| vgg(net, n, B, Norm::Batch, 1),
    ),
    entry(
        ("vgg16_bn", &["vgg-d-bn"], "VGG, column D: 16 layers, 3×3 convolutions, with batch normalisation"),
        138_365_992,
        |net, n| vgg(net, n, D, Norm::Batch, 1),
    ),
    entry(
        ("vgg19_bn", &["vgg-e-bn"], "VGG, column E: 19 layers, 3×3 convolutions, with batch normalisation"),
        143_678_248,
        |net, n| vgg(net, n, E, Norm::Batch, 1),
    ),
    Entry {
        card: Card {
            name: "tiny_vgg",
            title: "VGG-11 with batch normalisation, a sixteenth as wide",
            paper: BASE.paper,
            year: BASE.year,
            parameters: 506_650,
            ..Card::CIFAR10
        },
        build: |net, n| vgg(net, n, A, Norm::Batch, 16),
    },
];

#[derive(Clone, Copy, PartialEq)]
enum Norm {
    None,
    Lrn,
    Batch,
}

/// Kernel extents of the convolutions between two max poolings; the filters are 64, 128, 256, 512, 512.
type Column = [&'static [usize]; 5];
const A: Column = [&[3], &[3], &[3, 3], &[3, 3], &[3, 3]];
const B: Column = [&[3, 3]; 5];
const C: Column = [&[3, 3], &[3, 3], &[3, 3, 1], &[3, 3, 1], &[3, 3, 1]];
const D: Column = [&[3, 3], &[3, 3], &[3, 3, 3], &[3, 3, 3], &[3, 3, 3]];
const E: Column = [&[3, 3], &[3, 3], &[3, 3, 3, 3], &[3, 3, 3, 3], &[3, 3, 3, 3]];

/// `narrow` divides all numbers of filters.
fn vgg(net: &mut Net, classes: usize, column: Column, norm: Norm, narrow: usize) -> Result<()> {
    net.init(he_with_small_linear());
    let mut at = 0;
    let mut next = |layers: usize| {
        at += layers;
        format!("features.{}", at - layers)
    };
    for (filters, kernels) in [64, 128, 256, 512, 512].into_iter().zip(column) {
        for (i, &k) in kernels.iter().enumerate() {
            net.conv(&next(1), conv(filters / narrow, k).pad(k / 2))?;
            if norm == Norm::Batch {
                net.batch_norm(&next(1))?;
            }
            net.relu()?;
            // The number of the ReLU, so that those after it are torchvision's.
            next(1);
            if norm == Norm::Lrn && filters == 64 && i == 0 {
                net.lrn(LrnOptions::default())?;
            }
        }
        net.max_pool(2)?;
        next(1);
    }
    // The paper's places, whatever the picture's size.
    net.adaptive_avg_pool(&[7, 7])?;
    net.flatten()?;
    net.linear("classifier.0", 4096 / narrow)?.relu()?.dropout(0.5)?;
    net.linear("classifier.3", 4096 / narrow)?.relu()?.dropout(0.5)?;
    net.linear("classifier.6", classes)?;
    Ok(())
}
