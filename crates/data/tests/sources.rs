//! Data sets as files: recognised, read, refused.

use gabor_data::{Dataset, OpenOptions, Splits, digits, open, stratified};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of its own for one test, emptied first.
fn dir(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sources").join(name);
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).unwrap();
    dir
}

fn image(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images").join(name)
}

fn read(path: &Path) -> Result<Splits, String> {
    open(path, &OpenOptions::default()).map_err(|e| e.to_string())
}

#[test]
fn a_manifest_in_a_directory_or_by_its_path() {
    let d = dir("manifest");
    std::fs::create_dir(d.join("pictures")).unwrap();
    for name in ["rgb.png", "grey.png", "rgb.jpg", "palette.gif"] {
        std::fs::copy(image(name), d.join("pictures").join(name)).unwrap();
    }
    let text = "label,path,split\nbee,pictures/rgb.png,train\nant,pictures/grey.png,train\nant,pictures/rgb.jpg,val\nbee,pictures/palette.gif,test\n";
    std::fs::write(d.join("labels.csv"), text).unwrap();
    for path in [d.clone(), d.join("labels.csv")] {
        let s = read(&path).unwrap();
        assert_eq!((s.kind, s.classes()), ("manifest", &["ant".to_string(), "bee".into()][..]));
        let (train, val) = (s.train().unwrap(), s.validation.as_ref().unwrap());
        assert_eq!((train.labels(), val.labels()), (&[1, 0][..], &[0][..]));
        assert_eq!(train.image(0).unwrap(), gabor_data::decode_file(&image("rgb.png"), &Default::default()).unwrap());
        assert_eq!(train.encoded(0).unwrap().unwrap(), std::fs::read(image("rgb.png")).unwrap());
        assert_eq!(train.id(1), d.join("pictures/grey.png").display().to_string());
        assert_eq!(s.evaluation().unwrap().0, "test");
    }

    // A file for each part, and no header.
    let d2 = dir("manifests");
    std::fs::write(
        d2.join("train.tsv"),
        format!("{}\t0\n{}\t1\n", image("rgb.png").display(), image("grey.png").display()),
    )
    .unwrap();
    std::fs::write(d2.join("val.csv"), format!("{},1\n", image("grey.jpg").display())).unwrap();
    let s = read(&d2).unwrap();
    assert_eq!((s.train().unwrap().labels(), s.validation.as_ref().unwrap().labels()), (&[0, 1][..], &[1][..]));
    std::fs::write(d2.join("labels.csv"), "x.png,1\n").unwrap();
    assert!(read(&d2).unwrap_err().contains("more than one manifest; given: labels.csv, train.tsv, val.csv"));
}

#[test]
fn paths_of_a_manifest_are_looked_at_once_and_a_part_is_held_out() {
    let d = dir("manifest_alone");
    let row = |name: &str, label| format!("{},{label}\n", image(name).display());
    let rows: String = (0..5).flat_map(|_| [row("rgb.png", "a"), row("grey.png", "b")]).collect();
    std::fs::write(d.join("list.csv"), rows).unwrap();
    let s = read(&d.join("list.csv")).unwrap();
    assert_eq!((s.train().unwrap().len(), s.evaluation().unwrap().1.len()), (8, 2));
    // Ten rows name two pictures: no part could be drawn without copies of the other.
    let note = "no test part: 2 of 10 samples held out as the test part; equal pictures could not be kept together";
    assert_eq!(s.notes, [note]);
    std::fs::write(d.join("list.csv"), "nowhere/a.png,1\nb.png,0\n").unwrap();
    let e = read(&d.join("list.csv")).unwrap_err();
    assert!(e.contains("nowhere/a.png (the first image of the manifest): cannot be read"), "{e}");
    assert!(e.contains("right would be: paths relative to the manifest's folder, or absolute ones"), "{e}");
    assert!(read(&image("rgb.png")).unwrap_err().contains("a data set is a directory; given: a file"));
}

