//! A model file names pictures: `cargo run --example predict -- model.onnx image.png …`. Without arguments it trains a
//! small model first and shows it some digits.

#![allow(clippy::print_stdout)]

use gabor::data::{decode_file, digits};
use gabor::prelude::*;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [model, images @ ..] = arguments.as_slice() {
        let mut model = Model::open(model)?;
        for path in images {
            let image = decode_file(path.as_ref(), &Default::default())?;
            println!("{path}");
            for p in model.top(&image, 5)? {
                println!("  {:6.2} %  {}", p.probability * 100.0, p.class);
            }
        }
        return Ok(());
    }
    let config = Config::load(None, [], &["epochs=6"])?;
    let setup = gabor::train::Setup::new(&config)?;
    let mut model = train_run(&setup, Arc::new(CpuBackend::default()), Default::default(), &mut Vec::new())?.model;
    let splits = digits();
    let (_, test) = splits.evaluation()?;
    for i in 0..5 {
        let sample = test.sample(i)?;
        let best = &model.top(&sample.image, 1)?[0];
        println!("{}: {} with {:.1} %, true is {}", sample.id, best.class, best.probability * 100.0, sample.label);
    }
    Ok(())
}
