//! Windows bitmaps without compression: 1, 4 and 8 bits with a palette, 16, 24 and 32 bits.

use super::{Format, damaged, from_channels};
use crate::{Color, Image, Limits};
use gabor_tensor::Rule;

const COMPRESSIONS: [&str; 7] = ["none", "RLE 8", "RLE 4", "bit fields", "JPEG", "PNG", "bit fields with alpha"];

fn u16_at(b: &[u8], at: usize) -> Result<u32, Rule> {
    b.get(at..at + 2).map(|v| u32::from(v[0]) | u32::from(v[1]) << 8).ok_or_else(short)
}

fn u32_at(b: &[u8], at: usize) -> Result<u32, Rule> {
    Ok(u16_at(b, at)? | u16_at(b, at + 2)? << 16)
}

fn short() -> Rule {
    damaged(Format::Bmp, "the header is cut short")
}

/// One channel of a pixel under a bit mask, scaled to 0..255.
fn field(pixel: u32, mask: u32) -> u8 {
    if mask == 0 {
        return 0;
    }
    let max = u64::from(mask >> mask.trailing_zeros());
    let v = u64::from((pixel & mask) >> mask.trailing_zeros());
    ((v * 255 + max / 2) / max).min(255) as u8
}

pub(super) fn decode(b: &[u8], limits: &Limits) -> Result<Image<'static>, Rule> {
    let refuse = |what: String, right: &str| Err(Rule::new(format!("a BMP with {what}")).right(right));
    let start = u32_at(b, 10)? as usize;
    let header = u32_at(b, 14)?;
    let core = header == 12;
    if !core && !(40..=256).contains(&header) {
        return refuse(format!("a header of {header} bytes"), "12 or 40 to 256 bytes");
    }
    let (width, height, bits, compression, colors) = if core {
        (u16_at(b, 18)? as i32, u16_at(b, 20)? as i32, u16_at(b, 24)?, 0, 0)
    } else {
        (u32_at(b, 18)? as i32, u32_at(b, 22)? as i32, u16_at(b, 28)?, u32_at(b, 30)?, u32_at(b, 46)?)
    };
    if width <= 0 || height == 0 {
        return refuse(format!("{width} × {height} pixels"), "at least 1 × 1");
    }
    let (w, h) = (width as usize, height.unsigned_abs() as usize);
    limits.check_image(h as u64, w as u64, 4)?;
    if !matches!((compression, bits), (0, 1 | 4 | 8 | 16 | 24 | 32) | (3 | 6, 16 | 32)) {
        let name = COMPRESSIONS.get(compression as usize).unwrap_or(&"unknown");
        return refuse(
            format!("{bits} bits a pixel, compression {compression} ({name})"),
            "an uncompressed BMP, or PNG",
        );
    }
    let (stride, end) = {
        let stride = (w * bits as usize).div_ceil(32) * 4;
        (stride, start.checked_add(stride * h))
    };
    let Some(rows) = end.and_then(|end| b.get(start..end)) else {
        let given = format!("{} bytes", b.len());
        return Err(Rule::new("the BMP ends within its pixels")
            .given(given)
            .right(format!("{start} + {} bytes", stride * h)));
    };
    let row = |y: usize| {
        let y = if height > 0 { h - 1 - y } else { y };
        &rows[y * stride..][..stride]
    };
    if bits <= 8 {
        let palette = palette(b, 14 + header as usize, if core { 3 } else { 4 }, bits, colors)?;
        let per = 8 / bits as usize;
        let mask = (1u32 << bits) - 1;
        let mut out = Vec::with_capacity(w * h * 3);
        for y in 0..h {
            let row = row(y);
            for x in 0..w {
                let shift = (per - 1 - x % per) as u32 * bits;
                let index = (u32::from(row[x / per]) >> shift & mask) as usize;
                let Some(color) = palette.get(index) else {
                    return refuse(
                        format!("colour {index} in a palette of {}", palette.len()),
                        "colours of the palette",
                    );
                };
                out.extend_from_slice(color);
            }
        }
        // Grey pictures are commonly stored with a grey palette.
        let image = Image::trusted(h, w, Color::Rgb, out);
        let grey = palette.iter().all(|c| c[0] == c[1] && c[1] == c[2]);
        return Ok(if grey { image.to_color(Color::Grey).into_owned() } else { image });
    }
    // Masks of red, green, blue and alpha. Without bit fields the fourth byte is padding.
    let masks = match (compression, bits) {
        (0, 16) => [0x7c00, 0x03e0, 0x001f, 0],
        (0, _) => [0xff_0000, 0xff00, 0xff, 0],
        _ => [
            u32_at(b, 54)?,
            u32_at(b, 58)?,
            u32_at(b, 62)?,
            if header >= 56 || compression == 6 { u32_at(b, 66)? } else { 0 },
        ],
    };
    let bytes = bits as usize / 8;
    let mut out = Vec::with_capacity(w * h * 4);
    for y in 0..h {
        for p in row(y)[..w * bytes].chunks_exact(bytes) {
            let pixel = p.iter().rev().fold(0, |v, &b| v << 8 | u32::from(b));
            let alpha = if masks[3] == 0 { 255 } else { field(pixel, masks[3]) };
            out.extend([field(pixel, masks[0]), field(pixel, masks[1]), field(pixel, masks[2]), alpha]);
        }
    }
    from_channels(h, w, 4, out)
}

