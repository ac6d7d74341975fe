//! `gabor surface` as a process.

mod common;

use common::{Place, json, read, stderr, stdout};
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
    let text = e(2, &["--example", "saddle", "--momentum", "0.5", "--optimizers", "sgd,adam"]);
    assert!(
        text.contains("--momentum has no part in the ways of sgd, adam; right would be: one of momentum"),
        "{text}"
    );
    assert!(e(2, &["--example", "perceptron", "--optimizers", "sgd,adam"]).contains("trained by one"));
    assert!(e(2, &["--example", "saddle", "-o", "x.jpg"]).contains("a name in .svg or .png"));
    assert!(e(2, &["model.onnx"]).contains("right would be: gabor surface MODEL --data DATA"));
    assert!(e(1, &["none.onnx", "--data", "digits"]).contains("none.onnx"));
}

#[test]
fn a_start_outside_the_window_is_in_the_picture() {
    let p = Place::new("surface-window");
    let out = p.gabor(&["surface", "--example", "saddle", "--start", "7,0.01", "--optimizers", "sgd", "--json"]);
    assert!(out.status.success(), "{}", stderr(&out));
    assert!(stderr(&out).contains("--start 7,0.01 is outside the window, which is widened to"), "{}", stderr(&out));
    let found = json(&stdout(&out));
    let x: Vec<f64> = found["x"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!(*x.last().unwrap() > 7.0 && x[0] < 0.0, "{x:?}");
    assert!(found["subtitle"].is_string() && found["walks"][0]["rule"].is_string());
    let e = p.fails(2, &["surface", "--example", "saddle", "--optimizers", "none", "--momentum", "0.5"]);
    assert!(e.contains("--momentum has no part in --optimizers none; right would be: names of optimizers"), "{e}");
    p.done(&["surface", "--example", "saddle", "--optimizers", "none"]);
}

#[test]
fn a_perceptron_that_runs_away_says_so() {
    let p = Place::new("surface-away");
    let run = |rate: &str| {
        let words =
            ["surface", "--example", "perceptron", "--together", "--rate", rate, "--steps", "30", "--start", "0"];
        (p.done(&words), json(&p.done(&[&words[..], &["--json"]].concat())))
    };
    let (text, found) = run("0.1");
    assert!(text.contains("it diverges: w is ") && found["diverged"].is_string(), "{text}");
    let svg = String::from_utf8(read(&p.path("surface.svg"))).unwrap();
    assert!(svg.contains("it diverges"), "{svg}");
    let limit = found["limit"].as_f64().unwrap();
    let (text, found) = run(&format!("{}", 0.9 * limit));
    assert!(!text.contains("diverges") && found["diverged"].is_null(), "{text}");
}
