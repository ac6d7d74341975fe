//! Readers of data sets and of texts, as rows beside those of images. A data set is opened by its path, as a user opens it:
//! the bytes are put into a file of a folder of their own.

use super::LIMITS;
use gabor_data::{Augmentation, Dataset, OpenOptions, WrittenSplit, open};
use std::path::PathBuf;
use std::sync::Arc;

/// Images of a data set that are read.
const IMAGES: usize = 30;
/// A grey PNG of one pixel, to which manifests may point.
pub const PIXEL: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc`\0\0\0\x02\0\x01H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82";

/// Writes the files into a folder of this process and reads what they are, pixels too.
fn set(kind: &str, files: &[(&str, &[u8])]) {
    let dir: PathBuf = std::env::temp_dir().join(format!("gabor-damaged-{}-{kind}", std::process::id()));
    let _ = std::fs::create_dir_all(&dir);
    for (name, bytes) in files {
        if std::fs::write(dir.join(name), bytes).is_err() {
            return;
        }
    }
    let options = OpenOptions { limits: LIMITS, test_fraction: 0.0, seed: 0 };
    let Ok(splits) = open(&dir, &options) else { return };
    for part in [&splits.train, &splits.validation, &splits.test].into_iter().flatten() {
        let part: &Arc<dyn Dataset> = part;
        assert_eq!(part.labels().len(), part.len());
        assert!(part.labels().iter().all(|&l| (l as usize) < part.classes().len()), "a label beyond the classes");
        for i in 0..part.len().min(IMAGES) {
            drop((part.id(i), part.image(i)));
        }
    }
}

pub fn tar(bytes: &[u8]) {
    set("tar", &[("train-0.tar", bytes)]);
}

pub fn parquet(bytes: &[u8]) {
    set("parquet", &[("train-0.parquet", bytes)]);
}

pub fn manifest(bytes: &[u8]) {
    set("manifest", &[("labels.csv", bytes), ("a.png", PIXEL)]);
}

/// Images, then labels: the second file begins with the last header of labels.
pub fn idx(bytes: &[u8]) {
    let at = bytes.windows(4).rposition(|w| w == [0, 0, 8, 1]).unwrap_or(bytes.len());
    let (images, labels) = bytes.split_at(at);
    set("idx", &[("train-images-idx3-ubyte", images), ("train-labels-idx1-ubyte", labels)]);
}

pub fn cifar(bytes: &[u8]) {
    set("cifar", &[("data_batch_1.bin", bytes)]);
}

/// A pipeline that is read is written as text that is read as the same.
pub fn augmentation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(read) = text.parse::<Augmentation>() else { return };
    let again = read.to_string();
    match again.parse::<Augmentation>() {
        Ok(second) => assert!(second == read, "{text:?} is written as {again:?}, which is read otherwise"),
        Err(e) => panic!("{text:?} is written as {again:?}, which is not read: {e}"),
    }
}

/// A written split that is read is written as the same text.
pub fn split(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(read) = WrittenSplit::parse(text, "split.tsv") else { return };
    let again = read.to_text();
    assert!(WrittenSplit::parse(&again, "again").is_ok_and(|r| r.to_text() == again), "{again}");
}
