//! What can be done to pixels, with given parameters; and how operations on pixels draw theirs.

use super::draw::{symmetric, within};
use super::map::Matrix;
use super::{Canvas, Operation, blur, erase, policy, tone};
use crate::Color;
use gabor_tensor::Stream;

/// Something that is done to a canvas, all its numbers known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Act {
    /// Moves places: the matrix leads from the varied image to its source.
    Warp(Matrix),
    Brightness(f64),
    Contrast(f64),
    Saturation(f64),
    /// A part of the whole circle.
    Hue(f64),
    Grey,
    /// Added to red, green and blue.
    Add([f64; 3]),
    Posterize(u32),
    Solarize(f64),
    SolarizeAdd(f64),
    Invert,
    Autocontrast,
    Equalize,
    Sharpness(f64),
    Blur {
        sigma: f64,
        radius: usize,
    },
}

/// Calls a function for 1 or 3 channels.
macro_rules! of_channels {
    ($color:expr, $($f:ident)::+ ( $($arg:expr),* )) => {
        match $color {
            Color::Grey => $($f)::+::<1>($($arg),*),
            Color::Rgb | Color::Bgr => $($f)::+::<3>($($arg),*),
        }
    };
}

impl Canvas<'_> {
    /// Where red, green and blue stand.
    fn order(&self) -> tone::Order {
        match self.color {
            Color::Grey => [0, 0, 0],
            Color::Rgb => [0, 1, 2],
            Color::Bgr => [2, 1, 0],
        }
    }
    pub(super) fn act(&mut self, act: Act) {
        if let Act::Warp(m) = act {
            return self.buffers.map.matrix(&m);
        }
        self.settle();
        let (color, rgb, size) = (self.color, self.order(), self.size);
        let super::Buffers { out, spare, blur, .. } = &mut *self.buffers;
        match act {
            Act::Warp(_) => {}
            Act::Brightness(factor) => tone::brightness(out, factor),
            Act::Contrast(factor) => of_channels!(color, tone::contrast(out, rgb, factor)),
            Act::Saturation(factor) => of_channels!(color, tone::saturation(out, rgb, factor)),
            Act::Hue(turn) => of_channels!(color, tone::hue(out, rgb, turn)),
            Act::Grey => of_channels!(color, tone::grey(out, rgb)),
            Act::Add(by) if color == Color::Grey => tone::add(out, [by[0]]),
            Act::Add(by) => tone::add(out, rgb.map(|c| by[c])),
            Act::Posterize(bits) => tone::posterize(out, bits),
            Act::Solarize(threshold) => tone::solarize(out, threshold),
            Act::SolarizeAdd(by) => tone::solarize_add(out, by),
            Act::Invert => tone::invert(out),
            Act::Autocontrast => of_channels!(color, tone::autocontrast(out)),
            Act::Equalize => of_channels!(color, tone::equalize(out)),
            Act::Sharpness(factor) => of_channels!(color, tone::sharpness(out, size, factor, spare)),
            Act::Blur { sigma, radius } => blur::blur(out, size, color.channels(), sigma, radius, blur),
        }
    }
}

/// A factor in [1 − by, 1 + by], never negative.
fn factor(s: &mut Stream, by: f64) -> f64 {
    within(s, [(1.0 - by).max(0.0), 1.0 + by])
}

impl Operation {
    /// Applies an operation on pixels, or a policy.
    pub(super) fn run_on_pixels(&self, canvas: &mut Canvas<'_>, s: &mut Stream) {
        match self {
            Operation::Brightness { by } => canvas.act(Act::Brightness(factor(s, *by))),
            Operation::Contrast { by } => canvas.act(Act::Contrast(factor(s, *by))),
            Operation::ColorJitter { brightness, contrast, saturation, hue } => {
                let mut acts = [
                    (*brightness, Act::Brightness(factor(s, *brightness))),
                    (*contrast, Act::Contrast(factor(s, *contrast))),
                    (*saturation, Act::Saturation(factor(s, *saturation))),
                    (*hue, Act::Hue(symmetric(s, *hue))),
                ];
                s.shuffle(&mut acts);
                acts.iter().filter(|a| a.0 > 0.0).for_each(|a| canvas.act(a.1));
            }
            Operation::Grey {} => canvas.act(Act::Grey),
            Operation::PcaNoise { std, values, vectors } => {
                let mut by = [0.0; 3];
                for (value, vector) in values.iter().zip(vectors.chunks(values.len().max(1))) {
                    let size = s.normal() * std * value * 255.0;
                    for (b, v) in by.iter_mut().zip(vector) {
                        *b += size * v;
                    }
                }
                canvas.act(Act::Add(by));
            }
            Operation::Posterize { bits } => canvas.act(Act::Posterize(*bits)),
            Operation::Solarize { threshold } => canvas.act(Act::Solarize(*threshold)),
            Operation::Invert {} => canvas.act(Act::Invert),
            Operation::Autocontrast {} => canvas.act(Act::Autocontrast),
            Operation::Equalize {} => canvas.act(Act::Equalize),
            Operation::Sharpness { factor } => canvas.act(Act::Sharpness(within(s, *factor))),
            Operation::Blur { sigma, radius } => {
                let sigma = within(s, *sigma);
                let radius = if *radius == 0 { libm::ceil(3.0 * sigma) as usize } else { *radius as usize };
                canvas.act(Act::Blur { sigma, radius });
            }
            Operation::Noise { std } => {
                canvas.settle();
                let super::Buffers { out, blur, .. } = &mut *canvas.buffers;
                blur::noise(out, std * 255.0, s, blur);
            }
            Operation::Cutout { side } => erase::cutout(canvas, *side as usize, s),
            Operation::Erase { area, ratio, noise } => erase::erase(canvas, *area, *ratio, *noise, s),
            Operation::Randaugment { ops, magnitude, std, style } => {
                policy::rand_augment(canvas, *ops, *magnitude, *std, *style, s);
            }
            Operation::Trivialaugment {} => policy::trivial_augment(canvas, s),
            _ => {}
        }
    }
}
