//! `gabor data convert` as a process.

mod common;

use common::{Place, stderr};
use serde_json::Value;

#[test]
fn data_sets_are_converted_and_trained_on() {
    let place = Place::new("convert-data");
    let text = place.done(&["data", "convert", "digits", "shards", "--to", "tar", "--shard-bytes", "300KB"]);
    assert!(text.contains("train    1,437") && text.contains("shards: 10 classes"), "{text}");
    let json = place.done(&["data", "convert", "shards", "idx", "--to", "idx", "--json"]);
    let v: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(v["parts"][1], serde_json::json!({ "name": "test", "samples": 360 }));
    assert_eq!((&v["files"], &v["encoded"], &v["format"]), (&5.into(), &1797.into(), &"idx".into()));
    // The same data in another place: the same numbers, for a small data set is mixed as a whole.
    let last = |data: &str| {
        let words = ["train", "--data", data, "--net", "mlp", "--json", "epochs=1", "augment=none", "threads=1"];
        let lines = place.done(&words);
        let line = lines.lines().rfind(|l| l.contains("\"evaluated\"")).unwrap().to_string();
        let v: Value = serde_json::from_str(&line).unwrap();
        v["loss"].as_f64().unwrap()
    };
    assert_eq!(last("idx"), last("digits"));
    // Images in files may have any size, so they are brought to the network's in another way.
    place.done(&["data", "convert", "shards", "columns", "--to", "parquet"]);
    assert_eq!(last("shards"), last("columns"));
    let e = place.fails(1, &["data", "convert", "digits", "idx", "--to", "tar"]);
    assert!(e.contains("idx: the target is there already; right would be: a new directory, or --force"), "{e}");
    place.done(&["data", "convert", "digits", "idx", "--to", "folder", "--force"]);
    assert!(place.path("idx/train/7/00000000.png").exists());
    let e = place.fails(2, &["data", "convert", "idx", "idx", "--to", "tar", "--force"]);
    assert!(e.contains("holds the data that are read"), "{e}");
    let e = place.fails(2, &["data", "convert", "digits", "x", "--to", "zip"]);
    assert!(e.contains("folder, idx, cifar, tar, parquet"), "{e}");
    let e = place.fails(1, &["data", "convert", "digits", "x", "--to", "cifar"]);
    assert!(e.contains("--size 32x32") && !place.path("x").exists(), "{e}");
}

#[test]
fn unreadable_images_end_a_training_or_are_left_out_and_told_of_once() {
    let place = Place::new("bad-images");
    place.done(&["data", "convert", "digits", "photos", "--to", "folder"]);
    for (class, name) in [("3", "00000004.png"), ("8", "00000000.png")] {
        std::fs::write(place.path(&format!("photos/train/{class}/{name}")), b"\x89PNG, cut").unwrap();
    }
    let train = |out: &str, extra: &[&str]| {
        let words = ["train", "--data", "photos", "--net", "mlp", "--json", "--out", out, "epochs=2", "augment=none"];
        place.gabor(&[&words[..], extra].concat())
    };
    let fails = train("a", &[]);
    assert_eq!(fails.status.code(), Some(1));
    assert!(stderr(&fails).contains("00000004.png") || stderr(&fails).contains("00000000.png"), "{}", stderr(&fails));
    let mut seen = Vec::new();
    for (out, extra) in [
        ("b", &["bad=skip", "workers=0"][..]),
        ("c", &["bad=skip", "workers=3"]),
        ("d", &["bad=skip", "workers=2", "batch=64", "grad_accum=4"]),
    ] {
        let run = train(out, extra);
        assert!(run.status.success(), "{}", stderr(&run));
        let text = String::from_utf8(run.stdout).unwrap();
        let events: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        let warned =
            events.iter().filter(|e| e["event"] == "warning" && e["text"].as_str().unwrap().starts_with("left out: "));
        assert_eq!(warned.count(), 2, "{text}");
        assert!(text.contains("training samples could not be read and are left out"), "{text}");
        let loss = events.iter().rfind(|e| e["event"] == "evaluated").unwrap()["loss"].as_f64().unwrap();
        seen.push(loss);
    }
    assert_eq!(seen[0], seen[1], "the number of workers plays no part");
    assert!(seen[2].is_finite());
}
