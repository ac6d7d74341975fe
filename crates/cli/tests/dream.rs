//! `gabor dream` as a process.

mod common;

use common::{Place, bmp, json, read, write};
use gabor::formats::npy;

const NET: &str = "net=INPUT 1x12x10 -> conv3-6 relu maxpool conv3-8 relu -> FC";

fn photograph(p: &Place) {
    write(&p.path("sky.bmp"), bmp(40, 30, |x, y| [(x * 6) as u8, (y * 8) as u8, ((x * y) % 251) as u8]));
    write(&p.path("paint.bmp"), bmp(33, 41, |x, y| [if (x + y) % 7 < 3 { 240 } else { 20 }, 90, (y * 6) as u8]));
}

#[test]
fn units_and_classes_are_drawn() {
    let p = Place::new("dream");
    p.done(&["train", "--out", "model", "max_steps=4", "epochs=1", NET]);
    let words = ["dream", "model/model.onnx", "--class", "7", "--steps", "12", "--npy", "raw", "--json"];
    let found = json(&p.done(&words));
    assert_eq!(
        (&found["mode"], &found["picture"], &found["steps"]),
        (&"units".into(), &"dream.png".into(), &11.into())
    );
    let one = &found["dreams"][0];
    assert_eq!((&one["unit"], &one["dead"], one["objective"].as_array().unwrap().len()), (&7.into(), &().into(), 12));
    assert!(one["end"].as_f64() > one["start"].as_f64());
    let raw = npy::read(&read(&p.path(one["npy"].as_str().unwrap()))).unwrap();
    assert_eq!(raw.shape(), [1, 12, 10]);
    // A small picture is enlarged: 10 columns, 23 pixels each.
    let png = read(&p.path("dream.png"));
    assert_eq!((&png[1..4], &png[16..24]), (&b"PNG"[..], &[0, 0, 0, 230, 0, 0, 1, 20][..]));
    // The same bits again, and with one thread; other bits by another seed.
    p.done(&[&words[..6], &["-o", "again.png", "--threads", "1"]].concat());
    assert_eq!(png, read(&p.path("again.png")));
    p.done(&[&words[..6], &["-o", "other.png", "--seed", "3"]].concat());
    assert_ne!(png, read(&p.path("other.png")));
    // The objective as a chart of its own, a small one for each picture.
    let charted = json(&p.done(&["dream", "model/model.onnx", "--steps", "9", "--curve", "curve.svg", "--json"]));
    assert_eq!(charted["curve"], "curve.svg");
    let svg = String::from_utf8(read(&p.path("curve.svg"))).unwrap();
    assert_eq!(svg.matches("class=\"l\"").count(), 10);
    // Nine steps are nine corners of the line.
    let line = svg.lines().find(|l| l.contains("class=\"l\"")).unwrap();
    assert_eq!(line.split("\" style").next().unwrap().matches('L').count(), 8, "{line}");
    // Ten classes at once, units of a layer, a place.
    p.done(&["dream", "model/model.onnx", "--steps", "2", "-o", "all.svg"]);
    let svg = String::from_utf8(read(&p.path("all.svg"))).unwrap();
    assert!(svg.matches("<image").count() == 10 && svg.contains("classes, by their scores"));
    let text = p.done(&[
        "dream",
        "model/model.onnx",
        "--layer",
        "relu1",
        "--units",
        "0-2,5",
        "--at",
        "centre",
        "--steps",
        "3",
        "--l2",
        "0.1",
        "--tv",
        "0.1",
        "--basis",
        "pixels",
    ]);
    assert!(text.ends_with("dream.png\n"), "{text}");
}

