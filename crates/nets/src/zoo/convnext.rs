//! ConvNeXt (Liu et al. 2022), as torchvision has it.

use super::{Card, Entry, Preprocessing};
use crate::{Activation, Net, Scheme, conv};
use gabor_graph::{Initializer, Result};

const BASE: Card = Card {
    title: "a residual network with the habits of transformers: 7×7 depthwise, layer normalisation, GELU",
    paper: "Liu, Mao, Wu, Feichtenhofer, Darrell, Xie: A ConvNet for the 2020s",
    year: 2022,
    ..Card::TORCHVISION
};

const fn prepared(resize: usize) -> Option<Preprocessing> {
    Some(Preprocessing { resize: Some(resize), ..Preprocessing::IMAGENET })
}

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card { name: "convnext_tiny", parameters: 28_589_128, preprocessing: prepared(236), ..BASE },
        build: |net, n| convnext(net, n, &[(96, 3), (192, 3), (384, 9), (768, 3)], 0.1),
    },
    Entry {
        card: Card { name: "convnext_small", parameters: 50_223_688, preprocessing: prepared(230), ..BASE },
        build: |net, n| convnext(net, n, &[(96, 3), (192, 3), (384, 27), (768, 3)], 0.4),
    },
    Entry {
        card: Card {
            name: "tiny_convnext",
            title: "ConvNeXt with two narrow stages",
            paper: BASE.paper,
            year: BASE.year,
            parameters: 6_082,
            ..Card::CIFAR10
        },
        build: |net, n| convnext(net, n, &[(8, 2), (16, 1)], 0.1),
    },
];

/// What the branch of a block is multiplied by at first.
const LAYER_SCALE: f64 = 1e-6;
const EPS: f64 = 1e-6;

/// `stages`: channels and blocks; `drop`: probability of leaving out the last block in training, rising linearly from 0.
fn convnext(net: &mut Net, classes: usize, stages: &[(usize, usize)], drop: f64) -> Result<()> {
    // torchvision truncates the normal distribution at 100 deviations, which changes nothing.
    net.init(Scheme::all(Initializer::Normal { mean: 0.0, std: 0.02 }));
    let last = stages.iter().map(|s| s.1).sum::<usize>().saturating_sub(1).max(1);
    net.conv("features.0.0", conv(stages[0].0, 4).stride(4))?.channel_norm("features.0.1", EPS)?;
    let (mut at, mut done) = (1, 0);
    for (i, &(channels, blocks)) in stages.iter().enumerate() {
        if i > 0 {
            net.channel_norm(&format!("features.{at}.0"), EPS)?;
            net.conv(&format!("features.{at}.1"), conv(channels, 2).stride(2))?;
            at += 1;
        }
        for j in 0..blocks {
            let drop = drop * done as f64 / last as f64;
            net.within(&format!("features.{at}.{j}"), |b| block(b, drop))?;
            done += 1;
        }
        at += 1;
    }
    net.global_avg_pool()?.channel_norm("classifier.0", EPS)?.flatten()?.linear("classifier.2", classes)?;
    Ok(())
}

fn block(net: &mut Net, drop: f64) -> Result<&mut Net> {
    let (x, c) = (net.value(), net.channels());
    net.conv("block.0", conv(c, 7).pad(3).groups(c))?.channel_norm("block.2", EPS)?;
    net.place_linear("block.3", 4 * c)?.activation(Activation::Gelu)?.place_linear("block.5", c)?;
    net.layer_scale("layer_scale", LAYER_SCALE)?.stochastic_depth(drop)?.add(x)
}
