//! Every reader of the crate, for the bounded runs beside this file and for the targets in `fuzz/`, which include it.
#![allow(dead_code, reason = "a fuzz target uses one of them")]

use gabor_formats::{npy, onnx, pytorch, safetensors};

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

const MIB: usize = 1 << 20;

/// One row per reader. A row needs a test in `main.rs` and a target in `fuzz/`.
pub const READERS: &[Reader] = &[
    Reader {
        name: "npy",
        read: |b| drop(npy::read(b)),
        free: MIB,
        memory: 8,
        words: &[b"'<f4'", b"'<i8'", b"'|u1'", b"(", b","],
    },
    Reader {
        name: "safetensors",
        read: |b| drop(safetensors::read(b)),
        free: MIB,
        memory: 64,
        words: &[b"\"F16\"", b"\"BF16\"", b"\"I64\"", b"\"U8\"", b"[", b"]", b"{", b"}", b"9999999999"],
    },
    Reader {
        name: "onnx",
        read: |b| drop(onnx::import(b)),
        // Constants of up to 2^20 elements are made from their shape alone.
        free: 128 * MIB,
        memory: 512,
        words: &[b"Conv", b"Reshape", b"Concat", b"Shape", b"Expand", b"Tile", b"ConstantOfShape", b"Slice"],
    },
    Reader {
        name: "pytorch",
        read: |b| drop(pytorch::read(b)),
        free: MIB,
        memory: 256,
        words: &[
            b"ctorch._utils\n_rebuild_tensor_v2\n",
            b"ccollections\nOrderedDict\n",
            b"h\0",
            b"2",
            b"\x94",
            b")R",
            b"tQ",
        ],
    },
];

/// The reader of that name.
///
/// # Panics
/// If there is none.
pub fn reader(name: &str) -> &'static Reader {
    READERS.iter().find(|r| r.name == name).expect("a reader of the table")
}
