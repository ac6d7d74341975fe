//! `gabor explain` as a process.

mod common;

use common::{Place, bmp, json, read, write};
use gabor::formats::npy;

#[test]
fn methods_write_a_sheet_and_plain_data() {
    let p = Place::new("explain");
    let net = "net=INPUT 1x12x12 -> conv3-6 relu maxpool conv3-8 relu -> FC";
    p.done(&["train", "--out", "model", "max_steps=4", "epochs=1", net]);
    write(&p.path("seven.bmp"), bmp(20, 30, |x, y| [if x + y / 2 == 15 { 250 } else { 5 }; 3]));
    let all = p.done(&[
        "explain",
        "model/model.onnx",
        "seven.bmp",
        "--method",
        "all",
        "--npy",
        "maps",
        "--json",
        "--class",
        "7",
    ]);
    let found = json(&all);
    assert_eq!(found["picture"], "explain.svg");
    let found = &found["images"][0];
    assert_eq!((&found["class"], &found["index"]), (&"7".into(), &7.into()));
    let methods = found["methods"].as_array().unwrap();
    assert_eq!(methods.len(), 9);
    for m in methods {
        let map = npy::read(&read(&p.path(m["npy"].as_str().unwrap()))).unwrap();
        assert_eq!(map.shape(), [12, 12]);
        let most = map.as_f32().unwrap().iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        assert_eq!(m["largest"].as_f64().unwrap() as f32, most);
    }
    let svg = String::from_utf8(read(&p.path("explain.svg"))).unwrap();
    // The picture, nine maps, and the two scales of their colours.
    assert_eq!(svg.matches("<image").count(), 12);
    assert!(svg.contains(">against the class<") && svg.contains(">model:") || svg.contains("model/model.onnx: 7 with"));
    assert!(svg.contains("seven.bmp") && svg.contains(">integrated<") && svg.contains("prefers-color-scheme"));
    // The same again, bit for bit, with another number of threads.
    p.done(&[
        "explain",
        "model/model.onnx",
        "seven.bmp",
        "--method",
        "all",
        "--class",
        "7",
        "-o",
        "two.svg",
        "--threads",
        "1",
    ]);
    assert_eq!(svg.as_bytes(), read(&p.path("two.svg")));
    let text = p.done(&["explain", "model/model.onnx", "seven.bmp", "--method", "gradcam", "--layer", "relu1"]);
    assert!(text.contains(" %\nexplain.svg\n"), "{text}");
    // Several pictures have a row each, and find what each finds alone.
    write(&p.path("one.bmp"), bmp(9, 12, |x, _| [if x == 4 { 250 } else { 5 }; 3]));
    let rows = ["explain", "model/model.onnx", "one.bmp", "seven.bmp", "--method", "gradcam,occlusion", "--class", "7"];
    let both = json(&p.done(&[&rows[..], &["-o", "rows.svg", "--npy", "rows", "--json"]].concat()));
    assert_eq!(both["images"].as_array().unwrap().len(), 2);
    for method in ["gradcam", "occlusion"] {
        assert_eq!(read(&p.path(&format!("rows/1/{method}.npy"))), read(&p.path(&format!("maps/{method}.npy"))));
    }
    let svg = String::from_utf8(read(&p.path("rows.svg"))).unwrap();
    assert!(svg.matches("<image").count() == 8 && svg.contains(">one.bmp<") && svg.contains(">seven.bmp<"));
    // As pixels: paper and ink as asked for, the same at every run.
    let pixels = |look: &str| {
        p.done(&["explain", "model/model.onnx", "seven.bmp", "-o", "a.png", "--look", look]);
        let picture = gabor::data::decode_file(&p.path("a.png"), &gabor::data::Limits::default()).unwrap();
        (picture.data()[..3].to_vec(), read(&p.path("a.png")))
    };
    assert_eq!((pixels("light").0, pixels("dark").0), (vec![0xfc, 0xfc, 0xfa], vec![0x11, 0x14, 0x17]));
    assert!(pixels("auto") == pixels("light"));
}

#[test]
fn what_does_not_fit_is_said() {
    let p = Place::new("explain-errors");
    p.model();
    write(&p.path("a.bmp"), bmp(8, 8, |_, _| [200, 10, 10]));
    let e = |code, more: &[&str]| p.fails(code, &[&["explain", "model/model.onnx", "a.bmp"], more].concat());
    assert!(
        e(2, &["--method", "gradcan"]).contains("--method gradcan: there is no such method; right would be: saliency")
    );
    assert!(e(2, &["-o", "a.jpg"]).contains("right would be: a name in .svg"));
    assert!(
        e(1, &["--class", "twelve"]).contains("the model has no class `twelve`; right would be: a number from 0 to 9")
    );
    // A perceptron has no feature maps, but a gradient.
    assert!(e(1, &["--method", "gradcam"]).contains("the network has no feature map of more than one place"));
    assert!(
        e(1, &["--method", "occlusion", "--window", "100"]).contains("a window of 100 × 100 on a picture of 28 × 28")
    );
    p.done(&["explain", "model/model.onnx", "a.bmp", "--method", "saliency,occlusion"]);
    assert!(p.fails(2, &["explain", "model/model.onnx"]).contains("gabor explain MODEL IMAGE"));
    assert!(p.fails(1, &["explain", "model/model.onnx", "none.png"]).contains("none.png"));
}
