//! Preprocessing as plain data: colour mode, size, crop, scale, mean and standard deviation.
//!
//! The same value prepares training, validation and prediction, and travels as JSON inside the model file.

mod alike;
pub(crate) mod resize;

pub use alike::common_shape;

use crate::decode::{decode_at_least, read_file};
use crate::{Color, Dataset, Error, Image, Limits, OnBad};
use gabor_tensor::Rule;
use resize::Axis;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The largest extent that preprocessing may produce.
const MAX_SIDE: usize = 1 << 14;

/// Filter of a resize. All but [`Filter::Nearest`] are antialiased: they widen with the reduction, as in Pillow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// The mean of the pixels that an output pixel covers.
    Box,
    /// Triangle, reach 1.
    Bilinear,
    /// Hamming-windowed sinc, reach 1: sharper than bilinear at the same cost.
    Hamming,
    /// Keys' cubic with a = −1/2, reach 2.
    Bicubic,
    /// Windowed sinc, reach 3.
    Lanczos,
}

/// The size that an image is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Resize {
    /// Exactly `height` × `width`; the aspect ratio changes where it differs.
    Exact {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// The shorter side becomes `to`, the longer ⌊`to` · long / short⌋, as in torchvision; a crop must follow.
    ShortSide {
        /// Length of the shorter side.
        to: usize,
    },
}

/// From an image of any size to `[c, h, w]` floats: colour mode, resize, centre crop, then per channel
/// `(v / divisor − mean) / std` in f32, channels first.
///
/// JSON form, all keys required but `crop`, unknown keys are errors; colours are `grey`, `rgb` and `bgr`:
/// `{"color":"rgb","resize":{"short_side":{"to":256}},"filter":"bilinear","crop":[224,224],"divisor":255.0,"mean":[…],"std":[…]}`.
///
/// ```
/// use gabor_data::Preprocessing;
/// let p = Preprocessing::imagenet();
/// assert_eq!(p.input(), [3, 224, 224]);
/// assert_eq!(Preprocessing::from_json(&p.to_json()).unwrap(), p);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Colour mode of the model's input.
    pub color: Color,
    /// The size that an image is brought to first.
    pub resize: Resize,
    /// Filter of the resize.
    pub filter: Filter,
    /// Rows and columns cut from the centre, `[h, w]`; training may cut elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[usize; 2]>,
    /// What the byte values are divided by: 255 for [0, 1].
    pub divisor: f32,
    /// Subtracted per channel, after the division.
    pub mean: Vec<f32>,
    /// Divided by per channel, last.
    pub std: Vec<f32>,
}

/// Memory that [`Preprocessing::apply_into`] reuses from image to image.
#[derive(Default)]
pub struct Scratch {
    color: Vec<u8>,
    pixels: Vec<u8>,
    resize: resize::Buffers,
    table: Vec<f32>,
}

impl Scratch {
    /// Takes back the memory of a prepared image.
    pub(crate) fn give_back(&mut self, image: Image<'static>) {
        self.pixels = image.into_data();
    }
}

