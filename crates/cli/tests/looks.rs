//! What all the commands that look inside a network say alike: dead units, names of classes, options without a part, runs as models.

mod common;

use common::{Place, bmp, edited, json, read, stderr, write};

const NET: &str = "net=INPUT 1x12x12 -> conv3-6 relu maxpool conv3-8 relu -> FC";

fn trained(name: &str) -> Place {
    let p = Place::new(name);
    p.done(&["train", "--out", "run", "max_steps=4", "epochs=1", NET]);
    write(&p.path("seven.bmp"), bmp(20, 30, |x, y| [if x + y / 2 == 15 { 250 } else { 5 }; 3]));
    p
}

fn svg(p: &Place, name: &str) -> String {
    String::from_utf8(read(&p.path(name))).unwrap()
}

#[test]
fn a_dead_network_is_dead_for_every_command() {
    let p = trained("looks-dead");
    edited(&p.path("run/model.onnx"), &p.path("dead.onnx"), |_, v| vec![0.0; v.len()]);
    let notes = |words: &[&str]| {
        let out = p.gabor(words);
        assert!(out.status.success(), "{words:?}: {}", stderr(&out));
        stderr(&out)
    };
    let e = notes(&["features", "dead.onnx", "seven.bmp"]);
    assert!(e.contains("note: relu2: dead: all 8 units are 0 everywhere on this picture"), "{e}");
    let poster = svg(&p, "features.svg");
    assert_eq!(
        (poster.matches("class=\"o\"").count(), poster.matches("<image").count()),
        (0, 1),
        "no outlines, no maps"
    );
    assert!(poster.contains("dead: all 6 units are 0 everywhere on this picture"));
    let text = p.done(&["features", "dead.onnx", "seven.bmp"]);
    assert!(text.contains("none: all dead"), "{text}");
    let text = p.done(&["top", "dead.onnx", "digits", "--layer", "relu2"]);
    assert!(text.contains("8 of 8 units dead: never above 0 on these 360 pictures"), "{text}");
    let sheet = svg(&p, "top.svg");
    assert!(!sheet.contains("class=\"e\"") && sheet.contains(">dead: never above 0 on these<"), "{sheet}");
    // Each dead unit has its place, and nothing is said of pictures that are not there.
    assert!(sheet.matches("class=\"z\"").count() == 16 && !sheet.contains("Left what excites"), "{sheet}");
    let text = p.done(&["filters", "dead.onnx", "--layer", "conv2"]);
    assert!(text.contains("dead: all 8 filters, whose weights are 0"), "{text}");
    assert!(svg(&p, "filters.svg").contains("dead: all 8 filters"));
    let e = notes(&["neighbors", "dead.onnx", "digits", "--query-index", "0"]);
    assert!(e.contains("note: dead: all 288 features are 0 on all 360 pictures; no picture is nearer"), "{e}");
    assert!(svg(&p, "neighbors.svg").contains("dead: all 288 features"));
    let e = notes(&["explain", "dead.onnx", "seven.bmp", "--method", "saliency,gradcam"]);
    assert!(e.contains("saliency: dead: the score does not depend on the picture this way"), "{e}");
    assert!(e.contains("gradcam: nothing: no place of relu2 speaks for the class"), "{e}");
    // Of a layer some of whose units are dead, these are told from the others.
    edited(&p.path("run/model.onnx"), &p.path("half.onnx"), |name, mut v| {
        if name.starts_with("conv2") {
            let n = v.len() / 8;
            v[..3 * n].fill(0.0);
        }
        v
    });
    let found = json(&p.done(&["filters", "half.onnx", "--layer", "conv2", "--json"]));
    assert_eq!(found["dead"], 3);
    assert!(p.done(&["filters", "half.onnx", "--layer", "conv2"]).contains("dead: 3 of 8 filters"));
    p.done(&["features", "half.onnx", "seven.bmp", "--layers", "relu2"]);
    let poster = svg(&p, "features.svg");
    assert!(poster.contains("dead here") && poster.contains("dead: 0") && poster.matches("class=\"o\"").count() == 1);
    let found = json(&p.done(&["neighbors", "half.onnx", "digits", "--json", "--layer", "relu2"]));
    assert!(found["dead"].as_u64().unwrap() >= 3 && found["retrieval"]["alone"] == 0, "{found}");
}

