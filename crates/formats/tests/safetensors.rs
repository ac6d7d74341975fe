//! Safetensors files.
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

use gabor_formats::safetensors::{self, Metadata};
use gabor_tensor::{Data, Tensor, Weights};

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn some() -> (Weights, Metadata) {
    let mut w = Weights::new();
    w.insert("b.weight", Tensor::f32(&[2, 2], vec![1.0, 2.0, 3.0, 4.0]).unwrap());
    w.insert("a.step", Tensor::i32(&[], vec![-7]).unwrap());
    w.insert("c.mask", Tensor::u8(&[3], vec![1, 2, 3]).unwrap());
    w.insert("d.empty", Tensor::f32(&[0], vec![]).unwrap());
    let m = Metadata::from([("format".into(), "gabor".into()), ("odd \"text\"".into(), "ä\n".into())]);
    (w, m)
}

#[test]
fn round_trip_and_same_bytes() {
    let (w, m) = some();
    let bytes = safetensors::write(&w, &m);
    assert_eq!(bytes, safetensors::write(&w, &m));
    assert_eq!(safetensors::read(&bytes).unwrap(), (w.clone(), m.clone()));
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!(header % 8, 0);
    let none = safetensors::write(&Weights::new(), &Metadata::new());
    assert_eq!(safetensors::read(&none).unwrap(), (Weights::new(), Metadata::new()));
    let checked = safetensors::write_with_checksum(&w, &m);
    assert_eq!(safetensors::read(&checked).unwrap(), (w, m));
}

#[test]
fn a_checksum_finds_every_changed_bit_of_the_data() {
    let (w, m) = some();
    let bytes = safetensors::write_with_checksum(&w, &m);
    let data = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for bit in 0..8 * (bytes.len() - data) {
        let mut damaged = bytes.clone();
        damaged[data + bit / 8] ^= 1 << (bit % 8);
        let e = safetensors::read(&damaged).unwrap_err().to_string();
        assert!(e.contains("it is damaged"), "{e}");
    }
}

#[test]
fn other_element_types() {
    let t = |dtype: &str, data: &[u8]| {
        let header = format!(r#"{{"x":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{}]}}}}"#, data.len());
        safetensors::read(&file(&header, data)).map(|(w, _)| w.get("x").unwrap().data().clone())
    };
    assert_eq!(t("F16", &[0x00, 0x3C, 0x00, 0xC0]).unwrap(), Data::F32(vec![1.0, -2.0]));
    assert_eq!(t("BF16", &[0x80, 0x3F, 0x00, 0xC0]).unwrap(), Data::F32(vec![1.0, -2.0]));
    assert_eq!(t("F64", &[0.5f64, 2.0].map(f64::to_le_bytes).concat()).unwrap(), Data::F32(vec![0.5, 2.0]));
    assert_eq!(t("I64", &[3i64, -4].map(i64::to_le_bytes).concat()).unwrap(), Data::I32(vec![3, -4]));
    assert!(
        t("I64", &[3i64, 1 << 50].map(i64::to_le_bytes).concat()).unwrap_err().to_string().contains("does not fit")
    );
    assert!(t("F8_E4M3", &[0, 0]).unwrap_err().to_string().contains("element type F8_E4M3"));
}

#[test]
fn broken_headers() {
    let e = |header: &str, data: &[u8]| safetensors::read(&file(header, data)).unwrap_err().to_string();
    let one = |offsets: &str| format!(r#"{{"x":{{"dtype":"F32","shape":[1],"data_offsets":{offsets}}}}}"#);
    assert!(safetensors::read(&[1, 2]).unwrap_err().to_string().contains("a file of 2 bytes"));
    assert!(safetensors::read(&[255; 16]).unwrap_err().to_string().contains("a header of 18446744073709551615 bytes"));
    assert!(e(&one("[0,4]"), &[0; 3]).contains("data_offsets [0, 4] of 3 bytes"));
    assert!(e(&one("[4,8]"), &[0; 8]).contains("an offset of 0"));
    assert!(e(&one("[0,4]"), &[0; 8]).contains("4 bytes follow the last tensor"));
    assert!(e(&one("[0,8]"), &[0; 8]).contains("8 bytes for F32 [1]"));
    assert!(e(r#"{"x":1}"#, &[]).contains("invalid type"));
    assert!(e("[]", &[]).contains("does not begin"));
    let entry = r#""x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    assert!(e(&format!("{{{entry},{entry}}}"), &[0; 4]).contains("`x` stands twice"));
    let huge = r#"{"x":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}"#;
    assert!(e(huge, &[]).contains("more bytes than memory"));
}

#[test]
fn published_weights_read() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pretrained");
    for name in ["resnet-cifar10/resnet20.safetensors", "darknet-tiny-imagenet/darknet-tiny.safetensors"] {
        let Ok(bytes) = std::fs::read(root.join(name)) else {
            println!("skipped: {name} is not on this machine");
            continue;
        };
        let (weights, metadata) = safetensors::read(&bytes).unwrap();
        assert!(weights.len() > 10 && weights.elements() > 100_000);
        let again = safetensors::write(&weights, &metadata);
        assert_eq!(safetensors::read(&again).unwrap(), (weights, metadata));
    }
}