#[cfg(not(feature = "object-store"))]
#[test]
fn a_url_is_answered_with_the_build_that_reads_it() {
    let e = read(Path::new("s3://bucket/photos")).unwrap_err();
    assert!(e.starts_with("s3://bucket/photos: this build reads no object stores and web addresses"), "{e}");
    assert!(e.contains("--features object-store"), "{e}");
    assert!(read(Path::new("https://host/list.csv")).unwrap_err().contains("--features object-store"));
    assert!(read(Path::new("gs://bucket/x-{000..009}.tar")).unwrap_err().contains("--features object-store"));
}

#[test]
fn cifar_100_has_two_labels_and_names_in_files() {
    let d = dir("cifar100");
    let record = |coarse: u8, fine: u8, v: u8| [vec![coarse, fine], vec![v; 3072]].concat();
    std::fs::write(d.join("train.bin"), [record(9, 1, 10), record(0, 0, 20)].concat()).unwrap();
    std::fs::write(d.join("test.bin"), record(9, 1, 30)).unwrap();
    std::fs::write(d.join("fine_label_names.txt"), "apple\nbear\n").unwrap();
    let s = read(&d).unwrap();
    assert_eq!((s.kind, s.train().unwrap().labels()), ("CIFAR-100 binary", &[1, 0][..]));
    assert_eq!(s.classes(), ["apple", "bear"]);
    assert_eq!(s.evaluation().unwrap().1.image(0).unwrap().data()[0], 30);
}

/// A file of `shards/`, which `make_shards.py` made.
fn shard(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shards").join(name)
}

/// A directory that holds some files of `shards/`.
fn with_shards(name: &str, shards: &[&str]) -> PathBuf {
    let d = dir(name);
    for s in shards {
        std::fs::copy(shard(s), d.join(s)).unwrap();
    }
    d
}

/// Labels, and the grey level of every image, which says which one it is.
fn contents(set: &dyn Dataset) -> Vec<(u32, u8)> {
    (0..set.len())
        .map(|i| {
            let image = set.image(i).unwrap();
            assert_eq!((image.height(), image.width()), (8, 8));
            (set.labels()[i], image.data()[0] / 10)
        })
        .collect()
}

#[test]
fn tar_shards_of_webdataset() {
    let d = with_shards("wds", &["wds-train-000000.tar", "wds-train-000001.tar", "wds-val-000000.tar"]);
    let s = read(&d).unwrap();
    assert_eq!((s.kind, s.classes()), ("tar shards", &["0".to_string(), "1".into()][..]));
    let (train, val) = (s.train().unwrap(), s.validation.as_ref().unwrap());
    assert_eq!(contents(&**train), [(0, 0), (1, 1), (0, 2), (1, 3), (0, 4)]);
    assert_eq!(contents(&**val), [(1, 9)]);
    assert!(s.test.is_none());
    assert_eq!(train.id(3), format!("{}: dir/0003.png", d.join("wds-train-000001.tar").display()));
    assert_eq!(train.encoded(3).unwrap().unwrap()[1..4], *b"PNG");
    // A shard begins a block of its own.
    assert_eq!(train.blocks().unwrap().of, [0, 0, 0, 1, 1]);
    assert!(train.image(5).is_err() && train.id(5) == "[5]");
    std::fs::write(d.join("classes.txt"), "ant\nbee\n").unwrap();
    assert_eq!(read(&d).unwrap().classes(), ["ant", "bee"]);
    std::fs::write(d.join("classes.txt"), "ant\n").unwrap();
    let e = read(&d).unwrap_err();
    assert!(e.contains("dir/0001.png: label 1 is not among the 1 classes"), "{e}");

    // By a pattern, by one shard, and in folders.
    let s = read(&d.join("wds-train-{000000..000001}.tar")).unwrap_err();
    assert!(s.contains("label 1 is not among"), "{s}");
    std::fs::remove_file(d.join("classes.txt")).unwrap();
    let s = read(&d.join("wds-train-{000000..000001}.tar")).unwrap();
    assert_eq!(s.train().unwrap().len() + s.evaluation().unwrap().1.len(), 5);
    let e = read(&d.join("wds-train-{000000..000002}.tar")).unwrap_err();
    assert!(e.contains("wds-train-000002.tar: cannot be read"), "{e}");
    let e = read(&d.join("x-{9..1}.tar")).unwrap_err();
    assert!(e.contains("a range that is empty"), "{e}");
    std::fs::create_dir(d.join("test")).unwrap();
    std::fs::rename(d.join("wds-val-000000.tar"), d.join("test/x.tar")).unwrap();
    let s = read(&d).unwrap();
    assert_eq!((s.train().unwrap().len(), s.test.as_ref().unwrap().len()), (5, 1));
    std::fs::copy(shard("names.tar"), d.join("names.tar")).unwrap();
    let e = read(&d).unwrap_err();
    assert!(e.contains("shards of which some say their part and some do not; given: names.tar"), "{e}");
}

