//! Networks that the user describes: lines of the notation, and `.toml` files, wherever a network is named.

mod common;

use common::{Place, json, write};

const NET: &str = "\
name = \"mine\"
input = [1, 8, 8]
net = \"\"\"
INPUT -> stem: conv3-4 -> relu
      -> unit -> POOL -> FC
\"\"\"
[blocks]
unit = \"res[conv3-4 bn relu conv3-4 bn] -> relu\"
";

#[test]
fn a_file_describes_a_network_for_every_command() {
    let p = Place::new("toml");
    write(&p.path("net.toml"), NET);
    let s = json(&p.done(&["summary", "net.toml", "--classes", "10", "--json"]));
    assert_eq!((&s["name"], &s["layers"][1]["name"]), (&"mine".into(), &"stem".into()));
    assert_eq!(s["layers"].as_array().unwrap().last().unwrap()["output"], serde_json::json!([10]));
    assert!(p.done(&["compile", "net.toml", "--classes", "10", "--explain"]).starts_with("mine: "));

    // A run keeps the description itself: it goes on, and is evaluated, when the file is gone.
    let last = p.done(&["train", "--net", "net.toml", "--out", "run", "epochs=1", "max_steps=4", "--json"]);
    assert!(json(last.lines().last().unwrap())["model"].is_string());
    std::fs::remove_file(p.path("net.toml")).unwrap();
    assert!(String::from_utf8(common::read(&p.path("run/config.toml"))).unwrap().contains("res[conv3-4 bn"));
    let resumed = p.done(&["train", "--resume", "run", "max_steps=none", "--json"]);
    assert!(!resumed.contains("other settings"), "{resumed}");
    assert!(json(&p.done(&["eval", "run/model.onnx", "--json"]))["top1"].is_number());
    assert!(p.done(&["summary", "run/model.onnx"]).contains("stem"));

    // Its weights go into the described network.
    write(&p.path("net.toml"), NET);
    p.done(&["convert", "run/model.onnx", "w.safetensors"]);
    let names: String = (0..10).map(|i| format!("{i}\n")).collect();
    write(&p.path("digits.txt"), names);
    p.done(&["convert", "w.safetensors", "back.onnx", "--net", "net.toml", "--classes", "digits.txt"]);
    let weights = |name: &str| gabor::Model::open(p.path(name)).unwrap().weights().clone();
    assert_eq!(weights("run/model.onnx"), weights("back.onnx"));

    // A configuration names the file as the command line does.
    write(&p.path("run.toml"), "net = \"net.toml\"\nepochs = 1\nmax_steps = 1\nrun = \"two\"\n");
    p.done(&["train", "run.toml"]);
    assert_eq!(
        p.fails(2, &["summary", "run/model.onnx", "--classes", "3"]).lines().count(),
        1,
        "a model file has its own classes"
    );
}

#[test]
fn mistakes_in_a_file_are_underlined() {
    let p = Place::new("toml-mistakes");
    write(&p.path("net.toml"), NET.replace("POOL", "POOOL2"));
    let want = "error: net.toml, line 5, column 18: `poool2` is not a layer
        -> unit -> POOOL2 -> FC
                   ^^^^^^
  right would be: pool or l2pool
";
    let e = p.fails(1, &["summary", "net.toml", "--classes", "10"]);
    assert_eq!(e, want);
    let e = p.fails(1, &["train", "--net", "net.toml", "--out", "run"]);
    assert!(e.contains("net.toml, line 5, column 18") && e.contains("^^^^^^"), "{e}");
    assert!(!p.path("run").exists());
    assert!(p.fails(1, &["summary", "none.toml"]).starts_with("error: none.toml: cannot read"));
    assert!(p.fails(1, &["train", "--net", "none.toml"]).starts_with("error: none.toml: cannot read"));
    write(&p.path("other.toml"), "epochs = 3\n");
    assert!(p.fails(1, &["train", "--net", "other.toml"]).contains("describes no network"));
    write(&p.path("binary.toml"), [0xffu8, 0xfe, 0]);
    assert!(p.fails(1, &["summary", "binary.toml"]).contains("UTF-8"));
    // A very long line is shown around the place, not whole.
    let long = format!("INPUT 3x8x8 {} convv3-8 FC-2", "relu ".repeat(2000));
    let e = p.fails(1, &["summary", &long]);
    assert!(e.len() < 500 && e.contains("^^^^^^^^"), "{e}");
    let e = p.fails(1, &["train", "--net", &long]);
    assert!(e.len() < 500, "{e}");
    let e = p.fails(1, &["summary", &"q".repeat(5000)]);
    assert!(e.len() < 3000 && !e.contains(&"q".repeat(100)), "{e}");
}

