//! Samples a second and core of each operation of augmentation.
//!
//! ```text
//! cargo run --release -p gabor-data --example augmentation
//! ```
#![allow(clippy::print_stdout)]

use gabor_data::{Augmentation, Color, Loader, LoaderOptions, MemoryDataset, Operation, Preprocessing};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Samples a second of a whole loader in the calling thread.
fn rate(set: &Arc<MemoryDataset>, input: [usize; 3], text: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let mut preprocessing = Preprocessing::exact(input)?;
    let augmentation = text.parse::<Augmentation>().map_err(|e| e.to_string())?;
    if matches!(augmentation.operations.first().map(|s| &s.operation), Some(Operation::RandomCrop {})) {
        let [_, h, w] = input;
        preprocessing.resize = gabor_data::Resize::ShortSide { to: h.max(w) * 8 / 7 };
        preprocessing.crop = Some([h, w]);
    }
    let augmentation = augmentation.with_components_of(&**set, &preprocessing)?;
    let options = LoaderOptions { augmentation, shuffle: false, ..Default::default() };
    let loader = Loader::new(set.clone(), preprocessing, options)?;
    let mut samples = 0;
    let mut started = Instant::now();
    for epoch in 0.. {
        let mut batches = loader.epoch(epoch, 0);
        while let Some(batch) = batches.next() {
            let batch = batch?;
            samples += batch.indices.len();
            batches.recycle(batch);
            if started.elapsed() > Duration::from_millis(300) && epoch > 0 {
                return Ok(samples as f64 / started.elapsed().as_secs_f64());
            }
        }
        if epoch == 0 {
            (samples, started) = (0, Instant::now());
        }
    }
    Ok(0.0)
}

fn noisy(h: usize, w: usize, color: Color, count: usize) -> Result<Arc<MemoryDataset>, Box<dyn std::error::Error>> {
    let size = h * w * color.channels();
    let data =
        (0..count * size).map(|i| ((i * 2654435761 % 4294967296) >> 24) as u8 / 2 + (i / 7 % 128) as u8).collect();
    let set = MemoryDataset::new("noise", h, w, color, data, vec![0; count], vec!["a".into()])?;
    Ok(Arc::new(set))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let digits = noisy(28, 28, Color::Grey, 512)?;
    let photos = noisy(375, 500, Color::Rgb, 8)?;
    let fitting = noisy(224, 224, Color::Rgb, 8)?;
    println!("samples a second in one thread: 28 × 28 grey, 224 × 224 colour (crops from 375 × 500)");
    let operations = Operation::PAGES.iter().map(|p| format!("{}@1", p.name));
    let presets = Augmentation::presets().map(|p| p.0.to_string());
    for text in operations.chain(presets) {
        let small =
            if text.starts_with("short_side") || text == "photos" || text == "alexnet" || text == "random_crop@1" {
                None
            } else {
                Some(rate(&digits, [1, 28, 28], &text)?)
            };
        let crops = ["random", "short", "photos", "alexnet", "inception", "timm"].iter().any(|w| text.starts_with(w));
        let large = rate(if crops { &photos } else { &fitting }, [3, 224, 224], &text)?;
        let small = small.map_or("-".into(), |v| format!("{v:.0}"));
        println!("{:24}{small:>12}{large:>10.0}", text.trim_end_matches("@1"));
    }
    Ok(())
}
