//! The decoder of every image format and the reader of every kind of data set, for the bounded runs beside this file and for the targets in `fuzz/`, which include
//! it.
#![allow(dead_code, reason = "a fuzz target uses one of them")]

#[path = "sources.rs"]
pub mod sources;

use gabor_data::decode::{Format, decode_at_least};
use gabor_data::{Limits, decode};

/// A reader and what it may cost.
pub struct Reader {
    /// Its name; that of its target in `fuzz/fuzz_targets/` too.
    pub name: &'static str,
    /// Reads; what comes of it is dropped.
    pub read: fn(&[u8]),
    /// Bytes of memory that it may take, however small the file.
    pub free: usize,
    /// Bytes of memory that each byte of the file may cost beyond those.
    pub memory: usize,
    /// Bytes that mean something in the format.
    pub words: &'static [&'static [u8]],
}

/// Small bounds, so that a lie about a size is seen as memory.
pub const LIMITS: Limits = Limits { file_bytes: 1 << 24, pixels: 1 << 16, memory: 1 << 20 };
/// The picture and a few copies of it on its way, and the decoder's own tables.
const FREE: usize = 6 << 20;

fn read(format: Format, bytes: &[u8]) {
    if Format::of(bytes) == Some(format) {
        drop(decode(bytes, &LIMITS));
    }
}

/// Markers of a JPEG, whole or reduced.
const JPEG: &[&[u8]] =
    &[b"\xff\xc0", b"\xff\xc2", b"\xff\xc4", b"\xff\xda", b"\xff\xdb", b"\xff\xdd", b"\xff\xd9", b"Exif\0\0"];

/// One row per format, JPEG at a fraction of its size, and one for each kind of data set and text. A row needs a test in `main.rs` and a target in `fuzz/`.
pub const READERS: &[Reader] = &[
    Reader {
        name: "image_png",
        read: |b| read(Format::Png, b),
        free: FREE,
        memory: 16,
        words: &[b"IHDR", b"IDAT", b"PLTE", b"tRNS", b"eXIf", b"iCCP", b"zTXt", b"acTL", b"fcTL", b"IEND"],
    },
    Reader { name: "image_jpeg", read: |b| read(Format::Jpeg, b), free: FREE, memory: 16, words: JPEG },
    Reader {
        name: "image_jpeg_reduced",
        read: |b| {
            if Format::of(b) == Some(Format::Jpeg) {
                drop(decode_at_least(b, &LIMITS, |[h, w]| [h / 8, w / 8]));
            }
        },
        free: FREE,
        memory: 16,
        words: JPEG,
    },
    Reader {
        name: "image_bmp",
        read: |b| read(Format::Bmp, b),
        free: FREE,
        memory: 16,
        words: &[b"\x28\0\0\0", b"\x0c\0\0\0", b"\x01\0\x08\0", b"\x01\0\x20\0", b"\0\0\0\x80", b"\xff\xff\xff\x7f"],
    },
    Reader {
        name: "image_gif",
        read: |b| read(Format::Gif, b),
        free: FREE,
        memory: 16,
        words: &[b"GIF89a", b"\x2c\0\0\0\0", b"\x21\xf9\x04", b"\x21\xff\x0b", b"\xff\xff", b"\x3b"],
    },
    Reader {
        name: "image_webp",
        read: |b| read(Format::Webp, b),
        // Lossy frames say in 24 bits how long each of eight parts is, and the decoder makes room for it.
        free: FREE + (8 << 24),
        memory: 16,
        words: &[b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"\xff\xff\xff"],
    },
    Reader {
        name: "image_tiff",
        read: |b| read(Format::Tiff, b),
        free: FREE,
        memory: 256,
        words: &[
            b"\x00\x01\x03\x00",
            b"\x01\x01\x04\x00",
            b"\x03\x01\x03\x00\x01\x00\x00\x00\x07\x00",
            b"\x03\x01\x03\x00\x01\x00\x00\x00\x05\x00",
            b"\x42\x01\x03\x00",
            b"\x43\x01\x03\x00",
            b"\x3d\x01\x03\x00",
            b"\xff\xff\xff\x7f",
        ],
    },
    Reader {
        name: "source_tar",
        read: sources::tar,
        free: FREE,
        memory: 64,
        words: &[
            b"ustar\x0000",
            b"00000000000\0",
            b"./PaxHeaders/",
            b"x.cls",
            b".json",
            b"{\"label\":",
            b"11 path=a\n",
            b"77777777777\0",
        ],
    },
    Reader {
        name: "source_parquet",
        read: sources::parquet,
        free: FREE,
        memory: 256,
        words: &[
            b"PAR1",
            b"\x15\x00",
            b"\x18\x05label",
            b"huggingface",
            b"\xff\xff\xff\xff\x0f",
            b"\x19\xfc",
            b"\x2c\x15",
        ],
    },
    Reader {
        name: "source_manifest",
        read: sources::manifest,
        free: FREE,
        memory: 512,
        words: &[b"path,label,split\n", b"a.png,", b"train", b"\"", b"\r\n", b"999999", b"\x1f\x8b\x08"],
    },
    Reader {
        name: "source_idx",
        read: sources::idx,
        free: FREE,
        memory: 64,
        words: &[
            b"\0\0\x08\x01",
            b"\0\0\x08\x03",
            b"\0\0\x08\x04",
            b"\x7f\xff\xff\xff",
            b"\0\0\0\x00",
            b"\x1f\x8b\x08",
        ],
    },
    Reader {
        name: "source_cifar",
        read: sources::cifar,
        free: FREE,
        memory: 64,
        words: &[b"\x09", b"\x0a", b"\x1f\x8b\x08"],
    },
    Reader {
        name: "augmentation",
        read: sources::augmentation,
        free: FREE,
        memory: 4096,
        words: &[
            b"rotate:10",
            b"elastic:sigma=4",
            b"random_resized_crop:0.25..1",
            b"@0.5",
            b"+mirror",
            b"-",
            b"fill:124/116/104",
            b"randaugment:2:9",
            b"erase:",
            b"timm-ra",
            b"nan",
            b"1e999",
            b"inf",
            b"..",
            b"alexnet",
            b"trivialaugment",
        ],
    },
    Reader {
        name: "written_split",
        read: sources::split,
        free: FREE,
        memory: 4096,
        words: &[b"gabor-split", b"\t", b"train", b"val", b"test", b"\n", b"\\"],
    },
];

/// The reader of that name.
///
/// # Panics
/// If there is none.
pub fn reader(name: &str) -> &'static Reader {
    READERS.iter().find(|r| r.name == name).expect("a reader of the table")
}
