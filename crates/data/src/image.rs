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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    height: usize,
    width: usize,
    color: Color,
    data: Cow<'a, [u8]>,
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
        Ok(Image { height, width, color, data })
    }
    /// For callers that have computed `data` from the extents themselves.
    pub(crate) fn trusted(height: usize, width: usize, color: Color, data: impl Into<Cow<'a, [u8]>>) -> Self {
        let data = data.into();
        debug_assert_eq!(data.len(), height * width * color.channels());
        Image { height, width, color, data }
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
        Image { height: self.height, width: self.width, color: self.color, data: Cow::Borrowed(&self.data) }
    }
    /// The same image, owning its pixels.
    pub fn into_owned(self) -> Image<'static> {
        Image { height: self.height, width: self.width, color: self.color, data: Cow::Owned(self.data.into_owned()) }
    }
    /// The image in another colour mode: luma is ITU-R 601 (0.299 R + 0.587 G + 0.114 B, 16-bit fixed point as in
    /// Pillow), grey to RGB repeats the channel.
    pub fn to_color(&self, color: Color) -> Image<'_> {
        if color == self.color {
            return self.view();
        }
        let mut out = Vec::new();
        self.color_into(color, &mut out);
        Image::trusted(self.height, self.width, color, out)
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