#[test]
fn photographs_are_dreamt_on_and_restyled() {
    let p = Place::new("dream-photo");
    p.done(&["train", "--out", "model", "max_steps=4", "epochs=1", NET]);
    photograph(&p);
    let deep = [
        "dream",
        "model/model.onnx",
        "--image",
        "sky.bmp",
        "--size",
        "64",
        "--steps",
        "3",
        "--octaves",
        "2",
        "-o",
        "deep.png",
    ];
    let found = json(&p.done(&[&deep[..], &["--json", "--npy", "raw"]].concat()));
    assert_eq!((&found["mode"], &found["octaves"]), (&"deep".into(), &serde_json::json!([[34, 46], [48, 64]])));
    assert_eq!(found["objective"].as_array().unwrap().len(), 6);
    assert_eq!(npy::read(&read(&p.path("raw/dream.npy"))).unwrap().shape(), [1, 48, 64]);
    let text = p.done(&[&deep[..], &["--layer", "relu2", "--units", "1,3", "--tiles"]].concat());
    assert!(text.starts_with("relu2, 2 octaves of 3 steps\n"), "{text}");
    let styled =
        ["dream", "model/model.onnx", "--content", "sky.bmp", "--style", "paint.bmp", "--size", "48", "--steps", "4"];
    let found = json(&p.done(&[&styled[..], &["--json", "-o", "styled.svg"]].concat()));
    assert_eq!(
        (&found["style_layers"], &found["content_layers"]),
        (&serde_json::json!(["relu1", "relu2"]), &serde_json::json!(["relu1"]))
    );
    let loss = found["style_loss"].as_array().unwrap();
    assert!(loss.len() == 4 && loss[3].as_f64() < loss[0].as_f64());
    assert_eq!((&found["settings"]["optimiser"], &found["settings"]["rate"]), (&"lbfgs".into(), &().into()));
    // The same budget by the other optimiser; both by themselves give the same bits again.
    let adam = [&styled[..], &["--optimiser", "adam", "--rate", "0.01", "--json"]].concat();
    let other = json(&p.done(&[&adam[..], &["--curve", "losses.svg"]].concat()));
    assert_eq!((&other["settings"]["optimiser"], &other["settings"]["rate"]), (&"adam".into(), &0.01.into()));
    assert!(other["style_loss"] != found["style_loss"] && other["style_loss"][0] == found["style_loss"][0]);
    assert_eq!(
        json(&p.done(&[&styled[..], &["--json", "--threads", "1"]].concat()))["style_loss"],
        found["style_loss"]
    );
    let svg = String::from_utf8(read(&p.path("losses.svg"))).unwrap();
    assert_eq!(svg.matches("class=\"l\"").count(), 2);
    assert!(String::from_utf8(read(&p.path("styled.svg"))).unwrap().contains("<image"));
    assert!(p.done(&styled).contains("style in relu1, relu2  "));
}

/// A photograph is worked on at a usual size, and that is said; all of it is worked on where that is asked.
#[test]
fn large_photographs_are_worked_on_smaller() {
    let p = Place::new("dream-large");
    p.done(&["train", "--out", "model", "max_steps=2", "epochs=1", NET]);
    write(&p.path("wide.bmp"), bmp(600, 300, |x, y| [(x % 251) as u8, (y % 241) as u8, ((x + y) % 239) as u8]));
    let words = ["dream", "model/model.onnx", "--image", "wide.bmp", "--steps", "1", "--octaves", "1", "--json"];
    let out = p.gabor(&words);
    let said = common::stderr(&out);
    assert!(out.status.success(), "{said}");
    assert!(
        said.contains("worked on at 256 × 512 of the photograph's 300 × 600 pixels; --size full takes all"),
        "{said}"
    );
    assert_eq!(json(&common::stdout(&out))["octaves"], serde_json::json!([[256, 512]]));
    let out = p.gabor(&[&words[..], &["--size", "full"]].concat());
    assert_eq!(json(&common::stdout(&out))["octaves"], serde_json::json!([[300, 600]]));
    assert!(!common::stderr(&out).contains("worked on"), "{}", common::stderr(&out));
}

