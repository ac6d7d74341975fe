//! The real data sets, where they are at hand (`../shared/data` beside the repository).
#![allow(clippy::print_stdout)]

use gabor_data::{
    Augmentation, Color, Limits, Loader, LoaderOptions, OpenOptions, Preprocessing, Splits, decode_file, digits, open,
};
use std::path::{Path, PathBuf};

fn data(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    println!("not run: ../shared/data/{name} is not at hand");
    None
}

fn read(name: &str) -> Option<Splits> {
    data(name).map(|p| open(p, &OpenOptions::default()).unwrap())
}

#[test]
fn mnist() {
    let Some(s) = read("mnist") else { return };
    let (train, test) = (s.train().unwrap(), s.test.as_ref().unwrap());
    assert_eq!((train.len(), test.len(), train.shape()), (60000, 10000, Some([1, 28, 28])));
    assert_eq!(test.histogram(), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_eq!(train.histogram(), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(test.id(17), "t10k-images-idx3-ubyte.gz[17]");
    let p = Preprocessing::for_dataset(&**train, [1, 28, 28]).unwrap();
    // The numbers of every MNIST tutorial.
    assert!((p.mean[0] - 0.1307).abs() < 5e-5 && (p.std[0] - 0.3081).abs() < 5e-5, "{p:?}");
    let start = std::time::Instant::now();
    let options = LoaderOptions { augmentation: Augmentation::handwriting(), ..Default::default() };
    let loader = Loader::new(train.clone(), p, options).unwrap();
    let mut epoch = loader.epoch(0, 0);
    while let Some(b) = epoch.next() {
        epoch.recycle(b.unwrap());
    }
    println!("60,000 augmented images in {:.2} s", start.elapsed().as_secs_f64());
}

#[test]
fn fashion_mnist() {
    let Some(s) = read("fashion-mnist") else { return };
    assert_eq!(s.train().unwrap().histogram(), [6000; 10]);
    assert_eq!(s.evaluation().unwrap().1.histogram(), [1000; 10]);
}

#[test]
fn cifar10() {
    let Some(s) = read("cifar10") else { return };
    let (train, test) = (s.train().unwrap(), s.test.as_ref().unwrap());
    assert_eq!((train.len(), test.len(), train.shape()), (45000, 1000, Some([3, 32, 32])));
    assert_eq!(train.histogram(), [4479, 4474, 4527, 4503, 4478, 4504, 4508, 4508, 4529, 4490]);
    assert_eq!(test.histogram(), [103, 89, 100, 103, 90, 86, 112, 102, 106, 109]);
    assert_eq!(s.classes()[..3], ["airplane", "automobile", "bird"]);
    assert_eq!(train.id(40001), "data_batch_5_last5000.bin.gz[1]");
}

#[test]
fn hymenoptera() {
    let Some(s) = read("hymenoptera") else { return };
    let (name, val) = s.evaluation().unwrap();
    assert_eq!((name, s.classes()), ("validation", &["ants".to_string(), "bees".to_string()][..]));
    assert_eq!((s.train().unwrap().histogram(), val.histogram()), (vec![35, 35], vec![20, 20]));
    let p = Preprocessing::for_dataset(&**val, [3, 32, 32]).unwrap();
    let loader = Loader::evaluation(val.clone(), p, 16, 2).unwrap();
    assert_eq!(loader.epoch(0, 0).map(|b| b.unwrap().indices.len()).sum::<usize>(), 40);
    // One of its folders alone has classes but no parts: it is split, the same way every time.
    let path = data("hymenoptera").unwrap().join("train");
    let (a, b) = (open(&path, &OpenOptions::default()).unwrap(), open(&path, &OpenOptions::default()).unwrap());
    let (ta, tb) = (a.test.unwrap(), b.test.unwrap());
    assert_eq!((a.train.unwrap().len(), ta.histogram()), (56, vec![7, 7]));
    assert!((0..14).all(|i| ta.id(i) == tb.id(i)));
    assert!(a.notes[0].contains("14 of 70 samples held out"), "{:?}", a.notes);
}

#[test]
fn digits_as_a_file_are_the_embedded_digits() {
    let Some(s) = read("digits") else { return };
    let (a, b) = (s.train().unwrap().clone(), digits().train().unwrap().clone());
    assert_eq!(a.labels(), b.labels());
    assert_eq!(a.image(1000).unwrap(), b.image(1000).unwrap());
}

#[test]
fn photographs() {
    let Some(dir) = data("imagenet-photos") else { return };
    let labels: serde_json::Value = serde_json::from_slice(&std::fs::read(dir.join("labels.json")).unwrap()).unwrap();
    let text = labels.to_string();
    let (mut count, mut grey) = (0, 0);
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name == "labels.json" {
            continue;
        }
        assert!(text.contains(&name));
        let image = decode_file(&path, &Limits::default()).unwrap();
        count += 1;
        grey += usize::from(image.color() == Color::Grey);
        let out = Preprocessing::imagenet().apply(&image).unwrap();
        assert!(out.len() == 3 * 224 * 224 && out.iter().all(|v| v.abs() < 3.0));
    }
    assert_eq!((count, grey), (19, 1));
}

#[test]
fn what_is_no_data_set_says_so() {
    for (name, message) in [
        ("rt-polarity", "no data set is recognised here"),
        ("raccoon-detection", "a class folder without images"),
        ("imagenet-photos", "images beside or without class folders"),
        ("camvid-segmentation", "images beside or without class folders"),
        ("mnist/t10k-labels-idx1-ubyte.gz", "a data set is a directory"),
    ] {
        let Some(path) = data(name) else { return };
        let e = open(path, &OpenOptions::default()).unwrap_err().to_string();
        assert!(e.contains(message), "{name}: {e}");
    }
    assert!(
        open("no/such/place", &OpenOptions::default())
            .unwrap_err()
            .to_string()
            .starts_with("no/such/place: cannot be read")
    );
}