impl Preprocessing {
    /// Brings images to `[c, h, w]` = `input`, values in [0, 1]. Errors: channels other than 1 or 3, extents of zero or
    /// beyond 16,384.
    pub fn exact(input: [usize; 3]) -> Result<Self, Error> {
        let [c, height, width] = input;
        let color = match c {
            1 => Color::Grey,
            3 => Color::Rgb,
            _ => return Err(fail(Rule::new(format!("an input of {c} channels")).right("1 (grey) or 3 (RGB)"))),
        };
        let out = Preprocessing {
            color,
            resize: Resize::Exact { height, width },
            filter: Filter::Bilinear,
            crop: None,
            divisor: 255.0,
            mean: vec![0.0; c],
            std: vec![1.0; c],
        };
        out.validate()?;
        Ok(out)
    }
    /// The preparation of ImageNet models since AlexNet: short side 256, centre crop 224 × 224, RGB in [0, 1] less
    /// mean 0.485 0.456 0.406, divided by 0.229 0.224 0.225 (torchvision's numbers).
    pub fn imagenet() -> Self {
        Preprocessing {
            color: Color::Rgb,
            resize: Resize::ShortSide { to: 256 },
            filter: Filter::Bilinear,
            crop: Some([224, 224]),
            divisor: 255.0,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }
    /// What suits a data set and a network of input `[c, h, w]`, with mean and standard deviation of the data set.
    ///
    /// Images of one known size, or small files of one size ([`common_shape`]), are resized to h × w (left alone if they have
    /// that size); photographs get short side ⌈max(h, w) · 8 / 7⌉ and a centre crop of h × w (256 and 224, as AlexNet).
    pub fn for_dataset(dataset: &dyn Dataset, input: [usize; 3]) -> Result<Self, Error> {
        Self::for_dataset_with(dataset, input, OnBad::Fail)
    }
    /// The same, and what to do about images that cannot be read.
    pub fn for_dataset_with(dataset: &dyn Dataset, input: [usize; 3], bad: OnBad) -> Result<Self, Error> {
        let mut out = Self::exact(input)?;
        if common_shape(dataset).is_none() {
            let [_, h, w] = input;
            out.resize = Resize::ShortSide { to: (h.max(w) * 8).div_ceil(7).min(MAX_SIDE) };
            out.crop = Some([h, w]);
        }
        out.with_statistics_of(dataset, 4096, bad)
    }
    /// The same with mean and standard deviation per channel over all pixels of at most `samples` images of the data
    /// set, evenly spaced. Sums are exact integers, so the result does not depend on any order. A channel that never
    /// varies gets the standard deviation 1. Errors: an empty data set, an image that cannot be decoded (under
    /// [`OnBad::Skip`]: none that can).
    pub fn with_statistics_of(mut self, dataset: &dyn Dataset, samples: usize, bad: OnBad) -> Result<Self, Error> {
        self.validate()?;
        let count = if dataset.shape().is_some() { dataset.len() } else { samples.min(dataset.len()) };
        if count == 0 {
            return Err(fail(Rule::new("mean and standard deviation of no images").right("at least one image")));
        }
        let c = self.color.channels();
        let (mut sum, mut squares) = (vec![0u64; c], vec![0u128; c]);
        let mut scratch = Scratch::default();
        let mut pixels = 0u64;
        for k in 0..count {
            let i = (k as u128 * dataset.len() as u128 / count as u128) as usize;
            let image = match dataset.image_at_least(i, &|whole| self.enough(whole)) {
                Ok(image) => image,
                Err(e) if bad == OnBad::Fail || (k + 1 == count && pixels == 0) => return Err(e),
                Err(_) => continue,
            };
            let prepared = self.prepare(&image, &mut scratch)?;
            pixels += (prepared.height() * prepared.width()) as u64;
            for channel in 0..c {
                let (mut s, mut q) = (0u64, 0u64);
                for &v in prepared.data()[channel..].iter().step_by(c) {
                    s += u64::from(v);
                    q += u64::from(v) * u64::from(v);
                }
                sum[channel] += s;
                squares[channel] += u128::from(q);
            }
            scratch.give_back(prepared);
        }
        let n = pixels as f64;
        for channel in 0..c {
            let mean = sum[channel] as f64 / n;
            let variance = (squares[channel] as f64 / n - mean * mean).max(0.0);
            let std = variance.sqrt() / f64::from(self.divisor);
            self.mean[channel] = (mean / f64::from(self.divisor)) as f32;
            self.std[channel] = if std > 1e-6 { std as f32 } else { 1.0 };
        }
        Ok(self)
    }
    /// `[c, h, w]` of the result.
    pub fn input(&self) -> [usize; 3] {
        let [h, w] = match (self.crop, self.resize) {
            (Some(crop), _) => crop,
            (None, Resize::Exact { height, width }) => [height, width],
            (None, Resize::ShortSide { to }) => [to, to],
        };
        [self.color.channels(), h, w]
    }
    /// Checks every field: extents in 1..=16,384, a crop inside the resize, a positive divisor, one finite mean and
    /// one positive standard deviation per channel.
    pub fn validate(&self) -> Result<(), Error> {
        let side = |what: &str, v: usize| match (1..=MAX_SIDE).contains(&v) {
            true => Ok(()),
            false => Err(fail(Rule::new(format!("{what} of {v}")).right(format!("1 to {MAX_SIDE}")))),
        };
        let [inner_h, inner_w] = match self.resize {
            Resize::Exact { height, width } => [height, width],
            Resize::ShortSide { to } => [to, to],
        };
        side("a resized height", inner_h)?;
        side("a resized width", inner_w)?;
        match (self.crop, self.resize) {
            (Some([h, w]), _) => {
                side("a cropped height", h)?;
                side("a cropped width", w)?;
                if h > inner_h || w > inner_w {
                    let rule = Rule::new(format!("a crop of {h} × {w} from {inner_h} × {inner_w}"));
                    return Err(fail(rule.right("a crop inside the resized image")));
                }
            }
            (None, Resize::ShortSide { .. }) => {
                return Err(fail(Rule::new("short_side without a crop gives images of many sizes").right("a crop")));
            }
            (None, Resize::Exact { .. }) => {}
        }
        if !(self.divisor.is_finite() && self.divisor > 0.0) {
            return Err(fail(Rule::new(format!("a divisor of {}", self.divisor)).right("a positive number")));
        }
        let c = self.color.channels();
        for (name, values, positive) in [("mean", &self.mean, false), ("std", &self.std, true)] {
            if values.len() != c {
                return Err(fail(
                    Rule::new(format!("{} values of {name} for {c} channels", values.len())).right(format!("{c}")),
                ));
            }
            if let Some(v) = values.iter().find(|v| !v.is_finite() || (positive && **v <= 0.0)) {
                let right = if positive { "positive numbers" } else { "finite numbers" };
                return Err(fail(Rule::new(format!("a {name} of {v}")).right(right)));
            }
        }
        Ok(())
    }
    /// The compact JSON form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
    /// Reads and validates the JSON form; unknown keys are errors.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let out: Preprocessing = serde_json::from_str(text).map_err(|e| {
            fail(
                Rule::new("not the JSON of a preprocessing")
                    .given(e.to_string())
                    .right("the keys color, resize, filter, crop, divisor, mean, std"),
            )
        })?;
        out.validate()?;
        Ok(out)
    }
    /// The image as `[c, h, w]` floats.
    pub fn apply(&self, image: &Image<'_>) -> Result<Vec<f32>, Error> {
        self.validate()?;
        let mut out = vec![0.0; self.input().iter().product()];
        self.apply_into(image, &mut out, &mut Scratch::default())?;
        Ok(out)
    }
    /// Writes the image as `[c, h, w]` floats into `out`, whose length must be their product. Allocates only what
    /// `scratch` does not yet hold.
    pub fn apply_into(&self, image: &Image<'_>, out: &mut [f32], scratch: &mut Scratch) -> Result<(), Error> {
        let prepared = self.prepare(image, scratch)?;
        let result = self.normalise(prepared.data(), out, &mut scratch.table);
        scratch.give_back(prepared);
        result
    }
    /// Colour mode, resize and crop: the model's picture before normalisation, h × w × c bytes.
    pub fn prepared(&self, image: &Image<'_>) -> Result<Image<'static>, Error> {
        self.validate()?;
        Ok(self.prepare(image, &mut Scratch::default())?.into_owned())
    }

    /// Rows and columns that are enough of a picture of `[h, w]`: twice what the resize makes of it. A large JPEG is
    /// decoded at a quarter of its size where that leaves so much in every component; the result differs from
    /// that of the whole picture by about a level on average (Pillow's `reducing_gap=2` is the same rule).
    pub fn enough(&self, [h, w]: [usize; 2]) -> [usize; 2] {
        let to = self.resized_size(h.max(1), w.max(1));
        [to.0.saturating_mul(2), to.1.saturating_mul(2)]
    }
    /// Decodes an image file in memory at a size that is [`enough`](Self::enough). Training, validation and prediction all
    /// decode so, and therefore see the same pixels.
    pub fn decode(&self, bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
        decode_at_least(bytes, limits, |whole| self.enough(whole))
    }
    /// The same with the file at `path`. The error names the file.
    pub fn decode_file(&self, path: &Path, limits: &Limits) -> Result<Image<'static>, Error> {
        self.decode(&read_file(path, limits)?, limits).map_err(|r| Error::at(path, r))
    }

    /// The size after the resize.
    fn resized_size(&self, h: usize, w: usize) -> (usize, usize) {
        match self.resize {
            Resize::Exact { height, width } => (height, width),
            Resize::ShortSide { to } => {
                let long =
                    |long: usize, short: usize| (to as u128 * long as u128 / short as u128).min(1 << 40) as usize;
                if h <= w { (to, long(w, h)) } else { (long(h, w), to) }
            }
        }
    }
    /// Whether an image of `[c, h, w]` comes out of [`Preprocessing::resized`] unchanged.
    pub(crate) fn is_identity(&self, [c, h, w]: [usize; 3], cropped: bool) -> bool {
        // A set of known extents holds grey or RGB images.
        let as_stored = c == self.color.channels() && self.color != Color::Bgr;
        as_stored && self.resized_size(h, w) == (h, w) && (!cropped || self.input()[1..] == [h, w])
    }
    pub(crate) fn prepare(&self, image: &Image<'_>, scratch: &mut Scratch) -> Result<Image<'static>, Error> {
        self.resized(image, true, scratch)
    }
    /// Colour mode and resize; the centre crop too if asked for. The pixels come out of `scratch.pixels`.
    pub(crate) fn resized(
        &self,
        image: &Image<'_>,
        crop: bool,
        scratch: &mut Scratch,
    ) -> Result<Image<'static>, Error> {
        // The fields are public, so they are checked at every use; that costs less than a row of pixels.
        self.validate()?;
        let [h, w] = image.original();
        let to = self.resized_size(h, w);
        if to.0.saturating_mul(to.1) > MAX_SIDE * MAX_SIDE {
            return Err(fail(
                Rule::new(format!("an image of {h} × {w} becomes {} × {}", to.0, to.1))
                    .right("a less extreme aspect ratio"),
            ));
        }
        let window = |output: usize, part: Option<usize>| match part {
            Some(part) if crop => (centre(output, part), part),
            _ => (0, output),
        };
        let [rows, columns] = image.part();
        let axis = |input: usize, [from, extent]: [f64; 2], output: usize, part: Option<usize>| {
            let (first, count) = window(output, part);
            Axis { input, from, extent, output, wanted: first..first + count }
        };
        let rows = axis(image.height(), rows, to.0, self.crop.map(|c| c[0]));
        let columns = axis(image.width(), columns, to.1, self.crop.map(|c| c[1]));
        let Scratch { color, pixels, resize, .. } = scratch;
        let mut out = std::mem::take(pixels);
        // Filters treat channels alike, so what only copies channels is done to the few pixels that come out.
        let late = image.color() == Color::Grey || self.color != Color::Grey;
        let src = if late {
            image.data()
        } else {
            image.color_into(self.color, color);
            &**color
        };
        let channels = if late { image.color() } else { self.color };
        match channels {
            Color::Grey => resize::resize::<1>(src, &rows, &columns, self.filter, resize, &mut out),
            Color::Rgb | Color::Bgr => resize::resize::<3>(src, &rows, &columns, self.filter, resize, &mut out),
        }
        let out = Image::trusted(rows.wanted.len(), columns.wanted.len(), channels, out);
        if channels == self.color {
            return Ok(out);
        }
        out.color_into(self.color, color);
        let size = (out.height(), out.width());
        *pixels = out.into_data();
        std::mem::swap(pixels, color);
        Ok(Image::trusted(size.0, size.1, self.color, std::mem::take(pixels)))
    }
    /// The picture of floats c × h × w as [`Preprocessing::apply`] makes them: `v · std + mean`, times the divisor, rounded.
    /// Errors: another number of floats than [`Preprocessing::input`] says.
    pub fn picture(&self, floats: &[f32]) -> Result<Image<'static>, Error> {
        self.validate()?;
        let [c, h, w] = self.input();
        if floats.len() != c * h * w {
            let rule = Rule::new(format!("{} floats for a picture of {c} × {h} × {w}", floats.len()));
            return Err(fail(rule.right(format!("{} floats", c * h * w))));
        }
        let mut out = vec![0; floats.len()];
        for (channel, plane) in floats.chunks_exact(h * w).enumerate() {
            for (o, v) in out[channel..].iter_mut().step_by(c).zip(plane) {
                *o = ((v * self.std[channel] + self.mean[channel]) * self.divisor + 0.5) as u8;
            }
        }
        Ok(Image::trusted(h, w, self.color, out))
    }
    /// Colour mode alone, for augmentation that resizes by itself.
    pub(crate) fn recolored(&self, image: Image<'_>, scratch: &mut Scratch) -> Image<'static> {
        if image.color() == self.color {
            return image.into_owned();
        }
        let mut out = std::mem::take(&mut scratch.pixels);
        image.color_into(self.color, &mut out);
        Image::trusted(image.height(), image.width(), self.color, out)
    }
    /// Bytes h × w × c to floats c × h × w, by a table of the 256 values of each channel.
    pub(crate) fn normalise(&self, pixels: &[u8], out: &mut [f32], table: &mut Vec<f32>) -> Result<(), Error> {
        let c = self.color.channels();
        if pixels.len() != out.len() || self.mean.len() != c || self.std.len() != c {
            return Err(fail(
                Rule::new(format!("{} floats for {} bytes of {c} channels", out.len(), pixels.len()))
                    .right("as many floats as bytes"),
            ));
        }
        let value = |v: usize, k: usize| (v as f32 / self.divisor - self.mean[k]) / self.std[k];
        table.clear();
        table.extend((0..c).flat_map(|k| (0..256).map(move |v| value(v, k))));
        match table.as_chunks::<256>().0 {
            [red, green, blue] => {
                // One way through the pixels writes three planes.
                let (r, rest) = out.split_at_mut(out.len() / 3);
                let (g, b) = rest.split_at_mut(rest.len() / 2);
                for (((p, r), g), b) in pixels.as_chunks::<3>().0.iter().zip(r).zip(g).zip(b) {
                    *r = red[usize::from(p[0])];
                    *g = green[usize::from(p[1])];
                    *b = blue[usize::from(p[2])];
                }
            }
            [grey, ..] => out.iter_mut().zip(pixels).for_each(|(o, &v)| *o = grey[usize::from(v)]),
            [] => {}
        }
        Ok(())
    }
}

/// The first position of a centred crop, halves to even as Python rounds.
fn centre(size: usize, crop: usize) -> usize {
    let twice = size.saturating_sub(crop);
    let half = twice / 2;
    if twice % 2 == 1 && half % 2 == 1 { half + 1 } else { half }
}

fn fail(rule: Rule) -> Error {
    Error::new("preprocessing", rule)
}
