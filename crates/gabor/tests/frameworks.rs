//! Networks that other frameworks have trained, from their own files, on real pictures where both are at hand
//! (`../shared/data` beside the repository).
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

mod common;

use common::data;
use gabor::data::{Dataset, Limits, OpenOptions, decode_file, open};
use gabor::formats::{caffe, convnetjs, darknet, onnx, safetensors};
use gabor::prelude::*;
use gabor::tensor::Data;
use serde_json::Value;
use std::sync::Arc;

/// A data set's test part; the folder holds no other.
fn test_images(name: &str, keep: &str, for_whom: &str) -> Option<Arc<dyn Dataset>> {
    let folder = data(name)?;
    // Tests run side by side, each with a folder of its own.
    let own = std::env::temp_dir().join(format!("gabor-{for_whom}-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&own).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().contains(keep) {
            std::fs::copy(entry.path(), own.join(entry.file_name())).unwrap();
        }
    }
    let found = open(&own, &OpenOptions::default()).unwrap();
    std::fs::remove_dir_all(&own).unwrap();
    Some(found.test.clone().expect("a test part"))
}

/// How many of the first `count` pictures the model names rightly, its input made by `prepare` from a byte.
fn right(model: &mut Model, images: &dyn Dataset, count: usize, prepare: impl Fn(u8) -> f32) -> usize {
    let [c, h, w] = images.shape().unwrap();
    let mut right = 0;
    for from in (0..count).step_by(500) {
        let to = (from + 500).min(count);
        let mut x = Vec::with_capacity((to - from) * c * h * w);
        let mut labels = Vec::new();
        for i in from..to {
            let sample = images.sample(i).unwrap();
            // Channels first.
            let pixels = sample.image.data();
            (0..c).for_each(|k| x.extend(pixels[k..].iter().step_by(c).map(|&v| prepare(v))));
            labels.push(sample.label as usize);
        }
        let logits = model.logits(&Tensor::f32(&[to - from, c, h, w], x).unwrap()).unwrap();
        let classes = logits.shape()[1];
        let best = |row: &[f32]| (0..classes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
        right +=
            logits.as_f32().unwrap().chunks(classes).zip(labels).filter(|(row, label)| best(row) == *label).count();
    }
    right
}

#[test]
fn convnetjs_snapshots() {
    if let (Some(folder), Some(images)) = (data("pretrained/convnetjs"), test_images("mnist", "t10k", "convnetjs")) {
        let net = convnetjs::import(&std::fs::read(folder.join("mnist_snapshot2_convnet2.json")).unwrap()).unwrap();
        let mut model = Model::new(net.graph, net.weights).unwrap();
        // 98.25 %.
        assert_eq!(right(&mut model, &*images, 400, |v| f32::from(v) / 255.0), 393);
    }
    if let (Some(folder), Some(images)) =
        (data("pretrained/convnetjs"), test_images("cifar10", "test_batch", "convnetjs"))
    {
        let net = convnetjs::import(&std::fs::read(folder.join("cifar10_snapshot_convnet.json")).unwrap()).unwrap();
        let mut model = Model::new(net.graph, net.weights).unwrap();
        // 79.5 %.
        assert_eq!(right(&mut model, &*images, 200, |v| f32::from(v) / 255.0 - 0.5), 159);
    }
}

#[test]
fn cntk_mnist() {
    let (Some(folder), Some(images)) = (data("pretrained/mnist-onnx"), test_images("mnist", "t10k", "cntk")) else {
        return;
    };
    let net = onnx::import(&std::fs::read(folder.join("opt-mnist.onnx")).unwrap()).unwrap();
    let mut model = Model::new(net.graph, net.weights).unwrap();
    assert_eq!(right(&mut model, &*images, 10_000, f32::from), 9891);
    // Four pictures of digits, white on black as in the data set.
    let how = r#"{"color":"grey","resize":{"exact":{"height":28,"width":28}},"filter":"bilinear","divisor":1.0,"mean":[0.0],"std":[1.0]}"#;
    let mut model = model.with_preprocessing(Preprocessing::from_json(how).unwrap());
    for digit in [0, 3, 5, 7] {
        let image = decode_file(&folder.join(format!("{digit}.jpg")), &Limits::default()).unwrap();
        assert_eq!(model.top(&image, 1).unwrap()[0].index, digit);
    }
}

#[test]
fn darknet_tiny_from_its_own_files() {
    let (Some(dir), Some(names)) = (data("pretrained/darknet-tiny-imagenet"), data("imagenet-names")) else { return };
    let cfg = std::fs::read(dir.join("tiny.cfg")).unwrap();
    // The published numbers are for Keras, which adds 0.001 to the variance.
    let (mut weights, _) = safetensors::read(&std::fs::read(dir.join("darknet-tiny.safetensors")).unwrap()).unwrap();
    for (_, t) in weights.0.iter_mut().filter(|(name, _)| name.ends_with("running_var")) {
        let Data::F32(v) = t.data_mut() else { panic!() };
        v.iter_mut().for_each(|x| *x += 1e-3);
    }
    let graph = darknet::import(&cfg, None).unwrap().graph;
    let files = darknet::export(&graph, &weights).unwrap();
    let net = darknet::import(&cfg, Some(&files.weights)).unwrap();
    let how = Preprocessing::from_json(net.metadata.preprocessing.as_deref().unwrap()).unwrap();
    assert_eq!(how.input(), [3, 224, 224]);
    let text = std::fs::read_to_string(names.join("darknet_order.txt")).unwrap();
    let synsets: Vec<String> = text.lines().map(|l| l.split(' ').next().unwrap().to_string()).collect();
    let mut model = Model::new(net.graph, net.weights).unwrap().with_preprocessing(how).with_classes(synsets);
    let golden: Value = serde_json::from_slice(&std::fs::read(dir.join("golden/expected.json")).unwrap()).unwrap();
    let mut worst = 0f64;
    for row in golden["rows"].as_array().unwrap() {
        let file = row["crop"].as_str().unwrap();
        let image = decode_file(&dir.join("golden").join(file), &Limits::default()).unwrap();
        let own = model.predict(&image).unwrap();
        for want in row["top10"].as_array().unwrap() {
            let found = own.iter().find(|p| p.index as u64 == want[0].as_u64().unwrap()).unwrap();
            assert_eq!(found.class, want[1].as_str().unwrap());
            worst = worst.max((f64::from(found.probability) - want[3].as_f64().unwrap()).abs());
        }
    }
    println!("probabilities differ by at most {worst:.1e}");
    assert!(worst < 1e-4, "{worst}");
    let Some(photos) = data("imagenet-photos") else { return };
    let labels: Value = serde_json::from_slice(&std::fs::read(photos.join("labels.json")).unwrap()).unwrap();
    let mut named = 0;
    for row in labels.as_array().unwrap() {
        let best = &row["darknet_tiny_top5"][0];
        if best[0] == row["synset"] {
            let image = decode_file(&photos.join(row["file"].as_str().unwrap()), &Limits::default()).unwrap();
            assert_eq!(model.top(&image, 1).unwrap()[0].class, best[0].as_str().unwrap(), "{}", row["file"]);
            named += 1;
        }
    }
    assert!(named >= 15, "{named}");
}

#[test]
fn caffe_tells_how_a_picture_becomes_the_input() {
    let text = r#"
        layer { name: "data" type: "Data" top: "data" top: "label"
          transform_param { crop_size: 2 mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 } }
        layer { name: "flat" type: "Flatten" bottom: "data" top: "flat" }"#;
    let net = caffe::import(text.as_bytes(), None).unwrap();
    let how = Preprocessing::from_json(net.metadata.preprocessing.as_deref().unwrap()).unwrap();
    let image = gabor::data::Image::new(3, 3, gabor::data::Color::Rgb, [200u8, 17, 4].repeat(9)).unwrap();
    // Blue first, bytes less the mean, times the scale.
    assert_eq!(how.apply(&image).unwrap(), [[-50.0f32; 4], [-50.0; 4], [38.5; 4]].concat());
}

#[test]
fn a_network_of_the_zoo_with_another_eps_takes_darknet_s_numbers() {
    let network = gabor::nets::zoo::by_name("darknet_tiny", &Default::default()).unwrap();
    let (graph, weights) = (network.graph(Mode::Infer).unwrap(), network.initialize(1).unwrap());
    let files = darknet::export(&graph, &weights).unwrap();
    let own = std::env::temp_dir().join(format!("gabor-eps-{}", std::process::id()));
    std::fs::create_dir_all(&own).unwrap();
    std::fs::write(own.join("net.cfg"), &files.cfg).unwrap();
    std::fs::write(own.join("net.weights"), &files.weights).unwrap();
    let mut loaded = gabor::load(&own.join("net.weights").display().to_string()).unwrap();
    std::fs::remove_dir_all(&own).unwrap();
    let model = loaded.model(Some(&network)).unwrap();
    assert!(loaded.notes.iter().any(|n| n.starts_with("15 running variances are changed")), "{:?}", loaded.notes);
    let d = gabor::compare(&Model::new(graph, weights).unwrap(), &model, 1).unwrap();
    assert!(d[0].relative < 1e-5, "{}", d[0].relative);
}
