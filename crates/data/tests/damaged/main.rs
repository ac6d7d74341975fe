//! Damaged images, data sets and texts: no reader may crash, hang or allocate more than limits and the file's size explain.
//!
//! `readers.rs` lists the readers (`sources.rs` holds those of data sets), `lies.rs` writes files that claim what they do not hold; how files are damaged is
//! shared with the readers of `gabor-formats`.

#[path = "../../../formats/tests/damaged/harness.rs"]
mod harness;
mod lies;
mod readers;

use gabor_data::source::FileDataset;
use gabor_data::source::Subset;
use gabor_data::{
    Augmentation, Color, ConvertOptions, Limits, Loader, LoaderOptions, MemoryDataset, OnBad, Operation, Preprocessing,
    Splits, Target, WrittenSplit, convert, decode, digits,
};
use gabor_tensor::Stream;
use gabor_tensor::rng::op::TEST;
use harness::{alone, damage, peak_of};
use readers::{LIMITS, READERS, reader};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The small pictures beside the tests with that ending.
fn images(endings: &[&str]) -> Vec<(String, Vec<u8>)> {
    let mut out: Vec<(String, Vec<u8>)> = std::fs::read_dir(here().join("tests/images"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| endings.contains(&p.extension().unwrap_or_default().to_str().unwrap()))
        .map(|p| (p.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(&p).unwrap()))
        .collect();
    out.sort();
    assert!(!out.is_empty());
    out
}

/// Damages each of the files, mixing in parts of the others; all of them share the time of two.
fn each(name: &str, ending: &str) {
    let files = images(&[ending]);
    let all: Vec<Vec<u8>> = files.iter().map(|f| f.1.clone()).collect();
    files.iter().for_each(|(file, bytes)| damage(reader(name), file, bytes, &all));
}

#[test]
fn png_files() {
    each("image_png", "png");
}

#[test]
fn jpeg_files() {
    each("image_jpeg", "jpg");
}

#[test]
fn jpeg_files_at_a_fraction() {
    each("image_jpeg_reduced", "jpg");
}

#[test]
fn bmp_files() {
    each("image_bmp", "bmp");
}

#[test]
fn gif_files() {
    each("image_gif", "gif");
}

#[test]
fn webp_files() {
    each("image_webp", "webp");
}

#[test]
fn tiff_files() {
    each("image_tiff", "tif");
}

/// A dozen digits written in a format: the file of that name.
fn digits_as(target: Target, name: &str) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("damaged-{name}"));
    let _ = std::fs::remove_dir_all(&dir);
    let all = digits().train.unwrap();
    let few = Subset::new(all, (0..12).collect()).unwrap();
    let splits = Splits { train: Some(Arc::new(few)), test: None, ..digits() };
    convert(&splits, &dir, &ConvertOptions::new(target), &mut |_, _| {}).unwrap();
    std::fs::read(dir.join(name)).unwrap()
}

/// Damages files that are no images.
fn these(name: &str, files: &[(&str, Vec<u8>)]) {
    let all: Vec<Vec<u8>> = files.iter().map(|f| f.1.clone()).collect();
    files.iter().for_each(|(file, bytes)| damage(reader(name), file, bytes, &all));
}

