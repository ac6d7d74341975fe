//! Policies: a random choice among operations for every image.

use super::Canvas;
use super::map::about;
use super::parameter::Parameter;
use super::pixels::Act;
use gabor_tensor::Stream;
use serde_json::Value;

/// Whose list of operations and magnitudes RandAugment takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// 14 operations, magnitudes of 0 to 30, each always applied: torchvision's `RandAugment`.
    Torchvision,
    /// 15 operations whose strength grows with magnitudes of 0 to 10, each applied every other time: timm's `rand-…-inc1`.
    Timm,
}

impl Parameter for Style {
    fn read(v: &Value) -> Option<Self> {
        match v.as_str()? {
            "torchvision" => Some(Style::Torchvision),
            "timm" => Some(Style::Timm),
            _ => None,
        }
    }
    fn write(&self) -> Value {
        match self {
            Style::Torchvision => "torchvision".into(),
            Style::Timm => "timm".into(),
        }
    }
}

/// What a policy chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    SolarizeAdd,
    Autocontrast,
    Equalize,
    Invert,
}

use Choice::*;

const TORCHVISION: &[Choice] = &[
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    Autocontrast,
    Equalize,
];
const TIMM: &[Choice] = &[
    Autocontrast,
    Equalize,
    Invert,
    Rotate,
    Posterize,
    Solarize,
    SolarizeAdd,
    Color,
    Contrast,
    Brightness,
    Sharpness,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
];

/// The largest strengths of a list.
struct Space {
    /// Tangent of the angle.
    shear: f64,
    /// Pixels along x and y.
    translate: [f64; 2],
    degrees: f64,
    /// Distance of a factor from 1.
    factor: f64,
    /// Smallest factor.
    least: f64,
}

/// RandAugment (Cubuk et al. 2019): `ops` operations, each drawn anew, all of one magnitude; `std` spreads the magnitude.
pub(super) fn rand_augment(c: &mut Canvas<'_>, ops: u32, magnitude: f64, std: f64, style: Style, s: &mut Stream) {
    let [h, w] = c.size.map(|v| v as f64);
    for _ in 0..ops {
        let (list, most) = match style {
            Style::Torchvision => (TORCHVISION, 30.0),
            Style::Timm => (TIMM, 10.0),
        };
        let choice = list[s.below(list.len())];
        // Every number is drawn, needed or not, so that one operation's choice moves no other's draws.
        let (applied, spread, sign) = (s.uniform() < 0.5, s.normal(), s.uniform() < 0.5);
        let part = ((magnitude + std * spread) / most).clamp(0.0, 1.0);
        let act = match style {
            Style::Torchvision => {
                let translate = [w * 150.0 / 331.0, h * 150.0 / 331.0];
                let space = Space { shear: 0.3, translate, degrees: 30.0, factor: 0.9, least: 0.0 };
                let act = of(choice, &space, part, sign, [h, w]);
                match choice {
                    Posterize => Some(Act::Posterize((8.0 - (4.0 * part).round_ties_even()) as u32)),
                    Solarize => Some(Act::Solarize(255.0 * (1.0 - part))),
                    _ => act,
                }
            }
            Style::Timm if !applied => None,
            Style::Timm => {
                let translate = [0.45 * w, 0.45 * h];
                let space = Space { shear: 0.3, translate, degrees: 30.0, factor: 0.9, least: 0.1 };
                match choice {
                    Posterize => Some(Act::Posterize(4 - (4.0 * part) as u32)),
                    Solarize => Some(Act::Solarize(256.0 - (256.0 * part).floor())),
                    SolarizeAdd => Some(Act::SolarizeAdd((110.0 * part).floor())),
                    _ => of(choice, &space, part, sign, [h, w]),
                }
            }
        };
        if let Some(act) = act {
            c.act(act);
        }
    }
}

/// TrivialAugment, wide (Müller and Hutter 2021; torchvision's `TrivialAugmentWide`): one operation, any of 31 magnitudes.
pub(super) fn trivial_augment(c: &mut Canvas<'_>, s: &mut Stream) {
    let size = c.size.map(|v| v as f64);
    let choice = TORCHVISION[s.below(TORCHVISION.len())];
    let (part, sign) = (s.below(31) as f64 / 30.0, s.uniform() < 0.5);
    let space = Space { shear: 0.99, translate: [32.0, 32.0], degrees: 135.0, factor: 0.99, least: 0.0 };
    let act = match choice {
        Posterize => Some(Act::Posterize((8.0 - (6.0 * part).round_ties_even()) as u32)),
        Solarize => Some(Act::Solarize(255.0 * (1.0 - part))),
        _ => of(choice, &space, part, sign, size),
    };
    if let Some(act) = act {
        c.act(act);
    }
}

/// A choice at a part of its largest strength, to one side or the other.
fn of(choice: Choice, space: &Space, part: f64, negative: bool, [h, w]: [f64; 2]) -> Option<Act> {
    let sign = if negative { -1.0 } else { 1.0 };
    let shear = sign * part * space.shear;
    let factor = (1.0 + sign * part * space.factor).max(space.least);
    let [tx, ty] = space.translate.map(|t| sign * part * t);
    Some(match choice {
        // About the left top corner, as both libraries shear.
        ShearX => Act::Warp([1.0, -shear, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        ShearY => Act::Warp([1.0, 0.0, 0.0, -shear, 1.0, 0.0, 0.0, 0.0, 1.0]),
        TranslateX => Act::Warp([1.0, 0.0, -tx.trunc(), 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]),
        TranslateY => Act::Warp([1.0, 0.0, 0.0, 0.0, 1.0, -ty.trunc(), 0.0, 0.0, 1.0]),
        Rotate => {
            let angle = (sign * part * space.degrees).to_radians();
            let (sin, cos) = (libm::sin(angle), libm::cos(angle));
            Act::Warp(about([cos, sin, -sin, cos], (w / 2.0, h / 2.0)))
        }
        Brightness => Act::Brightness(factor),
        Color => Act::Saturation(factor),
        Contrast => Act::Contrast(factor),
        Sharpness => Act::Sharpness(factor),
        Autocontrast => Act::Autocontrast,
        Equalize => Act::Equalize,
        Invert => Act::Invert,
        Identity | Posterize | Solarize | SolarizeAdd => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magnitudes_are_torchvisions() {
        // torchvision's RandAugment(2, 9) on 224 × 224: shear 0.09, translate ⌊0.3 · 101.5…⌋ = 30, rotate 9°, factor 0.27.
        let translate = [224.0 * 150.0 / 331.0; 2];
        let space = Space { shear: 0.3, translate, degrees: 30.0, factor: 0.9, least: 0.0 };
        let at = |choice, negative| of(choice, &space, 9.0 / 30.0, negative, [224.0, 224.0]).unwrap();
        let warp = |act| match act {
            Act::Warp(m) => m,
            _ => panic!("{act:?}"),
        };
        assert!((warp(at(ShearX, false))[1] + 0.09).abs() < 1e-12);
        assert_eq!(warp(at(TranslateY, true))[5], 30.0);
        assert!((warp(at(Rotate, false))[1] - 9f64.to_radians().sin()).abs() < 1e-12);
        assert_eq!(at(Color, true), Act::Saturation(1.0 - 0.3 * 0.9));
        assert_eq!(of(Identity, &space, 0.3, false, [2.0, 2.0]), None);
    }
}
