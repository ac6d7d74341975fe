//! TIFF, first page, by the crate `tiff`; here the checks around it, palettes, depths and colour spaces.
//!
//! Read: grey (either zero), RGB, palette, CMYK, YCbCr, with or without alpha (as it is, or multiplied in); 1, 2, 4, 8
//! and 16 bits; strips and tiles, interleaved or in planes; stored plainly, as PackBits, LZW, Deflate, JPEG or fax.

use super::exif::{self, Entry};
use super::{Format, cmyk, damaged, from_channels, jpeg, over_white};
use crate::{Image, Limits};
use gabor_tensor::Rule;
use std::borrow::Cow;
use std::io::Cursor;
use tiff::ColorType;
use tiff::decoder::{ChunkType, Decoder};
use tiff::tags::{PhotometricInterpretation, SampleFormat, Tag};

/// Photometric interpretation: what a sample means.
const PHOTOMETRIC: u16 = 262;
const PALETTE: u16 = 3;
/// Compression: JPEG in strips or tiles.
const JPEG: u16 = 7;
/// Extra samples: alpha that is multiplied into the colours, and alpha that is not.
const ASSOCIATED: u16 = 1;
const UNASSOCIATED: u16 = 2;
/// Tiles may be wider and higher than the picture, but no more than this.
const TILE: u32 = 4096;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let fail = |e: tiff::TiffError| damaged(Format::Tiff, e);
    let refuse = |what: String, right: &str| Err(Rule::new(format!("a TIFF of {what}")).right(right));
    // The library reads lists before it can be told how much memory they may take.
    if let Some(e) = exif::too_long(bytes) {
        return Err(Rule::new(format!("{} values of tag {} are more than the TIFF has room for", e.count, e.tag))
            .given(format!("{} bytes", bytes.len()))
            .right("a whole file"));
    }
    // The library refuses palettes. Told that they are grey levels, it gives the indices.
    let (bytes, indexed) = without_palette(bytes);
    let memory = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    let mut bounds = tiff::decoder::Limits::unlimited();
    bounds.decoding_buffer_size = memory;
    bounds.intermediate_buffer_size = memory;
    // No list is longer than the file that holds it.
    bounds.ifd_value_size = bytes.len().min(memory);
    let mut decoder = Decoder::new(Cursor::new(&*bytes)).map_err(fail)?.with_limits(bounds);
    let (w, h) = decoder.dimensions().map_err(fail)?;
    limits.check_image(h.into(), w.into(), 8)?;
    let format: Vec<u16> = decoder.find_tag_unsigned_vec(Tag::SampleFormat).map_err(fail)?.unwrap_or_default();
    if format.iter().any(|&f| f != SampleFormat::Uint.to_u16()) {
        return refuse("signed or floating-point samples".into(), "unsigned samples of 1, 2, 4, 8 or 16 bits");
    }
    let color = decoder.colortype().map_err(fail)?;
    let depth = color.bit_depth();
    if !matches!(depth, 1 | 2 | 4 | 8 | 16) {
        return refuse(format!("{depth} bits a sample"), "1, 2, 4, 8 or 16 bits");
    }
    let samples: usize = decoder.find_tag_unsigned::<u16>(Tag::SamplesPerPixel).map_err(fail)?.unwrap_or(1).into();
    let extra: Vec<u16> = decoder.find_tag_unsigned_vec(Tag::ExtraSamples).map_err(fail)?.unwrap_or_default();
    let colors = samples.saturating_sub(extra.len());
    limits.check_memory((u64::from(w) * u64::from(h)).saturating_mul(8 + samples as u64 * u64::from(depth / 4 + 1)))?;
    let (cw, ch) = decoder.chunk_dimensions();
    if cw > w.max(TILE) || (ch > h.max(TILE) && decoder.get_chunk_type() == ChunkType::Tile) {
        return refuse(format!("tiles of {cw} × {ch}"), "tiles about as large as the picture, or smaller");
    }
    check_jpeg(&mut decoder, &bytes)?;
    let layout = decoder.image_buffer_layout().map_err(fail)?;
    limits.check_memory(layout.complete_len as u64)?;
    let mut data = vec![0; layout.complete_len];
    decoder.read_image_bytes(&mut data).map_err(fail)?;
    let stride = layout.row_stride.map_or(0, usize::from);
    let (w, h) = (w as usize, h as usize);
    let planes = layout.planes.max(1);
    let rows = Rows {
        w,
        h,
        depth,
        per_row: samples / planes,
        stride,
        planes,
        plane: layout.plane_stride.map_or(0, usize::from),
    };
    let data = rows.bytes(data, indexed.is_none())?;
    let alpha = extra
        .iter()
        .position(|&e| matches!(e, ASSOCIATED | UNASSOCIATED))
        .map(|i| (colors + i, extra[i] == ASSOCIATED));
    let kind = match (&indexed, color) {
        (Some(_), _) => Kind::Palette,
        (None, ColorType::Gray(_) | ColorType::Multiband { .. } | ColorType::GrayA(_)) => Kind::Grey,
        (None, ColorType::RGB(_) | ColorType::RGBA(_)) => Kind::Rgb,
        (None, ColorType::CMYK(_) | ColorType::CMYKA(_)) => Kind::Cmyk,
        (None, ColorType::YCbCr(_)) => Kind::YCbCr,
        (None, other) => return refuse(format!("colours {other:?}"), "grey, RGB, a palette, CMYK or YCbCr"),
    };
    // A fourth sample of RGB that is not declared is alpha to most programs, and no colour to any.
    if colors < kind.colors() {
        return refuse(format!("{colors} colours a pixel"), "as many colours as its kind has");
    }
    // Grey whose zero is white is inverted by the library where a pixel has one sample, and refused elsewhere.
    let image = color_image(h, w, samples, data, kind, alpha, indexed.as_deref())?;
    let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation).map_err(fail)?.unwrap_or(1);
    Ok(exif::orient(image, u8::try_from(orientation).ok().filter(|o| (1..=8).contains(o)).unwrap_or(1)))
}

