//! The lectures' notation: a network in a line of text.
//!
//! ```text
//! INPUT 3x32x32 -> [[CONV3-32 -> RELU]*2 -> POOL]*3 -> [FC-256 -> RELU -> DROPOUT0.5]*1 -> FC-10
//! INPUT 3x224x224  conv3-64 conv3-64 maxpool conv3-128 conv3-128 maxpool FC-4096 FC-4096 FC-1000 soft-max
//! ```
//!
//! **Chains.** Layers follow each other, with `->`, commas, strokes (`CONV-RELU`), spaces or new lines between them; `#`
//! begins a comment. Upper and lower case are the same. `[…]*3` repeats a group or a layer. `N`, `M` and `K` of the
//! lectures are given numbers at the end, `where N=2, M=3`, or are replaced by them. `POOL?` pools where its window fits
//! and is left out where the maps have become too small.
//!
//! **Layers.**
//!
//! | word | layer |
//! |---|---|
//! | `INPUT 3x32x32` | the input's extents, channels first; `INPUT` alone: as the data says; `input (224×224 RGB image)` |
//! | `conv3-64` | 64 filters of 3×3 (in as many dimensions as the input has); `conv3x5-64` 3×5; padding (k-1)/2 unless said; `CONV` alone: 3×3, 32 filters, doubled after every pooling up to 512 |
//! | `dwconv3`, `deconv2-64`, `local3-8` | depthwise, transposed and locally connected (no weight sharing); a transposed one pads nothing unless said |
//! | `POOL`, `maxpool`, `maxpool3`, `avgpool2`, `l2pool2` | pooling, 2×2 unless said, stride equal to the window unless said |
//! | `gap`, `gmp`, `adaptiveavgpool7`, `adaptivemaxpool7` | global average and maximum, average and maximum of 7×7 places |
//! | `FC-4096` | fully connected, `nobias` may follow; the last `FC` may leave out its number: the data's classes; others then have 128 units |
//! | `LRN`, `bn`, `gn8`, `ln` | local response, batch, group (8 groups) and layer normalisation |
//! | `relu`, `tanh`, `sigmoid`, `leakyrelu0.1`, `gelu`, … | activations, see [`Activation`](crate::Activation) |
//! | `maxout2` | the largest of each two neighbouring channels |
//! | `dropout0.5`, `flatten`, `placebias` | `FC` flattens by itself; a bias of its own for every place |
//! | `shuffle2`, `channelnorm`, `layerscale`, `droppath0.1` | channel shuffle, normalisation over channels, ConvNeXt's scale, stochastic depth at the end of a residual block |
//! | `INPUT 64 words of 20000 embed-300` | a text and its vectors, `[n, 300, 64]`, for 1D convolutions |
//! | `soft-max` | may end the network; the output stays the logits before it, as losses and predictions want. After an activation, dropout or pooling, and as `soft-max-10`, it is the lectures' classifier: a fully connected layer before it |
//!
//! **After a convolution or pooling** may stand `s2` or `/2` (stride), `p1`, `same`, `valid` (padding), `g2` (groups),
//! `d2` (dilation), `nobias`, `ceil`, also joined: `conv11-96 s4p0` or `conv11-96/4p0`; `s2x1` has a number for each
//! dimension. The same in words: `stride 4, pad 0`.
//!
//! **Branches.** `res[ … ]` adds the group's input to its output, through a 1×1 convolution where the shapes differ (with
//! batch normalisation if the group has some). `[ a | b | c ]` joins branches along the channels, `add[ a | b ]` adds
//! them, `mul[ a | b ]` multiplies them (extents of 1 are repeated); an empty branch passes its input on.
//!
//! **Names.** `stem: conv7-64/2` names a layer; the name of a group or a residual block is the prefix of the names inside,
//! and a repeat counts: `layer1: res[…]*2` has `layer1.0.conv1.weight`. `where block=[…]` names a part of the network,
//! which may then stand anywhere.
//!
//! **Listings of the lectures** are read as they are: `[55x55x96] CONV1: 96 11x11 filters at stride 4, pad 0`,
//! `FC6: 4096 neurons`, `CONV3-64: [224x224x64]`. Shapes in square brackets (width, height, depth) are compared with what
//! the layers give; what follows `memory:` and `params:`, and remarks in round brackets, are passed over. Filters in words
//! pad nothing unless said.
//!
//! **No activation anywhere** means the VGG table's reading: a ReLU after each convolution and fully connected layer but
//! the last (after its batch normalisation, and in a residual block after the addition).
//!
//! A mistake is shown with its place underlined. Sizes and repeats are bounded: extents 16,384, filters 16,384, kernels
//! 255, 2,000 layers, 2³¹ elements in a value or weight, 65,536 bytes of text.

