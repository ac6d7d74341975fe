//! `gabor eval` and `predict` with several views and models, a temperature, a page and a list of predictions.

mod common;

use common::{Place, bmp, json, read, write};
use std::collections::HashMap;

fn number(v: &serde_json::Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("no number: {v}"))
}

/// Two models that disagree, of the same digits.
fn models(p: &Place) {
    for seed in ["1", "2"] {
        let (out, seed) = (format!("m{seed}"), format!("seed={seed}"));
        p.done(&["train", "--net", "mlp", "--out", &out, &seed, "max_steps=9", "epochs=2", "augment=none"]);
    }
}

#[test]
fn models_are_measured_together_and_alone() {
    let p = Place::new("ensemble");
    models(&p);
    let one = |m: &str| json(&p.done(&["eval", m, "--json"]));
    let (a, b) = (one("m1/model.onnx"), one("m2/model.onnx"));
    let both = json(&p.done(&["eval", "--ensemble", "m1/model.onnx", "m2/model.onnx", "--json"]));
    assert_eq!(both["models"], serde_json::json!(["m1/model.onnx", "m2/model.onnx"]));
    for (member, alone) in both["members"].as_array().unwrap().iter().zip([&a, &b]) {
        assert_eq!((&member["top1"], &member["confusion"]), (&alone["top1"], &alone["confusion"]));
    }
    assert!(a["members"].is_null() && number(&both["loss"]) < (number(&a["loss"]) + number(&b["loss"])) / 2.0);
    let same = json(&p.done(&["eval", "m1/model.onnx", "--ensemble", "m2/model.onnx", "--json"]));
    assert_eq!(same["confusion"], both["confusion"]);
    let text = p.done(&["eval", "--ensemble", "m1/model.onnx", "m2/model.onnx", "--tta", "flip"]);
    assert!(text.contains("2 views of each picture (flip)") && text.contains("\ntogether "), "{text}");
    let e = p.fails(1, &["eval", "m1/model.onnx", "--tta", "tencrop"]);
    assert!(e.contains("m1/model.onnx: ") && e.contains("ten crops") && e.contains("flip"), "{e}");
    assert!(p.fails(2, &["eval", "m1/model.onnx", "--tta", "five"]).contains("none, flip, tencrop"));
    let e = p.fails(2, &["eval", "--ensemble", "m1/model.onnx", "m2/model.onnx", "--preprocessing", "imagenet"]);
    assert!(e.contains("each model with its own"), "{e}");

    write(&p.path("x.bmp"), bmp(9, 9, |x, y| [(x * 28) as u8, (y * 28) as u8, 0]));
    let top = |words: &[&str]| -> HashMap<String, f64> {
        let list = json(&p.done(words))[0]["top"].clone();
        let entry = |t: &serde_json::Value| (t["class"].as_str().unwrap().to_string(), number(&t["probability"]));
        list.as_array().unwrap().iter().map(entry).collect()
    };
    let (a, b) = ("m1/model.onnx", "m2/model.onnx");
    let all = &["--json", "--top", "10"];
    let of = |words: &[&str]| top(&[&["predict"], words, &all[..]].concat());
    let (pa, pb, both) = (of(&[a, "x.bmp"]), of(&[b, "x.bmp"]), of(&[a, "x.bmp", "--ensemble", b]));
    for (class, p) in &both {
        assert!((p - (pa[class] + pb[class]) / 2.0).abs() < 1e-6, "{class}");
    }
    assert_ne!(of(&[a, "x.bmp", "--tta", "flip"]), pa);
}