#[test]
fn tar_shards() {
    these("source_tar", &[("digits", digits_as(Target::Tar, "train-000000.tar"))]);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_files() {
    these("source_parquet", &[("digits", digits_as(Target::Parquet, "train-00000-of-00001.parquet"))]);
}

#[test]
fn manifests() {
    let plain = b"a.png,red\na.png,blue\na.png,red\n".to_vec();
    let parts = b"split,label,path\ntrain,0,a.png\nval,\"1\",\"a.png\"\r\ntest,3,a.png\n".to_vec();
    these("source_manifest", &[("plain", plain), ("parts", parts)]);
}

#[test]
fn idx_files() {
    let labels = digits_as(Target::Idx, "train-labels-idx1-ubyte");
    these("source_idx", &[("digits", [digits_as(Target::Idx, "train-images-idx3-ubyte"), labels].concat())]);
}

#[test]
fn cifar_files() {
    let bytes: Vec<u8> = (0..3 * 3073).map(|i| if i % 3073 == 0 { (i / 3073) as u8 } else { i as u8 }).collect();
    these("source_cifar", &[("three", bytes)]);
}

#[test]
fn augmentation_texts() {
    let usual: Vec<&str> = Operation::PAGES.iter().map(|p| p.name).collect();
    let every = usual.iter().map(|name| format!("{name}@0.5")).collect::<Vec<_>>().join(",");
    let presets: Vec<String> = Augmentation::presets()
        .map(|(name, _)| name.parse::<Augmentation>().unwrap().to_string())
        .filter(|text| text != "none")
        .collect();
    these("augmentation", &[("every", every.into_bytes()), ("presets", presets.join(",+").into_bytes())]);
}

#[test]
fn written_splits() {
    let text = WrittenSplit::of(&open_folder(), "data").to_text();
    these("written_split", &[("digits", text.into_bytes())]);
}

fn open_folder() -> Splits {
    let labels: Vec<u32> = (0..12).map(|i| i % 3).collect();
    let names = ["a", "b\tc", "d"].map(String::from).to_vec();
    let set = MemoryDataset::new("set", 1, 1, Color::Grey, vec![0; 12], labels, names).unwrap();
    Splits { train: Some(Arc::new(set)), test: None, ..digits() }.hold_out(0.3, 0).unwrap()
}

#[test]
fn every_decoder_is_fuzzed_and_tested_here() {
    let targets = here().join("../../fuzz/fuzz_targets");
    let manifest = std::fs::read_to_string(targets.join("../Cargo.toml")).unwrap();
    for r in READERS {
        let target = std::fs::read_to_string(targets.join(format!("{}.rs", r.name))).unwrap_or_default();
        assert!(target.contains(&format!("reader(\"{}\")", r.name)), "fuzz/fuzz_targets/{}.rs", r.name);
        assert!(manifest.contains(&format!("name = \"{}\"", r.name)), "fuzz/Cargo.toml has no target {}", r.name);
        let main = include_str!("main.rs");
        let tested = ["each", "these"].iter().any(|f| main.contains(&format!("{f}(\"{}\"", r.name)));
        assert!(tested, "main.rs has no files for {}", r.name);
    }
}

/// Files that claim to be huge, or whose chunks unpack to much: refused, and with little memory.
#[test]
fn lies_and_bombs_cost_no_memory() {
    let _lock = alone();
    let limits = Limits::default();
    for lie in lies::lies(&images(&["png", "jpg", "bmp", "gif", "webp", "tif"])) {
        let (result, peak) = peak_of(|| decode(&lie.bytes, &limits).map(|i| i.original()));
        let most = (2 << 20) + 8 * lie.bytes.len();
        assert!(peak <= most, "{}: {peak} bytes of memory, may take {most}: {result:?}", lie.name);
        match (&result, lie.harmless) {
            (Ok(_), true) => {}
            (Err(e), false) => assert!(e.to_string().contains(lie.says), "{}: {e}", lie.name),
            _ => panic!("{}: {result:?}", lie.name),
        }
    }
}

/// A thousand damaged files through a loader: each is named with its reason or gives a picture, and memory stays bounded.
#[test]
fn a_thousand_damaged_files_are_reported_by_path() {
    const FILES: usize = 1000;
    let _lock = alone();
    let dir = std::env::temp_dir().join(format!("gabor-data-thousand-{}", std::process::id()));
    let good = images(&["png", "jpg", "bmp", "gif", "webp", "tif"]);
    let lies = lies::lies(&good);
    std::fs::create_dir_all(dir.join("a")).unwrap();
    std::fs::create_dir_all(dir.join("b")).unwrap();
    // Whole files too: a set of which more than half is bad is an error of its own.
    for (i, (name, bytes)) in good.iter().cycle().take(FILES + 50).enumerate() {
        std::fs::write(dir.join("a").join(format!("{i:04}-{name}")), bytes).unwrap();
    }
    let mut kinds = BTreeSet::new();
    for case in 0..FILES {
        let mut s = Stream::new(9, 0, case as u32, TEST);
        let (mut name, mut bytes) = good[s.below(good.len())].clone();
        let kind = case % 4;
        match kind {
            0 => {
                for _ in 0..1 + s.below(8) {
                    let at = s.below(bytes.len());
                    bytes[at] ^= 1 << s.below(8);
                }
            }
            1 => bytes.truncate(s.below(bytes.len())),
            2 => {
                let lie = &lies[s.below(lies.len())];
                (name, bytes) = (format!("{}.png", lie.name.replace([' ', '×'], "-")), lie.bytes.clone());
            }
            _ => {
                let (from, to) = (s.below(bytes.len()), s.below(bytes.len()));
                let noise: Vec<u8> = (0..1 + s.below(64)).map(|_| s.next_u32() as u8).collect();
                let end = (to + noise.len()).min(bytes.len());
                bytes[to..end].copy_from_slice(&noise[..end - to]);
                bytes.rotate_left(if s.below(4) == 0 { from } else { 0 });
            }
        }
        kinds.insert(kind);
        std::fs::write(dir.join("b").join(format!("{case:04}-{name}")), bytes).unwrap();
    }
    let (set, _) = FileDataset::folder(&dir, &LIMITS).unwrap();
    let files = set.files().to_vec();
    assert_eq!(files.len(), 2 * FILES + 50);
    let preprocessing = Preprocessing::exact([3, 8, 8]).unwrap();
    let options = LoaderOptions { batch_size: 64, workers: 2, bad: OnBad::Skip, shuffle: true, ..Default::default() };
    let loader = Loader::new(Arc::new(set), preprocessing, options).unwrap();
    let ((seen, bad), peak) = peak_of(|| {
        let mut seen = 0;
        for batch in loader.epoch(0, 0) {
            let batch = batch.unwrap();
            seen += batch.indices.len();
            loader.recycle(batch);
        }
        (seen, loader.bad())
    });
    assert_eq!(seen + bad.len(), files.len());
    // Some damage does no harm: a flipped bit in a pixel, a missing trailer.
    assert!(bad.len() > FILES / 2, "{} of {FILES}", bad.len());
    for (i, e) in &bad {
        let (path, text) = (&files[*i as usize], e.to_string());
        assert!(path.starts_with(dir.join("b")), "a whole file is called damaged: {text}");
        assert!(text.starts_with(&format!("{}: ", path.display())), "{text}");
        assert!(text.contains("; right would be: "), "{text}");
        assert!(!text.contains("internal check"), "a decoder panics: {text}");
    }
    // Cache, batches and what two workers decode at a time: for damaged WebP, see `readers.rs`.
    assert!(peak < 2 * (8 << 24) + (48 << 20), "{peak} bytes");
    std::fs::remove_dir_all(&dir).unwrap();
}
