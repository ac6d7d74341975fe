//! The networks of the lectures and of practice, by name.
//!
//! One family per file. Parameters carry torchvision's names where torchvision has the network, and count as there or in
//! the paper (tests hold the numbers). [`by_name`] takes a canonical name (`vgg16`) or an alias (`vgg-d`).

mod airbench;
mod alexnet;
mod alphago;
mod c3d;
mod card;
mod convnext;
mod darknet;
mod densenet;
mod efficientnet;
mod fcn;
mod googlenet;
mod inception;
mod lenet;
mod mlp;
mod mobilenet;
mod mobilenet_v3;
mod preresnet;
mod preresnet_cifar;
mod resnet;
mod resnet_cifar;
mod shufflenet;
mod squeezenet;
mod text_cnn;
mod tiny;
mod unet;
mod vgg;
mod zfnet;

pub use card::{Card, Filter, Preprocessing};

use crate::{Net, Network, Scheme, notation};
use gabor_graph::{Error, Result};
use gabor_tensor::Rule;

/// What a user says about a network of the zoo; what is left out stays as published.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Spatial extents of the input: height and width for a picture. One number stands for all dimensions.
    pub input: Option<Vec<usize>>,
    /// Input channels: 1 for grey, 3 for colour.
    pub channels: Option<usize>,
    /// Number of classes.
    pub classes: Option<usize>,
    /// Number of words, for a network whose input is text.
    pub vocabulary: Option<usize>,
    /// How all weights are initialised.
    pub scheme: Option<Scheme>,
}

/// A row of the zoo.
struct Entry {
    card: Card,
    build: Build,
}

/// Builds a network with that many classes.
type Build = fn(&mut Net, usize) -> Result<()>;

/// Families in the order in which they are listed.
const FAMILIES: &[&[Entry]] = &[
    lenet::ENTRIES,
    mlp::ENTRIES,
    alexnet::ENTRIES,
    zfnet::ENTRIES,
    vgg::ENTRIES,
    googlenet::ENTRIES,
    inception::ENTRIES,
    resnet::ENTRIES,
    resnet_cifar::ENTRIES,
    airbench::ENTRIES,
    preresnet::ENTRIES,
    preresnet_cifar::ENTRIES,
    densenet::ENTRIES,
    squeezenet::ENTRIES,
    mobilenet::ENTRIES,
    darknet::ENTRIES,
    mobilenet_v3::ENTRIES,
    shufflenet::ENTRIES,
    efficientnet::ENTRIES,
    convnext::ENTRIES,
    alphago::ENTRIES,
    text_cnn::ENTRIES,
    c3d::ENTRIES,
    unet::ENTRIES,
    fcn::ENTRIES,
    tiny::ENTRIES,
];

fn entries() -> impl Iterator<Item = &'static Entry> {
    FAMILIES.iter().flat_map(|f| f.iter())
}

/// Canonical names, family by family.
pub fn names() -> Vec<&'static str> {
    entries().map(|e| e.card.name).collect()
}

/// The cards of all networks, family by family.
pub fn cards() -> impl Iterator<Item = &'static Card> {
    entries().map(|e| &e.card)
}

/// Largest extent of an input that is accepted.
pub(crate) const MOST_EXTENT: usize = 1 << 14;
/// Largest number of classes that is accepted.
pub(crate) const MOST_CLASSES: usize = 1 << 20;

