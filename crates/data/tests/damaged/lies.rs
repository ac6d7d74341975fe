//! Files that claim what they do not hold, made from whole ones and from nothing.

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::io::Write;

/// A file that lies.
pub struct Lie {
    pub name: String,
    pub bytes: Vec<u8>,
    /// Whether it decodes all the same, because the lie lies beside the picture.
    pub harmless: bool,
    /// A part of the message.
    pub says: &'static str,
}

const SIDE: u32 = 50_000;
/// What a compressed chunk unpacks to.
const BOMB: usize = 48 << 20;

/// Headers of 50,000 × 50,000 pixels and chunks that are huge, declared or unpacked. `good` are whole files by name.
pub fn lies(good: &[(String, Vec<u8>)]) -> Vec<Lie> {
    let file = |name: &str| good.iter().find(|f| f.0 == name).unwrap().1.clone();
    let mut out = Vec::new();
    let mut add = |name: &str, bytes: Vec<u8>, harmless: bool, says: &'static str| {
        out.push(Lie { name: name.into(), bytes, harmless, says });
    };
    let large = "more pixels than the limit";
    // Extents.
    for name in ["rgb.png", "grey16.png", "palette.png", "interlaced.png"] {
        let mut b = file(name);
        b[16..20].copy_from_slice(&SIDE.to_be_bytes());
        b[20..24].copy_from_slice(&SIDE.to_be_bytes());
        let crc = crc(&b[12..29]);
        b[29..33].copy_from_slice(&crc.to_be_bytes());
        add(&format!("50000×50000 {name}"), b, false, large);
    }
    for (name, marker) in [("rgb.jpg", 0xc0), ("progressive.jpg", 0xc2), ("grey.jpg", 0xc0), ("cmyk.jpg", 0xc0)] {
        // The limit lets 8,000 × 8,000 pixels through, for which the file holds too little.
        for (side, says) in [(SIDE, large), (8000, "bytes of data for 8000 × 8000 pixels")] {
            let mut b = file(name);
            let at = b.windows(2).position(|w| w == [0xff, marker]).unwrap();
            for k in [5, 7] {
                b[at + k..at + k + 2].copy_from_slice(&(side as u16).to_be_bytes());
            }
            add(&format!("{side}×{side} {name}"), b, false, says);
        }
    }
    for name in ["rgb.bmp", "palette.bmp", "bits1.bmp"] {
        let mut b = file(name);
        b[18..22].copy_from_slice(&SIDE.to_le_bytes());
        b[22..26].copy_from_slice(&SIDE.to_le_bytes());
        add(&format!("50000×50000 {name}"), b, false, large);
    }
    let mut b = file("palette.gif");
    for at in [6, 8] {
        b[at..at + 2].copy_from_slice(&(SIDE as u16).to_le_bytes());
    }
    add("50000×50000 canvas.gif", b, false, large);
    let mut b = file("palette.gif");
    let at = b.windows(9).position(|w| w[..5] == [0x2c, 0, 0, 0, 0] && w[5] == 16).unwrap();
    for k in [5, 7] {
        b[at + k..at + k + 2].copy_from_slice(&(SIDE as u16).to_le_bytes());
    }
    add("50000×50000 frame.gif", b, false, large);
    let mut b = file("turned.webp");
    b[24..27].copy_from_slice(&(SIDE - 1).to_le_bytes()[..3]);
    b[27..30].copy_from_slice(&(SIDE - 1).to_le_bytes()[..3]);
    add("50000×50000 canvas.webp", b, false, large);
    for name in ["rgb.tif", "bits1.tif", "palette.tif", "rgba.tif", "tiles.tif", "planes.tif", "jpeg.tif"] {
        let mut b = file(name);
        tiff_value(&mut b, 256, SIDE);
        tiff_value(&mut b, 257, SIDE);
        // Most are refused before their extents are asked for: so many pixels need more strips.
        add(&format!("50000×50000 {name}"), b, false, "right would be");
    }
    // A tile as wide as a number can be, strips that begin and end nowhere, a list without end.
    let mut b = file("tiles.tif");
    tiff_value(&mut b, 322, 65_520);
    add("wide tile.tif", b, false, "tiles of 65520");
    let mut b = file("rgb.tif");
    tiff_value(&mut b, 279, u32::MAX);
    add("long strip.tif", b, true, "");
    let mut b = file("rgb.tif");
    tiff_value(&mut b, 273, u32::MAX - 7);
    add("far strip.tif", b, false, "Tiff");
    let mut b = file("rgb.tif");
    let at = tiff_entry(&b, 258);
    b[at + 4..at + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    add("endless list.tif", b, false, "more than the TIFF has room for");
    // A JPEG of 50,000 × 50,000 pixels inside a TIFF of 16 × 12.
    let mut b = file("jpeg.tif");
    let at = b.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    for k in [5, 7] {
        b[at + k..at + k + 2].copy_from_slice(&(SIDE as u16).to_be_bytes());
    }
    add("large strip.tif", b, false, "larger than its strip or tile");
    // Chunks that unpack to much, and chunks that only say so.
    let zeros = {
        let mut e = ZlibEncoder::new(Vec::new(), Compression::fast());
        let block = vec![0; 1 << 20];
        (0..BOMB >> 20).for_each(|_| e.write_all(&block).unwrap());
        e.finish().unwrap()
    };
    let rgb = file("rgb.png");
    for (name, head) in [("iCCP", &b"icc\0\0"[..]), ("zTXt", b"text\0\0"), ("iTXt", b"text\0\x01\0\0\0")] {
        let body = [head, &zeros].concat();
        add(&format!("bomb {name}.png"), insert(&rgb, 33, &chunk(name.as_bytes(), &body)), true, "");
    }
    let at = rgb.windows(4).position(|w| w == b"IDAT").unwrap() - 4;
    let more = [&rgb[..at], &chunk(b"IDAT", &zeros), &chunk(b"IEND", b"")].concat();
    add("bomb IDAT.png", more, true, "");
    for name in ["tEXt", "eXIf", "iCCP", "prVt"] {
        let mut head = 0x7fff_ffffu32.to_be_bytes().to_vec();
        head.extend(name.as_bytes());
        add(&format!("2 GiB {name}.png"), insert(&rgb, 33, &head), false, "Png");
    }
    for name in ["EXIF", "ICCP", "XMP "] {
        let mut b = file("turned.webp");
        let at = b.windows(4).position(|w| w == b"EXIF").unwrap();
        b[at..at + 4].copy_from_slice(name.as_bytes());
        b[at + 4..at + 8].copy_from_slice(&0xffff_fff0u32.to_le_bytes());
        b[20] |= 0x2c;
        add(&format!("4 GiB {name}.webp"), b, false, "Webp");
    }
    // Two hundred profiles of 64 KiB, which all are in the file.
    let jpeg = file("rgb.jpg");
    let profile = [&[0xff, 0xe2, 0xff, 0xff][..], b"ICC_PROFILE\0\x01\xc8", &[0; 0xffff - 16]].concat();
    add("profiles.jpg", insert(&jpeg, 2, &profile.repeat(200)), true, "");
    let exif = [&[0xff, 0xe1, 0xff, 0xff][..], b"Exif\0\0II*\0\x08\0\0\0\xff\xff", &[0x12; 0xffff - 18]].concat();
    add("endless exif.jpg", insert(&jpeg, 2, &exif), true, "");
    out
}

