//! The index of neighbours as a file: what was written is read, what is damaged or of another model is refused.

use gabor::cpu::CpuBackend;
use gabor::formats::safetensors;
use gabor::neighbors::{IndexOptions, Metric, NeighborIndex, Source, retrieval};
use gabor::prelude::*;
use gabor::tensor::Tensor;
use serde_json::Value;
use std::sync::Arc;

fn model(seed: u64) -> (Model, Arc<dyn Dataset>) {
    let test = gabor::data::digits().evaluation().unwrap().1.clone();
    let net = network("INPUT 1x8x8 -> conv3-4 relu maxpool -> FC-16 relu -> FC-10", &Default::default()).unwrap();
    let preprocessing = Preprocessing::for_dataset(&*test, [1, 8, 8]).unwrap();
    let weights = net.initialize(seed).unwrap();
    (Model::of_network(&net, weights, preprocessing, test.classes().to_vec()).unwrap(), test)
}

fn index(model: &Model, data: &Arc<dyn Dataset>) -> NeighborIndex {
    let mut last = 0;
    let mut index = model.neighbor_index(data.clone(), &IndexOptions::default(), &mut |done| last = done).unwrap();
    assert_eq!(last, data.len());
    index.source = Source { model: "m".into(), net: None, data: "digits".into(), part: "test".into() };
    index
}

fn bytes_without_source(index: &NeighborIndex) -> Vec<u8> {
    let mut plain = index.clone();
    plain.source = Source::default();
    plain.to_bytes().unwrap()
}

#[test]
fn an_index_is_read_as_it_was_written() {
    let (model, data) = model(0);
    let index = index(&model, &data);
    assert_eq!((index.features().width(), index.len()), (16, data.len()));
    let bytes = index.to_bytes().unwrap();
    assert_eq!(NeighborIndex::from_bytes(&bytes).unwrap(), index);
    // Not a bit depends on how pictures fall into batches, nor whether the last is alone.
    let alone = (2..).find(|b| data.len() % b == 1).unwrap();
    for batch in [1, 2, 3, 17, alone, 4096] {
        let other = IndexOptions { batch, workers: 2, ..Default::default() };
        let other = model.neighbor_index(data.clone(), &other, &mut |_| {}).unwrap();
        assert_eq!(other.to_bytes().unwrap(), bytes_without_source(&index), "batches of {batch}");
    }
    let image = data.image(5).unwrap();
    let query = index.extractor(&model).unwrap().features(&[image]).unwrap();
    assert_eq!(query, index.features().row(5));
    let mut search = index.search(&CpuBackend::default(), Metric::Euclidean).unwrap();
    let r = retrieval(&mut search, &index.labels, 10, 10_000, &mut |_, _| {}).unwrap();
    assert!(r.p1 > 0.45 && r.map > 0.25, "even random features keep digits together: {r:?}");
}

#[test]
fn another_model_and_other_data_are_refused() {
    let (first, data) = model(0);
    let (second, _) = model(1);
    let index = index(&first, &data);
    assert_eq!(first.checksum(), model(0).0.checksum());
    let e = index.check_model(&second).unwrap_err().to_string();
    assert!(
        e.contains("the index is of another model") && e.contains("a new index: gabor neighbors MODEL DATA"),
        "{e}"
    );
    assert!(index.extractor(&second).is_err());
    index.check_data(&*data).unwrap();
    let train = gabor::data::digits().train().unwrap().clone();
    let e = index.check_data(&*train).unwrap_err().to_string();
    assert!(e.contains(&format!("{} pictures, and {} in the index", train.len(), data.len())), "{e}");
}

#[test]
fn damaged_indexes_are_refused() {
    let (model, data) = model(0);
    let index = index(&model, &data);
    let bytes = index.to_bytes().unwrap();
    let mut flipped = bytes.clone();
    let last = flipped.len() - 9;
    flipped[last] ^= 1;
    let e = NeighborIndex::from_bytes(&flipped).unwrap_err().to_string();
    assert!(e.contains("it is damaged"), "{e}");
    for cut in [0, 7, 100, bytes.len() - 1] {
        assert!(NeighborIndex::from_bytes(&bytes[..cut]).is_err());
    }
    let (tensors, metadata) = safetensors::read(&bytes).unwrap();
    let about: Value = serde_json::from_str(&metadata["gabor.neighbors"]).unwrap();
    let read = |change: &dyn Fn(&mut Value, &mut Weights)| {
        let (mut about, mut tensors, mut metadata) = (about.clone(), tensors.clone(), metadata.clone());
        change(&mut about, &mut tensors);
        metadata.insert("gabor.neighbors".into(), about.to_string());
        NeighborIndex::from_bytes(&safetensors::write(&tensors, &metadata)).unwrap_err().to_string()
    };
    let n = data.len();
    for (text, change) in [
        ("version 1", &(|a: &mut Value, _: &mut Weights| a["version"] = 2.into()) as &dyn Fn(&mut Value, &mut Weights)),
        ("one label and one name per feature", &|a, _| {
            a["ids"].as_array_mut().unwrap().pop();
        }),
        ("`ids` is 3", &|a, _| a["ids"][0] = 3.into()),
        ("there is no list `classes`", &|a, _| a["classes"] = Value::Null),
        ("among 1 classes", &|a, _| a["classes"] = serde_json::json!(["only"])),
        ("there is no tensor `labels`", &|_, t| drop(t.0.remove("labels"))),
        ("is NaN; right would be: finite numbers", &|_, t| {
            drop(t.insert("features", Tensor::f32(&[n, 1], vec![f32::NAN; n]).unwrap()))
        }),
        ("right would be: [pictures, numbers]", &|_, t| {
            drop(t.insert("features", Tensor::f32(&[n], vec![0.0; n]).unwrap()))
        }),
        ("divisor", &|a, _| a["preprocessing"]["divisor"] = 0.into()),
    ] {
        let e = read(change);
        assert!(e.contains(text), "{e}");
    }
    let other = safetensors::write(&tensors, &Default::default());
    let e = NeighborIndex::from_bytes(&other).unwrap_err().to_string();
    assert!(e.contains("no index of neighbours"), "{e}");
}