#[test]
fn what_does_not_fit_is_said() {
    let p = Place::new("dream-errors");
    p.done(&["train", "--out", "model", "max_steps=2", "epochs=1", NET]);
    photograph(&p);
    let e = |code, words: &[&str]| p.fails(code, &[&["dream", "model/model.onnx"], words].concat());
    assert!(e(2, &["--class", "3", "--octaves", "2"]).contains("--octaves has no part in pictures of units"));
    assert!(e(2, &["--image", "sky.bmp", "--class", "3"]).contains("--class has no part in DeepDream"));
    assert!(e(2, &["--content", "sky.bmp"]).contains("--content without --style; right would be: both"));
    assert!(
        e(2, &["--content", "sky.bmp", "--style", "paint.bmp", "--seed", "1"]).contains("--seed has no part in style")
    );
    assert!(e(2, &["--units", "3"]).contains("--units without --layer"));
    let styled = ["--content", "sky.bmp", "--style", "paint.bmp"];
    let text = e(2, &[&styled[..], &["--rate", "0.1"]].concat());
    assert!(text.contains("--rate without --optimiser adam; right would be: --optimiser adam beside it"), "{text}");
    assert!(e(2, &["--image", "sky.bmp", "--optimiser", "adam"]).contains("--optimiser has no part in DeepDream"));
    assert!(e(1, &[&styled[..], &["--optimiser", "adam", "--rate", "-1"]].concat()).contains("0 to 1000"));
    assert!(e(2, &["--class", "3", "--curve", "x.jpg"]).contains("--curve x.jpg"));
    assert!(
        e(2, &["--class", "3", "--plain-colors"])
            .contains("--plain-colors has no part in a network of 1-channel pictures")
    );
    assert!(e(2, &["--image", "sky.bmp", "--size", "half"]).contains("8 to 4096 pixels, or full"));
    assert!(
        e(2, &["--class", "3", "--look", "dark"]).contains("--look has no part in a PNG that is the picture itself")
    );
    assert!(e(2, &["--layer", "relu1", "--units", "5-2"]).contains("3, 0-15 or 1,4,8-11"));
    assert!(e(2, &["--class", "3", "-o", "x.jpg"]).contains("a name in .svg or .png"));
    assert!(e(2, &["--class", "3", "--basis", "cosine"]).contains("fourier or pixels"));
    assert!(e(1, &["--layer", "conv9"]).contains("there is no layer `conv9`; right would be: conv"));
    // What the field calls it, whatever the network does.
    assert!(e(1, &["--layer", "dense"]).contains("there is no layer `dense`; right would be: fc1; all layers: conv1"));
    assert!(e(1, &["--layer", "relu1", "--units", "6"]).contains("unit 6 of a layer of 6; right would be: 0 to 5"));
    assert!(e(1, &["--class", "cat"]).contains("the model has no class `cat`"));
    assert!(e(1, &["--image", "none.jpg"]).contains("none.jpg"));
    assert!(e(1, &["--class", "3", "--steps", "0"]).contains("1 to 100000"));
}

/// Weights alone say nothing of preprocessing: inputs are taken to be in 0..1, and that is said.
#[test]
fn networks_without_preprocessing_dream() {
    let p = Place::new("dream-bare");
    p.done(&["train", "--out", "model", "max_steps=2", "epochs=1", NET]);
    p.done(&["convert", "model/model.onnx", "bare.safetensors"]);
    let net = NET.trim_start_matches("net=");
    let net = format!("{net}-10");
    let words = [
        "dream",
        "bare.safetensors",
        "--net",
        &net,
        "--layer",
        "conv1",
        "--units",
        "1",
        "--steps",
        "5",
        "--npy",
        "raw",
    ];
    let out = p.gabor(&words);
    let said = common::stderr(&out);
    assert!(out.status.success() && said.contains("it is taken to be in 0..1"), "{said}");
    let raw = npy::read(&read(&p.path("raw/1.npy"))).unwrap();
    assert!(raw.as_f32().unwrap().iter().all(|v| (0.0..=1.0).contains(v)));
}