mod build;
mod define;
mod error;
mod expand;
mod file;
mod lex;
mod options;
mod phrase;
mod tree;
mod words;

pub use error::NotationError;
pub use file::{is_toml, parse_toml};
pub(crate) use words::shown;

use crate::zoo::{MOST_CLASSES, MOST_EXTENT, Options, input_extents};
use crate::{Mode, Net, Network};
use error::Fault;
use gabor_graph::Error;
use gabor_tensor::Rule;
use lex::Span;
use std::sync::Arc;

/// Longest text that is read, in bytes.
const MOST_TEXT: usize = 1 << 16;

/// Reads a description. What it leaves open (`INPUT` and the last `FC` alone) is taken from `options`; what both say must
/// agree. The network is built once, so sizes that do not fit are found here.
///
/// ```
/// use gabor_nets::{notation, zoo::Options};
/// let net = notation::parse("INPUT 3x32x32 -> [[CONV3-16 -> RELU]*2 -> POOL]*2 -> FC-10", &Options::default()).unwrap();
/// assert_eq!((net.input(), net.classes()), (&[3, 32, 32][..], 10));
/// let mistake = notation::parse("INPUT 3x32x32 -> convv3-16 -> FC-10", &Options::default()).unwrap_err();
/// assert_eq!(mistake.to_string(), "line 1, column 18: `convv3-16` is not a layer
///   INPUT 3x32x32 -> convv3-16 -> FC-10
///                    ^^^^^^^^^
///   right would be: conv, deconv or dwconv");
/// ```
///
/// # Errors
/// The first mistake, with its place and what would fit.
pub fn parse(text: &str, options: &Options) -> Result<Network, NotationError> {
    read(text, options).map_err(|fault| NotationError::new(text, fault))
}

fn read(text: &str, options: &Options) -> Result<Network, Fault> {
    if text.len() > MOST_TEXT {
        let rule = Rule::new(format!("a description of {} bytes", text.len()));
        return Err(Fault::at(Span::default(), rule.right(format!("at most {MOST_TEXT}"))));
    }
    let items = tree::parse(lex::lex(text, 0)?, Default::default())?;
    network("description", &items, options, &Reading { implicit: true, ..Reading::default() })
}

/// What is said of a network whose ReLUs follow from the VGG table.
const UNWRITTEN: &str = "no activation is written, so a ReLU follows each convolution and fully connected layer but the \
                         last, as in the VGG table; with one written anywhere, none is added";

/// What is said beside a tree.
#[derive(Default)]
struct Reading {
    /// Whether a text without activations is read as the VGG table.
    implicit: bool,
    /// Whether it is a list of layers, in PyTorch's words.
    listed: bool,
    /// The input's extents, as a file says; the options may change them.
    input: Option<(Vec<usize>, Span)>,
    /// Number of words, as a file says, if the input is text.
    vocabulary: Option<usize>,
}

