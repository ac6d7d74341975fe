//! `gabor compare` as a process, on runs that are whole, repeated, unfinished and damaged.

mod common;

use common::{Place, json, read, write};

#[test]
fn runs_stand_beside_each_other() {
    let p = Place::new("compare");
    for (name, more) in [("a", "seed=1"), ("b", "seed=2"), ("c", "lr=0.01")] {
        p.done(&["train", "--net", "mlp", "--out", name, "epochs=2", "augment=none", "batch=128", more]);
    }
    p.done(&["train", "--net", "mlp", "--out", "stopped", "max_steps=3", "epochs=2", "augment=none", "batch=128"]);
    assert!(p.fails(1, &["compare", "a", "b", "./a"]).contains("./a: the same run twice"));
    let text = p.done(&["compare", "a", "b", "c", "--report", "page.html"]);
    for head in ["Final figures", "Runs that differ by their seed alone", "Settings that differ"] {
        assert!(text.contains(head), "{text}");
    }
    assert!(text.contains("a, b") && text.contains(" ± ") && text.contains("0.01"), "{text}");
    let page = String::from_utf8(read(&p.path("page.html"))).unwrap();
    assert!(page.contains(">Loss</b>") && page.contains("line c2") && page.contains("line c1 dashed"), "{page}");

    let v = json(&p.done(&["compare", "a", "b", "c", "--json"]));
    let top1 = |i: usize| v["runs"][i]["result"]["top1"].as_f64().unwrap();
    assert_eq!(v["repeats"].as_array().unwrap().len(), 1);
    let mean = v["repeats"][0]["top1"]["mean"].as_f64().unwrap();
    assert!((mean - (top1(0) + top1(1)) / 2.0).abs() < 1e-12);
    let deviation = v["repeats"][0]["top1"]["deviation"].as_f64().unwrap();
    assert!((deviation - (top1(0) - top1(1)).abs() / 2f64.sqrt()).abs() < 1e-12);
    assert_eq!(v["differing"]["seed"], serde_json::json!(["1", "2", "0"]));
    assert!(v["differing"].get("run").is_none() && v["differing"].get("batch").is_none());
    assert_eq!(v["runs"][0]["epochs"].as_array().unwrap().len(), 2);

    // A killed run: no end, and half a last line.
    let whole = String::from_utf8(read(&p.path("a/metrics.jsonl"))).unwrap();
    let until: Vec<&str> = whole.lines().take_while(|l| !l.contains("\"event\":\"evaluated\"")).collect();
    std::fs::create_dir(p.path("killed")).unwrap();
    write(&p.path("killed/metrics.jsonl"), until.join("\n") + "\n{\"event\":\"ste");
    std::fs::create_dir(p.path("nothing")).unwrap();
    let out = p.gabor(&["compare", "a", "killed", "stopped", "nothing"]);
    let (text, notes) = (common::stdout(&out), common::stderr(&out));
    assert_eq!(out.status.code(), Some(0), "{notes}");
    let row = |name: &str| text.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("{name} in {text}"));
    assert!(row("a ").contains("finished"));
    assert!(row("killed").contains("unfinished") && notes.contains("killed: 1 line of metrics.jsonl was passed over"));
    assert!(row("stopped").contains("stopped: max steps"), "{text}");
    assert!(row("nothing").contains("damaged: there is no metrics.jsonl"), "{text}");

    let e = p.fails(1, &["compare", "a", "missing"]);
    assert!(e.starts_with("error: missing: there is no such run directory"), "{e}");
    let e = p.fails(1, &["compare", "nothing"]);
    assert!(e.contains("directories that gabor train wrote"), "{e}");
    p.fails(2, &["compare"]);
}
