//! Decoding of small files against Pillow, damaged files, and limits.

use gabor_data::{Color, Image, Limits, OpenOptions, decode, decode_file, open};
use gabor_tensor::Stream;
use gabor_tensor::rng::op;
use std::fs;
use std::path::{Path, PathBuf};

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images")
}

fn expected() -> Vec<(String, f64, Image<'static>)> {
    let hex =
        |s: &str| (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect::<Vec<u8>>();
    let text = include_str!("images/expected.txt");
    text.lines()
        .map(|line| {
            let f: Vec<&str> = line.split(' ').collect();
            let color = if f[2] == "L" { Color::Grey } else { Color::Rgb };
            let image = Image::new(f[3].parse().unwrap(), f[4].parse().unwrap(), color, hex(f[5])).unwrap();
            (f[0].to_string(), f[1].parse().unwrap(), image)
        })
        .collect()
}

#[test]
fn files_decode_as_pillow_decodes_them() {
    for (name, tolerance, want) in expected() {
        let got = decode_file(&images().join(&name), &Limits::default()).unwrap();
        assert_eq!((got.height(), got.width(), got.color()), (want.height(), want.width(), want.color()), "{name}");
        let sum: f64 = got.data().iter().zip(want.data()).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
        let mean = sum / got.data().len() as f64;
        assert!(mean <= tolerance, "{name}: mean difference {mean}");
    }
}

#[test]
fn truncated_files_are_errors() {
    for (name, ..) in expected() {
        let whole = fs::read(images().join(&name)).unwrap();
        for cut in 0..whole.len() {
            // What lies behind the pixels may be missing: a checksum, a trailer.
            if let Ok(image) = decode(&whole[..cut], &Limits::default()) {
                let whole_image = decode(&whole, &Limits::default()).unwrap();
                assert_eq!(image, whole_image, "{name} cut to {cut} of {} bytes", whole.len());
            }
        }
    }
}

#[test]
fn limits_hold_before_decoding() {
    let limits = Limits { pixels: 100, ..Limits::default() };
    for (name, _, _) in expected() {
        let e = decode_file(&images().join(&name), &limits).unwrap_err().to_string();
        assert!(e.contains("more pixels than the limit; given: 1") && e.contains("at most 100 pixels"), "{e}");
    }
    let e = decode_file(&images().join("rgb.png"), &Limits { file_bytes: 10, ..Limits::default() })
        .unwrap_err()
        .to_string();
    assert!(e.ends_with("bytes is larger than the limit; right would be: at most 10 bytes"), "{e}");
    let e = decode_file(&images(), &Limits::default()).unwrap_err().to_string();
    assert!(e.contains("right would be"), "{e}");
}

/// Damages `bytes`: flips, overwrites and removes at random places.
fn damage(bytes: &[u8], s: &mut Stream) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..1 + s.below(4) {
        if out.is_empty() {
            break;
        }
        let at = s.below(out.len());
        match s.below(6) {
            0 => out[at] ^= 1 << s.below(8),
            1 => out[at] = s.next_u32() as u8,
            2 => out.truncate(at),
            3 => out[at] = [0, 0xff, 0x7f, 0x80][s.below(4)],
            4 => {
                out.remove(at);
            }
            _ => {
                let end = (at + 4).min(out.len());
                out[at..end].fill([0, 0xff][s.below(2)]);
            }
        }
    }
    out
}

