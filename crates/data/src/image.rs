//! Images as bytes: height × width × channels, interleaved.

use gabor_tensor::Rule;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Colour mode: the number and meaning of the channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// One channel, luma.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red: what networks trained with Caffe and OpenCV expect.
    Bgr,
}

impl Color {
    /// Number of channels: 1 or 3.
    pub fn channels(self) -> usize {
        match self {
            Color::Grey => 1,
            Color::Rgb | Color::Bgr => 3,
        }
    }
}

/// An image of bytes: row-major, channels interleaved, `data[(y · width + x) · channels + c]`; 1 channel (grey) or
/// 3 (red, green, blue, or the other way round). The pixels are borrowed from the data set or owned.
///
/// An image that was decoded at a fraction of its size ([`crate::decode::decode_at_least`]) knows its original extents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    height: usize,
    width: usize,
    color: Color,
    data: Cow<'a, [u8]>,
    reduction: Option<Reduction>,
}

/// What an image was before it was decoded at a fraction of its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reduction {
    /// A pixel stands for `by` × `by` original ones.
    pub by: usize,
    /// Original rows and columns.
    pub original: [usize; 2],
    /// Original rows and columns that the first pixels stand for but that do not exist: fewer than `by`, and 0 unless
    /// the image was turned.
    pub before: [usize; 2],
}

impl<'a> Image<'a> {
    /// An image of the given extents; an error if it has no pixels or the number of bytes differs.
    pub fn new(height: usize, width: usize, color: Color, data: impl Into<Cow<'a, [u8]>>) -> Result<Self, Rule> {
        let data = data.into();
        let want = height.checked_mul(width).and_then(|p| p.checked_mul(color.channels()));
        if want != Some(data.len()) || data.is_empty() {
            return Err(Rule::new(format!(
                "{} bytes for an image of {height} × {width} × {}",
                data.len(),
                color.channels()
            ))
            .right(want.filter(|&w| w > 0).map_or("extents of at least 1".into(), |w| format!("{w} bytes"))));
        }
        Ok(Image { height, width, color, data, reduction: None })
    }
    /// For callers that have computed `data` from the extents themselves.
    pub(crate) fn trusted(height: usize, width: usize, color: Color, data: impl Into<Cow<'a, [u8]>>) -> Self {
        let data = data.into();
        debug_assert_eq!(data.len(), height * width * color.channels());
        Image { height, width, color, data, reduction: None }
    }
    /// The same pixels, as a reduction of a larger picture.
    pub(crate) fn reduced(self, reduction: Option<Reduction>) -> Self {
        Image { reduction, ..self }
    }
    pub(crate) fn reduction(&self) -> Option<Reduction> {
        self.reduction
    }
    /// Rows and columns of the file that this image was decoded from: larger than its own where it was decoded at a
    /// fraction of its size. Preprocessing goes by these.
    pub fn original(&self) -> [usize; 2] {
        self.reduction.map_or([self.height, self.width], |r| r.original)
    }
    /// Where the original begins and how long it is, in pixels of this image, along rows and columns.
    pub(crate) fn part(&self) -> [[f64; 2]; 2] {
        match self.reduction {
            None => [[0.0, self.height as f64], [0.0, self.width as f64]],
            Some(r) => [0, 1].map(|i| [r.before[i] as f64 / r.by as f64, r.original[i] as f64 / r.by as f64]),
        }
    }
    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }
    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }
    /// The colour mode.
    pub fn color(&self) -> Color {
        self.color
    }
    /// Number of channels: 1 or 3.
    pub fn channels(&self) -> usize {
        self.color.channels()
    }
    /// The pixels, height × width × channels.
    pub fn data(&self) -> &[u8] {
        &self.data
    }
    /// The pixels by value, copied if they were borrowed.
    pub fn into_data(self) -> Vec<u8> {
        self.data.into_owned()
    }
    /// The same image, borrowing the pixels.
    pub fn view(&self) -> Image<'_> {
        let Image { height, width, color, reduction, ref data } = *self;
        Image { height, width, color, reduction, data: Cow::Borrowed(data) }
    }
    /// The same image, owning its pixels.
    pub fn into_owned(self) -> Image<'static> {
        let Image { height, width, color, reduction, data } = self;
        Image { height, width, color, reduction, data: Cow::Owned(data.into_owned()) }
    }
    /// The image in another colour mode: luma is ITU-R 601 (0.299 R + 0.587 G + 0.114 B, 16-bit fixed point as in
    /// Pillow), grey to RGB repeats the channel.
    pub fn to_color(&self, color: Color) -> Image<'_> {
        if color == self.color {
            return self.view();
        }
        let mut out = Vec::new();
        self.color_into(color, &mut out);
        Image::trusted(self.height, self.width, color, out).reduced(self.reduction)
    }
    /// Writes the pixels in another colour mode into `out`, reusing its memory.
    pub(crate) fn color_into(&self, color: Color, out: &mut Vec<u8>) {
        out.clear();
        match (self.color, color) {
            (Color::Grey, Color::Rgb | Color::Bgr) => out.extend(self.data.iter().flat_map(|&v| [v; 3])),
            (Color::Rgb, Color::Grey) => out.extend(self.data.as_chunks::<3>().0.iter().map(luma)),
            (Color::Bgr, Color::Grey) => {
                out.extend(self.data.as_chunks::<3>().0.iter().map(|&[b, g, r]| luma(&[r, g, b])));
            }
            (Color::Rgb, Color::Bgr) | (Color::Bgr, Color::Rgb) => {
                out.extend(self.data.as_chunks::<3>().0.iter().flat_map(|&[a, b, c]| [c, b, a]));
            }
            (Color::Grey, Color::Grey) | (Color::Rgb, Color::Rgb) | (Color::Bgr, Color::Bgr) => {
                out.extend_from_slice(&self.data);
            }
        }
    }
}

/// ITU-R 601 luma of a pixel, rounded to nearest.
pub(crate) fn luma(p: &[u8; 3]) -> u8 {
    ((u32::from(p[0]) * 19595 + u32::from(p[1]) * 38470 + u32::from(p[2]) * 7471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_conversions_keep_grey_levels() {
        let grey: Vec<u8> = (0..=255).collect();
        let image = Image::new(16, 16, Color::Grey, grey.clone()).unwrap();
        let back = image.to_color(Color::Rgb).to_color(Color::Grey).into_owned();
        assert_eq!(back.data(), grey);
        let rgb = Image::new(1, 2, Color::Rgb, vec![1, 2, 3, 40, 50, 60]).unwrap();
        let bgr = rgb.to_color(Color::Bgr);
        assert_eq!(bgr.data(), [3, 2, 1, 60, 50, 40]);
        assert_eq!(bgr.to_color(Color::Rgb), rgb);
        assert_eq!(bgr.to_color(Color::Grey), rgb.to_color(Color::Grey));
        assert_eq!(luma(&[255, 0, 0]), 76);
        assert_eq!(luma(&[0, 255, 0]), 150);
        assert_eq!(luma(&[0, 0, 255]), 29);
    }

    #[test]
    fn wrong_extents_are_refused() {
        assert!(Image::new(2, 2, Color::Rgb, vec![0; 4]).is_err());
        assert!(Image::new(usize::MAX, 2, Color::Rgb, vec![0; 4]).is_err());
        assert!(Image::new(0, 2, Color::Grey, vec![]).is_err());
    }
}
