//! Data sets in Parquet files: those that pyarrow wrote (`make_shards.py`), and damaged ones.
#![cfg(feature = "parquet")]

use gabor_data::{Dataset, OpenOptions, Splits, open};
use std::path::{Path, PathBuf};

fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("parquet").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn shard(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shards").join(name)
}

fn read(path: &Path) -> Result<Splits, String> {
    open(path, &OpenOptions::default()).map_err(|e| e.to_string())
}

/// Labels, and the grey level of every image, which says which one it is.
fn contents(set: &dyn Dataset) -> Vec<(u32, u8)> {
    (0..set.len()).map(|i| (set.labels()[i], set.image(i).unwrap().data()[0] / 10)).collect()
}

#[test]
fn files_of_the_hub_in_every_codec() {
    for codec in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"] {
        let d = dir(codec);
        std::fs::create_dir(d.join("data")).unwrap();
        let train = format!("train-{codec}.parquet");
        std::fs::copy(shard(&train), d.join("data").join(&train)).unwrap();
        std::fs::copy(shard("test-snappy.parquet"), d.join("data/test-00000-of-00001.parquet")).unwrap();
        let s = read(&d);
        if codec == "zstd" && cfg!(not(feature = "parquet-zstd")) {
            let e = s.unwrap_err();
            assert!(
                e.contains("train-zstd.parquet: row group 0: columns compressed with Zstandard are not read"),
                "{e}"
            );
            continue;
        }
        let s = s.unwrap();
        assert_eq!((s.kind, s.classes()), ("Parquet", &["ant".to_string(), "bee".into()][..]));
        let set = s.train().unwrap();
        assert_eq!(contents(&**set), [(0, 0), (1, 1), (0, 2), (1, 3), (0, 4), (1, 5), (0, 6)], "{codec}");
        assert_eq!(contents(&**s.test.as_ref().unwrap()), [(0, 8), (1, 9)]);
        assert_eq!(set.blocks().unwrap().of, [0, 0, 0, 1, 1, 1, 2]);
        assert!(set.id(4).ends_with(&format!("{train} row 4")), "{}", set.id(4));
        assert_eq!(set.encoded(6).unwrap().unwrap()[1..4], *b"PNG");
        assert!(set.image(7).is_err());
    }
}

#[test]
fn plain_bytes_and_labels_that_are_text() {
    let d = dir("plain");
    std::fs::copy(shard("plain.parquet"), d.join("train.parquet")).unwrap();
    std::fs::copy(shard("plain.parquet"), d.join("val.parquet")).unwrap();
    let s = read(&d).unwrap();
    assert_eq!(s.classes(), ["blue", "red"]);
    assert_eq!(contents(&**s.train().unwrap()), [(1, 0), (0, 1), (1, 2), (1, 3)]);
    // By the file alone a part is held out.
    let s = read(&shard("train-snappy.parquet")).unwrap();
    assert_eq!((s.train().unwrap().len(), s.evaluation().unwrap().1.len()), (5, 2));
}

#[test]
fn rows_without_image_or_label() {
    let d = dir("holes");
    std::fs::copy(shard("no-image.parquet"), d.join("train.parquet")).unwrap();
    std::fs::copy(shard("no-image.parquet"), d.join("val.parquet")).unwrap();
    let s = read(&d).unwrap();
    let set = s.train().unwrap();
    assert!(set.image(0).is_ok());
    let e = set.image(1).unwrap_err().to_string();
    let want = "train.parquet row 1: a row without the bytes of an image; right would be: bytes, not a path alone";
    assert!(e.ends_with(want), "{e}");
    let e = read(&shard("no-label.parquet")).unwrap_err();
    assert!(e.ends_with("no-label.parquet row 1: a row without a label; right would be: a label for every row"), "{e}");
}

#[test]
fn threads_that_read_at_random_see_the_same() {
    let s = read(&shard("train-none.parquet")).unwrap();
    let set = s.train().unwrap();
    let want = contents(&**set);
    std::thread::scope(|scope| {
        for t in 0..4 {
            let want = &want;
            scope.spawn(move || {
                for k in 0..50 {
                    let i = (k * 3 + t) % want.len();
                    assert_eq!(set.image(i).unwrap().data()[0] / 10, want[i].1);
                }
            });
        }
    });
}

#[test]
fn damaged_files_are_errors() {
    let d = dir("damaged");
    let path = d.join("train.parquet");
    let try_with = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let result = read(&path);
        if let Ok(s) = &result {
            for set in [&s.train, &s.test].into_iter().flatten() {
                (0..set.len()).for_each(|i| drop(set.image(i)));
            }
        }
        result.map(|_| ())
    };
    // The library's own checks may print as they stop; that is caught.
    std::panic::set_hook(Box::new(|_| {}));
    for name in ["train-snappy.parquet", "train-none.parquet", "plain.parquet", "train-gzip.parquet"] {
        let whole = std::fs::read(shard(name)).unwrap();
        try_with(&whole).unwrap();
        for cut in (0..whole.len()).step_by(211) {
            let e = try_with(&whole[..cut]).unwrap_err();
            assert!(e.starts_with(&path.display().to_string()), "{e}");
        }
        let mut random = gabor_tensor::Stream::new(2, 0, 0, gabor_tensor::rng::op::TEST);
        for _ in 0..100 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            let _ = try_with(&bytes);
        }
    }
    let _ = std::panic::take_hook();
    let e = try_with(b"PAR1").unwrap_err();
    assert!(e.contains("damaged, truncated or unsupported Parquet"), "{e}");
}
