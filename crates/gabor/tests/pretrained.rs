//! Networks of the zoo with weights that others have trained, on real pictures, where both are at hand
//! (`../shared/data` beside the repository).
#![allow(clippy::print_stdout, reason = "a test says why it is skipped")]

mod common;

use common::data;
use gabor::data::{Limits, OpenOptions, Resize, decode_file};
use gabor::formats::safetensors;
use gabor::nets::zoo;
use gabor::prelude::*;
use gabor::published_preprocessing;
use serde_json::Value;
use std::path::Path;

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// The network with weights from a file and its card's preprocessing.
fn model(net: &str, weights: &Path) -> Model {
    let network = zoo::by_name(net, &Default::default()).unwrap();
    let (weights, _) = safetensors::read(&std::fs::read(weights).unwrap()).unwrap();
    // The file's names are the network's, all of them.
    let graph = network.graph(Mode::Infer).unwrap();
    for (name, _) in weights.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
        assert!(graph.find(name).is_some(), "{net} has no {name}");
    }
    let preprocessing = published_preprocessing(network.card().unwrap()).unwrap();
    Model::new(graph, weights).unwrap().with_preprocessing(preprocessing)
}

/// The middle `side` × `side` of feature maps `[3, h, w]`, an odd rest cut off behind.
fn centre(x: &[f32], [h, w]: [usize; 2], side: usize) -> Vec<f32> {
    let (top, left) = ((h - side) / 2, (w - side) / 2);
    let rows = (0..3).flat_map(|c| (top..top + side).map(move |y| (c * h + y) * w + left));
    rows.flat_map(|at| x[at..at + side].iter().copied()).collect()
}

fn softmax(scores: &[f32]) -> Vec<f64> {
    let e: Vec<f64> = scores.iter().map(|&s| f64::from(s).exp()).collect();
    let sum: f64 = e.iter().sum();
    e.iter().map(|v| v / sum).collect()
}

