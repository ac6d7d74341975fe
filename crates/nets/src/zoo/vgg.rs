//! VGG (Simonyan and Zisserman 2015): the table's columns A to E, with and without batch normalisation.

use super::resnet::he_with_small_linear;
use super::{Build, Card, Entry};
use crate::{LrnOptions, Net, conv};
use gabor_graph::Result;

const BASE: Card = Card {
    title: "very deep network of 3×3 convolutions",
    paper: "Simonyan, Zisserman: Very deep convolutional networks for large-scale image recognition",
    year: 2015,
    ..Card::TORCHVISION
};

const fn entry(name: &'static str, aliases: &'static [&'static str], parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, aliases, parameters, ..BASE }, build }
}
/// A column of the table that torchvision leaves out.
const fn rare(name: &'static str, aliases: &'static [&'static str], parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, aliases, parameters, licence: Card::BASE.licence, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("vgg11", &["vgg-a"], 132_863_336, |net, classes| vgg(net, classes, A, Norm::None)),
    rare("vgg11_lrn", &["vgg-a-lrn"], 132_863_336, |net, classes| vgg(net, classes, A, Norm::Lrn)),
    entry("vgg13", &["vgg-b"], 133_047_848, |net, classes| vgg(net, classes, B, Norm::None)),
    rare("vgg16c", &["vgg-c"], 133_638_952, |net, classes| vgg(net, classes, C, Norm::None)),
    entry("vgg16", &["vgg-d"], 138_357_544, |net, classes| vgg(net, classes, D, Norm::None)),
    entry("vgg19", &["vgg-e"], 143_667_240, |net, classes| vgg(net, classes, E, Norm::None)),
    entry("vgg11_bn", &["vgg-a-bn"], 132_868_840, |net, classes| vgg(net, classes, A, Norm::Batch)),
    entry("vgg13_bn", &["vgg-b-bn"], 133_053_736, |net, classes| vgg(net, classes, B, Norm::Batch)),
    entry("vgg16_bn", &["vgg-d-bn"], 138_365_992, |net, classes| vgg(net, classes, D, Norm::Batch)),
    entry("vgg19_bn", &["vgg-e-bn"], 143_678_248, |net, classes| vgg(net, classes, E, Norm::Batch)),
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

fn vgg(net: &mut Net, classes: usize, column: Column, norm: Norm) -> Result<()> {
    net.init(he_with_small_linear());
    let mut at = 0;
    let mut next = |layers: usize| {
        at += layers;
        format!("features.{}", at - layers)
    };
    for (filters, kernels) in [64, 128, 256, 512, 512].into_iter().zip(column) {
        for (i, &k) in kernels.iter().enumerate() {
            net.conv(&next(1), conv(filters, k).pad(k / 2))?;
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
    net.linear("classifier.0", 4096)?.relu()?.dropout(0.5)?;
    net.linear("classifier.3", 4096)?.relu()?.dropout(0.5)?;
    net.linear("classifier.6", classes)?;
    Ok(())
}
