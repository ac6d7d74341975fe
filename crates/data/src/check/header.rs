//! What an image file says of itself before its pixels: extents, colour mode, bits, orientation.
//!
//! Only the bytes of the header are looked at, so a file of any extents costs nothing. This is for people to read; the
//! decoders trust nothing from here.

use crate::decode::exif;
use gabor_tensor::Rule;
use serde::{Deserialize, Serialize};

/// How a file stores its colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stored {
    /// One channel.
    Grey,
    /// Grey and transparency.
    GreyAlpha,
    /// Indices into a table of colours.
    Palette,
    /// Red, green, blue (JPEG: luma and chroma).
    Rgb,
    /// Red, green, blue and transparency.
    RgbAlpha,
    /// Four inks.
    Cmyk,
}

impl Stored {
    /// The mode in words.
    pub fn name(self) -> &'static str {
        match self {
            Stored::Grey => "grey",
            Stored::GreyAlpha => "grey with transparency",
            Stored::Palette => "palette",
            Stored::Rgb => "RGB",
            Stored::RgbAlpha => "RGB with transparency",
            Stored::Cmyk => "CMYK",
        }
    }
}

/// The header of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// `PNG`, `JPEG`, `GIF`, `BMP`, `WebP` or `TIFF`.
    pub format: &'static str,
    /// Columns, as stored.
    pub width: u32,
    /// Rows, as stored.
    pub height: u32,
    /// How colours are stored.
    pub stored: Stored,
    /// Bits of a channel (of an index where there is a palette).
    pub bits: u8,
    /// EXIF orientation 1..8; 1 is upright.
    pub orientation: u8,
    /// Whether more frames follow the first.
    pub animated: bool,
}

impl Header {
    /// Reads the header of PNG, JPEG, GIF, BMP, WebP or TIFF; an error says what is missing.
    ///
    /// ```
    /// use gabor_data::Header;
    /// let gif = b"GIF89a\x02\x00\x03\x00\x80\x00\x00";
    /// let h = Header::read(gif).unwrap();
    /// assert_eq!((h.format, h.width, h.height), ("GIF", 2, 3));
    /// assert!(Header::read(b"").is_err());
    /// ```
    pub fn read(bytes: &[u8]) -> Result<Header, Rule> {
        let (format, found) = match bytes {
            [] => return Err(Rule::new("an empty file").right("an image file")),
            [0x89, b'P', b'N', b'G', ..] => ("PNG", png(bytes)),
            [0xff, 0xd8, ..] => ("JPEG", jpeg(bytes)),
            [b'G', b'I', b'F', b'8', ..] => ("GIF", gif(bytes)),
            [b'B', b'M', ..] => ("BMP", bmp(bytes)),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ("WebP", webp(bytes)),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => ("TIFF", tiff(bytes)),
            _ => {
                return Err(Rule::new("the contents are no image's").right("PNG, JPEG, GIF, BMP, WebP or TIFF"));
            }
        };
        let header = found.ok_or_else(|| {
            let given = format!("{} bytes", bytes.len());
            Rule::new(format!("the {format} ends within its header, or it is damaged"))
                .given(given)
                .right("a whole file")
        })?;
        if header.width == 0 || header.height == 0 {
            return Err(Rule::new(format!("the {format} declares {} × {} pixels", header.width, header.height))
                .right("at least 1 × 1"));
        }
        Ok(Header { format, ..header })
    }
}

/// A header with the usual values, to be filled in.
fn plain(width: u32, height: u32, stored: Stored, bits: u8) -> Header {
    Header { format: "", width, height, stored, bits, orientation: 1, animated: false }
}

fn be16(b: &[u8], at: usize) -> Option<u16> {
    b.get(at..)?.first_chunk().map(|c| u16::from_be_bytes(*c))
}
fn be32(b: &[u8], at: usize) -> Option<u32> {
    b.get(at..)?.first_chunk().map(|c| u32::from_be_bytes(*c))
}
fn le16(b: &[u8], at: usize) -> Option<u16> {
    b.get(at..)?.first_chunk().map(|c| u16::from_le_bytes(*c))
}
fn le32(b: &[u8], at: usize) -> Option<u32> {
    b.get(at..)?.first_chunk().map(|c| u32::from_le_bytes(*c))
}

