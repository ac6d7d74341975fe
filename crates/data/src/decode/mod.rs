//! Image files to bytes: PNG, JPEG, BMP, GIF (first frame), WebP (first frame) and TIFF (first page), recognised by
//! their contents.
//!
//! The result is grey where the file is grey and RGB otherwise. Palettes are expanded; 16-bit channels keep their high
//! byte; transparency is laid over white; CMYK becomes RGB as Pillow converts it; the EXIF orientation is applied. Colour
//! profiles are not. Extents are checked against [`Limits`] before pixels are decoded.

mod bmp;
pub(crate) mod exif;
mod gif;
mod jpeg;
mod png;
mod tiff;
mod webp;

use crate::{Color, Error, Image, Limits};
use gabor_tensor::Rule;
use std::fmt::Display;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics (the first frame of an animation).
    Png,
    /// JPEG, baseline and progressive.
    Jpeg,
    /// Windows bitmap, uncompressed.
    Bmp,
    /// GIF, first frame.
    Gif,
    /// WebP, lossy and lossless, first frame.
    Webp,
    /// TIFF, first page.
    Tiff,
}

impl Format {
    /// The format that the first bytes of a file declare.
    ///
    /// ```
    /// use gabor_data::decode::Format;
    /// assert_eq!(Format::of(b"GIF89a"), Some(Format::Gif));
    /// ```
    pub fn of(bytes: &[u8]) -> Option<Format> {
        match bytes {
            [0x89, b'P', b'N', b'G', ..] => Some(Format::Png),
            [0xff, 0xd8, ..] => Some(Format::Jpeg),
            [b'B', b'M', ..] => Some(Format::Bmp),
            [b'G', b'I', b'F', b'8', ..] => Some(Format::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Format::Webp),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Format::Tiff),
            _ => None,
        }
    }
}

/// Decodes the image file at `path`. The error names the file.
pub fn decode_file(path: &Path, limits: &Limits) -> Result<Image<'static>, Error> {
    decode(&read_file(path, limits)?, limits).map_err(|r| Error::at(path, r))
}

/// The bytes of the image file at `path`, undecoded. The error names the file.
pub(crate) fn read_file(path: &Path, limits: &Limits) -> Result<Vec<u8>, Error> {
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, &e))?;
    let meta = file.metadata().map_err(|e| Error::io(path, &e))?;
    if meta.is_dir() {
        return Err(Error::at(path, Rule::new("a directory where an image is wanted").right("an image file")));
    }
    limits.check_file(meta.len()).map_err(|r| Error::at(path, r))?;
    // One more than the length says, so that the end is seen without growing.
    let mut bytes = Vec::with_capacity(meta.len() as usize + 1);
    file.take(limits.file_bytes).read_to_end(&mut bytes).map_err(|e| Error::io(path, &e))?;
    Ok(bytes)
}

/// Decodes an image file held in memory.
///
/// ```
/// let e = gabor_data::decode(b"hello", &Default::default()).unwrap_err();
/// assert_eq!(e.to_string(), "not an image that is read; given: a file that begins with 68 65 6c 6c 6f; right would be: PNG, JPEG, BMP, GIF, WebP or TIFF");
/// ```
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    decode_at_least(bytes, limits, |whole| whole)
}

/// Decodes an image file held in memory to a size that is enough, which is cheaper for large JPEGs.
///
/// `want` is given the upright extents `[h, w]` that the header declares and answers with those that are needed. The
/// image has at least those, and [`Image::original`] tells the whole ones; it is whole unless a quarter of
/// a JPEG is enough. A reduced picture differs by little from the whole one reduced by averages.
pub fn decode_at_least(
    bytes: &[u8],
    limits: &Limits,
    want: impl FnOnce([usize; 2]) -> [usize; 2],
) -> Result<Image<'static>, Rule> {
    let Some(format) = Format::of(bytes) else {
        let given = match bytes {
            [] => "an empty file".into(),
            _ => {
                let first: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
                format!("a file that begins with {}", first.join(" "))
            }
        };
        return Err(Rule::new("not an image that is read").given(given).right("PNG, JPEG, BMP, GIF, WebP or TIFF"));
    };
    let run = || match format {
        Format::Png => png::decode(bytes, limits),
        Format::Jpeg => jpeg::decode(bytes, limits, want),
        Format::Bmp => bmp::decode(bytes, limits),
        Format::Gif => gif::decode(bytes, limits),
        Format::Webp => webp::decode(bytes, limits),
        Format::Tiff => tiff::decode(bytes, limits),
    };
    // A decoder that breaks one of its own assertions on a damaged file must not end a training run.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(_) => Err(damaged(format, "the decoder stopped at an internal check")),
    }
}

fn damaged(format: Format, e: impl Display) -> Rule {
    Rule::new(format!("damaged, truncated or unsupported {format:?}"))
        .given(e.to_string().trim().to_string())
        .right("an intact file")
}

/// Pixels of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) interleaved channels; alpha is laid over white.
fn from_channels(height: usize, width: usize, channels: usize, data: Vec<u8>) -> Result<Image<'static>, Rule> {
    match channels {
        1 => Image::new(height, width, Color::Grey, data),
        2 => Image::new(
            height,
            width,
            Color::Grey,
            data.as_chunks::<2>().0.iter().map(|&[v, a]| over_white(v, a)).collect::<Vec<_>>(),
        ),
        3 => Image::new(height, width, Color::Rgb, data),
        _ => {
            let rgb = |&[r, g, b, a]: &[u8; 4]| [over_white(r, a), over_white(g, a), over_white(b, a)];
            Image::new(height, width, Color::Rgb, data.as_chunks::<4>().0.iter().flat_map(rgb).collect::<Vec<_>>())
        }
    }
}

/// A channel laid over white, rounded to nearest.
fn over_white(v: u8, alpha: u8) -> u8 {
    ((u32::from(v) * u32::from(alpha) + 255 * u32::from(255 - alpha) + 127) / 255) as u8
}

/// Ink (255 is full) to light, without a colour profile, as Pillow's `convert("RGB")`.
fn cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let light = 255 - k;
    [c, m, y].map(|ink| {
        let t = u32::from(ink) * u32::from(light) + 128;
        light - (((t >> 8) + t) >> 8) as u8
    })
}