fn insert(bytes: &[u8], at: usize, part: &[u8]) -> Vec<u8> {
    [&bytes[..at], part, &bytes[at..]].concat()
}

fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A chunk of a PNG.
fn chunk(name: &[u8], body: &[u8]) -> Vec<u8> {
    let named = [name, body].concat();
    [&(body.len() as u32).to_be_bytes()[..], &named, &crc(&named).to_be_bytes()].concat()
}

/// Where the entry of a tag stands in a little-endian TIFF of one page.
fn tiff_entry(b: &[u8], tag: u16) -> usize {
    let u16_at = |at: usize| usize::from(u16::from_le_bytes([b[at], b[at + 1]]));
    let directory = u16_at(4) | u16_at(6) << 16;
    let entries = (0..u16_at(directory)).map(|i| directory + 2 + 12 * i);
    entries.into_iter().find(|&at| u16_at(at) == usize::from(tag)).unwrap()
}

/// Makes a tag one 32-bit number.
fn tiff_value(b: &mut [u8], tag: u16, value: u32) {
    let at = tiff_entry(b, tag);
    b[at + 2..at + 4].copy_from_slice(&4u16.to_le_bytes());
    b[at + 4..at + 8].copy_from_slice(&1u32.to_le_bytes());
    b[at + 8..at + 12].copy_from_slice(&value.to_le_bytes());
}