#[test]
fn damaged_images_never_panic() {
    let limits = Limits { pixels: 1 << 14, memory: 1 << 20, ..Limits::default() };
    let files: Vec<Vec<u8>> = expected().iter().map(|(name, ..)| fs::read(images().join(name)).unwrap()).collect();
    let (mut refused, mut panicked) = (0, Vec::new());
    for case in 0..6000u32 {
        let mut s = Stream::new(1, 0, case, op::TEST);
        let bytes = damage(&files[case as usize % files.len()], &mut s);
        match decode(&bytes, &limits) {
            Ok(image) => assert!(!image.data().is_empty()),
            Err(e) if e.to_string().contains("internal check") => panicked.push(case),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 1000, "{refused}");
    assert!(panicked.is_empty(), "decoders panicked in cases {panicked:?}");
}

#[test]
fn damaged_data_sets_never_panic() {
    let dir = std::env::temp_dir().join(format!("gabor-data-damaged-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let idx = |magic: u32, dims: &[u32], bytes: usize| {
        let mut b = magic.to_be_bytes().to_vec();
        b.extend(dims.iter().flat_map(|d| d.to_be_bytes()));
        b.extend((0..bytes).map(|i| (i % 3) as u8));
        b
    };
    let mut cifar: Vec<u8> = (0..2 * 3073).map(|i| (i % 251) as u8).collect();
    (cifar[0], cifar[3073]) = (1, 9);
    let packed = {
        use std::io::Write;
        let mut e = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        e.write_all(&cifar).unwrap();
        e.finish().unwrap()
    };
    type Files<'a> = &'a [(&'a str, Vec<u8>)];
    let sets: [(Files<'_>, usize); 3] = [
        (
            &[
                ("train-images-idx3-ubyte", idx(2051, &[12, 3, 3], 108)),
                ("train-labels-idx1-ubyte", idx(2049, &[12], 12)),
            ],
            700,
        ),
        (&[("data_batch_1.bin", cifar.clone()), ("test_batch.bin", cifar.clone())], 250),
        (&[("data_batch_1.bin.gz", packed), ("test_batch.bin", cifar)], 250),
    ];
    let options = OpenOptions { limits: Limits { memory: 1 << 16, ..Limits::default() }, ..Default::default() };
    for (k, (files, cases)) in sets.iter().enumerate() {
        for (name, bytes) in files.iter() {
            fs::write(dir.join(name), bytes).unwrap();
        }
        let whole = open(&dir, &options).unwrap();
        assert!(whole.train().unwrap().len() + whole.test.as_ref().unwrap().len() >= 2);
        let mut refused = 0;
        for case in 0..*cases as u32 {
            let mut s = Stream::new(k as u64, 1, case, op::TEST);
            let (name, bytes) = &files[s.below(files.len())];
            fs::write(dir.join(name), damage(bytes, &mut s)).unwrap();
            match open(&dir, &options) {
                Ok(splits) => {
                    let train = splits.train().unwrap();
                    assert!((0..train.len()).all(|i| train.image(i).is_ok()));
                }
                Err(e) => {
                    assert!(e.to_string().contains("right would be"), "{e}");
                    refused += 1;
                }
            }
            fs::write(dir.join(name), bytes).unwrap();
        }
        assert!(refused * 10 > cases * 2, "{refused} of {cases}");
        for (name, _) in files.iter() {
            fs::remove_file(dir.join(name)).unwrap();
        }
    }
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn folders_without_a_clear_meaning_are_errors() {
    let dir = std::env::temp_dir().join(format!("gabor-data-folders-{}", std::process::id()));
    let png = fs::read(images().join("rgb.png")).unwrap();
    let put = |path: &str, bytes: &[u8]| {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let message =
        || open(&dir, &OpenOptions::default()).map(|s| format!("{:?}", s.notes)).unwrap_or_else(|e| e.to_string());
    for class in ["train/cat", "train/dog", "val/cat"] {
        put(&format!("{class}/1.png"), &png);
        put(&format!("{class}/2.PNG"), &png);
    }
    put("train/cat/Thumbs.db", b"x");
    assert!(message().contains("1 files passed over"), "{}", message());
    put("val/bird/1.png", &png);
    assert!(
        message()
            .contains("class bird is not among the 2 classes of the training part; right would be: one of cat, dog"),
        "{}",
        message()
    );
    fs::remove_dir_all(dir.join("val")).unwrap();
    put("train/cat/3.heic", b"x");
    assert!(message().contains("images of type heic are not read"), "{}", message());
    fs::remove_file(dir.join("train/cat/3.heic")).unwrap();
    fs::create_dir_all(dir.join("train/empty")).unwrap();
    assert!(message().contains("empty: a class folder without images"), "{}", message());
    fs::remove_dir_all(dir.join("train/empty")).unwrap();
    put("train/loose.jpg", &png);
    assert!(message().contains("images beside or without class folders; given: loose.jpg"), "{}", message());
    fs::remove_dir_all(&dir).unwrap();
}
