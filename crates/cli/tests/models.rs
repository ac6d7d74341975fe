//! What models do: predict, eval, summary, run with gradients, compile, convert.

mod common;

use common::{Place, bmp, json, write};
use gabor::formats::npy;
use gabor::prelude::*;

#[test]
fn predictions_are_those_of_the_library() {
    let p = Place::new("predict");
    let path = p.model();
    write(&p.path("big.bmp"), bmp(61, 40, |x, y| [(x * 4) as u8, (y * 6) as u8, 128]));
    write(&p.path("tiny.bmp"), bmp(1, 1, |_, _| [200, 10, 10]));
    let found = json(&p.done(&["predict", "model/model.onnx", "big.bmp", "tiny.bmp", "--json", "--top", "3"]));
    assert_eq!(found.as_array().unwrap().len(), 2);
    let mut model = Model::open(&path).unwrap();
    for entry in found.as_array().unwrap() {
        let file = p.path(entry["file"].as_str().unwrap());
        let image = gabor::data::decode_file(&file, &Default::default()).unwrap();
        let own = model.top(&image, 3).unwrap();
        for (a, b) in entry["top"].as_array().unwrap().iter().zip(&own) {
            assert_eq!(a["class"], b.class);
            assert_eq!(a["index"], b.index);
            assert_eq!(a["probability"].as_f64().unwrap() as f32, b.probability);
        }
        let sum: f32 = model.predict(&image).unwrap().iter().map(|p| p.probability).sum();
        assert!((sum - 1.0).abs() < 1e-5);
    }
    // One picture that cannot be read keeps no other from being named.
    let out = p.gabor(&["predict", "model/model.onnx", "none.bmp", "tiny.bmp", "--json"]);
    assert_eq!(out.status.code(), Some(1));
    let found = json(&common::stdout(&out));
    assert!(found[0]["error"].is_string() && found[1]["top"].is_array());
    let text = p.done(&["predict", "model/model.onnx", "tiny.bmp"]);
    assert!(text.starts_with("tiny.bmp\n") && text.lines().count() == 6, "{text}");
}

#[test]
fn evaluation_is_that_of_the_training() {
    let p = Place::new("eval");
    let last = p.done(&["train", "--net", "mlp", "--out", "model", "epochs=2", "--json"]);
    let last = json(last.lines().last().unwrap());
    let keys: Vec<&String> = last.as_object().unwrap().keys().collect();
    assert!(["run", "model", "top1", "seconds"].iter().all(|k| keys.iter().any(|have| have == k)), "{keys:?}");
    let e = json(&p.done(&["eval", "model/model.onnx", "--json"]));
    assert_eq!((&e["split"], &e["count"], &e["top1"]), (&"test".into(), &360.into(), &last["top1"]));
    assert!(e["loss"].is_number() && e["top5"].is_number());
    let one = p.done(&["eval", "model/model.onnx", "--json", "--threads", "1", "--batch", "7"]);
    assert_eq!(json(&one)["confusion"], e["confusion"]);
    assert!(p.done(&["eval", "model/model.onnx", "--split", "train"]).contains("train accuracy"));
    // The part that was held out while training is drawn again; another training without one knows of none.
    let held = json(&p.done(&["eval", "model/model.onnx", "--split", "validation", "--json"]));
    assert_eq!((&held["split"], held["count"].as_u64().unwrap() > 50), (&"validation".into(), true));
    p.done(&["train", "--net", "mlp", "--out", "whole", "max_steps=1", "val=0"]);
    assert!(p.fails(1, &["eval", "whole/model.onnx", "--split", "validation"]).contains("no validation part"));
    let page = String::from_utf8(common::read(&p.path("model/report.html"))).unwrap();
    assert!(page.contains("<svg") && page.contains("class=\"matrix\"") && page.contains("data:image/png"));
    assert!(!page.contains("http") && !page.contains("<script"));
}

