//! The operations of a pipeline: names, parameters, defaults and bounds, declared once.
//!
//! One declaration gives the enum, its page for people, and its form as data (`{"name": "rotate", "degrees": 10}`).

use super::parameter::Parameter;
use super::policy::Style;
use gabor_tensor::Rule;
use serde_json::{Map, Value};

/// What is known of an operation by its name.
#[derive(Clone, Copy, Debug)]
pub struct OperationPage {
    /// Its name in files and texts.
    pub name: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// The probability with which it is applied where none is given.
    pub probability: f64,
    /// Its parameters in order: name, what it is, what it may be.
    pub parameters: &'static [(&'static str, &'static str, &'static str)],
    /// Number of its stream of random numbers: its own forever, so that declaring another operation changes no draw.
    pub(super) code: u32,
}

macro_rules! operations {
    ($($(#[doc = $doc:literal])+ $code:literal $name:literal $variant:ident ($p:literal) {$(
        $(#[doc = $fdoc:literal])+ $field:ident: $ty:ty = $default:expr, $values:literal, $check:expr;
    )*})+) => {
        /// An operation with its parameters. Extents are drawn uniformly, to either side where nothing else is said.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Operation {$(
            $(#[doc = $doc])+
            $variant {$(
                $(#[doc = $fdoc])+
                #[doc = concat!("\n\nValues: ", $values, ".")]
                $field: $ty,
            )*},
        )+}
        impl Operation {
            /// Every operation, in the order of their pages.
            pub const PAGES: &[OperationPage] = &[$(OperationPage {
                name: $name,
                doc: concat!($($doc),+),
                probability: $p,
                parameters: &[$((stringify!($field), concat!($($fdoc),+), $values)),*],
                code: $code,
            }),+];
            /// What is known of this operation.
            pub fn page(&self) -> &'static OperationPage {
                let name = match self { $(Operation::$variant { .. } => $name),+ };
                Self::PAGES.iter().find(|p| p.name == name).unwrap_or(&Self::PAGES[0])
            }
            /// The operation of that name; parameters that `given` lacks have their defaults.
            pub(super) fn read(name: &str, mut given: Map<String, Value>) -> Result<Self, Rule> {
                let out = match name {
                    $($name => Operation::$variant {$(
                        $field: match given.remove(stringify!($field)) {
                            None => $default,
                            Some(v) => Parameter::read(&v).ok_or_else(|| {
                                Rule::new(format!("`{name}` with {} = {v}", stringify!($field))).right($values)
                            })?,
                        },
                    )*},)+
                    _ => return Err(super::text::unknown(name)),
                };
                if let Some((key, _)) = given.iter().next() {
                    let known: Vec<&str> = out.page().parameters.iter().map(|p| p.0).collect();
                    let right = if known.is_empty() { "none".into() } else { known.join(", ") };
                    return Err(Rule::new(format!("`{name}` has no parameter `{key}`")).right(right));
                }
                out.validate()?;
                Ok(out)
            }
            /// Every parameter with its value, in order.
            pub(super) fn values(&self) -> Vec<(&'static str, Value)> {
                match self {
                    $(Operation::$variant { $($field),* } => vec![$((stringify!($field), $field.write())),*],)+
                }
            }
            /// Whether every parameter is in its bounds.
            pub(super) fn validate(&self) -> Result<(), Rule> {
                match self {
                    $(#[allow(clippy::redundant_closure_call)]
                    Operation::$variant { $($field),* } => {
                        $(if !{ let check: fn(&$ty) -> bool = $check; check($field) } {
                            let given = format!("{} of {} = {}", $name, stringify!($field), $field.write());
                            return Err(Rule::new(given).right($values));
                        })*
                        Ok(())
                    })+
                }
            }
        }
    };
}

fn to(v: f64, most: f64) -> bool {
    (0.0..=most).contains(&v)
}
fn range(v: &[f64; 2], low: f64, high: f64) -> bool {
    low <= v[0] && v[0] <= v[1] && v[1] <= high
}