#[test]
fn a_summary_tells_what_a_description_leaves_to_rules() {
    let p = Place::new("rules");
    let notes = |words: &[&str]| {
        let all: Vec<&str> = ["summary"].iter().chain(words).chain(&["--json", "--no-time"]).copied().collect();
        json(&p.done(&all))["notes"].clone()
    };
    assert!(notes(&["INPUT 3x8x8 conv3-4 FC-2"])[0].as_str().unwrap().starts_with("no activation is written"));
    assert!(p.done(&["summary", "INPUT 3x8x8 conv3-4 FC-2", "--no-time"]).contains("note: no activation is written"));
    assert_eq!(
        notes(&["resnet18", "--input", "64x96"])[0],
        "the input is 64x96x96: 64 channels, where resnet18 is published with 3 (3x224x224)"
    );
    assert_eq!(notes(&["resnet18", "--input", "64"]), serde_json::json!([]));
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/layers.toml");
    assert_eq!(notes(&[docs.to_str().unwrap()]), serde_json::json!([]), "a list adds no ReLU");

    // The list of the zoo has other names, tells the columns of VGG's table apart, and fits the terminal.
    let list = p.done(&["summary", "--list"]);
    let line = |name: &str| list.lines().find(|l| l.starts_with(name)).unwrap().to_string();
    assert!(line("vgg16 ").contains("column D") && line("vgg16 ").ends_with("; also vgg-d"), "{list}");
    let narrow = p.command(&["summary", "--list"]).env("COLUMNS", "80").output().unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    assert!(narrow.lines().all(|l| l.chars().count() <= 80), "{narrow}");
    let words = |text: &str| text.split_whitespace().filter(|w| !w.starts_with('─')).count();
    assert_eq!(words(&narrow), words(&list), "lines are wrapped, and nothing is left out");
}

#[test]
fn networks_are_drawn() {
    let p = Place::new("drawn");
    let line = "INPUT 3x32x32 -> conv3-16 bn relu -> [conv1-8 relu | conv1-8 relu conv3-16 relu | POOL3 s1 p1 conv1-8] -> \
                res[conv3-32 bn relu conv3-32 bn]*3 -> gap -> FC-10";
    let table = p.done(&["summary", line, "--svg", "net.svg", "--dot", "net.dot"]);
    assert!(table.contains("conv1") && table.contains("parameters"), "files beside the table");
    let svg = String::from_utf8(common::read(&p.path("net.svg"))).unwrap();
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    for word in
        ["3×3 conv, 16", "batch norm · relu", "3×3 max pool", "concat", "global average pool", "fully connected, 10"]
    {
        assert!(svg.contains(word), "{word}");
    }
    assert!(svg.contains(">× 3<"));
    let dot = String::from_utf8(common::read(&p.path("net.dot"))).unwrap();
    assert!(dot.starts_with("digraph ") && dot.contains("× 3") && dot.contains("[label=\" 32×32×32\"]"), "{dot}");
    // The picture of the README is what the command draws.
    let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let drawn = p.done(&["summary", docs.join("network.toml").to_str().unwrap(), "--svg", "-"]);
    assert_eq!(
        drawn,
        String::from_utf8(common::read(&docs.join("network.svg"))).unwrap(),
        "docs/network.toml says how"
    );
    // To standard output in place of the table, every repeat drawn.
    let svg = p.done(&["summary", line, "--svg", "-", "--unfold"]);
    assert!(svg.starts_with("<svg") && !svg.contains("× 3<") && svg.matches("3×3 conv, 32").count() == 6);
    assert!(p.done(&["summary", line, "--dot", "-"]).ends_with("}\n"));
    // A model file, one dimension, three dimensions, a name with signs in it.
    p.model();
    assert!(p.done(&["summary", "model/model.onnx", "--svg", "-"]).contains("fully connected, 300"));
    assert!(p.done(&["summary", "INPUT 4x50 conv5-8 s2 gmp FC-2", "--svg", "-"]).contains("5 conv, 8, /2"));
    assert!(p.done(&["summary", "INPUT 1x8x8x8 conv3-2 gap FC-2", "--dot", "-"]).contains("3×3×3 conv, 2"));
    write(&p.path("n.toml"), "name = \"<a & \\\"b\\\">\"\ninput = [3, 8, 8]\nnet = \"conv3-8 FC-2\"\n");
    assert!(p.done(&["summary", "n.toml", "--svg", "-"]).contains("&lt;a &amp; &quot;b&quot;&gt;"));
    for (words, says) in [
        (&["--svg", "-", "--dot", "-"][..], "one document"),
        (&["--svg", "-", "--json"], "one document"),
        (&["--unfold"], "--svg"),
    ] {
        let all: Vec<&str> = ["summary", line].into_iter().chain(words.iter().copied()).collect();
        assert!(p.fails(2, &all).contains(says), "{words:?}");
    }
    assert!(p.fails(1, &["summary", line, "--svg", "none/net.svg"]).starts_with("error: --svg none/net.svg: "));
}

#[test]
fn a_directory_does_not_stand_before_a_network_of_its_name() {
    let p = Place::new("shadow");
    let model = p.model();
    std::fs::create_dir(p.path("resnet18")).unwrap();
    std::fs::copy(model, p.path("resnet18/model.onnx")).unwrap();
    let parameters = |net: &str| {
        let out = p.done(&["summary", net, "--no-time", "--json"]);
        common::json(&out)["parameters"].as_u64().unwrap()
    };
    assert_eq!(parameters("resnet18"), 11_689_512);
    assert!(parameters("./resnet18") < 1_000_000);
    // A name that no network has needs no sign.
    assert_eq!(parameters("model"), parameters("./resnet18"));
}