#[test]
fn a_temperature_goes_into_the_file() {
    let p = Place::new("calibrate");
    p.done(&["train", "--net", "mlp", "--out", "m", "epochs=12", "augment=none", "lr=0.02"]);
    let words = ["eval", "m/model.onnx", "--calibrate", "--output", "cool.onnx", "--json"];
    let e = json(&p.done(&words));
    let t = number(&e["temperature"]);
    assert!(t > 0.2 && t < 20.0 && (t - 1.0).abs() > 0.01, "{t}");
    assert_eq!(e["confusion"], e["before"]["confusion"]);
    let plain = json(&p.done(&["eval", "m/model.onnx", "--json"]));
    assert_eq!(plain["calibration"], e["before"]["calibration"]);
    let cool = json(&p.done(&["eval", "cool.onnx", "--json"]));
    for (name, v) in cool["calibration"].as_object().unwrap().iter().filter(|(_, v)| v.is_number()) {
        assert!((number(v) - number(&e["calibration"][name])).abs() < 1e-5, "{name}");
    }
    // The validation part is the one that was held out of the training, and there the temperature is the best there is.
    let on = |file: &str| json(&p.done(&["eval", file, "--split", "validation", "--json"]));
    let (before, after) = (on("m/model.onnx"), on("cool.onnx"));
    assert!(number(&after["loss"]) < number(&before["loss"]));
    let text = p.done(&["eval", "m/model.onnx", "--calibrate"]);
    assert!(text.contains("expected calibration error") && text.contains("before"), "{text}");
    let e = p.fails(2, &["eval", "m/model.onnx", "--calibrate", "--tta", "flip", "--output", "x.onnx"]);
    assert!(e.contains("right would be: one model") && !p.path("x.onnx").exists(), "{e}");
    assert!(p.fails(2, &["eval", "m/model.onnx", "--output", "x.onnx"]).contains("--calibrate"));
}

#[test]
fn a_page_and_a_list_of_predictions() {
    let p = Place::new("page");
    models(&p);
    // Two classes, one of a name that a list must quote.
    for (class, n) in [("a, b", 4usize), ("c\"d", 5)] {
        std::fs::create_dir_all(p.path("photos/test").join(class)).unwrap();
        std::fs::create_dir_all(p.path("photos/train").join(class)).unwrap();
        for i in 0..2 * n {
            let shade = (i * 20 + n * 25) as u8;
            // Photographs, and no pictures of one small size: these are cropped.
            let picture = bmp(11 + i, 9, |x, y| [shade, (x * 10) as u8, (y * 25) as u8]);
            let part = if i < n { "train" } else { "test" };
            write(&p.path("photos").join(part).join(class).join(format!("{i}.bmp")), picture);
        }
    }
    let words = ["train", "--data", "photos", "net=INPUT 3x8x8 -> FC", "--out", "photo", "epochs=2", "batch=4"];
    let told = p.done(&words);
    let report = String::from_utf8(read(&p.path("photo/report.html"))).unwrap();
    // Without a feature map most methods have nothing to say, and what is proposed works.
    let next = "explain photo photo/sample.png --method saliency";
    assert!(told.contains(next) && report.contains(next), "{told}");
    p.done(&next.split(' ').collect::<Vec<_>>());
    for part in
        ["training report", "Learning curves", "Confusion", "Calibration", "What the network saw", "Configuration"]
    {
        assert!(report.contains(part), "{part}");
    }
    let words = ["eval", "photo/model.onnx", "--predictions", "out.csv", "--report", "eval.html", "--tta", "tencrop"];
    let text = p.done(&words);
    assert!(text.contains("test accuracy") && text.contains("out.csv") && text.contains("eval.html"), "{text}");
    let list = String::from_utf8(read(&p.path("out.csv"))).unwrap();
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!((lines.len(), lines[0]), (10, "id,label,prediction,probability,loss"));
    assert!(lines[1].contains("\"a, b\"") && lines[9].contains("\"c\"\"d\""), "{list}");
    let e = json(&p.done(&["eval", "photo/model.onnx", "--tta", "tencrop", "--json"]));
    let losses: f64 = lines[1..].iter().map(|l| l.rsplit(',').next().unwrap().parse::<f64>().unwrap()).sum();
    assert!((losses / 9.0 - number(&e["loss"])).abs() < 1e-5);
    let page = String::from_utf8(read(&p.path("eval.html"))).unwrap();
    for part in ["class=\"matrix\"", "Calibration", "tencrop", "class=\"gap\"", "data:image/png", "loss"] {
        assert!(page.contains(part), "{part}");
    }
    assert!(!page.contains("http") && !page.contains("<script"));
    let words = ["eval", "--ensemble", "m1/model.onnx", "m2/model.onnx", "--report", "two.html", "--calibrate"];
    p.done(&words);
    let page = String::from_utf8(read(&p.path("two.html"))).unwrap();
    assert!(page.contains("<h2>Models</h2>") && page.contains("at temperature") && page.contains("m2/model.onnx"));
    let e = p.fails(1, &["eval", "m1/model.onnx", "--report", "none/eval.html"]);
    assert!(e.contains("--report none/eval.html: there is no directory none"), "{e}");
}