#[test]
fn darknet_tiny_names_pictures() {
    let (Some(dir), Some(photos), Some(names)) =
        (data("pretrained/darknet-tiny-imagenet"), data("imagenet-photos"), data("imagenet-names"))
    else {
        return;
    };
    // Lines `synset name`, in Darknet's own order.
    let names = std::fs::read_to_string(names.join("darknet_order.txt")).unwrap();
    let synsets: Vec<String> = names.lines().map(|l| l.split(' ').next().unwrap().to_string()).collect();
    let mut model = model("darknet_tiny", &dir.join("darknet-tiny.safetensors")).with_classes(synsets.clone());
    let published = model.preprocessing().unwrap().clone();

    // Crops of 224 × 224, so that no resize stands between the pixels and the network.
    let golden = json(&dir.join("golden/expected.json"));
    let rows = golden["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 5);
    for row in rows {
        let file = row["crop"].as_str().unwrap();
        let image = decode_file(&dir.join("golden").join(file), &Limits::default()).unwrap();
        let own = model.predict(&image).unwrap();
        for (place, want) in row["top10"].as_array().unwrap().iter().enumerate() {
            let index = want[0].as_u64().unwrap() as usize;
            let found = own.iter().find(|p| p.index == index).unwrap();
            assert_eq!(found.class, want[1].as_str().unwrap(), "{file}");
            let probability = want[3].as_f64().unwrap();
            let apart = (f64::from(found.probability) - probability).abs();
            assert!(apart < 1e-4, "{file}, {}: {} and {probability}", want[2], found.probability);
            // Where neighbours are clearly apart, the order is the same.
            assert!(place > 0 || own[0].index == index, "{file}");
        }
    }

    // Photographs of any size. The reference rounds the longer side up and the crop's corner down where we, as torchvision,
    // do the opposite; done its way, only the decoder of JPEG is left to differ.
    let labels = json(&photos.join("labels.json"));
    let (mut right, mut sure, mut worst) = (0, 0, 0f64);
    for row in labels.as_array().unwrap() {
        let file = row["file"].as_str().unwrap();
        let image = decode_file(&photos.join(file), &Limits::default()).unwrap();
        // What the reference names rightly, we do too, with the card's preprocessing.
        let reference = row["darknet_tiny_top5"].as_array().unwrap();
        if reference[0][0] == row["synset"] {
            sure += 1;
            right += u32::from(model.top(&image, 1).unwrap()[0].class == row["synset"].as_str().unwrap());
        }
        let of = |side: usize| (side as f64 * 224.0 / image.width().min(image.height()) as f64).round() as usize;
        let [height, width] = [of(image.height()), of(image.width())];
        let whole = Preprocessing { resize: Resize::Exact { height, width }, crop: None, ..published.clone() };
        let pixels = centre(&whole.apply(&image).unwrap(), [height, width], 224);
        let logits = model.logits(&Tensor::f32(&[1, 3, 224, 224], pixels).unwrap()).unwrap();
        let own = softmax(logits.as_f32().unwrap());
        for want in reference {
            let index = synsets.iter().position(|s| s == want[0].as_str().unwrap()).unwrap();
            let apart = (own[index] - want[2].as_f64().unwrap()).abs();
            assert!(apart < 0.02, "{file}, {}: {} and {}", want[1], own[index], want[2]);
            worst = worst.max(apart);
        }
    }
    println!("{right} of {sure} photographs; probabilities differ by at most {worst:.4} from the reference's");
    assert!(sure >= 15 && right == sure, "{right} of {sure}");
}

/// The first CIFAR-10 test records.
fn cifar() -> Option<std::sync::Arc<dyn Dataset>> {
    let file = data("cifar10/test_batch_first1000.bin.gz")?;
    // The directory's training files are not wanted here.
    let dir = std::env::temp_dir().join(format!("gabor-cifar-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::copy(&file, dir.join("test_batch.bin.gz")).unwrap();
    let splits = gabor::data::open(&dir, &OpenOptions::default()).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    splits.test
}

/// Logits of `count` images from `first` on.
fn logits(model: &mut Model, images: &dyn Dataset, first: usize, count: usize) -> Vec<f32> {
    let preprocessing = model.preprocessing().unwrap().clone();
    let mut input = Vec::with_capacity(count * 3072);
    for i in first..first + count {
        let image: Image<'_> = images.image(i).unwrap();
        input.extend(preprocessing.apply(&image).unwrap());
    }
    model.logits(&Tensor::f32(&[count, 3, 32, 32], input).unwrap()).unwrap().as_f32().unwrap().to_vec()
}

#[test]
fn cifar_resnets_recognise_pictures() {
    let (Some(images), Some(dir)) = (cifar(), data("pretrained/resnet-cifar10")) else { return };
    assert_eq!(images.len(), 1000);
    for net in ["resnet20", "resnet44"] {
        let mut model = model(net, &dir.join(format!("{net}.safetensors")));
        let golden = json(&dir.join(format!("{net}_golden.json")));
        let rows = golden["rows"].as_array().unwrap();
        let (batch, mut right) = (50, 0);
        for first in (0..images.len()).step_by(batch) {
            let own = logits(&mut model, &*images, first, batch);
            for (i, scores) in own.chunks(10).enumerate() {
                let best = (0..10).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap();
                right += usize::from(best as i64 == i64::from(images.labels()[first + i]));
                if let Some(row) = rows.iter().find(|r| r["index"] == (first + i) as u64) {
                    for (own, want) in scores.iter().zip(row["logits"].as_array().unwrap()) {
                        let want = want.as_f64().unwrap();
                        assert!((f64::from(*own) - want).abs() < 1e-3, "{net}, record {i}: {own} and {want}");
                    }
                }
            }
        }
        assert_eq!(rows.len(), 32);
        println!("{net}: {right} of {} test records", images.len());
        assert!(right * 100 >= images.len() * 91, "{net}: {right} of {}", images.len());
    }
}
