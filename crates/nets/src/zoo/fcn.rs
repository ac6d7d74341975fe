//! Fully convolutional networks (Long, Shelhamer, Darrell 2015): VGG-16 as convolutions, scores upsampled by transposed
//! convolutions and cropped to the picture.
//!
//! Parameters are called as in the authors' Caffe models: `conv1_1` … `conv5_3`, `fc6`, `fc7`, `score_fr`, `upscore`.

use super::{Card, Entry, Preprocessing};
use crate::{ConvOptions, Net, Scheme, conv, pool};
use gabor_graph::{Initializer, Result, ValueId};

const PAPER: &str = "Long, Shelhamer, Darrell: Fully convolutional networks for semantic segmentation";

/// The picture as it is, less the mean colour. (The authors' own weights want blue first.)
const LESS_MEAN: Preprocessing = Preprocessing {
    resize: None,
    divisor: 1.0,
    mean: &[122.67891, 116.66877, 104.00699],
    std: &[1.0; 3],
    ..Preprocessing::IMAGENET
};

macro_rules! entry {
    ($name:literal, $aliases:expr, $title:literal, $parameters:literal, $stride:expr) => {
        Entry {
            card: Card {
                name: $name,
                aliases: $aliases,
                title: $title,
                paper: PAPER,
                year: 2015,
                parameters: $parameters,
                input: &[3, 500, 500],
                preprocessing: Some(LESS_MEAN),
                classes: 21,
                ..Card::BASE
            },
            build: |net, classes| fcn(net, classes, $stride, [64, 128, 256, 512, 512], 4096),
        }
    };
}

macro_rules! tiny {
    ($name:literal, $title:literal, $parameters:literal, $stride:expr) => {
        Entry {
            card: Card {
                name: $name,
                title: $title,
                paper: PAPER,
                year: 2015,
                parameters: $parameters,
                input: &[3, 32, 32],
                preprocessing: Some(LESS_MEAN),
                classes: 4,
                ..Card::BASE
            },
            build: |net, classes| fcn(net, classes, $stride, [4, 4, 6, 6, 8], 12),
        }
    };
}

pub(super) const ENTRIES: &[Entry] = &[
    entry!("fcn32s", &["fcn-32s"], "FCN-32s on VGG-16: scores at stride 32, upsampled at once", 136_152_917, 32),
    entry!("fcn16s", &["fcn-16s"], "FCN-16s: the scores of pool4 are added", 134_815_994, 16),
    entry!("fcn8s", &["fcn-8s"], "FCN-8s: the scores of pool4 and pool3 are added", 134_489_759, 8),
    tiny!("tiny_fcn32s", "FCN-32s with few filters", 74_496, 32),
    tiny!("tiny_fcn16s", "FCN-16s with few filters", 25_628, 16),
    tiny!("tiny_fcn8s", "FCN-8s with few filters", 13_624, 8),
];

fn fcn(net: &mut Net, classes: usize, stride: usize, filters: [usize; 5], hidden: usize) -> Result<()> {
    net.init(Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false }));
    let picture = net.extents()[1..].to_vec();
    let mut pooled = Vec::new();
    for (stage, (filters, convolutions)) in filters.into_iter().zip([2, 2, 3, 3, 3]).enumerate() {
        for i in 1..=convolutions {
            // So much padding leaves the scores something to be cropped from, whatever the picture's size.
            let pad = if (stage, i) == (0, 1) { 100 } else { 1 };
            net.conv(&format!("conv{}_{i}", stage + 1), conv(filters, 3).pad(pad))?.relu()?;
        }
        pooled.push(net.max_pool(pool(2).ceil())?.value());
    }
    net.conv("fc6", conv(hidden, 7))?.relu()?.dropout(0.5)?;
    net.conv("fc7", conv(hidden, 1))?.relu()?.dropout(0.5)?;
    // "We append a 1×1 convolution with channel dimension 21 to predict scores"; those layers start at zero.
    score(net, "score_fr", classes)?;
    if stride < 32 {
        skip(net, ("upscore2", "score_pool4"), pooled[3], classes, 5)?;
    }
    if stride < 16 {
        skip(net, ("upscore_pool4", "score_pool3"), pooled[2], classes, 9)?;
    }
    let (name, offset) = match stride {
        32 => ("upscore", 19),
        16 => ("upscore16", 27),
        _ => ("upscore8", 31),
    };
    upsample(net, name, classes, stride)?.crop(&[offset, offset], &picture)?;
    Ok(())
}

/// Upsamples the scores by 2 and adds those of an earlier pooling, cropped to the same extents.
fn skip(net: &mut Net, (up, name): (&str, &str), from: ValueId, classes: usize, offset: usize) -> Result<()> {
    let upsampled = upsample(net, up, classes, 2)?.value();
    let extents = net.extents()[1..].to_vec();
    score(net.at(from), name, classes)?;
    net.crop(&[offset, offset], &extents)?.add(upsampled)?;
    Ok(())
}

fn score<'n>(net: &'n mut Net, name: &str, classes: usize) -> Result<&'n mut Net> {
    with_init(net, Initializer::Zeros, |net| net.conv(name, conv(classes, 1)))
}

/// Upsampling by a whole factor, bilinear at first.
fn upsample<'n>(net: &'n mut Net, name: &str, classes: usize, factor: usize) -> Result<&'n mut Net> {
    let options: ConvOptions = conv(classes, 2 * factor).stride(factor).no_bias();
    with_init(net, Initializer::Bilinear, |net| net.conv_transpose(name, options, &[]))
}

/// One layer with weights of its own initialisation.
fn with_init(
    net: &mut Net,
    weights: Initializer,
    layer: impl FnOnce(&mut Net) -> Result<&mut Net>,
) -> Result<&mut Net> {
    net.init(Scheme::all(weights));
    layer(net)?;
    Ok(net.init(Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false })))
}
