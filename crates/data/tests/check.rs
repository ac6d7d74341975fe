//! The check of data sets: a folder with everything wrong, real data, and the same report for any number of threads.
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

use gabor_data::{
    CheckOptions, CheckReport, Color, Depth, FindingKind as Kind, MemoryDataset, Near, OpenOptions, Severity, Splits,
    check, open,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn images() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images")
}

/// Real data beside the repository; a printed reason where they are not there.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there", path.display());
    None
}

/// A folder that goes away with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("gabor-check-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Place(dir)
    }
    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fn check(&self, options: &CheckOptions) -> CheckReport {
        check(&open(&self.0, &OpenOptions::default()).unwrap(), options, &mut |_, _| {}).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waves of a direction, a length and a colour, as a BMP: a picture that is like no other.
fn waves(seed: usize, side: usize) -> Vec<u8> {
    let [a, b, c] = [1.3, 2.1, 0.7].map(|k: f64| (k * (seed as f64 + 0.5) * 2.4).sin() * 9.0);
    bmp(side, |y, x| {
        let (y, x) = (y as f64 / side as f64, x as f64 / side as f64);
        let v = (a * x + b * y).sin() + (c * x * y * 3.0 - a).sin() + (b * x * x + c).cos();
        [v * 40.0 + 128.0, v * 30.0 + 128.0, 128.0 - v * 20.0].map(|v| v as u8)
    })
}

fn bmp(side: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Vec<u8> {
    let row = (side * 3).next_multiple_of(4);
    let mut out = b"BM".to_vec();
    let size = (54 + row * side) as u32;
    let side32 = side as u32;
    for v in [size, 0, 54, 40, side32, side32, 1 | 24 << 16, 0, 0, 2835, 2835, 0, 0] {
        out.extend(v.to_le_bytes());
    }
    for y in (0..side).rev() {
        let at = out.len();
        (0..side).for_each(|x| out.extend(pixel(y, x)));
        out.resize(at + row, 0);
    }
    out
}

fn finding(r: &CheckReport, kind: Kind) -> Option<(Severity, String, Vec<String>)> {
    let f = r.findings.iter().find(|f| f.kind == kind)?;
    let name = |p: &gabor_data::Place| Path::new(&p.id).file_name().unwrap().to_string_lossy().into_owned();
    let line = |e: &gabor_data::Example| {
        let names: Vec<String> = e.samples.iter().map(name).collect();
        format!("{}: {}", names.join(" "), e.text)
    };
    Some((f.severity, f.text.clone(), f.examples.iter().map(line).collect()))
}

fn damaged() -> Place {
    let p = Place::new("damaged");
    for class in ["ant", "bee"] {
        for i in 0..8 {
            let seed = i + 20 * usize::from(class == "bee");
            p.put(&format!("train/{class}/{i}.bmp"), &waves(seed, 60));
            p.put(&format!("val/{class}/v{i}.bmp"), &waves(seed + 9, 60));
        }
    }
    let jpeg = fs::read(images().join("rgb.jpg")).unwrap();
    p.put("train/ant/cut.jpg", &jpeg[..jpeg.len() - 20]);
    p.put("train/ant/empty.png", b"");
    p.put("train/bee/text.png", b"<html>404</html>");
    p.put("train/bee/named.jpg", &waves(50, 40));
    p.put("train/bee/flat.bmp", &bmp(40, |_, _| [9, 8, 7]));
    // Copies: within a part, under another label, in the other part, and smaller.
    p.put("train/ant/again.bmp", &waves(3, 60));
    p.put("train/bee/other.bmp", &waves(4, 60));
    p.put("val/ant/leak.bmp", &waves(5, 60));
    p.put("val/ant/smaller.bmp", &waves(6, 47));
    p
}

#[test]
fn everything_wrong_is_found_and_threads_do_not_matter() {
    let p = damaged();
    let options = CheckOptions { input: Some([100, 100]), ..Default::default() };
    let r = p.check(&options);
    for threads in [1, 2, 5] {
        assert_eq!(p.check(&CheckOptions { threads, ..options }), r, "{threads}");
    }
    let (severity, text, bad) = finding(&r, Kind::Unreadable).unwrap();
    assert_eq!((severity, text.as_str()), (Severity::Error, "3 samples cannot be read"));
    assert!(bad[0].starts_with("cut.jpg: ") && bad[0].contains("end-of-image marker"), "{bad:?}");
    assert!(bad[1].starts_with("empty.png: ") && bad[1].contains("an empty file"), "{bad:?}");
    assert!(bad[2].starts_with("text.png: ") && bad[2].contains("3c 68 74 6d 6c"), "{bad:?}");
    let found = |kind| finding(&r, kind).unwrap_or_else(|| panic!("{kind:?} in {r:#?}"));
    assert_eq!(found(Kind::SameAcross).2, ["leak.bmp 5.bmp: the same pixels"]);
    assert_eq!(found(Kind::SameAcross).1, "1 of 18 validation samples is in the train part, too, in the same pixels");
    assert!(found(Kind::NearAcross).2[0].starts_with("smaller.bmp 6.bmp: alike: "), "{:?}", found(Kind::NearAcross));
    assert_eq!(found(Kind::NearAcross).2.len(), 1);
    assert_eq!(found(Kind::SameConflict).2, ["4.bmp other.bmp: the same pixels"]);
    assert_eq!(found(Kind::Same).2, ["3.bmp again.bmp: the same pixels", "4.bmp other.bmp: the same pixels"]);
    assert_eq!(finding(&r, Kind::NearConflict), None);
    assert_eq!(found(Kind::Constant).2, ["flat.bmp: 40 × 40"]);
    assert_eq!(found(Kind::WrongEnding).2, ["named.jpg: BMP with the ending .jpg"]);
    assert_eq!(found(Kind::Small).2.len(), 3, "40 and 47 are less than half of 100");
    assert_eq!((r.count(Severity::Error), r.bad().count()), (1, 3));
    assert_eq!(r.parts[0].width, Some([40, 60, 60]));
    assert_eq!((r.parts[0].samples, r.parts[0].unreadable), (23, 3));
    // Two of the waves, of smooth shapes alone, are alike by chance.
    let names: Vec<Vec<&str>> =
        (r.groups.iter()).map(|g| g.iter().map(|p| p.id.rsplit('/').next().unwrap()).collect()).collect();
    assert_eq!(
        names,
        [
            ["3.bmp", "again.bmp"],
            ["4.bmp", "other.bmp"],
            ["5.bmp", "leak.bmp"],
            ["6.bmp", "smaller.bmp"],
            ["0.bmp", "2.bmp"]
        ]
    );
    let json = serde_json::to_string(&r).unwrap();
    assert_eq!(serde_json::from_str::<CheckReport>(&json).unwrap(), r);
    // Headers alone find what shows there.
    let quick = p.check(&CheckOptions { depth: Depth::Headers, ..options });
    assert_eq!(finding(&quick, Kind::Unreadable).unwrap().2.len(), 3);
    assert!(finding(&quick, Kind::SameAcross).is_none() && finding(&quick, Kind::WrongEnding).is_some());
}

#[test]
fn what_files_are_is_told() {
    let p = Place::new("modes");
    let mut names = Vec::new();
    for entry in fs::read_dir(images()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if ["png", "jpg", "gif", "bmp", "webp"].iter().any(|e| name.ends_with(e)) {
            p.put(&format!("train/a/{name}"), &fs::read(&path).unwrap());
            p.put(&format!("train/b/x{name}"), &waves(names.len(), 30));
            names.push(name);
        }
    }
    let r = p.check(&CheckOptions::default());
    assert_eq!(finding(&r, Kind::Unreadable), None);
    for kind in [Kind::Orientation, Kind::Transparent, Kind::Deep, Kind::GreyMixed] {
        let (severity, text, lines) = finding(&r, kind).unwrap_or_else(|| panic!("{kind:?}"));
        assert!(severity == Severity::Note && !lines.is_empty(), "{text}");
    }
    assert!(r.parts[0].formats.len() >= 5, "{:?}", r.parts[0].formats);
}

#[test]
fn classes_are_weighed() {
    let set = |counts: &[usize]| {
        let labels: Vec<u32> = counts.iter().enumerate().flat_map(|(c, &n)| vec![c as u32; n]).collect();
        let pixels = (0..labels.len() * 64).map(|i| (i * i * 31 % 251) as u8).collect();
        let names = ["ant", "bee", "cow"].map(String::from).to_vec();
        Some(Arc::new(MemoryDataset::new("toy", 8, 8, Color::Grey, pixels, labels, names).unwrap()) as _)
    };
    let splits = Splits { train: set(&[60, 4, 0]), test: set(&[3, 3, 0]), ..gabor_data::digits() };
    let r = check(&splits, &CheckOptions { near: Near::Off, ..Default::default() }, &mut |_, _| {}).unwrap();
    let all: Vec<_> = r.findings.iter().map(|f| (f.severity, f.kind, f.text.as_str())).collect();
    assert_eq!(all[0], (Severity::Error, Kind::ClassMissing, "1 class has no sample in the train part"));
    assert_eq!(all[1], (Severity::Warning, Kind::ClassMissing, "1 class has no sample in the test part"));
    assert_eq!(finding(&r, Kind::FewSamples).unwrap().2, [": bee: 4"]);
    let (severity, text, lines) = finding(&r, Kind::Imbalance).unwrap();
    assert_eq!(severity, Severity::Warning);
    assert_eq!(text, "the largest class has 15.0 times the training samples of the smallest");
    assert_eq!(lines, [": ant: 60, bee: 4"]);
    // Every test picture is the beginning of the training part.
    assert_eq!(finding(&r, Kind::SameAcross).unwrap().2.len(), 6);
}

#[test]
fn real_photographs_are_sound() {
    let Some(dir) = shared("hymenoptera") else { return };
    let r = check(&open(dir, &OpenOptions::default()).unwrap(), &CheckOptions::default(), &mut |_, _| {}).unwrap();
    assert_eq!((r.count(Severity::Error), r.count(Severity::Warning)), (0, 0), "{:#?}", r.findings);
    assert_eq!(r.parts.iter().map(|p| p.samples).collect::<Vec<_>>(), [70, 40]);
    assert!(r.groups.is_empty(), "{:?}", r.groups);
}
