//! The orientation tag of EXIF (CIPA DC-008, tag 0x0112).

use crate::Image;

/// The orientation 1..8 in an EXIF block (a TIFF header, optionally after `Exif\0\0`); 1 if there is none.
pub(super) fn orientation(exif: &[u8]) -> u8 {
    find(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif)).filter(|v| (1..=8).contains(v)).map_or(1, |v| v as u8)
}

fn find(tiff: &[u8]) -> Option<u16> {
    let big = match tiff.get(..2)? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    let u16_at = |at: usize| -> Option<u16> {
        let b = [*tiff.get(at)?, *tiff.get(at.checked_add(1)?)?];
        Some(if big { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    };
    let (hi, lo) = if big { (4, 6) } else { (6, 4) };
    let ifd = usize::from(u16_at(hi)?) << 16 | usize::from(u16_at(lo)?);
    let entries = usize::from(u16_at(ifd)?);
    (0..entries).map_while(|i| ifd.checked_add(2 + 12 * i)).find_map(|at| match u16_at(at) {
        Some(0x0112) => u16_at(at.checked_add(8)?),
        _ => None,
    })
}

/// Turns and mirrors an image so that it stands upright.
pub(super) fn orient(image: Image<'static>, orientation: u8) -> Image<'static> {
    if orientation <= 1 {
        return image;
    }
    let (h, w, c) = (image.height(), image.width(), image.channels());
    let swapped = orientation >= 5;
    let (oh, ow) = if swapped { (w, h) } else { (h, w) };
    let mut out = Vec::with_capacity(h * w * c);
    for y in 0..oh {
        for x in 0..ow {
            let (sy, sx) = match orientation {
                2 => (y, w - 1 - x),
                3 => (h - 1 - y, w - 1 - x),
                4 => (h - 1 - y, x),
                5 => (x, y),
                6 => (h - 1 - x, y),
                7 => (h - 1 - x, w - 1 - y),
                _ => (x, w - 1 - y),
            };
            out.extend_from_slice(&image.data()[(sy * w + sx) * c..][..c]);
        }
    }
    Image::trusted(oh, ow, image.color(), out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Color;

    #[test]
    fn orientations_turn_as_the_standard_says() {
        // a b c / d e f, stored; what is shown for orientations 1 to 8.
        let image = || Image::new(2, 3, Color::Grey, b"abcdef".to_vec()).unwrap();
        let shown = ["abcdef", "cbafed", "fedcba", "defabc", "adbecf", "daebfc", "fcebda", "cfbead"];
        for (o, want) in shown.iter().enumerate() {
            assert_eq!(orient(image(), o as u8 + 1).data(), want.as_bytes(), "orientation {}", o + 1);
        }
        assert_eq!(orient(image(), 6).height(), 3);
    }

    #[test]
    fn tag_is_found_in_both_byte_orders() {
        let le = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
        let be = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";
        assert_eq!((orientation(le), orientation(be)), (6, 8));
        for cut in 0..le.len() {
            orientation(&le[..cut]);
        }
        assert_eq!(orientation(b"II*\0\xff\xff\xff\xff"), 1);
    }
}
