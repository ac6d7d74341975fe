//! A folder of pictures and a name of the hub, and nothing else said: everything that the defaults promise, offline.

mod common;

use common::{Place, bmp, json, read, stderr, stdout, write};
use gabor::formats::safetensors;
use gabor::prelude::*;
use std::process::Output;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const CLASSES: [&str; 3] = ["aster", "lily", "rose"];

/// What the hub's own library leaves in its cache of a repository of timm: a network of ten classes and their preprocessing.
fn cached(p: &Place) -> Weights {
    let net = network("tiny_resnet", &gabor::nets::zoo::Options { classes: Some(10), ..Default::default() }).unwrap();
    let weights = net.initialize(5).unwrap();
    let root = p.path("cache/models--timm--tiny_resnet.c10");
    let snapshot = root.join("snapshots").join(COMMIT);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(root.join("refs")).unwrap();
    write(&root.join("refs/main"), COMMIT);
    write(&snapshot.join("model.safetensors"), safetensors::write(&weights, &Default::default()));
    let config = r#"{"architecture":"tiny_resnet","num_classes":10,"pretrained_cfg":{"input_size":[3,32,32],
        "interpolation":"bilinear","crop_pct":0.8,"mean":[0.5,0.4,0.3],"std":[0.2,0.25,0.3]}}"#;
    write(&snapshot.join("config.json"), config);
    weights
}

/// Twenty photographs of each class: petals of its colour on a ground that varies, of many sizes.
fn flowers(p: &Place) {
    for (class, name) in CLASSES.iter().enumerate() {
        std::fs::create_dir_all(p.path("flowers").join(name)).unwrap();
        for i in 0..20usize {
            let k = i + 20 * class;
            let (w, h) = (44 + k * 5 % 13, 40 + k * 7 % 11);
            let petals = 2.0 + (k * 37 % 23) as f64;
            let picture = bmp(w, h, |x, y| {
                let (dx, dy) = (x as f64 - w as f64 * (0.3 + 0.03 * (k % 13) as f64), y as f64 - h as f64 / 2.0);
                let petal = (petals * dy.atan2(dx)).cos() * 10.0 + 12.0 > dx.hypot(dy);
                let ground = ((x * (1 + k % 7) + y * (1 + k * 3 % 11)) * 5 % 90) as u8;
                let mut c = [ground; 3];
                if petal {
                    c[class] = 200 + (i * 2) as u8;
                }
                c
            });
            write(&p.path("flowers").join(name).join(format!("{i:02}.bmp")), picture);
        }
    }
}

fn run(p: &Place, words: &[&str]) -> Output {
    let mut c = p.command(words);
    c.env("HF_HUB_CACHE", p.path("cache")).env_remove("HF_TOKEN").env_remove("HF_HUB_OFFLINE");
    // Nobody listens there: whatever asked would fail.
    c.env("HF_ENDPOINT", "http://127.0.0.1:9").output().unwrap()
}