fn png(b: &[u8]) -> Option<Header> {
    if b.get(12..16)? != b"IHDR" {
        return None;
    }
    let (bits, kind) = (*b.get(24)?, *b.get(25)?);
    let stored = match kind {
        0 => Stored::Grey,
        2 => Stored::Rgb,
        3 => Stored::Palette,
        4 => Stored::GreyAlpha,
        6 => Stored::RgbAlpha,
        _ => return None,
    };
    let mut out = plain(be32(b, 16)?, be32(b, 20)?, stored, bits);
    let mut at = 33usize;
    while let (Some(length), Some(name)) = (be32(b, at), b.get(at + 4..at + 8)) {
        let end = (at + 8).saturating_add(length as usize);
        match name {
            b"IDAT" | b"IEND" => break,
            b"acTL" => out.animated = true,
            b"eXIf" => out.orientation = b.get(at + 8..end).map_or(1, exif::orientation),
            b"tRNS" => {
                out.stored = match out.stored {
                    Stored::Grey => Stored::GreyAlpha,
                    Stored::Rgb => Stored::RgbAlpha,
                    other => other,
                };
            }
            _ => {}
        }
        at = end.saturating_add(4);
    }
    Some(out)
}

fn jpeg(b: &[u8]) -> Option<Header> {
    let (mut at, mut orientation) = (2usize, 1);
    loop {
        // Any number of fill bytes may precede a marker.
        while *b.get(at)? == 0xff && *b.get(at + 1)? == 0xff {
            at += 1;
        }
        if b[at] != 0xff {
            return None;
        }
        let (marker, length) = (*b.get(at + 1)?, usize::from(be16(b, at + 2)?));
        let body = b.get(at + 4..)?;
        match marker {
            // Start of scan or end of image without a frame before.
            0xda | 0xd9 => return None,
            0xe1 if body.starts_with(b"Exif\0\0") => {
                orientation = exif::orientation(body.get(..length.saturating_sub(2)).unwrap_or(body));
            }
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let stored = match *body.get(5)? {
                    1 => Stored::Grey,
                    3 => Stored::Rgb,
                    4 => Stored::Cmyk,
                    _ => return None,
                };
                let (height, width) = (be16(body, 1)?, be16(body, 3)?);
                return Some(Header { orientation, ..plain(width.into(), height.into(), stored, body[0]) });
            }
            _ => {}
        }
        at = at.checked_add(2 + length.max(2))?;
    }
}

fn gif(b: &[u8]) -> Option<Header> {
    let head = plain(le16(b, 6)?.into(), le16(b, 8)?.into(), Stored::Palette, (b.get(10)? & 7) + 1);
    // Animations repeat by an extension that stands before the first frame.
    let animated = b.iter().take(2048).copied().collect::<Vec<u8>>().windows(11).any(|w| w == b"NETSCAPE2.0");
    Some(Header { animated, ..head })
}

fn bmp(b: &[u8]) -> Option<Header> {
    let (width, height, bits) = if le32(b, 14)? == 12 {
        (le16(b, 18)?.into(), le16(b, 20)?.into(), le16(b, 24)?)
    } else {
        // Rows from top to bottom have a negative height.
        (le32(b, 18)?, (le32(b, 22)? as i32).unsigned_abs(), le16(b, 28)?)
    };
    let stored = match bits {
        1..=8 => Stored::Palette,
        32 => Stored::RgbAlpha,
        _ => Stored::Rgb,
    };
    Some(plain(width, height, stored, if bits <= 8 { bits as u8 } else { 8 }))
}

