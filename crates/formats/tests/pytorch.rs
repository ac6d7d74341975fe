//! PyTorch's files: what `torch.save` writes in both forms, what is refused, and that `torch.load` reads ours.
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

use gabor_formats::{pytorch, safetensors};
use gabor_tensor::{DType, Tensor, Weights};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/pytorch")
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(goldens().join(name)).unwrap()
}

#[test]
fn files_of_both_forms_hold_what_pytorch_put_in() {
    let expected: Value = serde_json::from_slice(&golden("expected.json")).unwrap();
    for (file, tensors) in expected.as_object().unwrap() {
        let found = pytorch::read(&golden(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let tensors = tensors.as_object().unwrap();
        assert_eq!(found.weights.len(), tensors.len(), "{file}");
        for (name, want) in tensors {
            let t = found.weights.get(name).unwrap_or_else(|| panic!("{file}: {name}"));
            let shape: Vec<usize> = serde_json::from_value(want["shape"].clone()).unwrap();
            assert_eq!(t.shape(), shape, "{file}: {name}");
            let dtype = match want["dtype"].as_str().unwrap() {
                "float32" | "float64" | "float16" | "bfloat16" => DType::F32,
                "uint8" | "bool" => DType::U8,
                _ => DType::I32,
            };
            assert_eq!(t.dtype(), dtype, "{file}: {name}");
            let values: Vec<f64> = serde_json::from_value(want["values"].clone()).unwrap();
            let values: Vec<f64> =
                if dtype == DType::F32 { values.iter().map(|&v| f64::from(v as f32)).collect() } else { values };
            assert_eq!(t.to_f64(), values, "{file}: {name}");
        }
    }
}

#[test]
fn the_weights_of_a_checkpoint_are_taken() {
    let c = pytorch::read(&golden("checkpoint.pth")).unwrap();
    assert_eq!(c.part.as_deref(), Some("state_dict"));
    assert_eq!(c.others, ["epoch", "best", "args", "optimizer", "scheduler", "ema"]);
    assert_eq!(c.weights.get("1.num_batches_tracked"), Some(&Tensor::i32(&[], vec![1]).unwrap()));
    assert_eq!(pytorch::read(&golden("types.pth")).unwrap().part, None);
}

#[test]
fn what_is_no_weights_is_refused_by_name() {
    for (file, text) in [
        (
            "payload.pth",
            "data.pkl: the file names `posix.system`, which is no part of weights; in Python it would be called; right would be: weights alone, as torch.save(model.state_dict(), FILE) writes them",
        ),
        ("payload_legacy.pth", "PyTorch file: object: the file names `posix.system`"),
        (
            "module.pth",
            "data.pkl: the file names `torch.nn.modules.container.Sequential`: it holds a whole Python object",
        ),
        ("script.pt", "PyTorch archive: a TorchScript program, not weights; right would be: torch.save("),
        ("complex.pth", "data.pkl: a tensor of complex64; right would be: floats"),
        ("float8.pth", "data.pkl: a tensor of float8_e5m2"),
        ("too_wide.pth", "tensor `x`: the number 1099511627776 does not fit a 32-bit integer"),
        ("no_weights.pth", "PyTorch file: the file holds no weights, but epoch, x …; right would be: tensors by name"),
        ("list.pth", "PyTorch file: the file holds a list; right would be: a dictionary of tensors"),
    ] {
        let e = pytorch::read(&golden(file)).unwrap_err().to_string();
        assert!(e.starts_with(text), "{file}: {e}");
    }
    assert!(pytorch::read(b"").unwrap_err().to_string().contains("begins neither"));
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(pytorch::read(&tar).unwrap_err().to_string().contains("PyTorch 0.1"));
}

/// A file of the old kind around a pickle, with one storage `k` of four floats where the pickle names it.
fn legacy(object: &[u8]) -> Vec<u8> {
    let head = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";
    let named = object.windows(7).any(|w| w == b"storage");
    let keys: &[u8] = if named { b"\x80\x02]X\x01\0\0\0ka.\x04\0\0\0\0\0\0\0" } else { b"\x80\x02]." };
    [&head[..], object, keys, &[0; 16]].concat()
}

/// A tensor of the storage `k`, four floats, with offset, size and strides as pickles.
fn view(offset: &str, size: &str, strides: &str) -> Vec<u8> {
    let text = format!(
        "\u{1}ctorch._utils\n_rebuild_tensor_v2\n((X\u{7}\0\0\0storagectorch\nFloatStorage\nX\u{1}\0\0\0kX\u{3}\0\0\0cpuK\u{4}NtQ{offset}{size}{strides}NNtR"
    );
    text.into_bytes()[1..].to_vec()
}

fn state(tensor: &[u8]) -> Vec<u8> {
    legacy(&[b"}X\x01\0\0\0w", tensor, b"s."].concat())
}

#[test]
fn tensors_stay_within_their_storage() {
    let fine = pytorch::read(&state(&view("K\0", "(K\u{2}K\u{2}t", "(K\u{2}K\u{1}t"))).unwrap();
    assert_eq!(fine.weights.get("w").unwrap().shape(), [2, 2]);
    for (offset, size, strides, text) in [
        ("K\u{1}", "(K\u{4}t", "(K\u{1}t", "reaches beyond its storage; right would be: within 4 elements"),
        ("K\0", "(K\u{2}K\u{2}t", "(J\u{7f}\u{7f}\u{7f}\u{7f}K\u{1}t", "reaches beyond"),
        ("J\u{7f}\u{7f}\u{7f}\u{7f}", "(K\u{1}t", "(K\u{1}t", "reaches beyond"),
        ("K\0", "(K\u{2}t", "(t", "with strides []"),
        ("K\0", "(I-2\nt", "(K\u{1}t", "a size, stride or offset of -2"),
        // One float that stands for a million.
        ("K\0", "(J\0\0\u{f}\0t", "(K\0t", "more than 4 times"),
        (
            "K\0",
            "(J\u{7f}\u{7f}\u{7f}\u{7f}J\u{7f}\u{7f}\u{7f}\u{7f}J\u{7f}\u{7f}\u{7f}\u{7f}t",
            "(K\0K\0K\0t",
            "memory can address",
        ),
    ] {
        let e = pytorch::read(&state(&view(offset, size, strides))).unwrap_err().to_string();
        assert!(e.contains(text), "{e}");
    }
    // A stride that is never stepped along may be anything.
    let one = pytorch::read(&state(&view("K\u{3}", "(K\u{1}K\u{1}t", "(J\u{7f}\u{7f}\u{7f}\u{7f}K\u{1}t")));
    assert_eq!(one.unwrap().weights.get("w").unwrap().shape(), [1, 1]);
}

#[test]
fn cycles_and_deep_nests_end() {
    // A dictionary that is its own `model`.
    let own = legacy(b"}q\0X\x05\0\0\0modelh\0s.");
    let e = pytorch::read(&own).unwrap_err().to_string();
    assert!(e.contains("no weights"), "{e}");
    // A dictionary of a tensor and, twice, itself.
    let tensor = view("K\0", "(K\u{1}t", "(K\u{1}t");
    let twice = [b"}q\0(X\x01\0\0\0w", &tensor[..], b"X\x01\0\0\0ah\0X\x01\0\0\0bh\0u."].concat();
    assert!(pytorch::read(&legacy(&twice)).unwrap_err().to_string().contains("without end"));
    // Each of 60 dictionaries holds the one before under ten names.
    let mut many = [b"}q\0X\x01\0\0\0w", &tensor[..], b"s"].concat();
    for i in 1..60u8 {
        many.extend([b'}', b'q', i, b'(']);
        for name in b'a'..=b'j' {
            many.extend([b'X', 1, 0, 0, 0, name, b'h', i - 1]);
        }
        many.push(b'u');
    }
    many.extend(b"0".repeat(58));
    many.splice(0..0, b"}X\x0a\0\0\0state_dict".iter().copied());
    many.extend(b"s.");
    assert!(pytorch::read(&legacy(&many)).is_err());
    let nested = [&b"]".repeat(100_000)[..], &b"a".repeat(99_999), b"."].concat();
    assert!(pytorch::read(&legacy(&nested)).unwrap_err().to_string().contains("holds a list"));
}

fn every_type() -> Weights {
    let mut w = Weights::new();
    w.insert("conv.weight", Tensor::f32(&[2, 1, 3], (0..6).map(|i| i as f32 / 3.0).collect()).unwrap());
    w.insert("long", Tensor::f32(&[300], vec![0.25; 300]).unwrap());
    w.insert("steps", Tensor::i32(&[], vec![-7]).unwrap());
    w.insert("mask", Tensor::u8(&[3], vec![1, 2, 255]).unwrap());
    w.insert("empty", Tensor::f32(&[0, 2], vec![]).unwrap());
    w.insert("double", Tensor::f64(&[2], vec![1e-300, 0.1]).unwrap());
    w
}

#[test]
fn what_is_written_is_read() {
    let mut w = every_type();
    let bytes = pytorch::write(&w);
    assert_eq!(bytes, pytorch::write(&w));
    assert!(pytorch::is_pytorch(&bytes) && !pytorch::is_pytorch(&safetensors::write(&w, &Default::default())));
    // Doubles are read as floats.
    let double = w.get("double").unwrap().cast(DType::F32);
    w.insert("double", double);
    assert_eq!(pytorch::read(&bytes).unwrap().weights, w);
    assert!(pytorch::read(&pytorch::write(&Weights::new())).unwrap_err().to_string().contains("nothing"));
}

#[test]
fn pytorch_reads_what_is_written() {
    let Some(python) = std::env::var_os("GABOR_PYTHON") else {
        println!("skipped: GABOR_PYTHON names no Python");
        return;
    };
    let run =
        |code: &str, path: &Path| std::process::Command::new(&python).arg("-c").arg(code).arg(path).output().unwrap();
    if !run("import torch", Path::new("")).status.success() {
        println!("skipped: this Python has no torch");
        return;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("written.pth");
    std::fs::write(&path, pytorch::write(&every_type())).unwrap();
    let code = "import sys, torch\n\
                w = torch.load(sys.argv[1], weights_only=True, mmap=True)\n\
                for k, v in w.items(): print(k, str(v.dtype)[6:], list(v.shape), v.flatten()[:2].tolist())";
    let out = run(code, &path);
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert_eq!(
        text,
        "conv.weight float32 [2, 1, 3] [0.0, 0.3333333432674408]\n\
         double float64 [2] [1e-300, 0.1]\n\
         empty float32 [0, 2] []\n\
         long float32 [300] [0.25, 0.25]\n\
         mask uint8 [3] [1, 2]\n\
         steps int32 [] [-7]\n"
    );
}

#[test]
fn published_weights_are_those_of_the_safetensors_beside_them() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pretrained/resnet-cifar10");
    let Ok(bytes) = std::fs::read(data.join("resnet20-12fca82f.th")) else {
        println!("skipped: {} is not there", data.display());
        return;
    };
    let c = pytorch::read(&bytes).unwrap();
    assert_eq!((c.part.as_deref(), &c.others[..]), (Some("state_dict"), &["best_prec1".to_string()][..]));
    let (same, _) = safetensors::read(&std::fs::read(data.join("resnet20.safetensors")).unwrap()).unwrap();
    let plain: Weights =
        (c.weights.0.into_iter()).map(|(k, v)| (k.trim_start_matches("module.").to_string(), v)).collect();
    for (name, t) in same.iter() {
        assert_eq!(plain.get(name), Some(t), "{name}");
    }
}