#[test]
fn the_default_way_from_a_folder_to_a_model() {
    let p = Place::new("finetune");
    let given = cached(&p);
    flowers(&p);
    let words = ["train", "--data", "flowers/", "--weights", "timm/tiny_resnet.c10", "--offline", "--out", "run"];
    // A damaged file ends it before it begins.
    let torn = p.path("flowers/rose/99.bmp");
    write(&torn, &read(&p.path("flowers/rose/01.bmp"))[..400]);
    let out = run(&p, &words);
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(stderr(&out).contains("flowers/rose/99.bmp: ") && !p.path("run").exists(), "{}", stderr(&out));
    std::fs::remove_file(torn).unwrap();

    let out = run(&p, &[&words[..], &["--json", "epochs=10", "batch=16", "patience=2", "lr=0.004", "seed=3"]].concat());
    assert!(out.status.success(), "{}", stderr(&out));
    let (events, told) = (stdout(&out).lines().map(json).collect::<Vec<_>>(), stderr(&out));
    let of = |kind: &str| events.iter().filter(|e| e["event"] == kind).cloned().collect::<Vec<_>>();
    let started = &of("run_started")[0];
    assert_eq!(started["classes"], serde_json::json!(CLASSES));
    assert_eq!((&started["input"], &started["net"]), (&serde_json::json!([3, 32, 32]), &"tiny_resnet".into()));
    assert_eq!(["train", "validation", "test"].map(|k| started[k].as_u64().unwrap()).iter().sum::<u64>(), 60);
    let config = &started["config"];
    assert_eq!([&config["discriminative"], &config["unfreeze"]], ["true", "2"], "{config}");

    // The split: every class in every part, by its share, and the same parts for everybody after.
    let split = String::from_utf8(read(&p.path("run/split.tsv"))).unwrap();
    for class in CLASSES {
        let rows: Vec<&str> = split.lines().filter(|l| l.starts_with(&format!("{class}/"))).collect();
        let count = |part: &str| rows.iter().filter(|l| l.ends_with(&format!("\t{part}"))).count();
        assert_eq!(rows.len(), 20);
        assert!((2..=4).contains(&count("test")) && (1..=2).contains(&count("val")), "{split}");
    }

    // The head is the data's, the rest the file's; the head alone learns first, then all, the lower layers by little.
    let notes: String = of("note").iter().map(|n| format!("{}\n", n["text"].as_str().unwrap())).collect();
    assert!((notes.clone() + &told).contains("the weights have 10 classes, the data 3"), "{notes}{told}");
    for part in ["train the head alone (linear.weight, linear.bias)", "all layers are trained", "× 0.1", "× 0.01"] {
        assert!(notes.contains(part), "{part}: {notes}");
    }
    let norms = of("gradients");
    let moved = |e: &serde_json::Value| e["norms"].as_object().unwrap().len();
    assert!(moved(&norms[1]) == 2 && moved(&norms[2]) > 10, "{norms:?}");
    let trained = Model::open(p.path("run/model.onnx")).unwrap();
    let change = |name: &str| -> f32 {
        let (a, b) = (trained.weights().get(name).unwrap(), given.get(name).unwrap());
        a.as_f32().unwrap().iter().zip(b.as_f32().unwrap()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(change("conv1.weight") > 0.0 && trained.weights().get("linear.weight").unwrap().shape()[0] == 3);

    // It ends when validation no longer improves, and keeps the best epoch.
    let epochs = of("epoch");
    let stopped = of("stopped");
    assert!(epochs.len() == 10 || stopped[0]["reason"] == "patience", "{stopped:?}");
    let best = epochs.iter().rfind(|e| e["best"] == true).unwrap();
    let top = |e: &serde_json::Value| e["validation_top1"].as_f64().unwrap();
    assert!(epochs.iter().all(|e| top(e) <= top(best)), "{epochs:?}");
    assert!(epochs.iter().all(|e| e["waiting"].as_f64().unwrap() <= e["seconds"].as_f64().unwrap()));

    // The model carries what the weights expect, and needs nothing beside it.
    let how = trained.preprocessing().unwrap();
    assert_eq!((&how.mean[..], &how.std[..]), (&[0.5, 0.4, 0.3][..], &[0.2, 0.25, 0.3][..]));
    assert_eq!(trained.classes(), CLASSES);
    std::fs::remove_dir_all(p.path("cache")).unwrap();
    let e = json(&p.done(&["eval", "run/model.onnx", "--json"]));
    let evaluated = &of("evaluated")[0];
    assert_eq!(
        (&e["split"], &e["count"], &e["confusion"]),
        (&"test".into(), &evaluated["count"], &evaluated["confusion"])
    );
    assert!(e["top1"].as_f64().unwrap() > 0.6, "{e}");
    let first = json(&p.done(&["predict", "run/model.onnx", "flowers/lily/03.bmp", "--json"]));
    assert!(CLASSES.contains(&first[0]["top"][0]["class"].as_str().unwrap()), "{first}");
    let report = String::from_utf8(read(&p.path("run/report.html"))).unwrap();
    assert!(report.contains("flowers") && report.contains("Learning curves") && report.contains("Confusion"));
}
