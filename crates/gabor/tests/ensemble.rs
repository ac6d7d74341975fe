//! Several views and several models: against averages made by hand; temperatures in the file.

use gabor::data::{Color, Filter, Image, MemoryDataset, Resize, Views};
use gabor::prelude::*;
use gabor::train::calibration::log_softmax;
use std::sync::Arc;

const CLASSES: usize = 4;

fn model(seed: u64, input: [usize; 3], crop: bool, classes: &[&str]) -> Model {
    let net = Network::new("small", &input, CLASSES, |net| {
        net.conv("conv", conv(5, 3))?.relu()?;
        net.flatten()?.linear("fc", CLASSES).map(|_| ())
    });
    let [c, h, w] = input;
    let mut p = Preprocessing::exact(input).unwrap();
    if c == 3 {
        (p.mean, p.std) = (vec![0.4; 3], vec![0.25; 3]);
    }
    if crop {
        (p.resize, p.filter, p.crop) = (Resize::ShortSide { to: h + 3 }, Filter::Bicubic, Some([h, w]));
    }
    let names = classes.iter().map(|c| c.to_string()).collect();
    Model::of_network(&net, net.initialize(seed).unwrap(), p, names).unwrap()
}

const NAMES: [&str; CLASSES] = ["ant", "bee", "cat", "dog"];

fn pixels(i: usize) -> Vec<u8> {
    (0..20 * 26 * 3).map(|k| ((k * 31 + i * 977 + k * k * (i + 3) / 7) % 256) as u8).collect()
}

fn dataset(n: usize) -> Arc<dyn Dataset> {
    let data: Vec<u8> = (0..n).flat_map(pixels).collect();
    let labels = (0..n as u32).map(|i| i * 7 % 4).collect();
    let names = NAMES.map(String::from).to_vec();
    Arc::new(MemoryDataset::new("memory", 20, 26, Color::Rgb, data, labels, names).unwrap())
}

/// Probabilities of a model, one picture and one view at a time, by the order of `NAMES`.
fn by_hand(model: &mut Model, image: &Image<'_>, views: Views) -> Vec<f64> {
    let p = model.preprocessing().unwrap().clone();
    let [c, h, w] = p.input();
    let mut sum = vec![0.0; CLASSES];
    for view in p.views(image, views).unwrap() {
        let exact = Preprocessing { resize: Resize::Exact { height: h, width: w }, crop: None, ..p.clone() };
        let floats = Tensor::f32(&[1, c, h, w], exact.apply(&view).unwrap()).unwrap();
        let logits = model.logits(&floats).unwrap();
        for (k, l) in log_softmax(logits.as_f32().unwrap()).iter().enumerate() {
            let at = NAMES.iter().position(|n| *n == model.classes()[k]).unwrap();
            sum[at] += l.exp() / views.count() as f64;
        }
    }
    sum
}

#[test]
fn an_ensemble_is_the_mean_of_its_models_and_views() {
    // Of different inputs, colours, preparation and order of classes.
    let make = || {
        vec![
            model(1, [3, 8, 8], true, &NAMES),
            model(2, [1, 9, 12], false, &["dog", "cat", "ant", "bee"]),
            model(3, [3, 10, 8], true, &["bee", "ant", "dog", "cat"]),
        ]
    };
    let data = dataset(11);
    for views in [Views::One, Views::Flip] {
        let mut singles = make();
        let mut ensemble = Ensemble::new(make()).unwrap();
        let mut want = Vec::new();
        for i in 0..data.len() {
            let image = data.image(i).unwrap();
            let each: Vec<Vec<f64>> = singles.iter_mut().map(|m| by_hand(m, &image, views)).collect();
            let mean: Vec<f64> = (0..CLASSES).map(|k| each.iter().map(|p| p[k]).sum::<f64>() / 3.0).collect();
            for p in ensemble.predict(&image, views).unwrap() {
                assert_eq!(NAMES[p.index], p.class);
                assert!((f64::from(p.probability) - mean[p.index]).abs() < 1e-6, "{views:?} {i} {p:?} {mean:?}");
            }
            want.push((mean, each));
        }
        let options = EvaluateOptions { batch: 5, workers: 2, views, ..Default::default() };
        let mut heard = Vec::new();
        let e = ensemble.eval_with(data.clone(), &options, &mut |s| heard.push(s.clone())).unwrap();
        assert_eq!((e.evaluation.count, e.members.len(), heard.len()), (11, 3, 11));
        for (i, (s, (mean, _))) in heard.iter().zip(&want).enumerate() {
            let label = data.labels()[i] as usize;
            assert_eq!((s.index, s.label, &s.id), (i, label, &data.id(i)));
            assert!((s.verdict.truth_probability - mean[label]).abs() < 1e-6);
            assert!((s.verdict.loss + mean[label].ln()).abs() < 1e-5);
        }
        let loss = |of: &dyn Fn(usize) -> f64| -> f64 { (0..11).map(|i| -of(i).ln()).sum::<f64>() / 11.0 };
        let label = |i: usize| data.labels()[i] as usize;
        assert!((e.evaluation.loss - loss(&|i| want[i].0[label(i)])).abs() < 1e-5);
        for (m, member) in e.members.iter().enumerate() {
            assert!((member.loss - loss(&|i| want[i].1[m][label(i)])).abs() < 1e-5, "{m}");
        }
        // The size of a batch changes what is computed together, and nothing else.
        let other = ensemble.eval(data.clone(), &EvaluateOptions { batch: 64, workers: 0, ..options }).unwrap();
        assert_eq!(other.evaluation.confusion, e.evaluation.confusion);
    }
}

