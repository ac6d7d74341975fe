//! AlphaGo's policy network (Silver et al. 2016): a move for every point of the board.

use super::{Build, Card, Entry};
use crate::{Net, Scheme, conv};
use gabor_graph::{Error, Initializer, Result};
use gabor_tensor::Rule;

const BASE: Card = Card {
    title: "policy network of AlphaGo: 48 feature planes, 13 layers, a logit per point of the board",
    paper: "Silver et al.: Mastering the game of Go with deep neural networks and tree search",
    year: 2016,
    input: &[48, 19, 19],
    classes: 361,
    ..Card::BASE
};

const fn entry(name: &'static str, aliases: &'static [&'static str], parameters: u64, build: Build) -> Entry {
    Entry { card: Card { name, aliases, parameters, ..BASE }, build }
}

pub(super) const ENTRIES: &[Entry] = &[
    entry("alphago_policy", &["alphago", "alphago-policy-192", "alphago-policy-k192"], 3_882_793, |net, classes| {
        policy(net, classes, 192)
    }),
    entry("alphago_policy_128", &["alphago-policy-k128"], 1_777_641, |net, classes| policy(net, classes, 128)),
    entry("alphago_policy_256", &["alphago-policy-k256"], 6_798_953, |net, classes| policy(net, classes, 256)),
    entry("alphago_policy_384", &["alphago-policy-k384"], 15_064_297, |net, classes| policy(net, classes, 384)),
    Entry {
        card: Card {
            name: "tiny_alphago",
            title: "AlphaGo's policy network with 8 filters, for a board of 7 × 7",
            parameters: 16_089,
            input: &[48, 7, 7],
            classes: 49,
            ..BASE
        },
        build: |net, classes| policy(net, classes, 8),
    },
];

fn policy(net: &mut Net, classes: usize, k: usize) -> Result<()> {
    net.init(Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false }));
    let places: usize = net.extents()[1..].iter().product();
    if classes != places {
        return Err(Error::new(
            "alphago_policy",
            Rule::new(format!("{classes} classes, and the network has a logit for each of {places} points"))
                .right(format!("{places} classes")),
        ));
    }
    net.conv("conv1", conv(k, 5).pad(2))?.relu()?;
    for i in 2..=12 {
        net.conv(&format!("conv{i}"), conv(k, 3).pad(1))?.relu()?;
    }
    // "The final layer convolves 1 filter of kernel size 1×1 with stride 1, with a different bias for each position."
    net.conv("conv13", conv(1, 1).no_bias())?.flatten()?.place_bias("position")?;
    Ok(())
}
