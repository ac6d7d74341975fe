//! `gabor surface` as a process.

mod common;

use common::{Place, json, read};
use gabor::formats::npy;

#[test]
fn examples_are_drawn_with_every_number() {
    let p = Place::new("surface");
    let found = json(&p.done(&["surface", "--example", "rosenbrock", "--npy", "out", "--json", "--grid", "31"]));
    let walks = found["walks"].as_array().unwrap();
    let names: Vec<&str> = walks.iter().map(|w| w["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sgd", "momentum", "nesterov", "adam"]);
    for w in walks {
        let heights: Vec<f64> = w["heights"].as_array().unwrap().iter().map(|h| h.as_f64().unwrap()).collect();
        assert!(heights.len() == 401 && heights[400] < heights[0], "{}", w["name"]);
    }
    let grid = npy::read(&read(&p.path("out/heights.npy"))).unwrap();
    assert_eq!(grid.shape(), [31, 31]);
    assert_eq!(npy::read(&read(&p.path("out/adam.npy"))).unwrap().shape(), [401, 3]);
    let svg = String::from_utf8(read(&p.path("surface.svg"))).unwrap();
    assert!(svg.contains(">nesterov<") && svg.contains(">least<") && !svg.contains("NaN"));
    // The same bits with another number of threads; a PNG by its name.
    p.done(&["surface", "--example", "rosenbrock", "--grid", "31", "--threads", "1", "-o", "one.svg"]);
    assert_eq!(read(&p.path("one.svg")), svg.as_bytes());
    for name in ["quadratic", "saddle", "beale", "line", "ravine"] {
        let text =
            p.done(&["surface", "--example", name, "--grid", "9", "--steps", "5", "-o", "x.png", "--look", "dark"]);
        assert!(text.ends_with("x.png\n") && text.contains("lowest on the grid"), "{text}");
    }
    assert!(read(&p.path("x.png")).starts_with(b"\x89PNG"));
    let text = p.done(&["surface", "--example", "perceptron"]);
    assert!(text.contains("51.005") && text.contains("least squares: w = Σxy / Σx² = 1.004691"), "{text}");
    let all = json(&p.done(&["surface", "--example", "perceptron", "--together", "--steps", "3", "--json"]));
    assert_eq!(all["steps"].as_array().unwrap().len(), 3);
    assert!((all["steps"][0]["gradient"].as_f64().unwrap() + 117.8).abs() < 1e-4);
}

#[test]
fn the_loss_around_a_run() {
    let p = Place::new("surface-run");
    p.model();
    let words = ["surface", "model", "--data", "digits", "--grid", "7", "--steps", "4", "--samples", "60", "--json"];
    let found = json(&p.done(&words));
    let heights = found["heights"].as_array().unwrap();
    assert_eq!(
        (heights.len(), found["x"].as_array().unwrap().len(), found["walks"].as_array().unwrap().len()),
        (49, 7, 4)
    );
    let subtitle = found["subtitle"].as_str().unwrap();
    assert!(subtitle.contains("of 60 train images; the model itself "), "{subtitle}");
    let sgd: Vec<f64> = found["walks"][0]["heights"].as_array().unwrap().iter().map(|h| h.as_f64().unwrap()).collect();
    assert!(sgd[1] < sgd[0], "{sgd:?}");
    let again = json(&p.done(&[&words[..], &["--threads", "1"]].concat()));
    assert_eq!(again["heights"], found["heights"]);
    let other = json(&p.done(&[&words[..], &["--seed", "1"]].concat()));
    assert_ne!(other["heights"], found["heights"]);
}

#[test]
fn what_does_not_fit_is_said() {
    let p = Place::new("surface-errors");
    let e = |code, words: &[&str]| p.fails(code, &[&["surface"], words].concat());
    assert!(e(2, &["--example", "bowl"]).contains("there is no example `bowl`; right would be: perceptron, quadratic"));
    assert!(e(2, &["--example", "saddle", "--optimizers", "sgd,adm"]).contains("no optimiser here is called `adm`"));
    assert!(e(2, &["--example", "saddle", "--rate", "0"]).contains("right would be: a positive number"));
    assert!(e(2, &["--example", "saddle", "--start", "1"]).contains("two numbers with a comma between"));
    assert!(e(2, &["--example", "saddle", "--together"]).contains("it is of --example perceptron"));
    assert!(e(2, &["--example", "saddle", "--data", "digits"]).contains("--data"));
    assert!(e(2, &["--example", "saddle", "--momentum", "1.5"]).contains("a momentum of 1.5"));
    assert!(e(2, &["--example", "perceptron", "--optimizers", "sgd,adam"]).contains("trained by one"));
    assert!(e(2, &["--example", "saddle", "-o", "x.jpg"]).contains("a name in .svg or .png"));
    assert!(e(2, &["model.onnx"]).contains("right would be: gabor surface MODEL --data DATA"));
    assert!(e(1, &["none.onnx", "--data", "digits"]).contains("none.onnx"));
}
