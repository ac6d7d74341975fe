//! Darknet's classifiers (Redmon 2013–2016): the reference network, "tiny", and Darknet-19 of YOLO v2.
//!
//! Convolutions without bias, batch normalisation, leaky ReLU 0.1, max pooling that halves; the last convolution is 1×1
//! with bias and gives the scores, which are averaged over all places. Parameters are called `conv1.weight`,
//! `bn1.weight` …, in the order of the configuration file.

use super::{Card, Entry, Preprocessing};
use crate::{Activation, Net, NormOptions, Scheme, conv, pool};
use gabor_graph::{Initializer, Result};

const REDMON: &str = "Redmon: Darknet, open source neural networks in C";

/// Short side 224, centre crop, values in 0..1.
const PICTURES: Preprocessing =
    Preprocessing { resize: Some(224), mean: &[0.0; 3], std: &[1.0; 3], ..Preprocessing::IMAGENET };

const CARD: Card = Card { preprocessing: Some(PICTURES), licence: "public domain (Darknet)", ..Card::IMAGENET };

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "darknet19",
            title: "Darknet-19: the classifier below YOLO v2",
            paper: "Redmon, Farhadi: YOLO9000: better, faster, stronger",
            year: 2016,
            parameters: 20_842_376,
            ..CARD
        },
        build: |net, classes| darknet(net, classes, DARKNET_19, 1e-5),
    },
    Entry {
        card: Card {
            name: "darknet",
            aliases: &["darknet_reference"],
            title: "Darknet's reference network: as good as AlexNet with a tenth of the parameters",
            paper: REDMON,
            year: 2013,
            parameters: 7_319_416,
            ..CARD
        },
        build: |net, classes| darknet(net, classes, REFERENCE, 1e-5),
    },
    Entry {
        card: Card {
            name: "darknet_tiny",
            aliases: &["tiny_darknet"],
            title: "Darknet's \"tiny\": SqueezeNet's size without fire modules",
            paper: REDMON,
            year: 2016,
            parameters: 1_042_104,
            ..CARD
        },
        // The published weights were converted with this eps.
        build: |net, classes| darknet(net, classes, TINY, 1e-3),
    },
];

/// A row of the configuration file.
#[derive(Clone, Copy)]
enum Row {
    /// Convolution: filters, extent of the kernel.
    Conv(usize, usize),
    /// Max pooling of 2×2 at stride 2.
    Pool,
}
use Row::{Conv, Pool};

const DARKNET_19: &[Row] = &[
    Conv(32, 3),
    Pool,
    Conv(64, 3),
    Pool,
    Conv(128, 3),
    Conv(64, 1),
    Conv(128, 3),
    Pool,
    Conv(256, 3),
    Conv(128, 1),
    Conv(256, 3),
    Pool,
    Conv(512, 3),
    Conv(256, 1),
    Conv(512, 3),
    Conv(256, 1),
    Conv(512, 3),
    Pool,
    Conv(1024, 3),
    Conv(512, 1),
    Conv(1024, 3),
    Conv(512, 1),
    Conv(1024, 3),
];

const REFERENCE: &[Row] = &[
    Conv(16, 3),
    Pool,
    Conv(32, 3),
    Pool,
    Conv(64, 3),
    Pool,
    Conv(128, 3),
    Pool,
    Conv(256, 3),
    Pool,
    Conv(512, 3),
    Pool,
    Conv(1024, 3),
];

const TINY: &[Row] = &[
    Conv(16, 3),
    Pool,
    Conv(32, 3),
    Pool,
    Conv(16, 1),
    Conv(128, 3),
    Conv(16, 1),
    Conv(128, 3),
    Pool,
    Conv(32, 1),
    Conv(256, 3),
    Conv(32, 1),
    Conv(256, 3),
    Pool,
    Conv(64, 1),
    Conv(512, 3),
    Conv(64, 1),
    Conv(512, 3),
    Conv(128, 1),
];

fn darknet(net: &mut Net, classes: usize, rows: &[Row], eps: f64) -> Result<()> {
    net.init(Scheme::all(Initializer::KaimingNormal { a: 0.0, fan_out: false }));
    let mut number = 0;
    for &row in rows {
        match row {
            Conv(filters, kernel) => {
                number += 1;
                net.conv(&format!("conv{number}"), conv(filters, kernel).pad(kernel / 2).no_bias())?;
                net.batch_norm_with(&format!("bn{number}"), NormOptions { eps, ..NormOptions::default() })?;
                net.activation(Activation::LeakyRelu(0.1))?;
            }
            // Darknet pads an odd extent behind, where nothing is larger than what is there.
            Pool => drop(net.max_pool(pool(2).ceil())?),
        }
    }
    net.conv(&format!("conv{}", number + 1), conv(classes, 1))?.global_avg_pool()?.flatten()?;
    Ok(())
}