/// The palette as RGB.
fn palette(b: &[u8], at: usize, entry: usize, bits: u32, colors: u32) -> Result<Vec<[u8; 3]>, Rule> {
    let count = if colors == 0 { 1 << bits } else { colors.min(1 << bits) as usize };
    let bytes = b.get(at..at + count * entry).ok_or_else(short)?;
    Ok(bytes.chunks_exact(entry).map(|c| [c[2], c[1], c[0]]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(w: i32, h: i32, bits: u16, compression: u32, palette: &[[u8; 4]], pixels: &[u8]) -> Vec<u8> {
        let mut b = b"BM".to_vec();
        let start = 54 + 4 * palette.len() as u32;
        for v in [
            0,
            0,
            start,
            40,
            w as u32,
            h as u32,
            1 | u32::from(bits) << 16,
            compression,
            0,
            0,
            0,
            palette.len() as u32,
            0,
        ] {
            b.extend(v.to_le_bytes());
        }
        b.extend(palette.concat());
        b.extend(pixels);
        b
    }
    fn ok(b: &[u8]) -> Image<'static> {
        decode(b, &Limits::default()).unwrap()
    }

    #[test]
    fn depths() {
        // 24 bits, bottom row first.
        let image = ok(&file(1, 2, 24, 0, &[], &[3, 2, 1, 0, 6, 5, 4, 0]));
        assert_eq!(image.data(), [4, 5, 6, 1, 2, 3]);
        // 1 bit, top row first, grey palette.
        let image = ok(&file(3, -1, 1, 0, &[[0; 4], [255; 4]], &[0b1010_0000, 0, 0, 0]));
        assert_eq!((image.data(), image.color()), (&[255, 0, 255][..], Color::Grey));
        // 4 bits, coloured palette.
        let image = ok(&file(2, 1, 4, 0, &[[1, 2, 3, 0], [4, 5, 6, 0]], &[0x01, 0, 0, 0]));
        assert_eq!(image.data(), [3, 2, 1, 6, 5, 4]);
        // 16 bits, 5 each.
        let image = ok(&file(2, 1, 16, 0, &[], &[0xff, 0x7f, 0x00, 0x7c]));
        assert_eq!(image.data(), [255, 255, 255, 255, 0, 0]);
        assert_eq!(ok(&file(1, 1, 32, 0, &[], &[3, 2, 1, 9])).data(), [1, 2, 3]);
    }

    #[test]
    fn refusals() {
        let err = |b: &[u8]| decode(b, &Limits::default()).unwrap_err().to_string();
        assert!(err(&file(9, 9, 8, 1, &[[0; 4]; 256], &[])).contains("compression 1 (RLE 8)"));
        assert!(err(&file(9, 9, 24, 0, &[], &[0; 8])).contains("ends within its pixels"));
        assert!(err(&file(i32::MAX, i32::MIN, 24, 0, &[], &[])).contains("more pixels than the limit"));
        assert!(err(&file(0, 1, 24, 0, &[], &[])).contains("0 × 1"));
        assert!(err(&file(1, 1, 8, 0, &[[0; 4]], &[1, 0, 0, 0])).contains("colour 1 in a palette of 1"));
        assert!(err(b"BM").contains("cut short"));
    }
}
