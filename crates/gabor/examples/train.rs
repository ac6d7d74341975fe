//! Training with settings of one's own on the digits, with events as they come, and a model file at the end.

#![allow(clippy::print_stdout)]

use gabor::prelude::*;
use gabor::train::{FnSink, Setup};
use std::sync::Arc;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = Config::load(None, [], &["net=mlp", "epochs=8", "lr=0.003", "augment=none"])?;
    let setup = Setup::new(&config)?;
    let mut sink = FnSink(|event: &Event| match event {
        Event::Epoch { epoch, train_loss, validation_top1: Some(accuracy), .. } => {
            println!("epoch {epoch}: loss {train_loss:.3}, validation {:.1} %", accuracy * 100.0);
        }
        Event::Evaluated { evaluation } => println!("{}: {:.2} %", evaluation.split, evaluation.top1 * 100.0),
        _ => {}
    });
    let finished = train_run(&setup, Arc::new(CpuBackend::default()), Default::default(), &mut sink)?;
    let path = std::env::temp_dir().join("digits.onnx");
    finished.model.save(&path)?;
    println!("{}", path.display());
    Ok(())
}
