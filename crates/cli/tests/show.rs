//! `gabor data show`: the picture, what it says is in it, and mistakes.

mod common;

use common::Place;

#[test]
fn samples_are_shown_as_a_run_sees_them() {
    let p = Place::new("show");
    let out =
        p.done(&["data", "show", "digits", "augment=elastic", "mixup=0.4", "--samples", "3", "--json", "-o", "a.png"]);
    let v: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((v["picture"].as_str(), v["part"].as_str()), (Some("a.png"), Some("train")));
    assert_eq!(v["augment"], "elastic:alpha=34:sigma=4");
    assert_eq!(v["samples"].as_array().map(Vec::len), Some(3));
    assert_eq!((&v["samples"][1]["class"], &v["samples"][1]["stored"]), (&"1".into(), &serde_json::json!([8, 8])));
    let batch = &v["batches"][0];
    assert_eq!(batch["mixed_by"], "mixup");
    assert!(batch["lambda"].as_f64().is_some_and(|l| (0.0..=1.0).contains(&l)));
    assert!(batch["samples"][0]["partner_class"].is_string());
    let png = std::fs::read(p.path("a.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG") && png.len() > 5000, "{}", png.len());

    // A run's directory shows its own pipeline, also when the file that described it is gone.
    std::fs::write(p.path("p.toml"), "[[operation]]\nname = \"shift\"\npixels = 2\n").unwrap();
    p.done(&["train", "--net", "mlp", "--out", "run", "max_steps=2", "epochs=1", "augment=p.toml", "cutmix=1"]);
    std::fs::remove_file(p.path("p.toml")).unwrap();
    let out = p.done(&["data", "show", "run", "--json", "--samples", "1", "-o", "b.png"]);
    let v: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&v["augment"], &v["batches"][0]["mixed_by"]), (&"shift:2".into(), &"cutmix".into()));
    let out = p.done(&["data", "show", "run", "--json", "--part", "test", "-o", "b.png"]);
    let v: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&v["augment"], &v["batches"][0]["mixed_by"]), (&serde_json::Value::Null, &serde_json::Value::Null));
}

#[test]
fn mistakes_are_answered() {
    let p = Place::new("show-mistakes");
    for (code, words, parts) in [
        (2, &["digits", "augment=mirrors"][..], &["no augmentation is called `mirrors`", "`mirror`"][..]),
        (2, &["digits", "-o", "a.jpg"], &["a.jpg: the picture cannot be of this kind", "a name in .svg or .png"]),
        (2, &["digits", "elastic"], &["elastic: no setting"]),
        (1, &["no/such/place"], &["no/such/place"]),
        (1, &["digits", "augment=random_crop"], &["random_crop without a crop"]),
        (1, &["digits", "augment=pipe.toml"], &["pipe.toml"]),
    ] {
        let words: Vec<&str> = ["data", "show"].iter().chain(words).copied().collect();
        let e = p.fails(code, &words);
        assert!(parts.iter().all(|part| e.contains(part)), "{words:?}: {e}");
    }
}
