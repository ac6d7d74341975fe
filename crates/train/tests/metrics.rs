//! Figures of an evaluation against scikit-learn's and NumPy's (goldens/metrics.py).

use gabor_train::calibration::{Calibration, log_softmax};
use gabor_train::{Evaluator, Scores};
use serde_json::Value;

fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn same(what: &str, got: f64, want: &Value) {
    let want = want.as_f64().unwrap();
    assert!((got - want).abs() <= 1e-7 * want.abs().max(1.0), "{what}: {got} and not {want}");
}

fn calibrated(what: &str, got: &Calibration, want: &Value) {
    for (name, v) in [("ece", got.ece), ("mce", got.mce), ("brier", got.brier), ("nll", got.nll)] {
        same(&format!("{what}, {name}"), v, &want[name]);
    }
    let counts: Vec<u64> = got.bins.iter().map(|b| b.count).collect();
    assert_eq!(serde_json::json!(counts), want["counts"], "{what}");
}

#[test]
fn figures_equal_scikit_learns() {
    let golden: Value = serde_json::from_str(include_str!("goldens/metrics.json")).unwrap();
    let classes = golden["classes"].as_u64().unwrap() as usize;
    let names: Vec<String> = (0..classes).map(|c| c.to_string()).collect();
    let labels: Vec<usize> = numbers(&golden["labels"]).iter().map(|&l| l as usize).collect();
    let mut evaluator = Evaluator::new(&names, 5);
    let mut scores = Scores::new(classes);
    for (i, row) in golden["scores"].as_array().unwrap().iter().enumerate() {
        let row: Vec<f32> = numbers(row).iter().map(|&v| v as f32).collect();
        evaluator.add(i, || i.to_string(), &row, labels[i], -log_softmax(&row)[labels[i]]);
        assert!(scores.push(&row, labels[i] as u32));
    }
    let e = evaluator.finish("test");
    assert_eq!(serde_json::json!(e.confusion), golden["confusion"]);
    for (i, c) in e.classes.iter().enumerate() {
        same("precision", c.precision, &golden["precision"][i]);
        same("recall", c.recall, &golden["recall"][i]);
        same("f1", c.f1, &golden["f1"][i]);
        assert_eq!(c.count, golden["support"][i].as_u64().unwrap());
    }
    same("accuracy", e.top1, &golden["accuracy"]);
    same("balanced accuracy", e.balanced_accuracy, &golden["balanced_accuracy"]);
    same("macro F1", e.macro_f1, &golden["macro_f1"]);
    assert_eq!(e.top, numbers(&golden["top"]));
    assert_eq!((e.top[0], e.top[4]), (e.top1, e.top5));
    calibrated("before", &e.calibration, &golden["before"]);
    assert!((e.loss - e.calibration.nll).abs() < 1e-12);
    let t = scores.temperature();
    // The golden's minimum is found from values alone, to half the digits.
    assert!((t - golden["temperature"].as_f64().unwrap()).abs() < 1e-6, "{t}");
    calibrated("after", &scores.calibration(golden["temperature"].as_f64().unwrap()), &golden["after"]);
    assert!(scores.calibration(t).nll <= golden["after"]["nll"].as_f64().unwrap() + 1e-12);
}