/// The network of that name.
///
/// ```
/// use gabor_nets::zoo::{self, Options};
/// let net = zoo::by_name("resnet18", &Options { classes: Some(7), ..Options::default() }).unwrap();
/// assert_eq!((net.input(), net.classes()), (&[3, 224, 224][..], 7));
/// let message = zoo::by_name("resnt18", &Options::default()).unwrap_err().to_string();
/// assert!(message.contains("resnet18"));
/// assert_eq!(zoo::by_name("U-Net", &Options::default()).unwrap().name(), "unet");
/// ```
///
/// # Errors
/// An unknown name, with the nearest known ones; sizes of 0 or beyond measure. Whether the layers fit the input is found
/// by [`Network::graph`].
pub fn by_name(name: &str, options: &Options) -> Result<Network> {
    let plain = name.trim().to_lowercase().replace('-', "_");
    let exact = |e: &&Entry| e.card.name == plain || e.card.aliases.iter().any(|a| a.replace('-', "_") == plain);
    let found = entries().find(exact).or_else(|| without_signs(&plain));
    let entry = found.ok_or_else(|| {
        let known = entries().flat_map(|e| std::iter::once(e.card.name).chain(e.card.aliases.iter().copied()));
        let right = crate::nearest::suggestion(
            &plain,
            known,
            "a name of the zoo (gabor summary --list has all), or a description",
        );
        Error::new("network", Rule::new(format!("there is no network `{}`", notation::shown(name.trim()))).right(right))
    })?;
    let card = &entry.card;
    let input = match card.vocabulary {
        Some(_) => text_length(card, options)?,
        None => input_extents(card.name, card.input, options)?,
    };
    let classes = options.classes.unwrap_or(card.classes);
    if classes == 0 || classes > MOST_CLASSES {
        return Err(Error::new(
            card.name,
            Rule::new(format!("{classes} classes")).right(format!("1 to {MOST_CLASSES}")),
        ));
    }
    let build = entry.build;
    let build = move |net: &mut Net| build(net, classes);
    let net = match card.vocabulary {
        Some(words) => Network::text(card.name, input[0], options.vocabulary.unwrap_or(words), classes, build),
        None => Network::new(card.name, &input, classes, build),
    };
    let net = net.with_card(card.clone());
    Ok(match &options.scheme {
        Some(s) => net.with_scheme(s.clone()),
        None => net,
    })
}

/// The one network that is called so when strokes are passed over: `u_net`, `resnet_50`.
fn without_signs(plain: &str) -> Option<&'static Entry> {
    let bare = |name: &str| name.replace(['-', '_'], "");
    let want = bare(plain);
    let mut all = entries().filter(|e| std::iter::once(&e.card.name).chain(e.card.aliases).any(|n| bare(n) == want));
    all.next().filter(|_| all.next().is_none())
}

/// The length of a text, `[length]`: the published one or the user's.
fn text_length(card: &Card, options: &Options) -> Result<Vec<usize>> {
    if options.channels.is_some() {
        let rule = Rule::new("channels for a network that reads text");
        return Err(Error::new(card.name, rule.right("one number, the length of a text in words")));
    }
    match &options.input {
        None => Ok(card.input.to_vec()),
        Some(given) if given.len() == 1 => Ok(given.clone()),
        Some(given) => {
            let rule = Rule::new(format!("a text of extents {given:?}"));
            Err(Error::new(card.name, rule.right("one number, its length in words")))
        }
    }
}

/// The published extents `[c, spatial…]` with the user's changes.
pub(crate) fn input_extents(place: &str, published: &[usize], options: &Options) -> Result<Vec<usize>> {
    if options.vocabulary.is_some() {
        return Err(Error::new(place, Rule::new("a vocabulary for a network that reads no text").right("none")));
    }
    let mut input = published.to_vec();
    if let Some(c) = options.channels {
        input[0] = c;
    }
    if let Some(given) = &options.input {
        let d = input.len() - 1;
        match given.len() {
            1 => input[1..].fill(given[0]),
            n if n == d => input[1..].copy_from_slice(given),
            n => {
                return Err(Error::new(
                    place,
                    Rule::new(format!("an input of {n} spatial extents {given:?}"))
                        .right(format!("{d} of them, as published: {:?}", &published[1..])),
                ));
            }
        }
    }
    if input.iter().any(|&e| e == 0 || e > MOST_EXTENT) {
        let rule = Rule::new(format!("an input of extents {input:?}"));
        return Err(Error::new(place, rule.right(format!("extents from 1 to {MOST_EXTENT}"))));
    }
    Ok(input)
}
