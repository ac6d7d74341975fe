//! Models: scores and softmax, what a file must say, classes that must agree, whole runs.

use gabor::data::{Color, Image, digits};
use gabor::nets::{conv, pool};
use gabor::prelude::*;
use gabor::tensor::Data;
use gabor::train::{RunOptions, Setup};
use std::sync::Arc;

fn small() -> (Network, Weights) {
    let net = Network::new("small", &[1, 8, 8], 10, |net| net.flatten()?.linear("fc", 10).map(|_| ()));
    let weights = net.initialize(3).unwrap();
    (net, weights)
}

fn picture() -> Image<'static> {
    Image::new(5, 9, Color::Rgb, (0..135u8).collect::<Vec<_>>()).unwrap()
}

fn names() -> Vec<String> {
    (0..10).map(|c| c.to_string()).collect()
}

#[test]
fn a_file_predicts_what_the_network_predicts() {
    let (net, weights) = small();
    let preprocessing = Preprocessing::exact([1, 8, 8]).unwrap();
    let mut model = Model::of_network(&net, weights, preprocessing, names()).unwrap();
    let own = model.predict(&picture()).unwrap();
    let mut read = Model::from_onnx(&model.to_onnx().unwrap()).unwrap();
    assert_eq!(read.predict(&picture()).unwrap(), own);
    assert_eq!(read.top(&picture(), 3).unwrap(), own[..3]);
    assert!(own.windows(2).all(|w| w[0].probability >= w[1].probability));
    let sum: f32 = own.iter().map(|p| p.probability).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    assert_eq!((read.classes(), read.class_count().unwrap()), (model.classes(), 10));
}

#[test]
fn large_weights_are_read_from_where_they_lie() {
    // Read in two portions.
    let net = Network::new("wide", &[1, 40, 40], 10, |net| {
        net.flatten()?.linear("wide", 3000)?.relu()?.linear("fc", 10).map(|_| ())
    });
    let model = Model::new(net.graph(Mode::Infer).unwrap(), net.initialize(3).unwrap()).unwrap();
    let bytes = model.to_onnx().unwrap();
    let path = std::env::temp_dir().join(format!("gabor-where-they-lie-{}.onnx", std::process::id()));
    let bind = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let x = gabor::formats::Array::floats(vec![1, 1, 40, 40], vec![0.5; 1600]);
        let bound = Model::bind(&path, vec![("images".into(), x)]);
        std::fs::remove_file(&path).unwrap();
        bound
    };
    let bound = bind(&bytes).unwrap();
    assert_eq!(bound.model.weights(), model.weights());
    // The same answer where each weight is read for its layer, as long as they are all there.
    std::fs::write(&path, &bytes).unwrap();
    let inputs = || {
        let x = gabor::formats::Array::floats(vec![1, 1, 40, 40], vec![0.5; 1600]);
        vec![("images".to_string(), x)]
    };
    let backend = gabor::cpu::CpuBackend::default();
    let view: Vec<_> = bound.inputs.iter().map(|(k, t)| (k.as_str(), t)).collect();
    assert_eq!(Model::once(&path, inputs(), &backend).unwrap().run().unwrap(), bound.model.run(&view).unwrap());
    let mut late = Model::once(&path, inputs(), &backend).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    let e = late.run().unwrap_err().to_string();
    assert!(e.contains("wide") && e.contains("cannot be read"), "{e}");
    for cut in [100, 5 << 20, bytes.len() - 1] {
        let e = bind(&bytes[..cut]).map(|_| ()).unwrap_err().to_string();
        assert!(e.contains(&*path.display().to_string()) && e.contains("damaged or no ONNX file"), "{cut}: {e}");
    }
}

#[test]
fn a_softmax_at_the_end_is_not_applied_twice() {
    let (net, weights) = small();
    let plain = Model::new(net.graph(Mode::Infer).unwrap(), weights.clone()).unwrap();
    let mut graph = net.graph(Mode::Infer).unwrap();
    let logits = graph.output_value("logits").unwrap();
    let y = graph.softmax(logits, 1).unwrap();
    graph.clear_outputs();
    graph.output("probabilities", y);
    let soft = Model::new(graph, weights).unwrap();
    let p = Preprocessing::exact([1, 8, 8]).unwrap();
    let (mut plain, mut soft) = (plain.with_preprocessing(p.clone()), soft.with_preprocessing(p));
    assert_eq!(plain.predict(&picture()).unwrap(), soft.predict(&picture()).unwrap());
}