#[test]
fn tar_shards_with_folders_and_with_names() {
    for name in ["folders-gnu.tar", "folders-pax.tar"] {
        let options = OpenOptions { test_fraction: 0.5, ..Default::default() };
        // One of two samples cannot be held out, for each class keeps its last.
        let e = open(shard(name), &options).unwrap_err().to_string();
        assert!(e.contains("splits 2 samples into 2 and 0"), "{name}: {e}");
        let d = with_shards(&format!("as_{name}"), &[name]);
        std::fs::rename(d.join(name), d.join("train.tar")).unwrap();
        std::fs::copy(d.join("train.tar"), d.join("test.tar")).unwrap();
        let s = read(&d).unwrap();
        assert_eq!(s.classes(), ["ants", "bees"]);
        assert_eq!(contents(&**s.train().unwrap()), [(1, 1), (0, 2)]);
        assert!(s.train().unwrap().id(0).ends_with(&format!("bees/{}.png", "n".repeat(120))));
    }
    let d = with_shards("tar_names", &["names.tar"]);
    std::fs::rename(d.join("names.tar"), d.join("train.tar")).unwrap();
    std::fs::copy(d.join("train.tar"), d.join("val.tar")).unwrap();
    let s = read(&d).unwrap();
    assert_eq!(s.classes(), ["ant", "bee"]);
    assert_eq!(contents(&**s.train().unwrap()), [(1, 3), (0, 4)]);
}

