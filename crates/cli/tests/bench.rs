//! What `gabor bench` writes besides its table.

mod common;

use common::{Place, json, read};
use gabor::formats::safetensors;

/// Rows of JSON, one a line.
fn rows(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(json).collect()
}

#[test]
fn scaling_is_rows_and_pictures() {
    let p = Place::new("bench-scaling");
    let quick = ["--seconds", "0.01", "--repeats", "2", "--threads", "2", "--json"];
    let out = p.done(&[&["bench", "--scaling", "size", "--only", "^infer/resnet18@(64|96)/"], &quick[..]].concat());
    let told: Vec<(String, u64)> =
        rows(&out).iter().map(|r| (r["workload"].to_string(), r["threads"].as_u64().unwrap())).collect();
    let (small, large) = ("\"infer/resnet18@64/n1\"".to_string(), "\"infer/resnet18@96/n1\"".to_string());
    assert_eq!(told, [(small.clone(), 1), (small, 2), (large.clone(), 1), (large, 2)]);
    assert!(rows(&out).iter().all(|r| r["ms_median"].as_f64().unwrap() > 0.0));
    // Work grows with the pixels.
    let flops: Vec<f64> = rows(&out).iter().map(|r| r["flops"].as_f64().unwrap()).collect();
    assert!((flops[2] / flops[0] / (96.0 * 96.0 / 64.0 / 64.0) - 1.0).abs() < 0.01, "{flops:?}");
    assert_eq!(rows(&String::from_utf8(read(&p.path("size/scaling.jsonl"))).unwrap()), rows(&out));
    let picture = String::from_utf8(read(&p.path("size/size.svg"))).unwrap();
    assert!(
        picture.contains("nanoseconds per pixel") && picture.contains("2 threads") && picture.contains(">96</text>")
    );
    assert!(!p.path("size/batch.svg").exists() && !p.path("size/threads.svg").exists(), "nothing was timed for them");

    p.done(&[&["bench", "--scaling", "batch", "--only", "^infer/resnet18/n1$"], &quick[..]].concat());
    let bars = String::from_utf8(read(&p.path("batch/threads.svg"))).unwrap();
    assert!(bars.contains("resnet18, batch 1") && bars.contains("as fast with 2 threads"), "{bars}");
    assert!(p.path("batch/batch.svg").exists() && !p.path("batch/size.svg").exists());
    assert!(p.fails(1, &["bench", "--scaling", "none", "--only", "lenet5"]).contains("infer/vgg16_convolutions@64/n1"));
    assert!(p.fails(2, &["bench", "--scaling", "none", "--profile"]).contains("--profile"));
    assert!(!p.path("none").exists());
}

#[test]
fn accuracy_is_a_row_for_each_algorithm_and_kind_of_numbers() {
    let p = Place::new("bench-accuracy");
    let out = rows(&p.done(&["bench", "--accuracy", "--only", "1x1|4x4, 3x3", "--json"]));
    let of = |algorithm: &str, numbers: &str| {
        out.iter().find(|r| r["algorithm"] == algorithm && r["numbers"] == numbers).unwrap()
    };
    let (direct, winograd) = (of("direct 1x1", "usual"), of("Winograd F(4x4, 3x3)", "usual"));
    for (row, kernel, bound) in [(direct, "conv.direct", 1.5e-6), (winograd, "conv.winograd", 5e-6)] {
        assert!(row["kernels"].to_string().contains(kernel), "{row}");
        assert_eq!(row["bound"], bound);
        for pass in ["forward", "input_gradient", "filter_gradient"] {
            let rms = row[pass]["rms"].as_f64().unwrap();
            assert!(rms > 0.0 && rms < bound, "{pass}: {row}");
        }
    }
    // A NaN is in one output of a 1x1 filter, and spreads over a tile of Winograd's.
    let forward = |algorithm: &str| of(algorithm, "nan")["forward"].clone();
    assert_eq!(forward("direct 1x1")["not_finite"], forward("direct 1x1")["not_finite_in_64_bits"]);
    let spread = forward("Winograd F(4x4, 3x3)");
    assert!(spread["not_finite"].as_u64() > spread["not_finite_in_64_bits"].as_u64() && spread["hidden"] == 0);

    let text = p.done(&["bench", "--accuracy", "--only", "1x1", "--isa", "portable"]);
    assert!(text.contains("direct 1x1") && text.contains("portable") && text.contains("1.5e-6"), "{text}");
    assert!(text.contains("×1.0") && !text.contains("Winograd"), "{text}");
    assert!(p.fails(1, &["bench", "--accuracy", "--only", "lenet5"]).contains("one of direct 3x3; "));
    for more in
        [&["--seconds", "3"][..], &["--numerics", "strict"], &["--tune", "x"], &["--list"], &["--ends", "plain"]]
    {
        assert!(p.fails(2, &[&["bench", "--accuracy"], more].concat()).contains("--accuracy"), "{more:?}");
    }
}

