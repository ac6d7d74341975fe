//! The orientation tag of EXIF (CIPA DC-008, tag 0x0112).

use crate::Image;
use crate::image::Reduction;

/// The tag of the orientation.
const ORIENTATION: u16 = 0x0112;
/// 16-bit whole numbers.
const SHORT: u16 = 3;

/// The orientation 1..8 in an EXIF block (a TIFF header, optionally after `Exif\0\0`); 1 if there is none.
pub(crate) fn orientation(exif: &[u8]) -> u8 {
    let value = entry(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif), ORIENTATION).and_then(|e| e.value());
    value.filter(|v| (1..=8).contains(v)).map_or(1, |v| v as u8)
}

/// An entry of the first directory of a TIFF file.
pub(super) struct Entry<'a> {
    bytes: &'a [u8],
    pub big_endian: bool,
    pub tag: u16,
    kind: u16,
    /// Number of values.
    pub count: u32,
    /// Where the entry keeps its value, or where its values are.
    pub value_at: usize,
}

impl Entry<'_> {
    /// The value, if it is one 16-bit number.
    pub fn value(&self) -> Option<u16> {
        if self.kind == SHORT && self.count == 1 { u16_at(self.bytes, self.value_at, self.big_endian) } else { None }
    }
    /// Value `i` of a list of 16-bit numbers that lies elsewhere in the file.
    pub fn u16(&self, i: usize) -> Option<u16> {
        if self.kind != SHORT || i >= self.count as usize {
            return None;
        }
        let at = u32_at(self.bytes, self.value_at, self.big_endian)? as usize;
        u16_at(self.bytes, at.checked_add(2 * i)?, self.big_endian)
    }
}

fn u16_at(b: &[u8], at: usize, big: bool) -> Option<u16> {
    let v = [*b.get(at)?, *b.get(at.checked_add(1)?)?];
    Some(if big { u16::from_be_bytes(v) } else { u16::from_le_bytes(v) })
}

fn u32_at(b: &[u8], at: usize, big: bool) -> Option<u32> {
    let (first, second) = (u32::from(u16_at(b, at, big)?), u32::from(u16_at(b, at.checked_add(2)?, big)?));
    Some(if big { first << 16 | second } else { second << 16 | first })
}

/// The entry of that tag in the first directory of a TIFF file.
pub(super) fn entry(tiff: &[u8], tag: u16) -> Option<Entry<'_>> {
    entries(tiff)?.find(|e| e.tag == tag)
}

/// The first entry that claims more values than the file has room for.
pub(super) fn too_long(tiff: &[u8]) -> Option<Entry<'_>> {
    // Bytes of a value by its type, from TIFF 6.0; what is unknown has at least one.
    const BYTES: [u64; 14] = [1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4];
    let bytes = |e: &Entry<'_>| u64::from(e.count) * BYTES.get(usize::from(e.kind)).unwrap_or(&1);
    entries(tiff)?.find(|e| bytes(e) > tiff.len() as u64)
}

fn entries(tiff: &[u8]) -> Option<impl Iterator<Item = Entry<'_>>> {
    let big = match tiff.get(..2)? {
        b"MM" => true,
        b"II" => false,
        _ => return None,
    };
    if u16_at(tiff, 2, big)? != 42 {
        return None;
    }
    let directory = u32_at(tiff, 4, big)? as usize;
    let count = usize::from(u16_at(tiff, directory, big)?);
    let entry = move |i: usize| {
        let at = directory.checked_add(2 + 12 * i)?;
        let (tag, kind) = (u16_at(tiff, at, big)?, u16_at(tiff, at.checked_add(2)?, big)?);
        let count = u32_at(tiff, at.checked_add(4)?, big)?;
        Some(Entry { bytes: tiff, big_endian: big, tag, kind, count, value_at: at.checked_add(8)? })
    };
    Some((0..count).map_while(entry))
}

/// Turns and mirrors an image so that it stands upright.
pub(super) fn orient(image: Image<'static>, orientation: u8) -> Image<'static> {
    if orientation <= 1 {
        return image;
    }
    let (h, w) = (image.height(), image.width());
    let swapped = orientation >= 5;
    let (oh, ow) = if swapped { (w, h) } else { (h, w) };
    let data = match image.channels() {
        1 => turned::<1>(image.data(), [h, w], [oh, ow], orientation),
        _ => turned::<3>(image.data(), [h, w], [oh, ow], orientation),
    };
    let reduction = image.reduction().map(|r| {
        // What lay behind the last row or column now lies before the first.
        let after = |i: usize| [h, w][i] * r.by - r.original[i] - r.before[i];
        let [up, left] = r.before;
        let (down, right) = (after(0), after(1));
        let before = match orientation {
            2 => [up, right],
            3 => [down, right],
            4 => [down, left],
            5 => [left, up],
            6 => [left, down],
            7 => [right, down],
            _ => [right, up],
        };
        let [rows, columns] = r.original;
        Reduction { before, original: if swapped { [columns, rows] } else { [rows, columns] }, ..r }
    });
    Image::trusted(oh, ow, image.color(), data).reduced(reduction)
}

fn turned<const C: usize>(src: &[u8], [h, w]: [usize; 2], [oh, ow]: [usize; 2], orientation: u8) -> Vec<u8> {
    // A turned row is a column, and reading it touches a line of the cache for every pixel: in small squares these are
    // read while they are there.
    const SIDE: usize = 32;
    let pixels = src.as_chunks::<C>().0;
    let mut out = vec![0; src.len()];
    let to = out.as_chunks_mut::<C>().0;
    for (top, left) in (0..oh).step_by(SIDE).flat_map(|y| (0..ow).step_by(SIDE).map(move |x| (y, x))) {
        for y in top..(top + SIDE).min(oh) {
            for x in left..(left + SIDE).min(ow) {
                let (sy, sx) = match orientation {
                    2 => (y, w - 1 - x),
                    3 => (h - 1 - y, w - 1 - x),
                    4 => (h - 1 - y, x),
                    5 => (x, y),
                    6 => (h - 1 - x, y),
                    7 => (h - 1 - x, w - 1 - y),
                    _ => (x, w - 1 - y),
                };
                to[y * ow + x] = pixels[sy * w + sx];
            }
        }
    }
    out
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
    fn what_a_reduction_leaves_over_turns_with_it() {
        // 5 × 10 original pixels as 2 × 3 of four each: three rows and two columns at the end do not exist.
        let reduction = Reduction { by: 4, original: [5, 10], before: [0, 0] };
        let before = |o: u8| {
            let image = Image::new(2, 3, Color::Grey, b"abcdef".to_vec()).unwrap().reduced(Some(reduction));
            let r = orient(image, o).reduction().unwrap();
            assert_eq!(r.original, if o < 5 { [5, 10] } else { [10, 5] });
            r.before
        };
        let want = [[0, 0], [0, 2], [3, 2], [3, 0], [0, 0], [0, 3], [2, 3], [2, 0]];
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 8].map(before), want);
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