#[test]
fn what_a_model_lacks_is_said() {
    let (net, weights) = small();
    let mut bare = Model::new(net.graph(Mode::Infer).unwrap(), weights.clone()).unwrap();
    let e = bare.predict(&picture()).unwrap_err().to_string();
    assert!(e.contains(": the model does not say how a picture becomes its input; right would be: "), "{e}");
    // Where no preprocessing would help, none is asked for.
    let says = |extents: &[usize]| {
        let net = Network::new("odd", extents, 10, |net| net.flatten()?.linear("fc", 10).map(|_| ()));
        let mut model = Model::new(net.graph(Mode::Infer).unwrap(), net.initialize(3).unwrap()).unwrap();
        model.predict(&picture()).unwrap_err().to_string()
    };
    assert!(says(&[4, 8, 8]).contains("takes pictures of 4 channels, and picture files have 1 or 3; right would be: "));
    assert!(says(&[1, 64]).contains("the model does not take pictures"), "{}", says(&[1, 64]));
    let e = Model::new(net.graph(Mode::Infer).unwrap(), Weights::new()).unwrap_err().to_string();
    assert_eq!(e, "fc.weight: the weights do not hold this parameter; right would be: one of shape [10, 64]");
    let p = Preprocessing::exact([1, 8, 8]).unwrap();
    let e = Model::of_network(&net, weights.clone(), p.clone(), names()[..9].to_vec()).unwrap_err().to_string();
    assert!(e.contains("9 names for 10 classes"), "{e}");
    let mut other = names();
    other.swap(3, 4);
    let mut model = Model::of_network(&net, weights, p, other).unwrap();
    let splits = digits();
    let test = splits.evaluation().unwrap().1.clone();
    let e = model.eval(test, &EvaluateOptions::default()).unwrap_err().to_string();
    assert!(e.contains("class 3 is `4` in the model and `3` in the data"), "{e}");
}

#[test]
fn evaluation_and_prediction_agree() {
    let (net, weights) = small();
    let splits = digits();
    let test = splits.evaluation().unwrap().1.clone();
    let p = Preprocessing::for_dataset(&*test, [1, 8, 8]).unwrap();
    let mut model = Model::of_network(&net, weights, p, names()).unwrap();
    let e = model.eval(test.clone(), &EvaluateOptions { batch: 50, ..Default::default() }).unwrap();
    let mut right = 0;
    for (i, &label) in test.labels().iter().enumerate() {
        right += u64::from(model.top(&test.image(i).unwrap(), 1).unwrap()[0].index == label as usize);
    }
    assert_eq!((e.count, (e.top1 * 360.0).round() as u64), (360, right));
}

#[test]
fn a_run_without_a_directory_writes_nothing_and_gives_a_model() {
    let config = Config::load(None, [], &["net=mlp", "epochs=1", "max_steps=2"]).unwrap();
    let setup = Setup::new(&config).unwrap();
    let backend = Arc::new(CpuBackend::default());
    let mut events: Vec<Event> = Vec::new();
    let finished = gabor::train_run(&setup, backend, RunOptions::default(), &mut events).unwrap();
    assert!(finished.model_file.is_none() && finished.report_file.is_none());
    assert!(finished.model.provenance().unwrap().contains("\"steps\":2"));
    assert!(matches!(events.last(), Some(Event::Finished { model: None, .. })));
}

#[test]
fn batch_normalisations_of_a_single_run_are_part_of_the_weights() {
    // Large filters, which are read for their layer, and small ones; normalisations behind both, and one behind a pooling.
    let net = Network::new("normal", &[3, 9, 9], 10, |net| {
        net.conv("wide", conv(288, 5).same().no_bias())?.batch_norm("bn1")?.relu()?;
        net.conv("narrow", conv(8, 1).no_bias())?.batch_norm("bn2")?.relu()?;
        net.max_pool(pool(3))?.batch_norm("bn3")?.flatten()?.linear("fc", 10).map(|_| ())
    });
    let mut weights = net.initialize(3).unwrap();
    for (i, (name, t)) in weights.0.iter_mut().enumerate().filter(|(_, (name, _))| name.contains("bn")) {
        let Data::F32(v) = t.data_mut() else { panic!("{name}") };
        v.iter_mut().enumerate().for_each(|(j, v)| *v = 0.3 + ((7 * i + 3 * j) % 11) as f32 / 8.0);
    }
    let model = Model::new(net.graph(Mode::Infer).unwrap(), weights).unwrap();
    let path = std::env::temp_dir().join(format!("gabor-normal-{}.onnx", std::process::id()));
    std::fs::write(&path, model.to_onnx().unwrap()).unwrap();
    let numbers: Vec<f32> = (0..2 * 243).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
    let x = gabor::formats::Array::floats(vec![2, 3, 9, 9], numbers.clone());
    let backend = gabor::cpu::CpuBackend::default();
    let once = Model::once(&path, vec![("images".into(), x)], &backend).unwrap().run().unwrap();
    std::fs::remove_file(&path).unwrap();
    let x = Tensor::f32(&[2, 3, 9, 9], numbers).unwrap();
    let often = model.run(&[("images", &x)]).unwrap();
    let (once, often) = (once[0].1.to_f64(), often[0].1.to_f64());
    let scale = often.iter().fold(0.0, |m: f64, v| m.max(v.abs()));
    assert!(scale > 0.1 && once.iter().zip(&often).all(|(a, b)| (a - b).abs() < 1e-5 * scale), "{once:?} {often:?}");
}