#[test]
fn a_run_is_a_model_for_every_command() {
    let p = trained("looks-run");
    for words in [
        &["predict", "run", "seven.bmp"][..],
        &["explain", "run", "seven.bmp"],
        &["features", "run", "seven.bmp"],
        &["filters", "run"],
        &["top", "run", "digits", "--layer", "relu2", "--count", "1"],
        &["dream", "run", "--class", "3", "--steps", "1"],
        &["neighbors", "run", "digits"],
        &["eval", "run"],
        &["summary", "run"],
        &["convert", "run", "other.onnx"],
    ] {
        p.done(words);
    }
    // Of the same data as the model's file is.
    let top = |model: &str| json(&p.done(&["eval", model, "--json", "--split", "validation"]))["top1"].clone();
    assert_eq!(top("run"), top("run/model.onnx"));
    std::fs::create_dir(p.path("empty")).unwrap();
    let e = p.fails(1, &["predict", "empty", "seven.bmp"]);
    assert!(
        e.contains("empty: a directory without model.onnx") && e.contains("the directory of a finished run"),
        "{e}"
    );
}

#[test]
fn names_of_classes_are_those_that_people_say() {
    let p = trained("looks-names");
    let names: String = (0..10).map(|i| format!("n0210{i}030 collie number {i}, a dog of the sheep\n")).collect();
    write(&p.path("names.txt"), names);
    p.done(&["convert", "run", "named.onnx", "--classes", "names.txt"]);
    let all = [
        p.done(&["predict", "named.onnx", "seven.bmp"]),
        p.done(&["explain", "named.onnx", "seven.bmp", "--class", "collie number 7, a dog of the sheep"]),
        p.done(&["features", "named.onnx", "seven.bmp", "--layers", "fc1"]),
        p.done(&["top", "named.onnx", "digits", "--layer", "fc1", "--units", "3"]),
        p.done(&["dream", "named.onnx", "--class", "3", "--steps", "1", "-o", "dream.svg"]),
    ];
    assert!(all.iter().all(|t| t.contains("collie") && !t.contains("n0210")), "{all:?}");
    for name in ["explain", "features", "top", "dream"] {
        let svg = svg(&p, &format!("{name}.svg"));
        assert!(svg.contains("collie") && !svg.contains("n0210"), "{name}");
    }
    assert!(svg(&p, "explain.svg").contains("named.onnx: collie number 7"));
    assert!(svg(&p, "top.svg").contains("unit 3, collie number 3"));
    // Plain data keep the whole name.
    let found = json(&p.done(&["predict", "named.onnx", "seven.bmp", "--json"]));
    assert!(found[0]["top"][0]["class"].as_str().unwrap().starts_with("n0210"));
    let e = p.fails(1, &["explain", "named.onnx", "seven.bmp", "--class", "sheeep"]);
    assert!(e.contains("the model has no class `sheeep`; right would be: collie number"), "{e}");
}

