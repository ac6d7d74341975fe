//! What `gabor dream` is asked, and which options belong to what.

use crate::arguments::{Drawn, Format};
use crate::failure::{Failure, Result};
use crate::looking::{Looking, numbers};
use clap::Args;
use gabor::Model;
use gabor::dream::{Basis, DeepOptions, Options, Place, StyleOptimiser, StyleOptions, Targets};
use std::path::PathBuf;

/// Make pictures with a network: what units answer to most, DeepDream, style transfer
///
/// A class (--class) or a layer (--layer) gives the pictures that it answers to most. A photograph (--image) is dreamt on:
/// what a layer sees in it becomes more. Two photographs (--content, --style) give the first in the style of the second.
/// The same seed gives the same picture.
#[derive(Args)]
#[command(after_help = "\
Examples:
  gabor dream model.onnx --class goldfish -o goldfish.png
  gabor dream model.onnx --class tabby --class tiger -o cats.svg
  gabor dream model.onnx --layer conv6 --units 0-15 -o conv6.png
  gabor dream model.onnx --layer conv6 --units 3 --at centre --steps 512
  gabor dream model.onnx --image sky.jpg --octaves 5 --strength 0.015
  gabor dream model.onnx --image sky.jpg --size full --curve objective.svg
  gabor dream model.onnx --content city.jpg --style painting.jpg --size 512

A PNG of one picture is the picture itself, small ones enlarged; everything else is a sheet with captions. A layer without
--units shows its first 16; no --class, where there are at most 16 classes, shows all. `start → end` under a picture is
what the unit says to the random beginning and to the picture.

Methods: activation maximisation (Simonyan et al. 2014) by Adam on waves and natural colours, moved, turned and scaled each
step (Olah et al. 2017); DeepDream (Mordvintsev et al. 2015); style transfer (Gatys et al. 2016) with losses relative to
what they are compared with, so that weights mean the same for every network. L-BFGS reaches a lower loss than Adam in as many
evaluations, which take nearly all of the time.

JSON: `mode` (units, deep or style), `picture` (the file written), `curve` (that of --curve), `steps`, `seconds`, `steps_per_second`, `settings`. Units:
`layer` (null: classes), `dreams`: a list of `unit`, `name` (a class as the model has it, with a synset where it has one), `start`, `end`, `dead` (null, unreached or silent), `objective`
(at each step, for the picture as it was moved), `npy`. Deep: `layer`, `octaves` (rows and columns), `objective`, `npy`.
Style: `content_layers`, `style_layers`, `content_loss`, `style_loss` (at each step), `npy`.")]
pub struct Arguments {
    /// The model (.onnx, a run's directory, weights with --net, or a name of the hub); none with --weights
    #[arg(value_name = "MODEL")]
    pub(super) model: Option<String>,
    /// Steps of the optimiser, for DeepDream at each octave, for style transfer evaluations of the loss (default: 128;
    /// DeepDream 14; style 200)
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Seed of all chance (default: 0)
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Also draw the objective at each step (of style transfer both losses) as a chart
    #[arg(long, value_name = "FILE.svg | FILE.png")]
    pub(super) curve: Option<PathBuf>,
    /// Also write what the network would be given, [c, h, w], as DIR/NAME.npy
    #[arg(long, value_name = "DIR")]
    pub(super) npy: Option<PathBuf>,
    /// The layer whose units are shown, or that DeepDream looks at (default there: one with a place for every 16 pixels)
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// Units of the layer: 3, 0-15 or 1,4,8-11 (channels of a map)
    #[arg(long, value_name = "LIST")]
    units: Option<String>,

    /// A class by name or number; may be given several times
    #[arg(long, value_name = "NAME", help_heading = "What a unit answers to")]
    class: Vec<String>,
    /// Where in a map: `centre` or ROW,COLUMN (default: everywhere, the mean)
    #[arg(long, value_name = "PLACE", help_heading = "What a unit answers to")]
    pub(super) at: Option<String>,
    /// What the picture is made of: `fourier` (waves as in natural pictures) or `pixels` (default: fourier)
    #[arg(long, value_name = "BASIS", help_heading = "What a unit answers to")]
    basis: Option<String>,
    /// Optimise red, green and blue by themselves instead of natural mixtures
    #[arg(long, help_heading = "What a unit answers to")]
    plain_colors: bool,
    /// Degrees by which the picture is turned at most, each step (default: 10)
    #[arg(long, value_name = "DEGREES", help_heading = "What a unit answers to")]
    rotate: Option<f64>,
    /// Part by which it grows or shrinks at most (default: 0.1)
    #[arg(long, value_name = "PART", help_heading = "What a unit answers to")]
    scale: Option<f64>,
    /// Weight of the mean squared distance from grey (default: 0)
    #[arg(long, value_name = "WEIGHT", help_heading = "What a unit answers to")]
    l2: Option<f64>,
    /// Pictures made at once (default: 8)
    #[arg(long, value_name = "N", help_heading = "What a unit answers to")]
    batch: Option<usize>,

