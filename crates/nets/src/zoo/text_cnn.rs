//! Convolution over words: windows of 3, 4 and 5 words and the largest response of each filter over a sentence (Kim 2014);
//! sentences out of words, then a document out of sentences (Denil et al. 2014).

use super::{Card, Entry};
use crate::{Net, Scheme, conv};
use gabor_graph::{Error, Initializer, Result};
use gabor_tensor::{Dim, Rule, Shape};

const PAPER: &str = "Kim: Convolutional neural networks for sentence classification";
const DENIL: &str = "Denil, Demiraj, Kalchbrenner, Blunsom, de Freitas: Modelling, visualising and summarising documents with a \
                     single convolutional neural network";

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
    Entry {
        card: Card {
            name: "document_cnn",
            aliases: &["denil_cnn"],
            title: "sentences out of words, a document out of 15 sentences of 30 words, k-max pooling (the paper's structure; \
                    extents of our choice)",
            paper: DENIL,
            year: 2014,
            parameters: 202_183,
            input: &[450],
            vocabulary: Some(20_000),
            classes: 2,
            ..Card::BASE
        },
        build: |net, classes| document_cnn(net, classes, &DOCUMENT),
    },
    Entry {
        card: Card {
            name: "tiny_document_cnn",
            title: "the same for 4 sentences of 6 words out of 50",
            paper: DENIL,
            year: 2014,
            parameters: 333,
            input: &[24],
            vocabulary: Some(50),
            classes: 2,
            ..Card::BASE
        },
        build: |net, classes| document_cnn(net, classes, &TINY_DOCUMENT),
    },
];

/// Extents of a document network.
struct Sizes {
    /// Words of a sentence.
    sentence: usize,
    /// Numbers of a word.
    features: usize,
    /// Extent of the windows, in words and in sentences.
    width: usize,
    /// Filters over words, and how many responses of each are kept.
    words: (usize, usize),
    /// Filters over sentences, and how many responses of each are kept.
    sentences: (usize, usize),
}

const DOCUMENT: Sizes = Sizes { sentence: 30, features: 10, width: 5, words: (6, 4), sentences: (15, 2) };
const TINY_DOCUMENT: Sizes = Sizes { sentence: 6, features: 4, width: 3, words: (3, 2), sentences: (4, 2) };

/// `[n, sentences·words]` numbers of words. A convolution over the words of each sentence, its largest responses and tanh
/// give a vector for the sentence; the same over these vectors gives one for the document. Windows may stick out at both
/// ends, as in the dynamic network of Kalchbrenner et al. 2014 that the paper extends.
fn document_cnn(net: &mut Net, classes: usize, s: &Sizes) -> Result<()> {
    let length = net.channels();
    if !length.is_multiple_of(s.sentence) {
        let rule = Rule::new(format!("a document of {length} words in sentences of {}", s.sentence));
        return Err(Error::new("tokens", rule.right(format!("a multiple of {}", s.sentence))));
    }
    let sentences = length / s.sentence;
    net.embedding("embedding", s.features, Initializer::Uniform { low: -0.25, high: 0.25 })?;
    // Every sentence becomes a sample of its own.
    net.layer("split", |g, x| {
        let x = g.reshape(x, &Shape::batch(&[s.features, sentences, s.sentence]))?;
        let x = g.transpose(x, &[0, 2, 1, 3])?;
        g.reshape(x, &Shape([Dim::Batch(sentences), Dim::Fixed(s.features), Dim::Fixed(s.sentence)].to_vec()))
    })?;
    let level = |net: &mut Net, name: &str, (filters, kept): (usize, usize)| -> Result<()> {
        net.conv(name, conv(filters, s.width).pad(s.width - 1))?.k_max_pool(kept)?.tanh()?;
        Ok(())
    };
    level(net, "words", s.words)?;
    net.layer("join", |g, x| {
        let x = g.reshape(x, &Shape::batch(&[sentences, s.words.0 * s.words.1]))?;
        g.transpose(x, &[0, 2, 1])
    })?;
    level(net, "sentences", s.sentences)?;
    net.flatten()?.dropout(0.5)?.linear("fc", classes)?;
    Ok(())
}

fn text_cnn(net: &mut Net, classes: usize, features: usize, filters: usize) -> Result<()> {
    // As in the author's program, words are uniform in ±0.25 and filters in ±0.01; its last layer begins at zero, which
    // holds the filters still for a step, so that ours is like the filters.
    net.init(Scheme::all(Initializer::Uniform { low: -0.01, high: 0.01 }));
    net.embedding("embedding", features, Initializer::Uniform { low: -0.25, high: 0.25 })?;
    let mut found = Vec::new();
    for (i, width) in [3, 4, 5].into_iter().enumerate() {
        found.push(net.branch(|b| b.conv1d(&format!("convs.{i}"), filters, width)?.relu()?.global_max_pool())?);
    }
    net.concat(&found)?.flatten()?.dropout(0.5)?.linear("fc", classes)?;
    Ok(())
}