#[test]
fn damaged_tar_shards_are_errors_that_name_the_place() {
    let d = dir("damaged_tar");
    let whole = std::fs::read(shard("wds-train-000000.tar")).unwrap();
    let try_with = |bytes: &[u8]| {
        std::fs::write(d.join("train.tar"), bytes).unwrap();
        std::fs::write(d.join("val.tar"), &whole).unwrap();
        let result = read(&d);
        // Whatever is opened can be read or is an error, too.
        if let Ok(s) = &result {
            let set = s.train().unwrap();
            (0..set.len()).for_each(|i| drop(set.image(i)));
        }
        result.map(|s| s.train().unwrap().len())
    };
    assert_eq!(try_with(&whole).unwrap(), 3);
    let path = d.join("train.tar").display().to_string();
    let e = try_with(&whole[..100]).unwrap_err();
    assert!(e.starts_with(&format!("{path} at byte 0: the file ends within a header; given: 100 bytes")), "{e}");
    let image = whole.windows(4).position(|w| w == b"\x89PNG").unwrap();
    let e = try_with(&whole[..image + 20]).unwrap_err();
    let want = format!(
        "{path} at byte {}: member dir/0000.png of 69 bytes reaches beyond the end; given: 20 bytes",
        image - 512
    );
    assert!(e.starts_with(&want), "{e}");
    // Without the records of zeros at the end all samples are there.
    let end = whole.iter().rposition(|&b| b != 0).unwrap() / 512 * 512 + 512;
    assert_eq!(try_with(&whole[..end]).unwrap(), 3);
    // The header of a member, changed, with its checksum put right or not.
    let changed = |bytes: &[u8], name: &str, at: usize, new: &[u8], right: bool| {
        let mut out = bytes.to_vec();
        let header = out.chunks(512).position(|r| r.starts_with(name.as_bytes())).unwrap() * 512;
        out[header + at..][..new.len()].copy_from_slice(new);
        if right {
            out[header + 148..][..8].fill(b' ');
            let sum: u32 = out[header..][..512].iter().map(|&b| u32::from(b)).sum();
            out[header + 148..][..8].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
        out
    };
    let huge = b"77777777777\0";
    assert!(try_with(&changed(&whole, "dir/0000.cls", 124, huge, false)).unwrap_err().contains("checksum is wrong"));
    let e = try_with(&changed(&whole, "dir/0000.cls", 124, huge, true)).unwrap_err();
    assert!(e.contains("member dir/0000.cls of 8589934591 bytes reaches beyond the end"), "{e}");
    let e = try_with(&[&[0x1f, 0x8b][..], &whole].concat()).unwrap_err();
    assert!(e.contains("given: a gzip-compressed tar file"), "{e}");
    assert!(try_with(&[]).unwrap_err().contains("shards without images"));
    // Without the number the JSON counts, which says 7.
    let e = try_with(&changed(&whole, "dir/0000.cls", 0, b"dir/0000.abc", true)).unwrap_err();
    assert!(e.contains("dir/0000.png: label 7 is out of range; given: 3 different labels"), "{e}");
    let e = try_with(&changed(&whole, "dir/0000.txt", 0, b"dir/0000.png", true)).unwrap_err();
    assert!(e.contains("dir/0000.png: a second image of one sample"), "{e}");
    let names = std::fs::read(shard("names.tar")).unwrap();
    let e = try_with(&changed(&names, "a.json", 0, b"a.jsox", true)).unwrap_err();
    assert!(e.starts_with(&format!("{path}: a.png: a sample without a label, while others have one")), "{e}");
    for cut in (0..whole.len()).step_by(97) {
        let _ = try_with(&whole[..cut]);
    }
    let mut random = gabor_tensor::Stream::new(1, 0, 0, gabor_tensor::rng::op::TEST);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
        }
        let _ = try_with(&bytes);
    }
}

/// Copies of a picture, under any name and class, are on one side of a split that is drawn on opening.
#[test]
fn copies_of_a_file_are_not_divided() {
    let d = dir("copies");
    let digits = digits();
    let set = digits.train().unwrap();
    for class in ["a", "b"] {
        std::fs::create_dir_all(d.join(class)).unwrap();
    }
    // Each picture of class a twice, every other one of class b too.
    let picture = |i: usize| {
        let image = set.image(i).unwrap();
        let (h, w) = (image.height(), image.width());
        let mut bytes = b"BM".to_vec();
        for v in [54 + 1024 + (h * w) as u32, 0, 54 + 1024, 40, w as u32, h as u32, 1 | 8 << 16, 0, 0, 0, 0, 256, 0] {
            bytes.extend(v.to_le_bytes());
        }
        bytes.extend((0..256u32).flat_map(|v| (v * 0x10101).to_le_bytes()));
        bytes.extend(image.data());
        bytes
    };
    for i in 0..60 {
        std::fs::write(d.join(format!("a/{i:03}.bmp")), picture(i / 2)).unwrap();
        std::fs::write(d.join(format!("b/{i:03}.bmp")), picture(if i % 2 == 0 { 100 + i / 4 } else { 200 + i }))
            .unwrap();
    }
    let s = read(&d).unwrap();
    let pixels = |part: &std::sync::Arc<dyn Dataset>| -> std::collections::BTreeSet<Vec<u8>> {
        (0..part.len()).map(|i| part.image(i).unwrap().into_data()).collect()
    };
    let (train, test) = (s.train.as_ref().unwrap(), s.test.as_ref().unwrap());
    assert!((20..=24).contains(&test.len()), "{}", test.len());
    assert!(pixels(train).is_disjoint(&pixels(test)));
    assert!(s.notes[0].ends_with("; 45 groups of equal pictures stay together"), "{:?}", s.notes);
}