#[test]
fn answers_are_the_same_for_any_threads() {
    let p = Place::new("bench-answers");
    for threads in ["1", "2"] {
        p.done(&["bench", "--only", "^(train|infer)/lenet5/n(1|64)$", "--answers", threads, "--threads", threads]);
    }
    for name in ["train.lenet5.n64.data", "train.lenet5.n64.weights", "infer.lenet5.n1.data", "infer.lenet5.n1.weights"]
    {
        let file = |threads: &str| read(&p.path(&format!("{threads}/{name}.safetensors")));
        assert_eq!(file("1"), file("2"), "{name}");
    }
    let tensors = |name: &str| safetensors::read(&read(&p.path(&format!("1/{name}.safetensors")))).unwrap().0;
    let data = tensors("train.lenet5.n64.data");
    let losses = data.get("losses").unwrap().as_f32().unwrap();
    assert!(losses.len() == 5 && losses.windows(2).all(|l| l[1] < l[0]), "a training learns: {losses:?}");
    assert_eq!(data.get("images").unwrap().shape(), [64, 1, 28, 28]);
    assert_eq!(data.get("labels").unwrap().shape(), [64]);
    assert_eq!(tensors("infer.lenet5.n1.data").get("logits").unwrap().shape(), [1, 10]);
    assert_eq!(tensors("train.lenet5.n64.weights"), tensors("infer.lenet5.n1.weights"));
    assert_eq!(tensors("infer.lenet5.n1.weights").elements(), 61_706);
    // The order of feature maps is of layers and chains alone.
    for more in [&["--list"][..], &["--scaling", "x"], &["--answers", "x"]] {
        assert!(p.fails(2, &[&["bench", "--ends", "plain"], more].concat()).contains("--ends"));
    }
    let said = p.fails(2, &["bench", "--only", "^infer/lenet5/n1$", "--ends", "blocked"]);
    assert!(said.contains("--ends blocked: --only ^infer/lenet5/n1$ finds no layer and no chain"), "{said}");
    assert!(p.fails(2, &["bench", "--answers", "x", "--profile"]).contains("--profile"));
    assert!(p.fails(2, &["bench", "--answers", "x", "--seconds", "3"]).contains("--seconds"));
}

#[test]
fn a_cold_start_is_a_process_of_its_own() {
    let p = Place::new("bench-cold");
    let out = rows(&p.done(&["bench", "--only", "^coldstart/", "--repeats", "2", "--threads", "2", "--json"]));
    assert_eq!(out.len(), 1);
    let row = &out[0];
    assert_eq!(
        (&row["workload"], &row["samples"], &row["threads"]),
        (&"coldstart/resnet18".into(), &2.into(), &2.into())
    );
    let ms = |key: &str| row[key].as_f64().unwrap();
    assert!(0.0 < ms("ms_min") && ms("ms_min") <= ms("ms_median") && ms("ms_median") <= ms("ms_max"), "{row}");
    assert!(p.done(&["bench", "--list", "--only", "start"]).lines().eq(["coldstart/resnet18"]));
    assert!(p.fails(1, &["bench", "--profile", "--only", "coldstart"]).contains("no workload has such a name"));
}
