//! Augmentation as the text of a setting.

use crate::error::suggest;
use gabor_data::Augmentation;
use gabor_tensor::Rule;

const WORDS: &[&str] = &[
    "none",
    "handwriting",
    "small_photos",
    "photos",
    "random_crop",
    "mirror",
    "shift",
    "rotate",
    "scale",
    "stretch",
    "shear",
    "brightness",
    "contrast",
    "cutout",
    "fill",
];

/// An augmentation from text: `none`, a preset (`handwriting`, `small_photos`, `photos`), flags (`mirror`,
/// `random_crop`) and `NAME:EXTENT`, with commas between; later words change earlier ones.
///
/// ```
/// let a = gabor_train::parse_augmentation("handwriting,rotate:15").unwrap();
/// assert_eq!((a.rotate, a.shift), (15.0, 1));
/// ```
///
/// # Errors
/// An unknown word, with the nearest known one; an extent out of bounds.
pub fn parse_augmentation(text: &str) -> Result<Augmentation, Rule> {
    let mut a = Augmentation::default();
    for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        let (name, extent) = word.split_once(':').map_or((word, None), |(n, e)| (n.trim(), Some(e.trim())));
        let number = || -> Result<f32, Rule> {
            let missing = || Rule::new(format!("`{word}` has no extent")).right(format!("{name}:NUMBER"));
            extent.and_then(|e| e.parse().ok()).filter(|v: &f32| v.is_finite() && *v >= 0.0).ok_or_else(missing)
        };
        let flag = |value: bool| match extent {
            None => Ok(value),
            Some(e) => Err(Rule::new(format!("`{word}`: `{name}` has no extent, given {e}")).right(name.to_string())),
        };
        match name {
            "none" => a = if flag(true)? { Augmentation::default() } else { a },
            "handwriting" => a = if flag(true)? { Augmentation::handwriting() } else { a },
            "small_photos" => a = if flag(true)? { Augmentation::small_photos() } else { a },
            "photos" => a = if flag(true)? { Augmentation::photos() } else { a },
            "random_crop" => a.random_crop = flag(true)?,
            "mirror" => a.mirror = flag(true)?,
            "shift" => a.shift = number()? as u32,
            "rotate" => a.rotate = number()?,
            "scale" => a.scale = number()?,
            "stretch" => a.stretch = number()?,
            "shear" => a.shear = number()?,
            "brightness" => a.brightness = number()?,
            "contrast" => a.contrast = number()?,
            "cutout" => a.cutout = number()? as u32,
            "fill" => a.fill = number()?.min(255.0) as u8,
            _ => {
                let right = suggest(name, WORDS.iter().copied());
                return Err(Rule::new(format!("no augmentation is called `{name}`")).right(right));
            }
        }
    }
    a.validate().map_err(|e| e.rule().clone())?;
    Ok(a)
}