    /// A photograph to dream on
    #[arg(long, value_name = "FILE", help_heading = "DeepDream")]
    pub(super) image: Option<PathBuf>,
    /// Sizes at which it is worked on (default: 4)
    #[arg(long, value_name = "N", help_heading = "DeepDream")]
    octaves: Option<usize>,
    /// Factor from one size to the next (default: 1.4)
    #[arg(long, value_name = "FACTOR", help_heading = "DeepDream")]
    octave_scale: Option<f64>,
    /// How far a step moves pixels, as a part of the range of brightness (default: 0.007)
    #[arg(long, value_name = "PART", help_heading = "DeepDream")]
    strength: Option<f64>,
    /// Look at parts of the network's own size: for layers that know no other, and for less memory
    #[arg(long, help_heading = "DeepDream")]
    tiles: bool,

    /// The photograph whose content is kept
    #[arg(long, value_name = "FILE", help_heading = "Style transfer")]
    pub(super) content: Option<PathBuf>,
    /// The photograph whose style is taken
    #[arg(long, value_name = "FILE", help_heading = "Style transfer")]
    pub(super) style: Option<PathBuf>,
    /// Layers of content, with commas between (default: one in the middle)
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Style transfer")]
    content_layers: Vec<String>,
    /// Layers of style, with commas between (default: the first map of each size, five at most)
    #[arg(long, value_name = "NAMES", value_delimiter = ',', help_heading = "Style transfer")]
    style_layers: Vec<String>,
    /// Weight of the content (default: 1)
    #[arg(long, value_name = "WEIGHT", help_heading = "Style transfer")]
    content_weight: Option<f64>,
    /// Weight of the style (default: 200)
    #[arg(long, value_name = "WEIGHT", help_heading = "Style transfer")]
    style_weight: Option<f64>,
    /// How the loss is made small: `adam`, or `lbfgs` as Gatys et al. (default: lbfgs)
    #[arg(long, visible_alias = "optimizer", value_name = "NAME", help_heading = "Style transfer", value_parser = ["adam", "lbfgs"])]
    optimiser: Option<String>,

    /// Longer side of the picture that is worked on, of DeepDream and style transfer, or `full` for that of the photograph
    /// (default: 512; style 384; a smaller photograph is enlarged)
    #[arg(long, value_name = "PIXELS | full", help_heading = "Several of these", value_parser = size)]
    pub(super) size: Option<Size>,
    /// Learning rate of Adam, of units and style transfer (default: 0.05; style 0.02)
    #[arg(long, value_name = "RATE", help_heading = "Several of these")]
    rate: Option<f64>,
    /// Weight of the total variation, of units and style transfer (default: 0; style 10)
    #[arg(long, value_name = "WEIGHT", help_heading = "Several of these")]
    tv: Option<f64>,
    /// Pixels by which the picture is moved each step, of units and DeepDream (default: a sixteenth of the side; DeepDream 32)
    #[arg(long, value_name = "PIXELS", help_heading = "Several of these")]
    jitter: Option<f64>,
    #[command(flatten)]
    pub(super) drawn: Drawn,
    #[command(flatten)]
    pub looking: Looking,
    #[command(flatten)]
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Units,
    Deep,
    Style,
}

impl Mode {
    pub(super) fn name(self) -> &'static str {
        match self {
            Mode::Units => "units",
            Mode::Deep => "deep",
            Mode::Style => "style",
        }
    }
}