fn webp(b: &[u8]) -> Option<Header> {
    let le24 = |at: usize| Some(u32::from(*b.get(at)?) | u32::from(le16(b, at + 1)?) << 8);
    match b.get(12..16)? {
        b"VP8 " => {
            if b.get(23..26)? != [0x9d, 0x01, 0x2a] {
                return None;
            }
            let (w, h) = (le16(b, 26)? & 0x3fff, le16(b, 28)? & 0x3fff);
            Some(plain(w.into(), h.into(), Stored::Rgb, 8))
        }
        b"VP8L" => {
            let bits = (*b.get(20)? == 0x2f).then(|| le32(b, 21)).flatten()?;
            let stored = if bits >> 28 & 1 == 1 { Stored::RgbAlpha } else { Stored::Rgb };
            Some(plain((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, stored, 8))
        }
        b"VP8X" => {
            let flags = *b.get(20)?;
            let stored = if flags & 0x10 != 0 { Stored::RgbAlpha } else { Stored::Rgb };
            let mut out = plain(le24(24)? + 1, le24(27)? + 1, stored, 8);
            out.animated = flags & 0x02 != 0;
            let mut at = 12usize;
            while let (Some(name), Some(length)) = (b.get(at..at + 4), le32(b, at + 4)) {
                let end = (at + 8).saturating_add(length as usize);
                if name == b"EXIF" {
                    out.orientation = b.get(at + 8..end).map_or(1, exif::orientation);
                }
                at = end.saturating_add(length as usize & 1);
            }
            Some(out)
        }
        _ => None,
    }
}

fn tiff(b: &[u8]) -> Option<Header> {
    let big = b[0] == b'M';
    let u16_at = |at| if big { be16(b, at) } else { le16(b, at) };
    let u32_at = |at| if big { be32(b, at) } else { le32(b, at) };
    let first = u32_at(4)? as usize;
    let (mut width, mut height, mut bits, mut photometric, mut samples) = (0, 0, 1u16, 1u16, 1u16);
    let entries = usize::from(u16_at(first)?);
    for i in 0..entries {
        let at = first.checked_add(2 + 12 * i)?;
        let (tag, kind, count) = (u16_at(at)?, u16_at(at + 2)?, u32_at(at + 4)?);
        let value = if kind == 3 { u32::from(u16_at(at + 8)?) } else { u32_at(at + 8)? };
        match tag {
            256 => width = value,
            257 => height = value,
            // Several values stand elsewhere in the file.
            258 if count > 2 => bits = u16_at(u32_at(at + 8)? as usize)?,
            258 => bits = value as u16,
            262 => photometric = value as u16,
            277 => samples = value as u16,
            _ => {}
        }
    }
    let stored = match (photometric, samples) {
        (3, _) => Stored::Palette,
        (5, _) => Stored::Cmyk,
        (_, 1) => Stored::Grey,
        (0 | 1, _) => Stored::GreyAlpha,
        (_, 4..) => Stored::RgbAlpha,
        _ => Stored::Rgb,
    };
    let more = u32_at(first.checked_add(2 + 12 * entries)?).is_some_and(|next| next != 0);
    let head = plain(width, height, stored, u8::try_from(bits).unwrap_or(u8::MAX));
    Some(Header { orientation: exif::orientation(b), animated: more, ..head })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn headers_say_what_the_decoders_find() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
        let mut seen = std::collections::BTreeSet::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let Ok(image) = crate::decode(&bytes, &crate::Limits::default()) else { continue };
            let h = Header::read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let (w, t) = if h.orientation >= 5 { (h.height, h.width) } else { (h.width, h.height) };
            assert_eq!((w as usize, t as usize), (image.width(), image.height()), "{}", path.display());
            seen.insert(h.format);
            for cut in 0..bytes.len().min(400) {
                let _ = Header::read(&bytes[..cut]);
            }
        }
        assert!(["BMP", "GIF", "JPEG", "PNG", "WebP"].iter().all(|f| seen.contains(f)), "{seen:?}");
    }

    #[test]
    fn modes_and_messages() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x03\x10\x06\0\0\0\0\0\0\0".to_vec();
        let h = Header::read(&png).unwrap();
        assert_eq!((h.width, h.height, h.bits, h.stored), (2, 3, 16, Stored::RgbAlpha));
        png.truncate(20);
        let e = Header::read(&png).unwrap_err().to_string();
        assert_eq!(
            e,
            "the PNG ends within its header, or it is damaged; given: 20 bytes; right would be: a whole file"
        );
        // Frame header of four components, 8 bits, 5 × 7.
        let cmyk = b"\xff\xd8\xff\xee\0\x04ab\xff\xc0\0\x14\x08\0\x07\0\x05\x04";
        let h = Header::read(cmyk).unwrap();
        assert_eq!((h.width, h.height, h.stored), (5, 7, Stored::Cmyk));
        let zero = b"GIF89a\0\0\x03\0\0\0\0";
        assert!(Header::read(zero).unwrap_err().to_string().contains("declares 0 × 3 pixels"));
        let tiff = b"II*\0\x08\0\0\0\x03\0\0\x01\x03\0\x01\0\0\0\x09\0\0\0\x01\x01\x03\0\x01\0\0\0\x04\0\0\0\
                     \x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let h = Header::read(tiff).unwrap();
        assert_eq!((h.format, h.width, h.height, h.orientation, h.stored), ("TIFF", 9, 4, 6, Stored::Grey));
    }
}
