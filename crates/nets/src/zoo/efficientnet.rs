//! EfficientNet (Tan and Le 2019), as torchvision has it.

use super::{Card, Entry, Filter, Preprocessing};
use crate::{Activation, ConvOptions, Net, Scheme, conv};
use gabor_graph::{Initializer, Result};

const BASE: Card = Card {
    title: "inverted residuals with squeeze and excitation, depth, width and resolution scaled together",
    paper: "Tan, Le: EfficientNet: Rethinking model scaling for convolutional neural networks",
    year: 2019,
    ..Card::TORCHVISION
};

const fn prepared(resize: usize) -> Option<Preprocessing> {
    Some(Preprocessing { resize: Some(resize), filter: Filter::Bicubic, ..Preprocessing::IMAGENET })
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card { name: "efficientnet_b0", parameters: 5_288_548, preprocessing: prepared(256), ..BASE },
        build: |net, n| efficientnet(net, n, Form { width: 1.0, depth: 1.0, dropout: 0.2 }, STAGES),
    },
    Entry {
        card: Card {
            name: "efficientnet_b1",
            parameters: 7_794_184,
            input: &[3, 240, 240],
            preprocessing: prepared(256),
            ..BASE
        },
        build: |net, n| efficientnet(net, n, Form { width: 1.0, depth: 1.1, dropout: 0.2 }, STAGES),
    },
    Entry {
        card: Card {
            name: "efficientnet_b2",
            parameters: 9_109_994,
            input: &[3, 288, 288],
            preprocessing: prepared(288),
            ..BASE
        },
        build: |net, n| efficientnet(net, n, Form { width: 1.1, depth: 1.2, dropout: 0.3 }, STAGES),
    },
    Entry {
        card: Card {
            name: "efficientnet_b3",
            parameters: 12_233_232,
            input: &[3, 300, 300],
            preprocessing: prepared(320),
            ..BASE
        },
        build: |net, n| efficientnet(net, n, Form { width: 1.2, depth: 1.4, dropout: 0.3 }, STAGES),
    },
    Entry {
        card: Card {
            name: "efficientnet_b4",
            parameters: 19_341_616,
            input: &[3, 380, 380],
            preprocessing: prepared(384),
            ..BASE
        },
        build: |net, n| efficientnet(net, n, Form { width: 1.4, depth: 1.8, dropout: 0.4 }, STAGES),
    },
    Entry {
        card: Card {
            name: "tiny_efficientnet",
            title: "EfficientNet with three narrow stages",
            paper: BASE.paper,
            year: BASE.year,
            parameters: 14_312,
            ..Card::CIFAR10
        },
        build: |net, n| efficientnet(net, n, Form { width: 0.5, depth: 1.0, dropout: 0.2 }, TINY),
    },
];

/// Width and depth as factors of B0's, and the probability of dropout before the classifier.
struct Form {
    width: f64,
    depth: f64,
    dropout: f64,
}

/// Expansion, kernel, first stride, input channels, output channels, blocks (table 1 of the paper).
type Stage = [usize; 6];
const STAGES: &[Stage] = &[
    [1, 3, 1, 32, 16, 1],
    [6, 3, 2, 16, 24, 2],
    [6, 5, 2, 24, 40, 2],
    [6, 3, 2, 40, 80, 3],
    [6, 5, 1, 80, 112, 3],
    [6, 5, 2, 112, 192, 4],
    [6, 3, 1, 192, 320, 1],
];
const TINY: &[Stage] = &[[1, 3, 1, 32, 16, 1], [4, 3, 2, 16, 24, 2], [4, 5, 1, 24, 40, 1]];

/// Probability of leaving out the last block in training; it rises linearly from 0.
const STOCHASTIC_DEPTH: f64 = 0.2;

/// The multiple of 8 nearest to a number of channels, not less than 90 % of it.
pub(super) fn divisible(channels: f64) -> usize {
    let near = (((channels + 4.0) / 8.0) as usize * 8).max(8);
    if (near as f64) < 0.9 * channels { near + 8 } else { near }
}

fn efficientnet(net: &mut Net, classes: usize, form: Form, stages: &[Stage]) -> Result<()> {
    let range = 1.0 / (classes as f64).sqrt();
    net.init(Scheme::he_fan_out(Initializer::Uniform { low: -range, high: range }, Some(Initializer::Zeros)));
    let width = |channels: usize| divisible(channels as f64 * form.width);
    let depth = |blocks: usize| (blocks as f64 * form.depth).ceil() as usize;
    let total: usize = stages.iter().map(|s| depth(s[5])).sum();
    net.within("features.0", |b| unit(b, conv(width(stages[0][3]), 3).stride(2).pad(1), true))?;
    let mut done = 0;
    for (i, &[expand, kernel, stride, _, channels, blocks]) in (1..).zip(stages) {
        for j in 0..depth(blocks) {
            let block = Block {
                expand,
                kernel,
                stride: if j == 0 { stride } else { 1 },
                channels: width(channels),
                drop: STOCHASTIC_DEPTH * done as f64 / total as f64,
            };
            net.within(&format!("features.{i}.{j}.block"), |b| inverted_residual(b, &block))?;
            done += 1;
        }
    }
    let wide = 4 * net.channels();
    net.within(&format!("features.{}", stages.len() + 1), |b| unit(b, conv(wide, 1), true))?;
    net.global_avg_pool()?.flatten()?.dropout(form.dropout)?.linear("classifier.1", classes)?;
    Ok(())
}

/// Convolution without bias, batch normalisation, and SiLU where wanted.
fn unit(net: &mut Net, options: ConvOptions, active: bool) -> Result<&mut Net> {
    net.conv("0", options.no_bias())?.batch_norm("1")?;
    if active { net.activation(Activation::Silu) } else { Ok(net) }
}

struct Block {
    expand: usize,
    kernel: usize,
    stride: usize,
    channels: usize,
    /// Probability of stochastic depth.
    drop: f64,
}

fn inverted_residual<'a>(net: &'a mut Net, block: &Block) -> Result<&'a mut Net> {
    let &Block { expand, kernel, stride, channels, drop } = block;
    let (x, inputs) = (net.value(), net.channels());
    let hidden = divisible((inputs * expand) as f64);
    let mut at = 0;
    if hidden != inputs {
        net.within("0", |b| unit(b, conv(hidden, 1), true))?;
        at = 1;
    }
    let depthwise = conv(hidden, kernel).stride(stride).pad(kernel / 2).groups(hidden);
    net.within(&at.to_string(), |b| unit(b, depthwise, true))?;
    let narrow = (inputs / 4).max(1);
    let excite = |b: &mut Net| b.squeeze_excitation(narrow, Activation::Silu, Activation::Sigmoid).map(|_| ());
    net.within(&(at + 1).to_string(), |b| excite(b).map(|()| b))?;
    net.within(&(at + 2).to_string(), |b| unit(b, conv(channels, 1), false))?;
    if stride == 1 && inputs == channels { net.stochastic_depth(drop)?.add(x) } else { Ok(net) }
}