impl Arguments {
    /// What is to be made; an option that has no part in it is an error.
    pub(super) fn mode(&self) -> Result<Mode> {
        let mode = match (&self.image, &self.content, &self.style) {
            (None, None, None) => Mode::Units,
            (Some(_), None, None) => Mode::Deep,
            (None, Some(_), Some(_)) => Mode::Style,
            (None, Some(_), None) => return usage("--content without --style", "both, or --image"),
            (None, None, Some(_)) => return usage("--style without --content", "both, or --image"),
            _ => return usage("--image beside --content and --style", "--image alone, or the other two"),
        };
        use Mode::{Deep, Style, Units};
        let all: [(&str, bool, &[Mode]); 27] = [
            ("--seed", self.seed.is_some(), &[Units, Deep]),
            ("--layer", self.layer.is_some(), &[Units, Deep]),
            ("--units", self.units.is_some(), &[Units, Deep]),
            ("--class", !self.class.is_empty(), &[Units]),
            ("--at", self.at.is_some(), &[Units]),
            ("--basis", self.basis.is_some(), &[Units]),
            ("--plain-colors", self.plain_colors, &[Units]),
            ("--rotate", self.rotate.is_some(), &[Units]),
            ("--scale", self.scale.is_some(), &[Units]),
            ("--l2", self.l2.is_some(), &[Units]),
            ("--batch", self.batch.is_some(), &[Units]),
            ("--octaves", self.octaves.is_some(), &[Deep]),
            ("--octave-scale", self.octave_scale.is_some(), &[Deep]),
            ("--strength", self.strength.is_some(), &[Deep]),
            ("--tiles", self.tiles, &[Deep]),
            ("--content-layers", !self.content_layers.is_empty(), &[Style]),
            ("--style-layers", !self.style_layers.is_empty(), &[Style]),
            ("--content-weight", self.content_weight.is_some(), &[Style]),
            ("--style-weight", self.style_weight.is_some(), &[Style]),
            ("--optimiser", self.optimiser.is_some(), &[Style]),
            ("--size", self.size.is_some(), &[Deep, Style]),
            ("--rate", self.rate.is_some(), &[Units, Style]),
            ("--tv", self.tv.is_some(), &[Units, Style]),
            ("--jitter", self.jitter.is_some(), &[Units, Deep]),
            ("--rate without --optimiser adam", mode == Style && self.rate.is_some() && self.is_lbfgs(), &[]),
            ("--layer beside --class", self.layer.is_some() && !self.class.is_empty(), &[]),
            ("--units without --layer", mode == Units && self.units.is_some() && self.layer.is_none(), &[]),
        ];
        match all.iter().find(|(_, given, modes)| *given && !modes.contains(&mode)) {
            None => Ok(mode),
            Some((flag, _, [])) if mode == Style => usage(flag, "--optimiser adam beside it, or without it"),
            Some((flag, _, [])) => usage(flag, "--class NAME, or --layer NAME --units LIST"),
            Some((flag, ..)) => {
                let what = match mode {
                    Units => "pictures of units",
                    Deep => "DeepDream (--image)",
                    Style => "style transfer (--content and --style)",
                };
                usage(&format!("{flag} has no part in {what}"), "without it")
            }
        }
    }
    pub(super) fn deep(&self) -> Result<DeepOptions> {
        let d = DeepOptions::default();
        let jitter = self.jitter.map_or(d.jitter as f64, f64::round);
        if !(0.0..=4096.0).contains(&jitter) {
            return usage(&format!("--jitter {jitter}"), "0 to 4096 pixels");
        }
        Ok(DeepOptions {
            layer: self.layer.clone(),
            units: self.units.as_deref().map(|u| numbers("--units", u, MOST)).transpose()?.unwrap_or_default(),
            octaves: self.octaves.unwrap_or(d.octaves),
            octave_scale: self.octave_scale.unwrap_or(d.octave_scale),
            steps: self.steps.unwrap_or(d.steps),
            strength: self.strength.unwrap_or(d.strength),
            jitter: jitter as usize,
            tiles: self.tiles,
            seed: self.seed.unwrap_or(0),
        })
    }
    pub(super) fn styling(&self) -> StyleOptions {
        let d = StyleOptions::default();
        StyleOptions {
            content_layers: self.content_layers.clone(),
            style_layers: self.style_layers.clone(),
            content_weight: self.content_weight.unwrap_or(d.content_weight),
            style_weight: self.style_weight.unwrap_or(d.style_weight),
            variation: self.tv.unwrap_or(d.variation),
            steps: self.steps.unwrap_or(d.steps),
        }
    }
    fn is_lbfgs(&self) -> bool {
        self.optimiser.as_deref() != Some("adam")
    }
    pub(super) fn style_optimiser(&self) -> StyleOptimiser {
        if self.is_lbfgs() { StyleOptimiser::Lbfgs } else { StyleOptimiser::Adam { rate: self.rate.unwrap_or(0.02) } }
    }
    pub(super) fn options(&self) -> Result<Options> {
        let d = Options::default();
        let basis = self.basis.as_deref().map(|name| {
            let found = Basis::ALL.iter().find(|b| b.0 == name).map(|b| b.1);
            found.map_or_else(|| usage(&format!("--basis {name}"), "fourier or pixels"), Ok)
        });
        Ok(Options {
            steps: self.steps.unwrap_or(d.steps),
            rate: self.rate.unwrap_or(d.rate),
            basis: basis.transpose()?.unwrap_or(d.basis),
            decorrelate: !self.plain_colors,
            jitter: self.jitter,
            rotate: self.rotate.unwrap_or(d.rotate),
            scale: self.scale.unwrap_or(d.scale),
            l2: self.l2.unwrap_or(d.l2),
            variation: self.tv.unwrap_or(d.variation),
            seed: self.seed.unwrap_or(0),
            batch: self.batch.unwrap_or(d.batch),
        })
    }
    /// The units of the model of that name that are asked for.
    pub(super) fn targets(&self, model: &Model, called: &str) -> Result<Targets> {
        let place = self.at.as_deref().map(place).transpose()?.unwrap_or_default();
        if let Some(name) = &self.layer {
            let units = match &self.units {
                Some(list) => numbers("--units", list, MOST)?,
                None => {
                    let layer = model.subject().and_then(|s| Ok(s.layer(name)?));
                    (0..layer.map_err(|e| e.inside(called))?.units().min(MANY)).collect()
                }
            };
            return Ok(Targets { layer: Some(name.clone()), units, place });
        }
        let count = model.class_count().map_err(|e| e.inside(called))?;
        let units = match self.class.is_empty() {
            false => model.class_numbers(&self.class).map_err(|e| e.inside(called))?,
            true if count <= MANY => (0..count).collect(),
            true => {
                let right = "--class NAME, --layer NAME, --image FILE, or --content FILE --style FILE";
                return usage(&format!("nothing to dream of, and {count} classes are too many for one sheet"), right);
            }
        };
        Ok(Targets { layer: None, units, place })
    }
}