operations! {
    /// Cuts the model's window anywhere in the resized image instead of its centre. Needs a crop in the preprocessing; comes first.
    0 "random_crop" RandomCrop (1.0) {}
    /// Cuts the model's window at the centre of the resized image, as evaluation does and as happens without a crop: takes back the crop of a preset. Needs a crop in the preprocessing; comes first.
    14 "center_crop" CenterCrop (1.0) {}
    /// Brings the shorter side of the stored image to a length drawn from a range, and cuts the window anywhere (Simonyan and Zisserman 2014, scale jittering). Comes first.
    1 "short_side" ShortSide (1.0) {
        /// Shortest and longest length in pixels.
        to: [f64; 2] = [256.0, 256.0], "LOW..HIGH in whole pixels, from 1 to 16384", |v| range(v, 1.0, 16384.0) && v.iter().all(|v| v.fract() == 0.0);
    }
    /// Cuts a box of random area and aspect ratio from the stored image and brings it to the window, resized once, antialiased (Szegedy et al. 2015; torchvision's RandomResizedCrop). Comes first.
    2 "random_resized_crop" RandomResizedCrop (1.0) {
        /// Smallest and largest part of the image's area.
        area: [f64; 2] = [0.08, 1.0], "LOW..HIGH in (0, 1]", |v| range(v, 1e-6, 1.0);
        /// Smallest and largest ratio of width to height, uniform in its logarithm.
        ratio: [f64; 2] = [0.75, 4.0 / 3.0], "LOW..HIGH from 0.01 to 100", |v| range(v, 0.01, 100.0);
    }
    /// Moves by whole pixels: a random crop of the image padded by so many (He et al. 2015, section 4.2).
    3 "shift" Shift (1.0) {
        /// Largest shift along each axis.
        pixels: u32 = 4, "a whole number from 0 to 16384", |v| *v <= 16384;
    }
    /// Mirrors left and right. Not for digits and letters.
    4 "mirror" Mirror (0.5) {}
    /// Turns upside down.
    5 "flip" Flip (0.5) {}
    /// Rotates about the centre.
    6 "rotate" Rotate (1.0) {
        /// Largest angle, degrees.
        degrees: f64 = 10.0, "a number from 0 to 180", |v| to(*v, 180.0);
    }
    /// Moves by parts of a pixel, interpolated.
    7 "translate" Translate (1.0) {
        /// Largest part of the width.
        x: f64 = 0.1, "a number from 0 to 1", |v| to(*v, 1.0);
        /// Largest part of the height.
        y: f64 = 0.1, "a number from 0 to 1", |v| to(*v, 1.0);
    }
    /// Zooms about the centre by a factor in [1 − by, 1 + by].
    8 "scale" Scale (1.0) {
        /// Largest change of the factor.
        by: f64 = 0.1, "a number from 0 to 0.9", |v| to(*v, 0.9);
    }
    /// Widens by a factor in [1 − by, 1 + by] and lowers by the same factor.
    9 "stretch" Stretch (1.0) {
        /// Largest change of the factor.
        by: f64 = 0.1, "a number from 0 to 0.9", |v| to(*v, 0.9);
    }
    /// Shears about the centre.
    10 "shear" Shear (1.0) {
        /// Largest angle along the rows, degrees.
        x: f64 = 5.0, "a number from 0 to 80", |v| to(*v, 80.0);
        /// Largest angle along the columns, degrees.
        y: f64 = 0.0, "a number from 0 to 80", |v| to(*v, 80.0);
    }
    /// Looks at the image from a random side: every corner moves inwards (torchvision's RandomPerspective).
    11 "perspective" Perspective (0.5) {
        /// Largest part of half the width and height by which a corner moves.
        distortion: f64 = 0.5, "a number from 0 to 0.95", |v| to(*v, 0.95);
    }
    /// Distorts as a lens does: a radius r, in half diagonals, becomes r · (1 + k·r²) with k in ± strength; barrels and pincushions.
    12 "lens" Lens (1.0) {
        /// Largest |k|.
        strength: f64 = 0.15, "a number from 0 to 0.3", |v| to(*v, 0.3);
    }
    /// Elastic distortion (Simard, Steinkraus and Platt 2003): random displacements in ± 1, smoothed by a Gaussian, times alpha.
    13 "elastic" Elastic (1.0) {
        /// Factor of the smoothed displacements; along each axis their standard deviation is alpha / (6.1 · sigma) pixels.
        alpha: f64 = 34.0, "a number from 0 to 100000", |v| to(*v, 1e5);
        /// Standard deviation of the Gaussian, pixels.
        sigma: f64 = 4.0, "a number from 0.1 to 100", |v| (0.1..=100.0).contains(v);
    }
    /// Multiplies the values by a factor in [1 − by, 1 + by].
    16 "brightness" Brightness (1.0) {
        /// Largest change of the factor.
        by: f64 = 0.2, "a number from 0 to 10", |v| to(*v, 10.0);
    }
    /// Multiplies the distance from the image's mean luma by a factor in [1 − by, 1 + by].
    17 "contrast" Contrast (1.0) {
        /// Largest change of the factor.
        by: f64 = 0.2, "a number from 0 to 10", |v| to(*v, 10.0);
    }
    /// Brightness, contrast, saturation and hue in random order (torchvision's ColorJitter). Grey pictures have no saturation and no hue.
    18 "color_jitter" ColorJitter (1.0) {
        /// Brightness is multiplied by a factor in [1 − brightness, 1 + brightness].
        brightness: f64 = 0.4, "a number from 0 to 10", |v| to(*v, 10.0);
        /// Contrast likewise, about the image's mean luma.
        contrast: f64 = 0.4, "a number from 0 to 10", |v| to(*v, 10.0);
        /// Saturation likewise, about each pixel's luma.
        saturation: f64 = 0.4, "a number from 0 to 10", |v| to(*v, 10.0);
        /// Largest turn of the hue to either side, in parts of the whole circle.
        hue: f64 = 0.1, "a number from 0 to 0.5", |v| to(*v, 0.5);
    }
    /// Takes the colour away.
    19 "grey" Grey (0.1) {}
    /// Adds the principal components of the data's colours, each times its variance and a normal number of standard deviation `std` (Krizhevsky, Sutskever and Hinton 2012). The components are computed from the training images when a run begins, and written down.
    20 "pca_noise" PcaNoise (1.0) {
        /// Standard deviation of the factors.
        std: f64 = 0.1, "a number from 0 to 10", |v| to(*v, 10.0);
        /// Variances along the components, for values in [0, 1]; one for grey pictures, three for coloured ones.
        values: Vec<f64> = Vec::new(), "none (computed from the data), 1 or 3 numbers", |v| matches!(v.len(), 0 | 1 | 3);
        /// The components, one after the other, each as red, green and blue.
        vectors: Vec<f64> = Vec::new(), "none (computed from the data), 1 or 9 numbers", |v| matches!(v.len(), 0 | 1 | 9);
    }
    /// Keeps the highest bits of every value.
    21 "posterize" Posterize (0.5) {
        /// Bits that are kept.
        bits: u32 = 4, "a whole number from 0 to 8", |v| *v <= 8;
    }
    /// Inverts values from a threshold on.
    22 "solarize" Solarize (0.5) {
        /// The smallest value that is inverted.
        threshold: f64 = 128.0, "a number from 0 to 256", |v| to(*v, 256.0);
    }
    /// The negative.
    23 "invert" Invert (0.5) {}
    /// Stretches every channel to the whole range.
    24 "autocontrast" Autocontrast (0.5) {}
    /// Equalises every channel's histogram.
    25 "equalize" Equalize (0.5) {}
    /// Multiplies the distance from a smoothed picture by a factor: below 1 blurs, above 1 sharpens.
    26 "sharpness" Sharpness (0.5) {
        /// Smallest and largest factor.
        factor: [f64; 2] = [0.5, 2.0], "LOW..HIGH from 0 to 100", |v| range(v, 0.0, 100.0);
    }
    /// Gaussian blur (torchvision's GaussianBlur).
    27 "blur" Blur (1.0) {
        /// Smallest and largest standard deviation, pixels.
        sigma: [f64; 2] = [0.1, 2.0], "LOW..HIGH from 0.01 to 100", |v| range(v, 0.01, 100.0);
        /// Pixels to either side that count, (kernel size − 1) / 2; 0 for three standard deviations.
        radius: u32 = 0, "a whole number from 0 to 300", |v| *v <= 300;
    }
    /// Adds normal noise to every value.
    28 "noise" Noise (1.0) {
        /// Standard deviation, in parts of 255.
        std: f64 = 0.05, "a number from 0 to 1", |v| to(*v, 1.0);
    }
    /// Overwrites a square with the fill colour (DeVries and Taylor 2017); it may reach over the edge.
    32 "cutout" Cutout (1.0) {
        /// Side in pixels.
        side: u32 = 8, "a whole number from 0 to 16384", |v| *v <= 16384;
    }
    /// Overwrites a box with the fill colour or with noise (Zhong et al. 2017; torchvision's RandomErasing).
    33 "erase" Erase (0.5) {
        /// Smallest and largest part of the image's area.
        area: [f64; 2] = [0.02, 0.33], "LOW..HIGH in (0, 1]", |v| range(v, 1e-6, 1.0);
        /// Smallest and largest ratio of height to width.
        ratio: [f64; 2] = [0.3, 3.3], "LOW..HIGH from 0.01 to 100", |v| range(v, 0.01, 100.0);
        /// Random bytes instead of the fill colour.
        noise: bool = false, "true or false", |_| true;
    }
    /// RandAugment (Cubuk et al. 2019): operations chosen anew for every image, all of one magnitude.
    40 "randaugment" Randaugment (1.0) {
        /// Operations an image.
        ops: u32 = 2, "a whole number from 1 to 16", |v| (1..=16).contains(v);
        /// Their magnitude: 0 to 30 as in torchvision, 0 to 10 as in timm.
        magnitude: f64 = 9.0, "a number from 0 to 30", |v| to(*v, 30.0);
        /// Standard deviation of the magnitude.
        std: f64 = 0.0, "a number from 0 to 10", |v| to(*v, 10.0);
        /// Whose operations.
        style: Style = Style::Torchvision, "torchvision or timm", |_| true;
    }
    /// TrivialAugment, wide (Müller and Hutter 2021): one operation of any magnitude.
    41 "trivialaugment" Trivialaugment (1.0) {}
}