#[test]
fn ten_crops_are_averaged() {
    let data = dataset(5);
    let mut single = model(4, [3, 8, 8], true, &NAMES);
    let mut ensemble = Ensemble::new(vec![model(4, [3, 8, 8], true, &NAMES)]).unwrap();
    for i in 0..data.len() {
        let image = data.image(i).unwrap();
        let want = by_hand(&mut single, &image, Views::TenCrop);
        for p in ensemble.predict(&image, Views::TenCrop).unwrap() {
            assert!((f64::from(p.probability) - want[p.index]).abs() < 1e-6);
        }
    }
    let options = EvaluateOptions { views: Views::TenCrop, ..Default::default() };
    let e = ensemble.eval(data.clone(), &options).unwrap();
    assert!(e.members.is_empty() && e.before.is_none());
    let mut plain = Ensemble::new(vec![model(5, [1, 9, 12], false, &NAMES)]).unwrap();
    let message = plain.eval(data.clone(), &options).unwrap_err().to_string();
    assert!(message.contains("ten crops") && message.contains("right would be: flip"), "{message}");
    // One view of one model is what the model itself says.
    let own = single.eval(data.clone(), &EvaluateOptions::default()).unwrap();
    let one = ensemble.eval(data, &EvaluateOptions::default()).unwrap().evaluation;
    assert_eq!(own, one);
}

#[test]
fn models_of_other_classes_are_refused() {
    let error = |b: Model| Ensemble::new(vec![model(1, [3, 8, 8], true, &NAMES), b]).unwrap_err().to_string();
    let e = error(model(2, [3, 8, 8], true, &["ant", "bee", "cat", "cow"]));
    assert!(e.contains("model 2 of 2") && e.contains("there is no class `dog`") && e.contains("cow"), "{e}");
    let e = error(model(2, [3, 8, 8], true, &NAMES).with_classes(Vec::new()));
    assert!(e.contains("only one names its classes"), "{e}");
    assert!(Ensemble::new(Vec::new()).is_err());
    // Two classes of one name keep their order.
    let twice = ["crane", "bee", "crane", "dog"];
    let turned = ["dog", "crane", "crane", "bee"];
    let data = dataset(1);
    let image = data.image(0).unwrap();
    let mut b = model(2, [3, 8, 8], true, &turned);
    let alone = b.predict(&image).unwrap();
    let both = vec![model(1, [3, 8, 8], true, &twice), model(2, [3, 8, 8], true, &turned)];
    let mut a = model(1, [3, 8, 8], true, &twice);
    let first = a.predict(&image).unwrap();
    let p = |list: &[Prediction], i: usize| list.iter().find(|p| p.index == i).unwrap().probability;
    for q in Ensemble::new(both).unwrap().predict(&image, Views::One).unwrap() {
        let at = [1, 3, 2, 0][q.index];
        assert!((q.probability - (p(&first, q.index) + p(&alone, at)) / 2.0).abs() < 1e-6);
    }
}

#[test]
fn a_temperature_is_fitted_measured_and_kept_in_the_file() {
    let data = dataset(40);
    let plain = || model(6, [3, 8, 8], true, &NAMES);
    let mut ensemble = Ensemble::new(vec![plain()]).unwrap();
    let scores = ensemble.scores(data.clone(), &EvaluateOptions::default(), &mut |_| {}).unwrap().scores;
    let t = scores.temperature();
    assert!(scores.len() == 40 && t > 0.011 && t < 99.0 && (t - 1.0).abs() > 0.05, "{t}");
    let options = EvaluateOptions { temperature: Some(t), ..Default::default() };
    let e = ensemble.eval(data.clone(), &options).unwrap();
    let before = e.before.unwrap();
    assert_eq!(before, plain().eval(data.clone(), &EvaluateOptions::default()).unwrap());
    assert!(e.evaluation.loss < before.loss && e.evaluation.confusion == before.confusion);
    assert!((scores.calibration(t).ece - e.evaluation.calibration.ece).abs() < 1e-6);
    // The file predicts as the temperature says, without being told.
    let bytes = plain().calibrated(t).unwrap().to_onnx().unwrap();
    let mut read = Model::from_onnx(&bytes).unwrap();
    let own = read.eval(data.clone(), &EvaluateOptions::default()).unwrap();
    assert!((own.loss - e.evaluation.loss).abs() < 1e-6 && own.confusion == e.evaluation.confusion);
    assert!(read.metrics().unwrap().contains("\"temperature\""));
    let image = data.image(0).unwrap();
    let soft: Vec<f32> = by_hand(&mut plain(), &image, Views::One).iter().map(|p| (p.ln() / t) as f32).collect();
    let want = log_softmax(&soft);
    for p in read.predict(&image).unwrap() {
        assert!((f64::from(p.probability).ln() - want[p.index]).abs() < 1e-4);
    }
    // A second temperature multiplies the first; the same weights are there, under the same names.
    let back = read.calibrated(1.0 / t).unwrap();
    assert_eq!(back.weights(), plain().weights());
    let mut back = Model::from_onnx(&back.to_onnx().unwrap()).unwrap();
    let again = back.eval(data, &EvaluateOptions::default()).unwrap();
    assert!((again.loss - before.loss).abs() < 1e-6);
    assert!(plain().calibrated(0.0).is_err() && plain().calibrated(f64::NAN).is_err());
}