/// What the first samples of a pixel mean.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Grey,
    Palette,
    Rgb,
    Cmyk,
    YCbCr,
}

impl Kind {
    fn colors(self) -> usize {
        match self {
            Kind::Grey | Kind::Palette => 1,
            Kind::Rgb | Kind::YCbCr => 3,
            Kind::Cmyk => 4,
        }
    }
}

/// Pixels of `samples` bytes to an image; `alpha` is the place of that sample and whether it is multiplied in.
fn color_image(
    h: usize,
    w: usize,
    samples: usize,
    data: Vec<u8>,
    kind: Kind,
    alpha: Option<(usize, bool)>,
    palette: Option<&[[u8; 3]]>,
) -> Result<Image<'static>, Rule> {
    let plain = alpha.is_none() && samples == kind.colors();
    if plain && matches!(kind, Kind::Grey | Kind::Rgb) {
        return from_channels(h, w, samples, data);
    }
    let grey = kind == Kind::Grey;
    let mut out = Vec::with_capacity(h * w * if grey { 1 } else { 3 });
    for p in data.chunks_exact(samples) {
        let rgb = match (kind, palette) {
            (Kind::Palette, Some(palette)) => match palette.get(usize::from(p[0])) {
                Some(c) => *c,
                None => {
                    let rule = Rule::new(format!("colour {} in a palette of {}", p[0], palette.len()));
                    return Err(rule.right("colours of the palette"));
                }
            },
            (Kind::Grey | Kind::Palette, _) => [p[0]; 3],
            (Kind::Rgb, _) => [p[0], p[1], p[2]],
            (Kind::Cmyk, _) => cmyk([p[0], p[1], p[2], p[3]]),
            (Kind::YCbCr, _) => ycbcr([p[0], p[1], p[2]]),
        };
        let shown = match alpha.and_then(|(at, multiplied)| p.get(at).map(|&a| (a, multiplied))) {
            None => rgb,
            Some((a, false)) => rgb.map(|v| over_white(v, a)),
            Some((a, true)) => rgb.map(|v| v.saturating_add(255 - a)),
        };
        out.extend_from_slice(if grey { &shown[..1] } else { &shown });
    }
    from_channels(h, w, if grey { 1 } else { 3 }, out)
}

/// JPEG's full-range YCbCr (ITU-R 601) to RGB.
fn ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y) << 16, i32::from(cb) - 128, i32::from(cr) - 128);
    let level = |v: i32| ((v + (1 << 15)) >> 16).clamp(0, 255) as u8;
    [level(y + 91_881 * cr), level(y - 22_554 * cb - 46_802 * cr), level(y + 116_130 * cb)]
}

