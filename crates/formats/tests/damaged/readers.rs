//! Every reader of the crate, for the bounded runs beside this file and for the targets in `fuzz/`, which include it.
#![allow(dead_code, reason = "a fuzz target uses one of them")]

use gabor_formats::{caffe, convnetjs, darknet, npy, onnx, pytorch, safetensors};

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
        name: "onnx_tensor",
        read: |b| drop(onnx::read_tensor(b)),
        free: MIB,
        memory: 64,
        words: &[b"\x08\x02", b"\x10\x07", b"\x4a", b"\x22"],
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
    Reader {
        name: "darknet",
        // A text, a zero, and the numbers.
        read: |b| {
            let (cfg, numbers) = b.split_at(b.iter().position(|&c| c == 0).unwrap_or(b.len()));
            drop(darknet::import(cfg, numbers.get(1..)));
            drop(darknet::import(cfg, None));
        },
        free: MIB,
        memory: 2048,
        words: &[
            b"\n[convolutional]\n",
            b"\n[route]\nlayers=-1,-1,-1,-1\n",
            b"\n[shortcut]\nfrom=-2\n",
            b"\n[upsample]\nstride=4096\n",
            b"\n[reorg]\nstride=2\n",
            b"\n[softmax]\ngroups=",
            b"\n[maxpool]\n",
            b"filters=16777215\n",
            b"groups=2\n",
            b"-1",
            b"999",
        ],
    },
    Reader {
        name: "caffe",
        // A text, a zero, and the numbers.
        read: |b| {
            let (text, numbers) = b.split_at(b.iter().position(|&c| c == 0).unwrap_or(b.len()));
            drop(caffe::import(text, numbers.get(1..)));
            drop(caffe::import(text, None));
        },
        free: MIB,
        memory: 2048,
        words: &[
            b"layer { name: \"l\" type: \"",
            b"\" bottom: \"data\" top: \"data\" }",
            b"Tile\" tile_param { tiles: 2000000000 }",
            b"Reshape\" reshape_param { shape { dim: 0 dim: -1 } }",
            b"num_output: 2147483647 ",
            b"dim: 1000000 ",
            b"{{{{{{{{{{",
            b"a<a<a<a<a<a<",
            b"top: \"conv1\"",
            b"power: 16 ",
            b"-1",
            b"999999999",
        ],
    },
    Reader {
        name: "convnetjs",
        read: |b| drop(convnetjs::import(b)),
        free: MIB,
        memory: 256,
        words: &[b"1e308", b"-1", b"4294967295", b"\"fc\"", b"\"conv\"", b"\"pool\"", b"[[[[[[", b"{\"0\":", b"null"],
    },
];

/// The reader of that name.
///
/// # Panics
/// If there is none.
pub fn reader(name: &str) -> &'static Reader {
    READERS.iter().find(|r| r.name == name).expect("a reader of the table")
}