/// A picture of waves as a BMP file of 24 bits: `kind` decides their shapes, `light` how bright they are.
fn waves(kind: usize, light: f64) -> Vec<u8> {
    let side = 40usize;
    let mut out = b"BM".to_vec();
    for v in [54 + 3 * (side * side) as u32, 0, 54, 40, side as u32, side as u32, 1 | 24 << 16, 0, 0, 0, 0, 0, 0] {
        out.extend(v.to_le_bytes());
    }
    let mut stream = gabor_tensor::Stream::new(kind as u64, 0, 0, gabor_tensor::rng::op::TEST);
    let mut draw = || f64::from(gabor_tensor::rng::unit_f32(stream.next_u32()));
    let waves: Vec<[f64; 3]> = (0..4).map(|_| [0.8 * draw() - 0.4, 0.8 * draw() - 0.4, 6.3 * draw()]).collect();
    let wave = |k: usize, y: usize, x: usize| {
        let [fy, fx, phase] = waves[k];
        (y as f64 * fy + x as f64 * fx + phase).sin()
    };
    for i in 0..side * side {
        let (y, x) = (i / side, i % side);
        let v = light + 25.0 * (0..4).map(|k| wave(k, y, x)).sum::<f64>();
        out.extend([v * 0.9, v, v * 0.8].map(|v| v.clamp(0.0, 255.0) as u8));
    }
    out
}

#[test]
fn pictures_that_look_alike_are_not_divided() {
    use gabor_data::{CheckOptions, FindingKind, check};
    let d = dir("alike");
    for (k, class) in ["ant", "bee"].iter().enumerate() {
        std::fs::create_dir_all(d.join(class)).unwrap();
        for i in 0..20 {
            // Every picture three times, in other light.
            for (j, light) in [118.0, 128.0, 137.0].into_iter().enumerate() {
                std::fs::write(d.join(format!("{class}/{i:02}-{j}.bmp")), waves(1 + i + 100 * k, light)).unwrap();
            }
        }
    }
    let near = |s: &Splits| {
        let report = check(s, &CheckOptions::default(), &mut |_, _| {}).unwrap();
        report.findings.iter().filter(|f| f.kind == FindingKind::NearAcross).map(|f| f.examples.len()).sum::<usize>()
    };
    let s = read(&d).unwrap();
    assert!(
        s.notes[0].ends_with("; 40 groups of pictures that are equal or look alike stay together"),
        "{:?}",
        s.notes
    );
    assert_eq!((near(&s), s.test.as_ref().unwrap().len()), (0, 24));
    // A part drawn later keeps to what was found.
    let s = s.hold_out(0.25, 3).unwrap();
    assert_eq!((near(&s), s.validation.as_ref().unwrap().len()), (0, 24));
    // Without it they are torn apart, which the test would not notice if these pictures were none alike.
    let whole = open(&d, &OpenOptions { test_fraction: 0.0, ..Default::default() }).unwrap();
    let train = whole.train().unwrap();
    let (kept, held) = stratified(train.labels(), 0.2, 0);
    let part = |indices| -> Option<Arc<dyn Dataset>> {
        Some(Arc::new(gabor_data::source::Subset::new(train.clone(), indices).unwrap()))
    };
    assert!(near(&Splits { train: part(kept), test: part(held), ..whole.clone() }) > 5);
    // A class of nothing but one picture in many lights: there is a part all the same, and the note says through what.
    for i in 0..60 {
        std::fs::write(d.join(format!("bee/{:02}-{}.bmp", i / 3, i % 3)), waves(500, 100.0 + i as f64)).unwrap();
    }
    let s = read(&d).unwrap();
    let note = "no test part: 24 of 120 samples held out as the test part; pictures that look alike could not be kept together";
    assert_eq!(s.notes, [note]);
    assert_eq!(s.test.as_ref().unwrap().histogram(), [12, 12]);
}

