//! MobileNet v3 (Howard et al. 2019), as torchvision has it.

use super::efficientnet::divisible;
use super::resnet::he_with_small_linear;
use super::{Card, Entry};
use crate::{Activation, ConvOptions, Net, NormOptions, conv};
use gabor_graph::Result;

const BASE: Card = Card { paper: "Howard et al.: Searching for MobileNetV3", year: 2019, ..Card::TORCHVISION };

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "mobilenet_v3_large",
            aliases: &["mobilenetv3_large"],
            title: "inverted residuals found by search, squeeze and excitation, hard swish",
            parameters: 5_483_032,
            ..BASE
        },
        build: |net, n| mobilenet_v3(net, n, LARGE, 1280),
    },
    Entry {
        card: Card {
            name: "mobilenet_v3_small",
            aliases: &["mobilenetv3_small"],
            title: "the smaller of the two networks found by search",
            parameters: 2_542_856,
            ..BASE
        },
        build: |net, n| mobilenet_v3(net, n, SMALL, 1024),
    },
    Entry {
        card: Card {
            name: "tiny_mobilenet_v3",
            title: "MobileNet v3 with one block of each kind",
            paper: BASE.paper,
            year: BASE.year,
            parameters: 10_018,
            ..Card::CIFAR10
        },
        build: |net, n| mobilenet_v3(net, n, TINY, 32),
    },
];

/// A row of tables 1 and 2 of the paper: kernel, expanded channels, output channels, squeeze and excitation, activation,
/// stride.
type Row = (usize, usize, usize, bool, Activation, usize);
const RE: Activation = Activation::Relu;
const HS: Activation = Activation::HardSwish;

const LARGE: &[Row] = &[
    (3, 16, 16, false, RE, 1),
    (3, 64, 24, false, RE, 2),
    (3, 72, 24, false, RE, 1),
    (5, 72, 40, true, RE, 2),
    (5, 120, 40, true, RE, 1),
    (5, 120, 40, true, RE, 1),
    (3, 240, 80, false, HS, 2),
    (3, 200, 80, false, HS, 1),
    (3, 184, 80, false, HS, 1),
    (3, 184, 80, false, HS, 1),
    (3, 480, 112, true, HS, 1),
    (3, 672, 112, true, HS, 1),
    (5, 672, 160, true, HS, 2),
    (5, 960, 160, true, HS, 1),
    (5, 960, 160, true, HS, 1),
];
const SMALL: &[Row] = &[
    (3, 16, 16, true, RE, 2),
    (3, 72, 24, false, RE, 2),
    (3, 88, 24, false, RE, 1),
    (5, 96, 40, true, HS, 2),
    (5, 240, 40, true, HS, 1),
    (5, 240, 40, true, HS, 1),
    (5, 120, 48, true, HS, 1),
    (5, 144, 48, true, HS, 1),
    (5, 288, 96, true, HS, 2),
    (5, 576, 96, true, HS, 1),
    (5, 576, 96, true, HS, 1),
];
const TINY: &[Row] = &[(3, 16, 16, true, RE, 2), (3, 24, 16, false, RE, 1), (5, 32, 16, true, HS, 1)];

fn mobilenet_v3(net: &mut Net, classes: usize, rows: &[Row], last: usize) -> Result<()> {
    net.init(he_with_small_linear());
    net.within("features.0", |b| unit(b, conv(16, 3).stride(2).pad(1), Some(HS)))?;
    for (i, &row) in (1..).zip(rows) {
        net.within(&format!("features.{i}.block"), |b| inverted_residual(b, row))?;
    }
    let wide = 6 * net.channels();
    net.within(&format!("features.{}", rows.len() + 1), |b| unit(b, conv(wide, 1), Some(HS)))?;
    net.global_avg_pool()?.flatten()?.linear("classifier.0", last)?.activation(HS)?.dropout(0.2)?;
    net.linear("classifier.3", classes)?;
    Ok(())
}

/// Convolution without bias, batch normalisation (eps 0.001, momentum 0.01), activation.
fn unit(net: &mut Net, options: ConvOptions, activation: Option<Activation>) -> Result<&mut Net> {
    net.conv("0", options.no_bias())?.batch_norm_with("1", NormOptions { eps: 1e-3, momentum: 0.01 })?;
    match activation {
        Some(a) => net.activation(a),
        None => Ok(net),
    }
}

fn inverted_residual(net: &mut Net, (kernel, hidden, channels, squeeze, activation, stride): Row) -> Result<&mut Net> {
    let (x, inputs) = (net.value(), net.channels());
    let mut at = 0;
    let mut next = || {
        at += 1;
        (at - 1).to_string()
    };
    if hidden != inputs {
        net.within(&next(), |b| unit(b, conv(hidden, 1), Some(activation)))?;
    }
    let depthwise = conv(hidden, kernel).stride(stride).pad(kernel / 2).groups(hidden);
    net.within(&next(), |b| unit(b, depthwise, Some(activation)))?;
    if squeeze {
        let narrow = divisible((hidden / 4) as f64);
        net.within(&next(), |b| b.squeeze_excitation(narrow, Activation::Relu, Activation::HardSigmoid))?;
    }
    net.within(&next(), |b| unit(b, conv(channels, 1), None))?;
    if stride == 1 && inputs == channels { net.add(x) } else { Ok(net) }
}