#[test]
fn pictures_that_cannot_be_read_end_it_or_are_left_out_and_counted() {
    let p = Place::new("evalbad");
    for class in ["left", "right"] {
        std::fs::create_dir_all(p.path(&format!("set/{class}"))).unwrap();
        for i in 0..20usize {
            let dark = (class == "left") as usize;
            let picture = bmp(12, 12, |x, _| [((x / 6 + dark) % 2 * 200 + i) as u8, 10, 20]);
            write(&p.path(&format!("set/{class}/{i:02}.bmp")), picture);
        }
    }
    p.done(&["train", "--data", "set", "--net", "mlp", "input=3x12x12", "epochs=2", "--out", "run", "check=none"]);
    let whole = json(&p.done(&["eval", "run/model.onnx", "--split", "test", "--json"]));
    let test: Vec<String> = read_rows(&p, &["eval", "run/model.onnx", "--predictions", "all.csv"], "all.csv");
    assert_eq!(number(&whole["count"]) as usize, test.len());
    let file = p.path(&test[0]);
    let bytes = read(&file);
    write(&file, &bytes[..bytes.len() / 2]);
    let e = p.fails(1, &["eval", "run/model.onnx"]);
    assert!(e.contains(&test[0]), "{e}");
    for tta in ["none", "flip"] {
        let out = p.gabor(&["eval", "run/model.onnx", "--bad", "skip", "--tta", tta, "--json"]);
        let (out, told) = (json(&common::stdout(&out)), common::stderr(&out));
        assert_eq!(number(&out["count"]) as usize, test.len() - 1, "{told}");
        assert!(out["bad"][0]["id"].as_str().unwrap().ends_with(&test[0]) && out["bad"].as_array().unwrap().len() == 1);
        assert!(told.contains("left out: ") && told.contains(&format!("1 of {} test images", test.len())), "{told}");
    }
    assert!(p.fails(2, &["eval", "run/model.onnx", "--bad", "ask"]).contains("right would be: fail or skip"));

    // The part that a temperature is fitted on is told of as well, and a page counts what was measured.
    let words = ["eval", "run/model.onnx", "--split", "validation", "--predictions", "val.csv"];
    let validation = read_rows(&p, &words, "val.csv");
    assert!(validation.len() > 1, "{validation:?}");
    write(&p.path(&validation[0]), b"BM");
    let words = ["eval", "run/model.onnx", "--bad", "skip", "--calibrate", "--json", "--report", "bad.html"];
    let out = p.gabor(&words);
    let (out, told) = (json(&common::stdout(&out)), common::stderr(&out));
    assert!(told.contains(&format!("1 of {} validation images", validation.len())), "{told}");
    assert_eq!(out["bad_calibration"].as_array().unwrap().len(), 1);
    assert!(out["bad_calibration"][0]["id"].as_str().unwrap().ends_with(&validation[0]), "{out}");
    let page = String::from_utf8(read(&p.path("bad.html"))).unwrap();
    let counted =
        format!("on the {} test images of set, 2 classes. 1 could not be read and is left out.", test.len() - 1);
    assert!(page.contains(&counted), "{counted}");
    for name in &validation {
        write(&p.path(name), b"BM");
    }
    let e = p.fails(1, &words);
    assert!(e.contains(&format!("{0} of {0} samples cannot be read, more than half", validation.len())), "{e}");
}

/// The samples that a command measures, from its list.
fn read_rows(p: &Place, words: &[&str], file: &str) -> Vec<String> {
    p.done(words);
    let text = String::from_utf8(read(&p.path(file))).unwrap();
    text.lines().skip(1).map(|l| l.split(',').next().unwrap().to_string()).collect()
}