/// How the library lays out what it read.
struct Rows {
    w: usize,
    h: usize,
    depth: u8,
    /// Samples of a pixel within a plane.
    per_row: usize,
    /// Bytes of a row.
    stride: usize,
    planes: usize,
    /// Bytes of a plane.
    plane: usize,
}

impl Rows {
    /// One byte a sample, samples of a pixel side by side; `scale` brings small depths to 0..255.
    fn bytes(&self, data: Vec<u8>, scale: bool) -> Result<Vec<u8>, Rule> {
        let per = self.w * self.per_row;
        if self.depth == 8 && self.planes == 1 && self.stride == per {
            return Ok(data);
        }
        let mut out = vec![0; per * self.h * self.planes];
        let factor = if scale && self.depth < 8 { 255 / ((1 << self.depth) - 1) } else { 1 };
        let short = || damaged(Format::Tiff, "rows are missing");
        for plane in 0..self.planes {
            for y in 0..self.h {
                let at = plane * self.plane + y * self.stride;
                let row = data.get(at..at + (per * usize::from(self.depth)).div_ceil(8)).ok_or_else(short)?;
                for x in 0..per {
                    let v = match self.depth {
                        8 => row[x],
                        // The high byte; the library has put the bytes into the machine's order.
                        16 => (u16::from_ne_bytes([row[2 * x], row[2 * x + 1]]) >> 8) as u8,
                        d => {
                            let (d, per_byte) = (usize::from(d), 8 / usize::from(d));
                            let v = row[x / per_byte] >> (8 - d - x % per_byte * d);
                            (v & ((1u8 << d) - 1)) * factor
                        }
                    };
                    out[if self.planes == 1 { y * per + x } else { (y * self.w + x) * self.planes + plane }] = v;
                }
            }
        }
        Ok(out)
    }
}

/// The file with its palette's indices declared as grey levels, and the palette; the file as it is if it has none.
fn without_palette(bytes: &[u8]) -> (Cow<'_, [u8]>, Option<Vec<[u8; 3]>>) {
    let found = || {
        let entry = exif::entry(bytes, PHOTOMETRIC)?;
        if entry.value()? != PALETTE {
            return None;
        }
        let map = exif::entry(bytes, Tag::ColorMap.to_u16())?;
        let colors = palette(&map)?;
        let mut copy = bytes.to_vec();
        let black_is_zero = PhotometricInterpretation::BlackIsZero.to_u16();
        let value = if entry.big_endian { black_is_zero.to_be_bytes() } else { black_is_zero.to_le_bytes() };
        copy.get_mut(entry.value_at..entry.value_at + 2)?.copy_from_slice(&value);
        Some((copy, colors))
    };
    match found() {
        Some((copy, colors)) => (copy.into(), Some(colors)),
        None => (bytes.into(), None),
    }
}

/// A colour map: all reds, all greens, all blues, 16 bits each. Old files hold 8-bit levels there.
fn palette(map: &Entry<'_>) -> Option<Vec<[u8; 3]>> {
    let count = map.count as usize / 3;
    if count == 0 || count > 256 {
        return None;
    }
    let levels: Option<Vec<u16>> = (0..3 * count).map(|i| map.u16(i)).collect();
    let levels = levels?;
    let shift = if levels.iter().all(|&v| v < 256) { 0 } else { 8 };
    Some((0..count).map(|i| [i, count + i, 2 * count + i].map(|k| (levels[k] >> shift) as u8)).collect())
}

/// Compares what a strip or tile in JPEG says of itself with what it should be: the library would believe it.
fn check_jpeg(decoder: &mut Decoder<Cursor<&[u8]>>, bytes: &[u8]) -> Result<(), Rule> {
    let fail = |e: tiff::TiffError| damaged(Format::Tiff, e);
    if decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(fail)? != Some(JPEG) {
        return Ok(());
    }
    let tag = if decoder.get_chunk_type() == ChunkType::Strip { Tag::StripOffsets } else { Tag::TileOffsets };
    let (cw, ch) = decoder.chunk_dimensions();
    for offset in decoder.find_tag_unsigned_vec::<u64>(tag).map_err(fail)?.unwrap_or_default() {
        let part = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let frame = jpeg::frame(part)?;
        if frame.width > cw as usize || frame.height > ch as usize {
            return Err(Rule::new("a JPEG within the TIFF is larger than its strip or tile")
                .given(format!("{} × {} pixels (width × height)", frame.width, frame.height))
                .right(format!("at most {cw} × {ch}")));
        }
    }
    Ok(())
}
