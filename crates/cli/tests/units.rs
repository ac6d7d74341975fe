//! `gabor features` and `gabor top` as processes.

mod common;

use common::{Place, bmp, json, read, write};
use gabor::formats::npy;

const NET: &str = "net=INPUT 1x12x12 -> conv3-6 relu maxpool conv3-8 relu -> FC";

fn trained(name: &str) -> Place {
    let p = Place::new(name);
    p.done(&["train", "--out", "model", "max_steps=4", "epochs=1", NET]);
    p
}

#[test]
fn features_are_a_poster_and_plain_data() {
    let p = trained("features");
    let page = String::from_utf8(read(&p.path("model/report.html"))).unwrap();
    assert!(page.contains("Inside the network") && page.contains("Grad-CAM at <code>relu2</code>"));
    assert_eq!((page.matches("class=\"trio\"").count(), page.matches("class=\"strip\"").count()), (4, 2));
    write(&p.path("seven.bmp"), bmp(20, 30, |x, y| [if x + y / 2 == 15 { 250 } else { 5 }; 3]));
    let all = p.done(&["features", "model/model.onnx", "seven.bmp", "--npy", "maps", "--json", "--top", "3"]);
    let found = json(&all);
    let layers = found["layers"].as_array().unwrap();
    // A convolution that is only rectified is left to its rectifier.
    let names: Vec<&str> = layers.iter().map(|l| l["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["relu1", "relu2", "fc1"]);
    for l in layers {
        let maps = npy::read(&read(&p.path(l["npy"].as_str().unwrap()))).unwrap();
        let shape: Vec<usize> = l["shape"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect();
        assert_eq!(maps.shape(), shape);
        let best = &l["strongest"][0];
        let places = shape[1..].iter().product::<usize>();
        let unit = best["unit"].as_u64().unwrap() as usize;
        let own = &maps.as_f32().unwrap()[unit * places..][..places];
        let most = own.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        assert_eq!(best["value"].as_f64().unwrap() as f32, most);
        assert!(l["strongest"].as_array().unwrap().len() == 3 && best["sees"]["height"].as_u64().unwrap() <= 12);
    }
    assert_eq!(layers[0]["field"]["size"], serde_json::json!([3, 3]));
    assert_eq!(layers.last().unwrap()["field"]["whole"], true);
    let svg = String::from_utf8(read(&p.path("features.svg"))).unwrap();
    assert_eq!(svg.matches("<image").count(), 1 + 3 * layers.len());
    assert_eq!(svg.matches("class=\"o\"").count(), layers.len());
    // The same again, bit for bit, with another number of threads; other layers; a PNG.
    p.done(&["features", "model/model.onnx", "seven.bmp", "--top", "3", "-o", "two.svg", "--threads", "1"]);
    assert_eq!(svg.as_bytes(), read(&p.path("two.svg")));
    let text = p.done(&["features", "model/model.onnx", "seven.bmp", "--layers", "conv*", "-o", "conv.png"]);
    assert!(text.contains("conv1") && text.contains("conv2") && !text.contains("relu"), "{text}");
    assert!(read(&p.path("conv.png")).starts_with(b"\x89PNG"));
    let e = p.fails(1, &["features", "model/model.onnx", "seven.bmp", "--layers", "conv9"]);
    assert!(e.contains("there is no layer `conv9`; right would be: conv"), "{e}");
    assert!(p.fails(1, &["features", "model/model.onnx", "seven.bmp", "--layers", "x*"]).contains("all layers: "));
    assert!(p.fails(2, &["features", "model/model.onnx"]).contains("gabor features MODEL IMAGE"));
}

#[test]
fn the_patches_that_excite_most() {
    let p = trained("top");
    let words = ["top", "model/model.onnx", "digits", "--layer", "relu2", "--count", "4", "--json", "--npy", "back"];
    let found = json(&p.done(&words));
    assert_eq!(
        (&found["split"], &found["layer"], &found["projection"]),
        (&"test".into(), &"relu2".into(), &"deconv".into())
    );
    let units = found["units"].as_array().unwrap();
    assert_eq!(units.len(), 8);
    let mut last = f64::INFINITY;
    for u in units {
        let patches = u["patches"].as_array().unwrap();
        assert_eq!(u["dead"].as_bool().unwrap(), patches.is_empty());
        let Some(first) = patches.first() else { continue };
        let value = |p: &serde_json::Value| p["value"].as_f64().unwrap();
        assert!(patches.windows(2).all(|w| value(&w[0]) >= value(&w[1])) && value(first) <= last);
        last = value(first);
        let back = npy::read(&read(&p.path(u["npy"].as_str().unwrap()))).unwrap();
        assert_eq!(back.shape()[..2], [patches.len(), 1]);
        assert!(back.as_f32().unwrap().iter().any(|&v| v != 0.0));
        assert!(patches.iter().all(|p| p["id"].as_str().is_some() && p["height"].as_u64().unwrap() <= 12));
    }
    // Neither threads nor the size of batches change what is found.
    let plain = |more: &[&str]| {
        let words = ["top", "model/model.onnx", "digits", "--layer", "relu2", "--count", "4", "-o", "same.svg"];
        p.done(&[&words[..], more].concat());
        read(&p.path("same.svg"))
    };
    assert_eq!(plain(&["--threads", "1"]), plain(&["--batch", "7"]));
    let text =
        p.done(&["top", "model/model.onnx", "digits", "--layer", "conv1", "--units", "5,0", "--projection", "guided"]);
    let rows: Vec<&str> = text.lines().filter(|l| l.trim_start().starts_with(['0', '5'])).collect();
    assert!(rows.len() == 2 && rows[0].trim_start().starts_with('5'), "{text}");
    let e = |code, more: &[&str]| p.fails(code, &[&["top", "model/model.onnx", "digits"], more].concat());
    assert!(e(1, &["--layer", "relu7"]).contains("there is no layer `relu7`; right would be: relu"));
    assert!(
        e(1, &["--layer", "relu2", "--units", "8"])
            .contains("unit 8 of layer `relu2`, which has 8; right would be: 0 to 7")
    );
    assert!(e(1, &["--layer", "relu2", "--count", "0"]).contains("0 patches for a unit; right would be: 1 to 10000"));
    assert!(e(1, &["--layer", "relu2", "--strongest", "0"]).contains("no units"));
    assert!(e(2, &["--layer", "relu2", "--projection", "magic"]).contains("magic"));
    assert!(p.fails(1, &["top", "model/model.onnx", "nowhere", "--layer", "relu2"]).contains("nowhere"));
}