/// Units of a sheet that nobody counted.
const MANY: usize = 16;
pub(super) fn usage<T>(given: &str, right: &str) -> Result<T> {
    Err(Failure::Usage(format!("{given}; right would be: {right}")))
}

/// Most units at once: more pictures than that nobody looks at on one sheet.
const MOST: usize = 1024;

/// The longer side of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Pixels(usize),
    Full,
}

/// Bounds of a longer side.
const SIDES: std::ops::RangeInclusive<usize> = 8..=4096;

fn size(text: &str) -> Result<Size, String> {
    match (text, text.parse()) {
        ("full", _) => Ok(Size::Full),
        (_, Ok(n)) if SIDES.contains(&n) => Ok(Size::Pixels(n)),
        _ => Err("right would be: 8 to 4096 pixels, or full".into()),
    }
}

impl Size {
    /// In pixels, for a photograph whose longer side is `whole`.
    pub(super) fn of(self, whole: usize) -> Result<usize> {
        match self {
            Size::Pixels(n) => Ok(n),
            Size::Full if SIDES.contains(&whole) => Ok(whole),
            Size::Full => usage(&format!("--size full: the photograph has {whole} pixels"), "8 to 4096 pixels"),
        }
    }
}

fn place(text: &str) -> Result<Place> {
    let two = text.split_once(',').and_then(|(y, x)| Some((y.trim().parse().ok()?, x.trim().parse().ok()?)));
    match (text, two) {
        ("centre" | "center", _) => Ok(Place::Centre),
        (_, Some((y, x))) => Ok(Place::At(y, x)),
        _ => usage(&format!("--at {text}"), "centre, or ROW,COLUMN"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        assert_eq!(place("center").ok(), Some(Place::Centre));
        assert_eq!(place("2,7").ok(), Some(Place::At(2, 7)));
        assert!(place("2").is_err());
    }
}
