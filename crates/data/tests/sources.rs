//! Data sets as files: recognised, read, refused.

use gabor_data::{OpenOptions, Splits, open};
use std::path::{Path, PathBuf};

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
    assert_eq!(s.notes, ["no test part: 2 of 10 samples held out as the test part"]);
    std::fs::write(d.join("list.csv"), "nowhere/a.png,1\nb.png,0\n").unwrap();
    let e = read(&d.join("list.csv")).unwrap_err();
    assert!(e.contains("nowhere/a.png: the first image of the manifest: cannot be read"), "{e}");
    assert!(e.contains("right would be: paths relative to the manifest's folder, or absolute ones"), "{e}");
    assert!(read(&image("rgb.png")).unwrap_err().contains("a data set is a directory; given: a file"));
}

#[test]
fn urls_need_a_build_that_reads_them() {
    let e = read(Path::new("s3://bucket/photos")).unwrap_err();
    assert!(e.starts_with("s3://bucket/photos: this build reads no object stores"), "{e}");
    assert!(e.contains("--features object-store"), "{e}");
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