#[test]
#[cfg(feature = "parquet")]
fn a_copy_in_parquet_is_drawn_like_its_folder() {
    use gabor_data::{ConvertOptions, Target, convert};
    let d = dir("alike in columns");
    let folder = d.join("folder");
    for (k, class) in ["ant", "bee"].iter().enumerate() {
        std::fs::create_dir_all(folder.join(class)).unwrap();
        for i in 0..15 {
            // Twice the same, and once in other light.
            for (j, light) in [118.0, 118.0, 137.0].into_iter().enumerate() {
                std::fs::write(folder.join(format!("{class}/{i:02}-{j}.bmp")), waves(1 + i + 100 * k, light)).unwrap();
            }
        }
    }
    let whole = open(&folder, &OpenOptions { test_fraction: 0.0, ..Default::default() }).unwrap();
    let columns = d.join("columns");
    convert(&whole, &columns, &ConvertOptions::new(Target::Parquet), &mut |_, _| {}).unwrap();
    let copy = open(&columns, &OpenOptions { test_fraction: 0.0, ..Default::default() }).unwrap();
    let same = copy.train().unwrap().twins().unwrap();
    assert_eq!((same.len(), Some(same)), (30, whole.train().unwrap().twins()));
    assert!(copy.train().unwrap().stored_bytes().is_some_and(|b| b >= 60 * 4854) && !copy.train().unwrap().is_remote());
    let (folder, columns) = (read(&folder).unwrap(), read(&columns).unwrap());
    assert!(
        columns.notes[0].ends_with("; 30 groups of pictures that are equal or look alike stay together"),
        "{:?}",
        columns.notes
    );
    assert_eq!(folder.notes, columns.notes);
    let pictures = |s: &Splits| {
        let all = |set: &Arc<dyn Dataset>| -> Vec<(u32, Vec<u8>)> {
            (0..set.len()).map(|i| (set.labels()[i], set.image(i).unwrap().into_data())).collect()
        };
        [&s.train, &s.test].map(|part| all(part.as_ref().unwrap()))
    };
    assert!(pictures(&folder) == pictures(&columns), "other pictures are held out");
}

#[test]
fn an_address_of_a_file_is_its_path() {
    let d = dir("file url #1");
    std::fs::create_dir_all(d.join("set/a")).unwrap();
    std::fs::create_dir_all(d.join("set/b")).unwrap();
    for (n, c) in ["a", "b"].iter().enumerate() {
        for i in 0..3 {
            std::fs::write(d.join(format!("set/{c}/{i}.bmp")), waves(1 + 10 * n + i, 120.0)).unwrap();
        }
    }
    let url = |path: &Path| format!("file://{}", path.display().to_string().replace(' ', "%20").replace('#', "%23"));
    let (by_url, by_path) = (read(url(&d.join("set")).as_ref()).unwrap(), read(&d.join("set")).unwrap());
    let ids = |s: &Splits| -> Vec<String> { (0..s.train().unwrap().len()).map(|i| s.train().unwrap().id(i)).collect() };
    assert_eq!((by_url.kind, ids(&by_url)), (by_path.kind, ids(&by_path)));
    std::fs::write(
        d.join("list.csv"),
        format!("{},a\n{},b\n", url(&d.join("set/a/0.bmp")), url(&d.join("set/b/0.bmp"))),
    )
    .unwrap();
    let s = open(d.join("list.csv"), &OpenOptions { test_fraction: 0.0, ..Default::default() }).unwrap();
    assert_eq!(s.train().unwrap().image(1).unwrap().height(), 40);
    let e = read("file://elsewhere/set".as_ref()).unwrap_err();
    assert!(
        e.starts_with("file://elsewhere/set: no address of a file on this machine; right would be: file:///"),
        "{e}"
    );
    assert!(read("file:///set?x".as_ref()).unwrap_err().contains("with %3F for ?"));
    assert!(read("file:///no/such/place".as_ref()).unwrap_err().starts_with("/no/such/place: cannot be read"));
}
