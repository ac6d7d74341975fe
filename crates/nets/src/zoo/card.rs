//! The card of a network: where it comes from and what its published weights expect.

use std::fmt;

/// What is known of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Canonical name.
    pub name: &'static str,
    /// Other names.
    pub aliases: &'static [&'static str],
    /// What it is, in a sentence.
    pub title: &'static str,
    /// Authors and title of the paper.
    pub paper: &'static str,
    /// Year of the paper.
    pub year: u16,
    /// Trainable parameters as published, with the published input and classes.
    pub parameters: u64,
    /// Extents of the published input: `[c, h, w]` of a picture, `[c, d, h, w]` of a film, `[length]` of a text.
    pub input: &'static [usize],
    /// Number of words, where the input is text.
    pub vocabulary: Option<usize>,
    /// Number of classes as published.
    pub classes: usize,
    /// How a picture becomes that input: for the published weights, or else as in the paper. `None` where the input is no
    /// picture.
    pub preprocessing: Option<Preprocessing>,
    /// Licence of the published weights, or of the code they come with, as stated there; "none published" for networks
    /// whose weights nobody publishes under these names.
    pub licence: &'static str,
}

impl Card {
    /// What a family's cards begin from: a network of which no weights are published under its names.
    pub(super) const BASE: Card = Card {
        name: "",
        aliases: &[],
        title: "",
        paper: "",
        year: 0,
        parameters: 0,
        input: &[],
        vocabulary: None,
        classes: 0,
        preprocessing: None,
        licence: "none published",
    };
    /// A network for 1000 classes of ImageNet.
    pub(super) const IMAGENET: Card =
        Card { input: &[3, 224, 224], classes: 1000, preprocessing: Some(Preprocessing::IMAGENET), ..Card::BASE };
    /// A network for ImageNet whose weights torchvision publishes.
    pub(super) const TORCHVISION: Card = Card { licence: "BSD-3-Clause (torchvision)", ..Card::IMAGENET };
    /// A network for CIFAR-10.
    pub(super) const CIFAR10: Card = Card {
        input: &[3, 32, 32],
        classes: 10,
        preprocessing: Some(Preprocessing { resize: None, ..Preprocessing::IMAGENET }),
        ..Card::BASE
    };
    /// A network for MNIST's digits.
    pub(super) const MNIST: Card =
        Card { input: &[1, 28, 28], classes: 10, preprocessing: Some(Preprocessing::UNIT_GREY), ..Card::BASE };
}

/// From a picture to a network's input: resize, centre crop to the card's `input`, then `(v / divisor − mean) / std` per
/// channel. One channel is grey; three are red, green, blue, in this order. Plain data; `gabor_data` has the code.
///
/// ```
/// use gabor_nets::zoo::{self, Preprocessing};
/// let net = zoo::by_name("resnet18", &Default::default()).unwrap();
/// let p = net.card().unwrap().preprocessing.unwrap();
/// assert_eq!(p, Preprocessing::IMAGENET);
/// assert_eq!(p.to_string(), "short side 256 (bilinear), centre crop, v / 255, mean 0.485 0.456 0.406, std 0.229 0.224 0.225");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    /// Length that the shorter side is brought to before the crop. `None`: the whole picture is brought to the input's
    /// height and width, whatever its form.
    pub resize: Option<usize>,
    /// Filter of the resize.
    pub filter: Filter,
    /// What byte values are divided by: 255 for 0..1, 1 for 0..255.
    pub divisor: f32,
    /// Subtracted per channel after the division.
    pub mean: &'static [f32],
    /// Divided by per channel, last.
    pub std: &'static [f32],
}

/// Filter of a resize, antialiased as in Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Triangle.
    Bilinear,
    /// Keys' cubic.
    Bicubic,
}

impl Preprocessing {
    /// torchvision's for ImageNet.
    pub const IMAGENET: Preprocessing = Preprocessing {
        resize: Some(256),
        filter: Filter::Bilinear,
        divisor: 255.0,
        mean: &[0.485, 0.456, 0.406],
        std: &[0.229, 0.224, 0.225],
    };
    /// Grey values in 0..1.
    pub(super) const UNIT_GREY: Preprocessing =
        Preprocessing { resize: None, filter: Filter::Bilinear, divisor: 255.0, mean: &[0.0], std: &[1.0] };
}

impl fmt::Display for Preprocessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = match self.filter {
            Filter::Bilinear => "bilinear",
            Filter::Bicubic => "bicubic",
        };
        match self.resize {
            Some(side) => write!(f, "short side {side} ({filter}), centre crop, ")?,
            None => write!(f, "resized to the input ({filter}), ")?,
        }
        match self.divisor {
            1.0 => write!(f, "v from 0 to 255")?,
            d => write!(f, "v / {d}")?,
        }
        for (name, values, neutral) in [("mean", self.mean, 0.0), ("std", self.std, 1.0)] {
            if values.iter().any(|&v| v != neutral) {
                write!(f, ", {name}")?;
                values.iter().try_for_each(|v| write!(f, " {v}"))?;
            }
        }
        Ok(())
    }
}