#[test]
fn options_without_a_part_are_refused() {
    let p = trained("looks-options");
    let e = |words: &[&str], parts: &[&str]| {
        let e = p.fails(2, words);
        assert!(parts.iter().all(|part| e.contains(part)), "{words:?}: {e}");
    };
    let explain = |more: &[&str], parts: &[&str]| e(&[&["explain", "run", "seven.bmp"], more].concat(), parts);
    let right = "--layer has no part in --method saliency; right would be: gradcam";
    explain(&["--method", "saliency", "--layer", "relu2"], &[right]);
    explain(&["--samples", "3"], &["--samples has no part in --method gradcam; right would be: smoothgrad"]);
    explain(&["--steps", "3"], &["--steps", "integrated"]);
    explain(&["--method", "saliency,smoothgrad", "--window", "3"], &["--window", "occlusion"]);
    let neighbors = |more: &[&str], parts: &[&str]| e(&[&["neighbors", "run", "digits"], more].concat(), parts);
    neighbors(&["--map", "a.html", "--map-pictures"], &["--map-pictures has no part in a page", ".svg or .png"]);
    neighbors(&["--map", "a.html", "--look", "dark"], &["--look has no part"]);
    let pca = ["--map", "a.svg", "--map-method", "pca"];
    neighbors(&[&pca[..], &["--perplexity", "5"]].concat(), &["--perplexity has no part in --map-method pca"]);
    neighbors(&[&pca[..], &["--map-steps", "5"]].concat(), &["--map-steps", "tsne"]);
    neighbors(&[&pca[..], &["--seed", "5"]].concat(), &["--seed", "tsne"]);
    neighbors(&["--top", "3"], &["--top has no part", "--query"]);
    neighbors(&["--query-index", "0", "--k", "3"], &["--k has no part", "--score"]);
    neighbors(&["--query-index", "0", "--most", "3"], &["--most has no part", "--score"]);
    p.done(&["neighbors", "run", "digits", "-o", "index.safetensors"]);
    e(&["neighbors", "index.safetensors", "--batch", "3"], &["--batch has no part", "--test DATA"]);
    e(&["neighbors", "index.safetensors", "--model", "run"], &["--model has no part", "--query IMAGE"]);
    p.done(&["neighbors", "index.safetensors", "--model", "run", "--query", "seven.bmp", "--top", "2"]);
}

#[test]
fn numbers_below_zero_are_answered_by_the_rule_they_break() {
    let p = trained("looks-numbers");
    let e = p.fails(2, &["filter", "seven.bmp", "--kernel", "gaussian", "--sigma", "-1"]);
    assert!(e.contains("sigma -1; right would be: from") && !e.contains("tip"), "{e}");
    let e = p.fails(2, &["top", "run", "digits", "--layer", "relu2", "--count", "-3"]);
    assert!(e.contains("--count -3; right would be: a whole number from 0 on"), "{e}");
    let e = p.fails(2, &["explain", "run", "seven.bmp", "--noise", "much", "--method", "smoothgrad"]);
    assert!(e.contains("--noise much; right would be: a number"), "{e}");
    let e = p.fails(2, &["surface", "--example", "saddle", "--rate", "-0.5"]);
    assert!(e.contains("--rate -0.5: right would be: a positive number"), "{e}");
    // Several units at once, each of them once.
    let top = ["top", "run", "digits", "--layer", "relu2", "--count", "1", "--json", "--units"];
    let found = json(&p.done(&[&top[..], &["5,0-2,1"]].concat()));
    let units: Vec<u64> = found["units"].as_array().unwrap().iter().map(|u| u["unit"].as_u64().unwrap()).collect();
    assert_eq!(units, [5, 0, 1, 2]);
    assert!(p.fails(2, &[&top[..], &["3-1"]].concat()).contains("--units 3-1; right would be: numbers from 0 on"));
    assert!(p.fails(1, &[&top[..], &["0-8"]].concat()).contains("unit 8 of layer `relu2`, which has 8"));
}

#[test]
fn preprocessing_is_explained_where_it_is_missing() {
    let p = trained("looks-prepared");
    let model = gabor::Model::open(p.path("run/model.onnx")).unwrap();
    let bare = gabor::Model::new(model.graph().clone(), model.weights().clone()).unwrap();
    write(&p.path("bare.onnx"), bare.to_onnx().unwrap());
    let e = p.fails(1, &["explain", "bare.onnx", "seven.bmp"]);
    assert!(
        e.contains("does not say how a picture becomes its input; right would be: preprocessing of your own"),
        "{e}"
    );
    // The file that the message shows is one that serves.
    let (begin, end) = (e.find('{').unwrap(), e.rfind('}').unwrap());
    write(&p.path("p.json"), &e[begin..=end]);
    p.done(&["explain", "bare.onnx", "seven.bmp", "--preprocessing", "p.json"]);
    // So is the one of the help, of a network that it fits.
    let help = p.done(&["explain", "--help"]);
    let begin = help.find("{\"color\"").unwrap();
    let example: String = help[begin..].split("color: rgb").next().unwrap().split_whitespace().collect();
    let read = gabor::data::Preprocessing::from_json(&example).unwrap();
    assert_eq!(read, gabor::data::Preprocessing::imagenet());
}
