//! Data sets written in another format and read back.

use gabor_data::{
    Color, ConvertOptions, Dataset, MemoryDataset, OnBad, OpenOptions, Part, Splits, Target, convert, digits, open,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("convert").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn read(path: &Path) -> Splits {
    open(path, &OpenOptions { test_fraction: 0.0, ..Default::default() }).unwrap()
}

fn write(splits: &Splits, to: &Path, options: &ConvertOptions) -> Result<gabor_data::Converted, String> {
    convert(splits, to, options, &mut |_, _| {}).map_err(|e| e.to_string())
}

/// Class, height, width and pixels.
type Picture = (String, usize, usize, Vec<u8>);

/// Every sample of every part: the class's name, the extents and the pixels; sorted where the order may change.
fn contents(s: &Splits, color: Option<Color>) -> Vec<Vec<Picture>> {
    let part = |set: &Option<Arc<dyn Dataset>>| {
        let Some(set) = set else { return vec![] };
        let mut all: Vec<_> = (0..set.len())
            .map(|i| {
                let image = set.image(i).unwrap();
                let image = image.to_color(color.unwrap_or(image.color())).into_owned();
                let class = set.classes()[set.labels()[i] as usize].clone();
                (class, image.height(), image.width(), image.into_data())
            })
            .collect();
        all.sort();
        all
    };
    [&s.train, &s.validation, &s.test].map(part).to_vec()
}

/// A coloured data set of 32 × 32 in three parts, whose class names are numbers that are not in order.
fn coloured() -> Splits {
    let classes = || ["2", "10", "1"].map(String::from).to_vec();
    let part = |name: &str, n: usize, salt: usize| {
        let pixels = (0..n * 3072).map(|i| (i * 7 + i / 3072 * 31 + salt) as u8).collect();
        let labels = (0..n).map(|i| (i % 3) as u32).collect();
        Some(Arc::new(MemoryDataset::new(name, 32, 32, Color::Rgb, pixels, labels, classes()).unwrap())
            as Arc<dyn Dataset>)
    };
    Splits { train: part("a", 11, 1), validation: part("b", 3, 2), test: part("c", 5, 3), ..digits() }
}

fn targets() -> Vec<(&'static str, Target)> {
    let all = Target::ALL.into_iter().filter(|(_, t)| cfg!(feature = "parquet") || *t != Target::Parquet);
    all.collect()
}

#[test]
fn every_format_into_every_other() {
    let d = dir("all");
    let want = contents(&coloured(), None);
    for (first, a) in targets().into_iter().filter(|t| t.1 != Target::Idx) {
        let done = write(&coloured(), &d.join(first), &ConvertOptions::new(a)).unwrap();
        let parts = [(Part::Train, 11), (Part::Validation, 3), (Part::Test, 5)];
        assert_eq!((done.parts, done.encoded, done.copied), (parts.to_vec(), 19, 0));
        let middle = read(&d.join(first));
        assert_eq!(contents(&middle, None), want, "{first}");
        if a != Target::Folder {
            assert_eq!(middle.classes(), ["2", "10", "1"], "{first}");
            assert_eq!(middle.train().unwrap().labels(), coloured().train().unwrap().labels(), "{first}");
        }
        for (second, b) in targets().into_iter().filter(|t| t.1 != Target::Idx) {
            let to = d.join(format!("{first}-{second}"));
            let done = write(&middle, &to, &ConvertOptions::new(b)).unwrap();
            let files = |t| matches!(t, Target::Folder | Target::Tar | Target::Parquet);
            assert_eq!(done.copied, if files(a) && files(b) { 19 } else { 0 }, "{first} to {second}");
            assert_eq!(contents(&read(&to), None), want, "{first} to {second}");
        }
    }
    // Grey digits through IDX and back.
    let want = contents(&digits(), None);
    write(&digits(), &d.join("idx"), &ConvertOptions::new(Target::Idx)).unwrap();
    let idx = read(&d.join("idx"));
    assert_eq!((idx.kind, contents(&idx, None) == want), ("IDX", true));
    assert_eq!(idx.train().unwrap().labels(), digits().train().unwrap().labels());
    write(&idx, &d.join("idx-tar"), &ConvertOptions::new(Target::Tar)).unwrap();
    assert!(contents(&read(&d.join("idx-tar")), None) == want);
    write(&read(&d.join("idx-tar")), &d.join("tar-idx"), &ConvertOptions::new(Target::Idx)).unwrap();
    assert!(contents(&read(&d.join("tar-idx")), None) == want);
}

#[test]
fn files_are_copied_byte_for_byte_and_shards_are_bounded() {
    let d = dir("files");
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
    let names = ["rgb.png", "rgb.jpg", "turned.jpg", "palette.gif", "lossy.webp", "rgb.bmp"];
    let rows: String = (0..30).map(|i| format!("{},{}\n", images.join(names[i % 6]).display(), i % 2)).collect();
    std::fs::write(d.join("list.csv"), rows).unwrap();
    let from = read(&d.join("list.csv"));
    assert!(from.test.is_none());
    let bytes = |s: &Splits| -> Vec<Vec<u8>> {
        let set = s.train().unwrap();
        (0..set.len()).map(|i| set.encoded(i).unwrap().unwrap().into_owned()).collect()
    };
    for (name, target) in targets().into_iter().filter(|t| !matches!(t.1, Target::Idx | Target::Cifar)) {
        let to = d.join(name);
        let options = ConvertOptions { shard_bytes: 8000, ..ConvertOptions::new(target) };
        let done = write(&from, &to, &options).unwrap();
        assert_eq!((done.copied, done.encoded), (30, 0));
        let back = read(&to);
        if target == Target::Folder {
            let sorted = |s: &Splits| {
                let mut b = bytes(s);
                b.sort();
                b
            };
            assert_eq!(sorted(&back), sorted(&from));
            continue;
        }
        assert_eq!(bytes(&back), bytes(&from), "{name}");
        let shards: Vec<u64> = std::fs::read_dir(&to)
            .unwrap()
            .map(|e| e.unwrap())
            .filter(|e| e.file_name().to_string_lossy().ends_with(&format!(".{name}")))
            .map(|e| e.metadata().unwrap().len())
            .collect();
        assert!(shards.len() >= 2, "{name}: {shards:?}");
        if target == Target::Tar {
            assert!(shards.iter().all(|&b| b <= 8000 || b < 20_000), "{shards:?}");
        }
        assert!(back.train().unwrap().blocks().unwrap().count as usize >= shards.len());
    }
    // The same samples make the same bytes.
    let options = ConvertOptions { shard_bytes: 8000, force: true, ..ConvertOptions::new(Target::Tar) };
    let first = std::fs::read(d.join("tar/train-000000.tar")).unwrap();
    write(&from, &d.join("tar"), &options).unwrap();
    assert_eq!(std::fs::read(d.join("tar/train-000000.tar")).unwrap(), first);
}

#[test]
fn what_a_format_cannot_hold_is_refused_and_sizes_and_modes_help() {
    let d = dir("refused");
    let no = |s: &Splits, options: ConvertOptions| {
        let e = write(s, &d.join("x"), &options).unwrap_err();
        assert!(!d.join("x").exists());
        assert_eq!(std::fs::read_dir(&d).unwrap().count(), 0, "nothing is left: {e}");
        e
    };
    let new = ConvertOptions::new;
    assert_eq!(
        no(&coloured(), new(Target::Idx)),
        "a[0]: a coloured image, and IDX of this kind holds grey ones; right would be: --color grey, or another format"
    );
    let e = no(&digits(), new(Target::Cifar));
    assert!(
        e.ends_with("an image of 8 × 8; right would be: --size 32x32, the only size of CIFAR's binary files"),
        "{e}"
    );
    let named = |names: [&str; 3]| {
        let set = coloured();
        let set = set.train().unwrap();
        let pixels = (0..set.len()).flat_map(|i| set.image(i).unwrap().into_data()).collect();
        let classes = names.map(String::from).to_vec();
        let set = MemoryDataset::new("a", 32, 32, Color::Rgb, pixels, set.labels().to_vec(), classes).unwrap();
        Splits { train: Some(Arc::new(set)), validation: None, test: None, ..digits() }
    };
    let e = no(&named(["a", "b/c", "d"]), new(Target::Folder));
    assert!(e.contains("the class \"b/c\" cannot be a folder"), "{e}");
    assert!(no(&named(["a", "b", "B"]), new(Target::Folder)).contains("the classes b and B would be one folder"));
    assert!(no(&named(["a", "b\nc", "d"]), new(Target::Tar)).contains("the class name \"b\\nc\""));

    let options = ConvertOptions { size: Some([32, 32]), ..new(Target::Cifar) };
    write(&digits(), &d.join("cifar"), &options).unwrap();
    assert_eq!(read(&d.join("cifar")).train().unwrap().shape(), Some([3, 32, 32]));
    let options = ConvertOptions { size: Some([20, 10]), color: Some(Color::Grey), ..new(Target::Idx) };
    write(&coloured(), &d.join("idx"), &options).unwrap();
    let idx = read(&d.join("idx"));
    assert_eq!(idx.train().unwrap().shape(), Some([1, 20, 10]));
    assert_eq!(idx.validation.as_ref().unwrap().len(), 3);
}

#[test]
fn nothing_is_replaced_unasked_and_only_data_sets_are() {
    let d = dir("force");
    let (to, tar) = (d.join("set"), ConvertOptions::new(Target::Tar));
    write(&digits(), &to, &tar).unwrap();
    let e = write(&digits(), &to, &tar).unwrap_err();
    assert!(
        e.ends_with("the target is there already; right would be: a new directory, or --force to replace the data set"),
        "{e}"
    );
    write(&digits(), &to, &ConvertOptions { force: true, ..ConvertOptions::new(Target::Idx) }).unwrap();
    assert_eq!(read(&to).kind, "IDX");
    assert!(!to.join("train-000000.tar").exists());
    std::fs::create_dir(d.join("home")).unwrap();
    std::fs::write(d.join("home/letter.txt"), "dear").unwrap();
    let e = write(&digits(), &d.join("home"), &ConvertOptions { force: true, ..tar }).unwrap_err();
    assert!(e.contains("is no data set, so it is not replaced"), "{e}");
    assert_eq!(std::fs::read(d.join("home/letter.txt")).unwrap(), b"dear");
    // An empty directory may be filled. A failure leaves what was there.
    std::fs::create_dir(d.join("empty")).unwrap();
    write(&digits(), &d.join("empty"), &tar).unwrap();
    let e = write(&digits(), &to, &ConvertOptions { force: true, ..ConvertOptions::new(Target::Cifar) });
    assert!(e.is_err() && read(&to).kind == "IDX");
}

#[test]
fn images_that_cannot_be_read_are_left_out_where_asked() {
    let d = dir("bad");
    let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
    std::fs::write(d.join("broken.png"), b"\x89PNG and no more").unwrap();
    let rows = format!("{0},0\nbroken.png,1\n{0},1\nabsent.png,0\n", images.join("rgb.png").display());
    std::fs::write(d.join("list.csv"), rows).unwrap();
    let from = read(&d.join("list.csv"));
    let idx = ConvertOptions { color: Some(Color::Grey), ..ConvertOptions::new(Target::Idx) };
    let e = write(&from, &d.join("out"), &idx).unwrap_err();
    assert!(e.contains("broken.png: damaged"), "{e}");
    let done = write(&from, &d.join("out"), &ConvertOptions { bad: OnBad::Skip, ..idx }).unwrap();
    assert_eq!((done.parts, done.bad.len()), (vec![(Part::Train, 2)], 2));
    assert_eq!(read(&d.join("out")).train().unwrap().labels(), [0, 1]);
}
