//! Convolution over words (Kim 2014): windows of 3, 4 and 5 words, the largest response of each filter over the sentence.

use super::{Card, Entry};
use crate::{Net, Scheme};
use gabor_graph::{Initializer, Result};

const PAPER: &str = "Kim: Convolutional neural networks for sentence classification";

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        card: Card {
            name: "text_cnn",
            aliases: &["kim_cnn"],
            title: "CNN-rand on movie reviews: 300 numbers a word, 100 filters each over 3, 4 and 5 words",
            paper: PAPER,
            year: 2014,
            parameters: 5_990_702,
            // 56 words at most, and 4 of padding on both sides; 18,765 words and the padding.
            input: &[64],
            vocabulary: Some(18_766),
            classes: 2,
            ..Card::BASE
        },
        build: |net, classes| text_cnn(net, classes, 300, 100),
    },
    Entry {
        card: Card {
            name: "tiny_text_cnn",
            title: "the same with 8 numbers a word and 6 filters of each width, for 50 words",
            paper: PAPER,
            year: 2014,
            parameters: 1_032,
            input: &[12],
            vocabulary: Some(50),
            classes: 2,
            ..Card::BASE
        },
        build: |net, classes| text_cnn(net, classes, 8, 6),
    },
];

fn text_cnn(net: &mut Net, classes: usize, features: usize, filters: usize) -> Result<()> {
    // As in the author's program: words uniform in ±0.25, filters in ±0.01, the last layer zero.
    net.init(Scheme { linear: Initializer::Zeros, ..Scheme::all(Initializer::Uniform { low: -0.01, high: 0.01 }) });
    net.embedding("embedding", features, Initializer::Uniform { low: -0.25, high: 0.25 })?;
    let mut found = Vec::new();
    for (i, width) in [3, 4, 5].into_iter().enumerate() {
        found.push(net.branch(|b| b.conv1d(&format!("convs.{i}"), filters, width)?.relu()?.global_max_pool())?);
    }
    net.concat(&found)?.flatten()?.dropout(0.5)?.linear("fc", classes)?;
    Ok(())
}
