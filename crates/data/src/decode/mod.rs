//! Image files to bytes: PNG, JPEG, BMP, GIF (first frame) and WebP (first frame), recognised by their contents.
//!
//! The result is grey where the file is grey and RGB otherwise. Palettes are expanded; 16-bit channels keep their high
//! byte; transparency is laid over white; the EXIF orientation is applied. Colour profiles are not. Extents are checked
//! against [`Limits`] before pixels are decoded.

mod bmp;
mod exif;
mod jpeg;

use crate::{Color, Error, Image, Limits};
use gabor_tensor::Rule;
use std::fmt::Display;
use std::io::{Cursor, Read};
use std::num::NonZeroU64;
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
    let mut bytes = Vec::new();
    file.take(limits.file_bytes).read_to_end(&mut bytes).map_err(|e| Error::io(path, &e))?;
    Ok(bytes)
}

/// Decodes an image file held in memory.
///
/// ```
/// let e = gabor_data::decode(b"hello", &Default::default()).unwrap_err();
/// assert_eq!(e.to_string(), "not an image that is read; given: a file that begins with 68 65 6c 6c 6f; right would be: PNG, JPEG, BMP, GIF or WebP");
/// ```
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let Some(format) = Format::of(bytes) else {
        let given = match bytes {
            [] => "an empty file".into(),
            _ => {
                let first: Vec<String> = bytes.iter().take(8).map(|b| format!("{b:02x}")).collect();
                format!("a file that begins with {}", first.join(" "))
            }
        };
        return Err(Rule::new("not an image that is read").given(given).right("PNG, JPEG, BMP, GIF or WebP"));
    };
    let run = || match format {
        Format::Png => png(bytes, limits),
        Format::Jpeg => jpeg::decode(bytes, limits),
        Format::Bmp => bmp::decode(bytes, limits),
        Format::Gif => gif(bytes, limits),
        Format::Webp => webp(bytes, limits),
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

fn png(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let fail = |e: png::DecodingError| damaged(Format::Png, e);
    let bound = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: bound });
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(fail)?;
    limits.check_image(header.height.into(), header.width.into(), 8)?;
    let mut reader = decoder.read_info().map_err(fail)?;
    let size =
        reader.output_buffer_size().ok_or_else(|| damaged(Format::Png, "more bytes than memory has addresses"))?;
    limits.check_memory(size as u64)?;
    let mut data = vec![0; size];
    let info = reader.next_frame(&mut data).map_err(fail)?;
    data.truncate(info.buffer_size());
    let orientation = reader.info().exif_metadata.as_deref().map_or(1, exif::orientation);
    let image = from_channels(info.height as usize, info.width as usize, info.color_type.samples(), data)?;
    Ok(exif::orient(image, orientation))
}

fn gif(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let fail = |e: gif::DecodingError| damaged(Format::Gif, e);
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    if let Some(bound) = NonZeroU64::new(limits.memory) {
        options.set_memory_limit(gif::MemoryLimit::Bytes(bound));
    }
    let mut decoder = options.read_info(bytes).map_err(fail)?;
    let (height, width) = (usize::from(decoder.height()), usize::from(decoder.width()));
    limits.check_image(height as u64, width as u64, 8)?;
    let (top, left, h, w) = match decoder.next_frame_info().map_err(fail)? {
        Some(f) => (usize::from(f.top), usize::from(f.left), usize::from(f.height), usize::from(f.width)),
        None => return Err(damaged(Format::Gif, "no frame")),
    };
    limits.check_image(h as u64, w as u64, 8)?;
    let mut frame = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut frame).map_err(fail)?;
    // The frame may cover only part of the canvas; the rest is transparent.
    let mut canvas = vec![0; height * width * 4];
    let visible = w.min(width.saturating_sub(left));
    let rows = if visible == 0 { 0 } else { h.min(height.saturating_sub(top)) };
    for y in 0..rows {
        let to = ((top + y) * width + left) * 4;
        let from = y * w * 4;
        canvas[to..to + visible * 4].copy_from_slice(&frame[from..from + visible * 4]);
    }
    from_channels(height, width, 4, canvas)
}

fn webp(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let fail = |e: image_webp::DecodingError| damaged(Format::Webp, e);
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(fail)?;
    decoder.set_memory_limit(usize::try_from(limits.memory).unwrap_or(usize::MAX));
    let (width, height) = decoder.dimensions();
    limits.check_image(height.into(), width.into(), 8)?;
    let size =
        decoder.output_buffer_size().ok_or_else(|| damaged(Format::Webp, "more bytes than memory has addresses"))?;
    limits.check_memory(size as u64)?;
    let mut data = vec![0; size];
    decoder.read_image(&mut data).map_err(fail)?;
    let orientation = decoder.exif_metadata().ok().flatten().map_or(1, |e| exif::orientation(&e));
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    Ok(exif::orient(from_channels(height as usize, width as usize, channels, data)?, orientation))
}
