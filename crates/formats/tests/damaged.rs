//! Damaged files: no reader may panic, hang or allocate more than a file's size explains.

use gabor_formats::{npy, onnx, safetensors};
use gabor_tensor::rng::op::TEST;
use gabor_tensor::{Stream, Tensor, Weights};

/// Random changes per ONNX file; `GABOR_FUZZ_CASES` sets another number for a longer search.
fn cases() -> u32 {
    std::env::var("GABOR_FUZZ_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(2000)
}

/// Cuts the file at every length (or many), then changes it at random `cases` times.
fn damage(bytes: &[u8], cases: u32, read: impl Fn(&[u8])) {
    let step = (bytes.len() / 1000).max(1);
    (0..bytes.len()).step_by(step).for_each(|n| read(&bytes[..n]));
    for case in 0..cases {
        let mut s = Stream::new(1, 0, case, TEST);
        let mut v = bytes.to_vec();
        for _ in 0..1 + s.below(4) {
            let at = s.below(v.len());
            match s.below(6) {
                0 => v[at] ^= 1 << s.below(8),
                1 => v[at] = s.next_u32() as u8,
                2 => v[at] = 0xFF,
                3 => v.insert(at, s.next_u32() as u8),
                4 => drop(v.remove(at)),
                _ => {
                    let end = (at + 1 + s.below(16)).min(v.len());
                    let part = v[at..end].to_vec();
                    let to = s.below(v.len());
                    v.splice(to..to, part);
                }
            }
            if v.is_empty() {
                break;
            }
        }
        read(&v);
    }
}

#[test]
fn npy_files() {
    for t in [Tensor::f32(&[2, 3], vec![1.0; 6]).unwrap(), Tensor::i32(&[5], vec![3; 5]).unwrap()] {
        damage(&npy::write(&t), 5000, |b| drop(npy::read(b)));
    }
}

#[test]
fn safetensors_files() {
    let mut w = Weights::new();
    w.insert("conv1.weight", Tensor::f32(&[2, 3], vec![1.0; 6]).unwrap());
    w.insert("step", Tensor::i32(&[], vec![3]).unwrap());
    let metadata = [("k".to_string(), "v".to_string())].into_iter().collect();
    damage(&safetensors::write(&w, &metadata), 5000, |b| drop(safetensors::read(b)));
    damage(&safetensors::write_with_checksum(&w, &metadata), 3000, |b| drop(safetensors::read(b)));
}

#[test]
fn onnx_files() {
    let goldens = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
    for name in ["torch_cnn_9", "torch_modern_14", "auto_pad", "old_softmax", "opset8", "opset21"] {
        let bytes = std::fs::read(goldens.join(format!("{name}.onnx"))).unwrap();
        damage(&bytes, cases(), |b| drop(onnx::import(b)));
    }
}
