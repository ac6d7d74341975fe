//! Networks without convolution: the world's smallest, softmax regression, and the multi-layer perceptron.

use super::{Card, Entry};
use crate::Net;
use gabor_graph::Result;

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "mlp",
            aliases: &["lenet-300-100"],
            title: "fully connected 300-100-classes with ReLU",
            paper: "LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition",
            year: 1998,
            parameters: 266_610,
            ..Card::MNIST
        },
        build: |net, classes| {
            net.flatten()?.linear("fc1", 300)?.relu()?;
            net.linear("fc2", 100)?.relu()?;
            net.linear("fc3", classes).map(|_| ())
        },
    },
    Entry {
        card: Card {
            name: "softmax_regression",
            aliases: &["linear"],
            title: "one fully connected layer: logistic regression with several classes",
            paper: "Cox: The regression analysis of binary sequences",
            year: 1958,
            parameters: 7_850,
            ..Card::MNIST
        },
        build: |net, classes| net.flatten()?.linear("fc", classes).map(|_| ()),
    },
    Entry {
        card: Card {
            name: "perceptron",
            aliases: &["smallest"],
            title: "the world's smallest network: y = wx",
            paper: "Rosenblatt: The perceptron",
            year: 1958,
            parameters: 1,
            input: &[1],
            classes: 1,
            ..Card::BASE
        },
        build: smallest,
    },
];

fn smallest(net: &mut Net, outputs: usize) -> Result<()> {
    net.linear_with("fc", outputs, false).map(|_| ())
}