#[test]
fn tensors_go_in_and_come_out_with_gradients() {
    let p = Place::new("run");
    // y = w·x + b, small enough for gradients by hand.
    let mut g = Graph::new("line");
    let x = g.input("x", Shape::batch(&[2]), DType::F32).unwrap();
    let weight = |g: &mut Graph, name: &str, s: &[usize]| {
        g.parameter(name, s, Parameter::weight(gabor::graph::Initializer::Zeros)).unwrap()
    };
    let (w, b) = (weight(&mut g, "fc.weight", &[1, 2]), weight(&mut g, "fc.bias", &[1]));
    let y = g.linear(x, w, Some(b)).unwrap();
    g.output("y", y);
    let f32 = |s: &[usize], v: &[f32]| Tensor::f32(s, v.to_vec()).unwrap();
    let weights = [("fc.weight".to_string(), f32(&[1, 2], &[2.0, -1.0])), ("fc.bias".to_string(), f32(&[1], &[0.5]))];
    Model::new(g, weights.into_iter().collect()).unwrap().save(p.path("line.onnx")).unwrap();
    let x = f32(&[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    write(&p.path("x.npy"), npy::write(&x));
    write(&p.path("x64.npy"), npy::write(&x.cast(DType::F64)));
    write(&p.path("dy.npy"), npy::write(&f32(&[3, 1], &[1.0, 0.0, -1.0])));
    let words = ["run", "line.onnx", "--input", "x=x.npy", "--output", "out", "--grad", "dy.npy", "--json"];
    let listed = json(&p.done(&words));
    assert_eq!(listed["outputs"]["y"]["shape"], serde_json::json!([3, 1]));
    let tensor = |name: &str| npy::read(&common::read(&p.path("out").join(name))).unwrap();
    assert_eq!(tensor("y.npy"), f32(&[3, 1], &[0.5, 2.5, 4.5]));
    assert_eq!(tensor("grad.x.npy"), f32(&[3, 2], &[2.0, -1.0, 0.0, 0.0, -2.0, 1.0]));
    assert_eq!(tensor("grad.fc.weight.npy"), f32(&[1, 2], &[-4.0, -4.0]));
    assert_eq!(tensor("grad.fc.bias.npy"), f32(&[1], &[0.0]));
    // The same named in full, from doubles, which are rounded and not silently.
    let out = p.gabor(&["run", "line.onnx", "--input", "x=x64.npy", "--output", "two", "--grad", "y=dy.npy"]);
    assert!(out.status.success() && common::stderr(&out).contains("rounded to f32"), "{}", common::stderr(&out));
    assert_eq!(common::read(&p.path("two/grad.x.npy")), common::read(&p.path("out/grad.x.npy")));
    assert!(p.fails(1, &["run", "line.onnx", "--output", "o"]).contains("x: the input"));
    assert!(p.fails(1, &["run", "line.onnx", "--input", "z=x.npy", "--output", "o"]).contains("no such input"));
    assert!(p.fails(1, &["run", "line.onnx", "--input", "x=dy.npy", "--output", "o"]).contains("f32 [batch, 2]"));
    assert!(
        p.fails(1, &["run", "line.onnx", "--input", "x=x.npy", "--output", "o", "--grad", "x.npy"])
            .contains("right would be")
    );
}

#[test]
fn tables_plans_and_conversions() {
    let p = Place::new("tables");
    let s = json(&p.done(&["summary", "vgg16", "--json"]));
    assert_eq!((&s["parameters"], &s["values"]), (&138_357_544.into(), &15_237_608.into()));
    assert!(s["flops"].is_u64() && s["layers"].as_array().unwrap().len() > 16);
    // A forecast of time: its layers sum up, a larger batch takes longer; none where it is not wanted.
    let time = |s: &serde_json::Value, key: &str| s["time"][key].as_f64().unwrap();
    let sum: f64 = s["layers"].as_array().unwrap().iter().map(|l| l["seconds"].as_f64().unwrap()).sum();
    assert!(time(&s, "inference") > 0.0 && (sum / time(&s, "inference") - 1.0).abs() < 1e-9);
    assert!(time(&s, "training") > time(&s, "inference") && time(&s, "peak_gflops") > 0.0);
    let many = json(&p.done(&["summary", "vgg16", "--json", "--batch", "1000", "--threads", "1"]));
    assert_eq!((&many["time"]["batch"], &many["time"]["threads"]), (&1000.into(), &1.into()));
    assert!(time(&many, "inference_bytes") > time(&s, "inference_bytes"));
    let quick = json(&p.done(&["summary", "vgg16", "--json", "--no-time"]));
    assert!(quick["time"].is_null() && quick["layers"][1]["seconds"].is_null());
    let text = p.done(&["summary", "resnet18"]);
    assert!(
        text.contains("a forecast for")
            && text.contains("  time  ")
            && !p.done(&["summary", "lenet5", "--no-time"]).contains("forecast")
    );
    // A narrow terminal gets a narrow table.
    let narrow = p.command(&["summary", "googlenet", "--no-time"]).env("COLUMNS", "60").output().unwrap();
    let narrow = common::stdout(&narrow);
    let table: Vec<&str> =
        narrow.lines().skip_while(|l| !l.starts_with("layer ")).take_while(|l| !l.starts_with("total")).collect();
    assert!(table.len() > 100 && table.iter().all(|l| l.chars().count() <= 60), "{narrow}");
    let s = json(&p.done(&["summary", "INPUT 3x32x32 -> CONV3-16 -> RELU -> FC-7", "--json"]));
    assert_eq!(s["layers"][1]["output"], serde_json::json!([16, 32, 32]));
    let cards = json(&p.done(&["summary", "--list", "--json"]));
    assert!(cards.as_array().unwrap().len() > 20);
    let resnet = cards.as_array().unwrap().iter().find(|c| c["name"] == "resnet20").unwrap();
    assert_eq!(resnet["preprocessing"]["resize"], serde_json::json!({ "exact": { "height": 32, "width": 32 } }));
    assert!(resnet["licence"].as_str().unwrap().starts_with("BSD-2-Clause"));
    let text = p.done(&["summary", "resnet20"]);
    assert!(text.contains("weights: BSD-2-Clause") && text.contains("mean 0.485"), "{text}");
    assert!(json(&p.done(&["summary", "INPUT 1x4x4 -> FC-2", "--json"]))["card"].is_null());

    let plan = p.done(&["compile", "lenet5", "--train", "--batch", "8", "--explain"]);
    assert!(["rewritten graph", "applied rules", "plan", "arena "].iter().all(|w| plan.contains(w)), "{plan}");
    let plan = json(&p.done(&["compile", "lenet5", "--json"]));
    assert!(plan["arena_bytes"].as_u64().unwrap() > 0 && plan["nodes"][0]["kernel"].is_string());

    p.model();
    p.done(&["convert", "model/model.onnx", "w.safetensors"]);
    p.done(&["convert", "w.safetensors", "back.onnx", "--net", "mlp", "--input", "1x28x28"]);
    let (a, b) = (Model::open(p.path("model/model.onnx")).unwrap(), Model::open(p.path("back.onnx")).unwrap());
    assert_eq!(a.weights(), b.weights());
    assert!(p.fails(1, &["convert", "w.safetensors", "x.onnx", "--net", "lenet5"]).contains("right would be"));
    assert!(p.fails(2, &["convert", "w.safetensors", "x.onnx"]).contains("--net NET"));
    p.done(&["convert", "model/model.onnx", "again.onnx"]);
    assert_eq!(common::read(&p.path("model/model.onnx")), common::read(&p.path("again.onnx")));
    assert!(p.fails(1, &["predict", "back.onnx", "x.png"]).contains("x.png"));
}
