//! How many images a second the loader prepares: a folder per class, decoded, brought to 224 × 224 and normalised, nothing
//! kept between epochs. `bench/loader/run.py` runs it next to torchvision's.
//!
//! `cargo run --release -p gabor-data --example loader -- DIR train|eval WORKERS IMAGES`

#![allow(clippy::print_stdout, reason = "what it measures")]

use gabor_data::source::FileDataset;
use gabor_data::{Augmentation, Limits, Loader, LoaderOptions, Preprocessing};
use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [dir, how, workers, images] = arguments.as_slice() else {
        return Err("DIR train|eval WORKERS IMAGES".into());
    };
    let augmentation: Augmentation = match how.as_str() {
        "train" => "random_resized_crop,mirror".parse()?,
        "eval" => Augmentation::default(),
        other => return Err(format!("{other}; right would be train or eval").into()),
    };
    let (set, _) = FileDataset::folder(dir, &Limits::default())?;
    let options = LoaderOptions {
        batch_size: 64,
        workers: workers.parse()?,
        shuffle: how == "train",
        augmentation,
        cache_bytes: 0,
        ..Default::default()
    };
    let loader = Loader::new(Arc::new(set), Preprocessing::imagenet(), options)?;
    let wanted: usize = images.parse()?;
    let (started, mut seen, mut epoch) = (Instant::now(), 0, 0);
    while seen < wanted {
        for batch in loader.epoch(epoch, 0) {
            let batch = batch?;
            seen += batch.indices.len();
            loader.recycle(batch);
        }
        epoch += 1;
    }
    println!("{{\"images\": {seen}, \"seconds\": {:.4}}}", started.elapsed().as_secs_f64());
    Ok(())
}