/// The network of a tree. It is built once, so that whatever does not fit is found where the place is still known.
fn network(name: &str, items: &[tree::Item], options: &Options, reading: &Reading) -> Result<Network, Fault> {
    let mut plan = expand::expand(items)?;
    plan.implicit &= reading.implicit;
    plan.vocabulary = plan.vocabulary.or(reading.vocabulary);
    let input = input(&plan, options, reading)?;
    let plan = expand::with_classes(plan, options.classes)?;
    let plan = Arc::new(plan);
    let start = plan.input_span;
    let net = match plan.vocabulary {
        Some(words) => Net::text(name, input[0], words, Mode::Infer),
        None => Net::new(name, &input, Mode::Infer),
    };
    let mut net = net.map_err(|e| Fault::at(start, e.rule().clone()))?;
    let unwritten = build::build(&mut net, &plan)?;
    let classes = net.channels();
    if classes > MOST_CLASSES {
        let rule = Rule::new(format!("{classes} classes")).right(format!("at most {MOST_CLASSES}"));
        return Err(Fault::at(plan.end_span, rule));
    }
    if options.classes.is_some_and(|c| c != classes) {
        let want = options.classes.unwrap_or_default();
        let rule = Rule::new(format!("the network ends with {classes} outputs, and there are {want} classes"));
        let right = match reading.listed {
            true => format!("out_features = {want} in the last layer, or none, which takes the classes"),
            false => format!("FC-{want} at the end"),
        };
        return Err(Fault::at(plan.end_span, rule.right(right)));
    }
    let vocabulary = plan.vocabulary;
    let build = move |net: &mut Net| match build::build(net, &plan) {
        Ok(_) => Ok(()),
        Err(fault) => Err(Error::new("description", fault.rule)),
    };
    let network = match vocabulary {
        Some(words) => Network::text(name, input[0], words, classes, build),
        None => Network::new(name, &input, classes, build),
    };
    let network = if unwritten > 0 { network.with_note(UNWRITTEN) } else { network };
    Ok(match &options.scheme {
        Some(s) => network.with_scheme(s.clone()),
        None => network,
    })
}

/// The input's extents, from the text or the options.
fn input(plan: &expand::Plan, options: &Options, reading: &Reading) -> Result<Vec<usize>, Fault> {
    let fault = |rule: Rule| Fault::at(plan.input_span, rule);
    let list = |v: &[usize]| v.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    let length = options.input.as_ref().filter(|i| i.len() == 1).map(|i| i[0]);
    if let Some((said, at)) = &reading.input {
        let input = match plan.vocabulary {
            Some(_) => vec![length.unwrap_or(said[0])],
            None => input_extents("input", said, options).map_err(|e| Fault::at(*at, e.rule().clone()))?,
        };
        return match &plan.input {
            Some(written) if *written != input => {
                let rule = Rule::new(format!("INPUT {}, where {} are said before", list(written), list(&input)));
                Err(fault(rule.right("INPUT alone")))
            }
            _ => Ok(input),
        };
    }
    if plan.vocabulary.is_some() {
        let length = plan.input.as_ref().map(|l| l[0]).or(length);
        return length
            .map(|l| vec![l])
            .ok_or_else(|| fault(Rule::new("the length of a text is not known").right("INPUT 64 words of 20000")));
    }
    let given = match (&options.channels, &options.input) {
        (Some(c), Some(spatial)) if spatial.len() == 1 => Some(vec![*c, spatial[0], spatial[0]]),
        (Some(c), Some(spatial)) => Some([&[*c], &spatial[..]].concat()),
        _ => None,
    };
    let Some(written) = &plan.input else {
        let given = given.ok_or_else(|| {
            fault(Rule::new("the input's extents are not known").right("INPUT 3x32x32: channels, height, width"))
        })?;
        if given.iter().any(|&e| e == 0 || e > MOST_EXTENT) {
            return Err(fault(Rule::new(format!("an input of {}", list(&given)))));
        }
        return Ok(given);
    };
    let differs = options.channels.is_some_and(|c| c != written[0])
        || options.input.as_ref().is_some_and(|s| match s.as_slice() {
            [one] => written[1..].iter().any(|e| e != one),
            all => written[1..] != *all,
        });
    if differs {
        let given = given.map_or("other extents".into(), |g| list(&g));
        let rule = Rule::new(format!("INPUT {} and data of {given}", list(written)));
        return Err(fault(rule.right("INPUT alone, which takes the data's extents")));
    }
    Ok(written.clone())
}

#[cfg(test)]
mod tests;
